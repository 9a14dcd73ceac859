package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// heard is a console that keeps all that is said, from any goroutine.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.String()
}

func say(t *testing.T, args ...string) (string, int) {
	t.Helper()
	h := new(heard)
	exit := run(t.Context(), args, console{strings.NewReader(""), h, h})
	return h.String(), exit
}

// TestNoSecret: nothing but env and key create prints a secret, whatever lies
// about and whatever goes wrong; and none is on disk in clear.
func TestNoSecret(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusInternalServerError // is logged with its cause
		if r.URL.Path != "/v1/messages" {
			status = http.StatusBadRequest // is not tried again
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"type":"error","error":{"type":"api_error","message":"bad key %s"}}`, r.Header.Get("X-Api-Key"))
	}))
	defer upstream.Close()
	dir := filepath.Join(t.TempDir(), "data")
	secrets := map[string]string{
		"AWS_SECRET_ACCESS_KEY": "environment/secret", "AWS_SESSION_TOKEN": "environment-token", "AWS_BEARER_TOKEN_BEDROCK": "environment-bearer",
		"ANTHROPIC_API_KEY": "sk-environment", "ANTHROPIC_AUTH_TOKEN": "auth-environment", "OUTCROP_UPSTREAM_KEY": "sk-upstream",
	}
	for name, v := range secrets {
		t.Setenv(name, v)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("OUTCROP_DATA", dir)
	t.Setenv("OUTCROP_CONFIG", filepath.Join(t.TempDir(), "none"))
	if err := os.WriteFile(os.Getenv("OUTCROP_CONFIG"), []byte("upstream_key: sk-from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	secrets["file"] = "sk-from-file"

	// The two commands that may: the test would see a secret.
	folder, err := datadir.Open(dir, datadir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := folder.FirstKey()
	if err != nil {
		t.Fatal(err)
	}
	folder.Close()
	secrets["first key"] = key.SecretAccessKey
	for _, format := range []string{"sh", "json", "fish", "powershell"} {
		if out, _ := say(t, "env", "--format", format); !strings.Contains(out, key.SecretAccessKey) {
			t.Fatalf("env --format %s has no secret:\n%s", format, out)
		}
	}
	out, _ := say(t, "key", "create", "--api-key")
	_, api, ok := strings.Cut(out, "AWS_BEARER_TOKEN_BEDROCK=")
	if !ok {
		t.Fatal(out)
	}
	api, _, _ = strings.Cut(api, "\n")
	secrets["API key"] = api
	out, _ = say(t, "key", "create", "--short-term", "--json")
	_, short, _ := strings.Cut(out, `"key": "`)
	short, _, _ = strings.Cut(short, `"`)
	secrets["short-term key"] = short
	if short == "" {
		t.Fatal(out)
	}

	var all strings.Builder
	for _, log := range []string{"text", "json", "off"} {
		all.WriteString(serveAndCall(t, log, upstream.URL, dir, key, api, short))
	}
	for _, args := range [][]string{
		{"key", "list"}, {"key", "list", "--json"}, {"key", "revoke", "AKIANONE"}, {"key", "revoke", key.SecretAccessKey[:4]},
		{"whoami"}, {"whoami", "--endpoint", upstream.URL}, {"config", "check"}, {"models"}, {"features"},
		{"explain", pageModel}, {"version"}, {"--help"}, {"serve", "--help"}, {"serve", "--upstream", "nonsense"},
		{"serve", "--listen", "nonsense"}, {"exec", "--upstream", "scripted", "--", "no-such-command"}, {"tour", "--endpoint", upstream.URL},
	} {
		out, _ := say(t, args...)
		all.WriteString(out)
	}
	for name, secret := range secrets {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%s was printed or logged", name)
			for line := range strings.Lines(all.String()) {
				if strings.Contains(line, secret) {
					t.Log(line)
				}
			}
		}
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		for name, secret := range secrets {
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s is in %s", name, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// serveAndCall gives all that a server said while calls of each kind came in.
func serveAndCall(t *testing.T, log, upstream, dir string, key sigv4.Credentials, api, short string) string {
	ctx, stop := context.WithCancel(t.Context())
	h := new(heard)
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--upstream", upstream, "--log", log}, console{strings.NewReader(""), h, h})
	}()
	defer func() {
		stop()
		<-done
	}()
	var st state
	for deadline := time.Now().Add(patience); ; {
		var ok bool
		if st, ok = running(ctx, dir); ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no server:\n%s", h)
		}
	}
	v := &visit{url: st.URL, region: "us-east-1", key: key, http: http.DefaultClient}
	call := func(v *visit, more map[string]any) {
		t.Helper()
		if _, err := v.invoke(ctx, v.region, pageGlobal, more); err != nil {
			t.Fatal(err)
		}
	}
	call(v, nil)                                // the upstream fails
	call(v, map[string]any{"max_tokens": "no"}) // the body is wrong
	wrong := key
	wrong.SecretAccessKey = "wrong"
	call(&visit{url: v.url, region: v.region, key: wrong, http: v.http}, nil)
	for _, header := range []http.Header{
		{"Authorization": {"Bearer " + api}}, {"Authorization": {"Bearer " + short}}, {"Authorization": {"Bearer x" + api}},
		{"X-Api-Key": {api}}, {"Authorization": {"Basic " + key.SecretAccessKey}}, {"Authorization": {"AWS4-HMAC-SHA256 " + key.SecretAccessKey}},
	} {
		for _, path := range []string{"/model/" + pageGlobal + "/invoke", "/v1/messages", "/"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, st.URL+path, strings.NewReader(`{"model":"`+pageGlobal+`","anthropic_version":"bedrock-2023-05-31","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = header.Clone()
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			h.Write(body) // an answer is an output too
		}
	}
	for _, args := range [][]string{{"whoami"}, {"whoami", "--json"}} {
		out, exit := say(t, args...)
		if exit != 0 {
			t.Errorf("%v: %s", args, out)
		}
		h.Write([]byte(out))
	}
	return h.String()
}
