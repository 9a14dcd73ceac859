package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// The entry that says most of a lane is its quota.
func TestQuotaTable(t *testing.T) {
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	const global, us = "global.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1"
	table, err := quotas{
		{Model: "claude-opus-4-6", TPM: 1},
		{Region: "eu-west-1", Model: "claude-opus-4-6", TPM: 2},
		{Account: "a", Model: "claude-opus-4-6", TPM: 3},
		{Account: "a", Region: "eu-west-1", Model: "claude-opus-4-6", TPM: 4},
		{Profile: global, TPM: 5},
	}.table(c, []account{{Name: "a"}, {Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range map[routing.Key]int64{
		{Account: "b", Region: "us-east-1", ID: us}:                             1,
		{Account: "b", Region: "eu-west-1", ID: us}:                             2,
		{Account: "a", Region: "us-east-1", ID: us}:                             3,
		{Account: "a", Region: "eu-west-1", ID: us}:                             4,
		{Account: "a", Region: "eu-west-1", ID: global}:                         5,
		{Account: "a", Region: "eu-west-1", ID: "us.anthropic.claude-opus-5"}:   0,
		{Account: "b", Region: "eu-west-1", ID: "anthropic.claude-opus-4-6-v1"}: 2,
	} {
		if got := table(k); got.TPM != want {
			t.Errorf("%v: %d, want %d", k, got.TPM, want)
		}
	}
}

// TestQuotasServed: a server over two accounts' worth of nothing but a file. Its
// calls move before AWS would have said 429, and when all is spent the refusal
// names the quota, without AWS being asked.
func TestQuotasServed(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		region, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if r.Method == http.MethodGet { // the server warms its connection
			return
		}
		mu.Lock()
		asked[region]++
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":"end_turn","usage":{"input_tokens":100,"output_tokens":180}}`)
	}))
	defer aws.Close()
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIAQUOTAS", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "outcrop.yaml")
	// Ten calls of 1000 tokens a minute in each Region: what is used, 100 and five
	// times 180, is what is taken at the start.
	config := fmt.Sprintf(`
upstream: bedrock
bedrock_endpoint: %s/{region}
listen: 127.0.0.1:0
data: %s/data
log: "off"
insecure_skip_auth: true
quota_wait: 0s
quotas:
  - {profile: us.anthropic.claude-opus-4-6-v1, tpm: 1}
  - {region: us-east-1, profile: us.anthropic.claude-opus-4-6-v1, tpm: 10000}
  - {region: us-east-2, model: claude-opus-4-6, tpm: 500}
  - {region: us-east-2, profile: us.anthropic.claude-opus-4-6-v1, tpm: 10000}
  - {region: us-west-2, profile: us.anthropic.claude-opus-4-6-v1, tpm: 10000}
`, aws.URL, dir)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var c cli
	parser, err := newParser(&c, console{strings.NewReader(""), io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse([]string{"serve", "--config", file}); err != nil {
		t.Fatal(err)
	}
	s, err := startServer(&c.Serve.serveOptions, console{strings.NewReader(""), io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer s.shutdown()
	text := strings.Repeat("abc", 60)
	call := func() *http.Response {
		body := `{"model":"us.anthropic.claude-opus-4-6-v1","max_tokens":900,"messages":[{"role":"user","content":"` + text + `"}]}`
		resp, err := http.Post(s.URL+"/anthropic/v1/messages", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		return resp
	}
	served := 0
	for range 24 {
		if resp := call(); resp.StatusCode == http.StatusOK {
			served++
		}
	}
	mu.Lock()
	if served != 24 || asked["us-east-1"] != 8 || asked["us-east-2"] != 8 || asked["us-west-2"] != 8 {
		t.Errorf("%d served, %v: want each Region to keep a fifth while another has more", served, asked)
	}
	mu.Unlock()
	var last *http.Response
	for range 10 {
		if last = call(); last.StatusCode != http.StatusOK {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	hint := last.Header.Get("X-Outcrop-Hint")
	if last.StatusCode != http.StatusTooManyRequests || !strings.Contains(hint, "tokens per minute of us.anthropic.claude-opus-4-6-v1 in us-") || !strings.Contains(hint, "(10000) is used up; frees in ") || last.Header.Get("Retry-After") == "" {
		t.Errorf("refused with %d, hint %q, Retry-After %q", last.StatusCode, hint, last.Header.Get("Retry-After"))
	}
	if total := asked["us-east-1"] + asked["us-east-2"] + asked["us-west-2"]; total > 31 {
		t.Errorf("AWS was asked %d times for what thirty calls may use", total)
	}
}

// Who pays: the default chain, a key, accounts with roles or keys; what cannot be
// is refused before anything is called.
func TestPayers(t *testing.T) {
	t.Setenv("RESEARCH_KEY", "ABSKresearch")
	for _, tt := range []struct {
		o    bedrockOptions
		want string
		err  string
	}{
		{bedrockOptions{}, "[]", ""},
		{bedrockOptions{BedrockKey: "ABSKone"}, "[/ABSKone]", ""},
		{bedrockOptions{wayOptions: wayOptions{Accounts: accounts{{Name: "a", KeyEnv: "RESEARCH_KEY"}, {Name: "b", Role: "r"}}}}, "[a/ABSKresearch b/]", ""},
		{bedrockOptions{wayOptions: wayOptions{Accounts: accounts{{Name: "a", KeyEnv: "NO_SUCH_KEY"}}}}, "", `account "a": NO_SUCH_KEY is not set`},
		{bedrockOptions{BedrockKey: "ABSKone", wayOptions: wayOptions{Accounts: accounts{{Name: "a"}}}}, "", "exclude each other"},
	} {
		got, err := tt.o.payers()
		if err != nil {
			if tt.err == "" || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v: %v", tt.o, err)
			}
			continue
		}
		names := []string{}
		for _, a := range got {
			names = append(names, a.Name+"/"+a.Bearer)
		}
		if fmt.Sprint(names) != tt.want {
			t.Errorf("got %v, want %s", names, tt.want)
		}
	}
}

// TestBedrockProfilesServed: an application profile of the operator's AWS account is
// called by its ARN, with the account that owns it.
func TestBedrockProfilesServed(t *testing.T) {
	const arn = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abcdefghijkl"
	var mu sync.Mutex
	var got []string
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		mu.Lock()
		got = append(got, r.RequestURI+" "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"m","type":"message","role":"assistant","model":"claude-opus-4-6","content":[],"stop_reason":"end_turn","inputTokens":3,"usage":{"input_tokens":1,"output_tokens":1}}`)
	}))
	defer aws.Close()
	t.Setenv("MINE_KEY", "ABSKmine")
	t.Setenv("OTHER_KEY", "ABSKother")
	s := startFrom(t, fmt.Sprintf(`
upstream: bedrock
bedrock_endpoint: %s
listen: 127.0.0.1:0
data: %s/data
log: "off"
insecure_skip_auth: true
accounts:
  - {name: other, number: "999988887777", key_env: OTHER_KEY}
  - {name: mine, number: "111122223333", key_env: MINE_KEY}
bedrock_profiles:
  - {arn: "%s", from: us.anthropic.claude-opus-4-6-v1}
`, aws.URL, t.TempDir(), arn))
	defer s.shutdown()
	const inner = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`
	path := "/model/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(arn)
	for op, body := range map[string]string{"/invoke": inner, "/converse": `{"messages":[{"role":"user","content":[{"text":"hi"}]}]}`} {
		resp, err := http.Post(s.URL+path+op, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", op, resp.StatusCode, said)
		}
		mu.Lock()
		if want := path + op + " ABSKmine"; len(got) != 1 || got[0] != want {
			t.Errorf("AWS was called with %q, want %q", got, want)
		}
		got = nil
		mu.Unlock()
	}
	// Claude Code asks what is behind the ARN, in order to know what it may send.
	for path, want := range map[string]string{
		"/inference-profiles/" + strings.NewReplacer(":", "%3A", "/", "%2F").Replace(arn): `"models":[{"modelArn":"arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1`,
		"/inference-profiles/abcdefghijkl":                                                `"inferenceProfileArn":"` + arn + `"`,
		"/inference-profiles?type=APPLICATION":                                            `"inferenceProfileArn":"` + arn + `"`,
		"/inference-profiles?type=SYSTEM_DEFINED":                                         `us.anthropic.claude-opus-4-6-v1`,
	} {
		resp, err := http.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(said), want) || strings.Contains(string(said), arn) == strings.Contains(path, "SYSTEM") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, said)
		}
	}
	resp, err := http.Post(s.URL+strings.Replace(path, "abcdefghijkl", "zzzzzzzzzzzz", 1)+"/invoke", "application/json", strings.NewReader(inner))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound || len(got) != 0 {
		t.Errorf("a profile that nobody has told of: %d, %q", resp.StatusCode, got)
	}
}

// TestMantleStaysHere: real Bedrock is not given a mantle call that would leave its
// Region, unless the operator permits it.
func TestMantleStaysHere(t *testing.T) {
	aws, asked := billedAWS(t)
	for option, status := range map[string]int{"": http.StatusNotFound, "bedrock_mantle_profiles: true\n": http.StatusOK} {
		before := asked.Load()
		s := startFrom(t, fmt.Sprintf("upstream: bedrock\nbedrock_endpoint: %s\nlisten: 127.0.0.1:0\ndata: %s/data\nlog: \"off\"\nregion: ca-central-1\ninsecure_skip_auth: true\n%s", aws, t.TempDir(), option))
		req, err := http.NewRequest(http.MethodPost, s.URL+"/anthropic/v1/messages", strings.NewReader(`{"model":"anthropic.claude-opus-4-6-v1","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = "bedrock-mantle.ca-central-1.api.aws"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status || (asked.Load() > before) != (status == http.StatusOK) {
			t.Errorf("%q: %d %s, AWS was asked %d times", option, resp.StatusCode, said, asked.Load()-before)
		}
		_ = s.shutdown()
	}
}
