package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

func TestDestinations(t *testing.T) {
	t.Setenv("MINIO_ACCESS_KEY_ID", "a")
	t.Setenv("MINIO_SECRET_ACCESS_KEY", "b")
	for text, good := range map[string]bool{
		`{"team-logs":{"folder":"/var/log/calls"}}`:                                                          true,
		`{"b23":{"endpoint":"http://127.0.0.1:9000","region":"us-east-1","env":"MINIO"}}`:                    true,
		`{"b23":{"endpoint":"http://127.0.0.1:9000","region":"us-east-1","env":"MINIO","path_style":false}}`: true,
		`{"b23":{"aws":true,"region":"eu-west-1"}}`:                                                          true,
		`{"b23":{"aws":true,"region":"eu-west-1","profile":"logs"}}`:                                         true,
		`[]`:                                   false,
		`{"b23":{}}`:                           false,
		`{"b23":{"folder":"relative"}}`:        false,
		`{"b23":{"folder":"/a","aws":true}}`:   false,
		`{"b23":{"folder":"/a","region":"x"}}`: false,
		`{"b23":{"aws":true}}`:                 false,
		`{"b23":{"aws":true,"region":"x","path_style":true}}`:                              false,
		`{"b23":{"endpoint":"http://127.0.0.1:9000","region":"us-east-1"}}`:                false,
		`{"b23":{"endpoint":"127.0.0.1:9000","region":"us-east-1","env":"MINIO"}}`:         false,
		`{"b23":{"endpoint":"http://h","region":"us-east-1","env":"MINIO","profile":"p"}}`: false,
		`{"b23":{"folder":"/a","unknown":1}}`:                                              false,
		`{"../b":{"folder":"/a"}}`:                                                         false,
		`{"a..b":{"folder":"/a"}}`:                                                         false,
		`{"B23":{"folder":"/a"}}`:                                                          false,
		`{"ab":{"folder":"/a"}}`:                                                           false,
	} {
		var d destinations
		if err := d.UnmarshalText([]byte(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	d := destinations{"b23": {Endpoint: "http://h", Region: "us-east-1", Env: "NOBODY"}}
	if _, err := d.open(t.Context()); err == nil || !strings.Contains(err.Error(), "NOBODY_ACCESS_KEY_ID") {
		t.Errorf("credentials that are not there: %v", err)
	}
}

// The map of a configuration file arrives whole, and what is wrong with it is
// said.
func TestDestinationsInFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "outcrop.yaml")
	check := func(text string) (int, string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		return run(t.Context(), []string{"config", "check", file}, console{strings.NewReader(""), &said, &said}), said.String()
	}
	if code, said := check("destinations:\n  team-logs:\n    folder: /var/log/calls\n  archive:\n    aws: true\n    region: eu-west-1\n"); code != 0 {
		t.Error(said)
	}
	if code, said := check("destinations:\n  team-logs:\n    bucket: x\n"); code == 0 || !strings.Contains(said, `unknown field "bucket"`) {
		t.Error(said)
	}
}

// places are buckets that take everything.
type places map[string]bool

func (p places) Has(name string) bool                                { return p[name] }
func (p places) Check(context.Context, string, string, string) error { return nil }

// Where a call goes, by the configuration of its account and Region.
func TestDeliveries(t *testing.T) {
	cat, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	known := places{"logs": true, "gone": true}
	own := &access.Service{Store: access.NewMemory(), Catalog: cat, Buckets: known, Now: time.Now, Log: slog.New(slog.NewTextHandler(&said, nil))}
	yes, no := true, false
	for region, l := range map[string]*access.Logging{
		"us-east-1": {S3: &access.Bucket{Name: "logs", Prefix: "p"}},
		"us-west-2": {S3: &access.Bucket{Name: "logs"}, Text: &yes, Image: &no},
		"eu-west-1": {S3: &access.Bucket{Name: "logs"}, Text: &no, Image: &yes},
		"eu-west-2": {S3: &access.Bucket{Name: "gone"}},
	} {
		if err := own.SetLogging(t.Context(), access.Scope{Account: "123456789012", Region: region}, l); err != nil {
			t.Fatal(err)
		}
	}
	delete(known, "gone")
	for _, c := range []struct {
		account, region string
		op              *bedrockapi.Operation
		strict          bool
		want            *activity.Delivery
	}{
		{"123456789012", "us-east-1", bedrockapi.InvokeModel, true, &activity.Delivery{Bucket: "logs", Prefix: "p"}},
		{"123456789012", "us-east-1", bedrockapi.CreateMessage, false, &activity.Delivery{Bucket: "logs", Prefix: "p"}},
		{"123456789012", "us-east-1", bedrockapi.CreateMessage, true, nil},
		{"123456789012", "us-west-2", bedrockapi.Converse, false, &activity.Delivery{Bucket: "logs", NoImages: true, NoDocuments: true}},
		{"123456789012", "eu-west-1", bedrockapi.Converse, false, &activity.Delivery{Bucket: "logs", NoText: true}},
		{"123456789012", "eu-west-2", bedrockapi.Converse, false, nil},
		{"123456789012", "ap-south-1", bedrockapi.Converse, false, nil},
		{"210987654321", "us-east-1", bedrockapi.InvokeModel, false, nil},
	} {
		if got := deliveries(own, known, c.strict, own.Log)(t.Context(), c.account, c.region, c.op); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	twice := deliveries(own, known, false, own.Log)
	said.Reset()
	for range 2 {
		twice(t.Context(), "123456789012", "eu-west-2", bedrockapi.Converse)
	}
	if n := strings.Count(said.String(), "no place for their bucket"); n != 1 {
		t.Errorf("said %d times: %s", n, &said)
	}
}

// caller calls a server as a Region's host.
type caller struct {
	t    *testing.T
	url  string
	host string
}

func (c caller) do(method, path, body string, header ...string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Host = c.host
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func (c caller) must(status int, method, path, body string, header ...string) {
	c.t.Helper()
	if got, said := c.do(method, path, body, header...); got != status {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, got, said, status)
	}
}

func gunzip(t *testing.T, z []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// delivered reads a bucket that is a folder: records by Region and operation, and
// the keys of its objects.
func delivered(t *testing.T, folder string) (records map[string]map[string]any, keys []string) {
	t.Helper()
	records = map[string]map[string]any{}
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		key, _ := filepath.Rel(folder, path)
		key = filepath.ToSlash(key)
		keys = append(keys, key)
		if strings.Contains(key, "/data/") || !strings.HasSuffix(key, ".json.gz") {
			return nil
		}
		z, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(gunzip(t, z)) {
			var r map[string]any
			if err := json.Unmarshal(line, &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			id := r["region"].(string) + " " + r["operation"].(string)
			if _, twice := records[id]; twice {
				id += " again"
			}
			records[id] = r
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, keys
}

func members(v any) string {
	m, _ := v.(map[string]any)
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

// TestDelivered: what a logging configuration asks for stands in the bucket, in
// AWS's layout and form, and nothing else does.
func TestDelivered(t *testing.T) {
	folder := t.TempDir()
	s := scriptedServer(t, func(o *serveOptions) {
		o.InsecureSkipAuth, o.Destinations = true, destinations{"team-logs": {Folder: folder}}
	})
	const model = "/model/global.anthropic.claude-opus-4-6-v1:0/"
	in := func(region string) caller { return caller{t, s.URL, "bedrock-runtime." + region + ".amazonaws.com"} }
	ask := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":%s}]}`
	text := strings.Replace(ask, "%s", `"Hello"`, 1)
	converse := `{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}`
	picture := strings.Replace(ask, "%s", `[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}},{"type":"text","text":"What?"}]`, 1)

	in("us-west-2").must(200, "POST", model+"invoke", text) // before: nowhere
	for region, config := range map[string]string{
		"us-east-1":    `{"s3Config":{"bucketName":"team-logs","keyPrefix":"calls/"},"textDataDeliveryEnabled":true,"imageDataDeliveryEnabled":true,"embeddingDataDeliveryEnabled":true}`,
		"eu-west-1":    `{"s3Config":{"bucketName":"team-logs"},"imageDataDeliveryEnabled":false}`,
		"eu-central-1": `{"s3Config":{"bucketName":"team-logs"},"textDataDeliveryEnabled":false}`,
	} {
		in(region).must(200, "PUT", "/logging/modelinvocations", `{"loggingConfig":`+config+`}`)
	}
	in("us-west-2").must(400, "PUT", "/logging/modelinvocations", `{"loggingConfig":{"s3Config":{"bucketName":"somebody-elses"}}}`)
	if _, said := in("us-east-1").do("GET", "/logging/modelinvocations", ""); !strings.Contains(said, `"bucketName":"team-logs"`) {
		t.Error(said)
	}

	east := in("us-east-1")
	east.must(200, "POST", model+"invoke", text, "X-Amzn-Bedrock-Request-Metadata", `{"team":"rocks"}`)
	east.must(200, "POST", model+"invoke-with-response-stream", text)
	east.must(200, "POST", model+"converse", converse)
	east.must(200, "POST", model+"converse-stream", converse)
	east.must(200, "POST", "/anthropic/v1/messages", strings.Replace(text, `"max_tokens"`, `"model":"global.anthropic.claude-opus-4-6-v1:0","max_tokens"`, 1))
	east.must(200, "POST", model+"count-tokens", `{"input":{"converse":`+converse+`}}`)
	east.must(400, "POST", "/model/global.anthropic.claude-of-tomorrow/invoke", text)
	in("us-west-2").must(200, "POST", model+"invoke", text) // still nowhere
	in("eu-west-1").must(200, "POST", model+"invoke", picture)
	in("eu-west-1").must(200, "POST", model+"converse", `{"messages":[{"role":"user","content":[{"text":"`+strings.Repeat("Long. ", 20_000)+`"}]}]}`)
	in("eu-central-1").must(200, "POST", model+"invoke", text)
	if _, said := east.do("GET", "/healthz", ""); !strings.Contains(said, `"delivery":"ok"`) {
		t.Error(said)
	}
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}

	var banner strings.Builder
	s.banner(&banner, &serveOptions{dataOption: dataOption{Data: s.Data.Path()}, answerOptions: answerOptions{activityOptions: activityOptions{Destinations: destinations{"team-logs": {Folder: folder}}}}})
	if !strings.Contains(banner.String(), "the bucket team-logs, where an account asks for it, to "+folder) {
		t.Errorf("the banner does not say what leaves: %s", &banner)
	}
	records, keys := delivered(t, folder)
	account := s.Account
	layout := regexp.MustCompile(`\A(calls/)?AWSLogs/` + account + `/BedrockModelInvocationLogs/(amazon-bedrock-logs-permission-check|[a-z0-9-]+/\d{4}/\d{2}/\d{2}/\d{2}/(\d{8}T\d{9}Z_[0-9a-f]{16}\.json\.gz|data/[0-9a-f-]{36}_(input|output)\.json\.gz))\z`)
	for _, key := range keys {
		if !layout.MatchString(key) || strings.HasPrefix(key, "calls/") != strings.Contains(key, "/us-east-1/") && !strings.HasSuffix(key, "-check") {
			t.Errorf("the key %s", key)
		}
	}
	want := []string{"eu-central-1 InvokeModel", "eu-west-1 Converse", "eu-west-1 InvokeModel", "us-east-1 Converse", "us-east-1 ConverseStream",
		"us-east-1 CreateMessage", "us-east-1 InvokeModel", "us-east-1 InvokeModel again", "us-east-1 InvokeModelWithResponseStream"}
	if got := slices.Sorted(maps.Keys(records)); !slices.Equal(got, want) {
		t.Fatalf("records %q\nwant %q", got, want)
	}
	const base = "accountId identity input modelId operation outcrop output region requestId schemaType schemaVersion timestamp"
	kind := func(v any) string {
		switch v.(type) {
		case map[string]any:
			return "object"
		case []any:
			return "array"
		default:
			return "none"
		}
	}
	for id, w := range map[string]struct{ members, input, output, body string }{
		"us-east-1 InvokeModel":                   {strings.Replace(base, "requestId", "requestId requestMetadata", 1), "", "", "object"},
		"us-east-1 InvokeModelWithResponseStream": {base, "", "", "array"},
		"us-east-1 Converse":                      {base, "", "", "object"},
		"us-east-1 ConverseStream":                {base, "", "", "object"},
		"us-east-1 CreateMessage":                 {base, "", "", "object"},
		"us-east-1 InvokeModel again":             {strings.Replace(base, " identity", " errorCode identity", 1), "-", "-", "none"},
		"eu-west-1 InvokeModel":                   {base, "", "", "object"},
		"eu-west-1 Converse":                      {base, "inputBodyS3Path inputContentType inputTokenCount", "outputBodyS3Path outputContentType outputTokenCount", "none"},
		"eu-central-1 InvokeModel":                {base, "inputContentType inputTokenCount", "outputContentType outputTokenCount", "none"},
	} {
		r := records[id]
		in, out := r["input"].(map[string]any), r["output"].(map[string]any)
		for _, c := range []struct{ what, got, want, otherwise string }{
			{"members", members(r), w.members, ""},
			{"input", members(in), w.input, "inputBodyJson inputContentType inputTokenCount"},
			{"output", members(out), w.output, "outputBodyJson outputContentType outputTokenCount"},
			{"outputBodyJson", kind(out["outputBodyJson"]), w.body, ""},
		} {
			switch c.want {
			case "":
				c.want = c.otherwise
			case "-":
				c.want = ""
			}
			if c.got != c.want && !(c.what == "members" && strings.Replace(c.got, " inferenceRegion", "", 1) == c.want) {
				t.Errorf("%s: %s %q, want %q", id, c.what, c.got, c.want)
			}
		}
		if r["schemaType"] != "ModelInvocationLog" || r["schemaVersion"] != "1.0" || r["accountId"] != account || len(r["requestId"].(string)) != 36 {
			t.Errorf("%s: %v", id, r)
		}
	}
	// What was asked is there as it was asked, and the whole of a stream's chunks.
	invoked := records["us-east-1 InvokeModel"]
	if got, _ := json.Marshal(invoked["input"].(map[string]any)["inputBodyJson"]); !sameJSON(got, text) || invoked["requestMetadata"].(map[string]any)["team"] != "rocks" {
		t.Errorf("%s, %v", got, invoked["requestMetadata"])
	}
	chunks := records["us-east-1 InvokeModelWithResponseStream"]["output"].(map[string]any)["outputBodyJson"].([]any)
	if last := chunks[len(chunks)-1].(map[string]any); chunks[0].(map[string]any)["type"] != "message_start" || last["amazon-bedrock-invocationMetrics"] == nil {
		t.Errorf("%v … %v", chunks[0], last)
	}
	for _, id := range []string{"us-east-1 Converse", "us-east-1 ConverseStream"} {
		if got := members(records[id]["output"].(map[string]any)["outputBodyJson"]); got != "metrics output stopReason usage" {
			t.Errorf("%s: %s", id, got)
		}
	}
	if got, _ := json.Marshal(records["eu-west-1 InvokeModel"]); bytes.Contains(got, []byte("iVBOR")) || !bytes.Contains(got, []byte("What?")) {
		t.Errorf("an image is there although they are off: %s", got)
	}
	path, ok := strings.CutPrefix(records["eu-west-1 Converse"]["input"].(map[string]any)["inputBodyS3Path"].(string), "s3://team-logs/")
	z, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
	if err != nil || !ok {
		t.Fatal(err)
	}
	if got := gunzip(t, z); !bytes.Contains(got, []byte(strings.Repeat("Long. ", 20_000))) || !json.Valid(got) {
		t.Errorf("%d bytes in %s", len(got), path)
	}
}

func sameJSON(a []byte, b string) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return false
	}
	i, _ := json.Marshal(x)
	j, _ := json.Marshal(y)
	return bytes.Equal(i, j)
}

// What leaves the machine is named in the configuration, or nothing does.
func TestNothingDelivered(t *testing.T) {
	s := scriptedServer(t, func(o *serveOptions) { o.InsecureSkipAuth = true })
	defer s.shutdown()
	c := caller{t, s.URL, ""}
	status, said := c.do("PUT", "/logging/modelinvocations", `{"loggingConfig":{"s3Config":{"bucketName":"team-logs"}}}`)
	if status != 400 || !strings.Contains(said, "Failed to validate permissions for bucket: team-logs") {
		t.Errorf("%d %s", status, said)
	}
	off := &serveOptions{Listen: "127.0.0.1:0", Log: "off", dataOption: dataOption{Data: filepath.Join(t.TempDir(), "data")},
		answerOptions: answerOptions{Region: "us-west-2", Upstream: "scripted", activityOptions: activityOptions{ActivityOff: true, Destinations: destinations{"b23": {Folder: t.TempDir()}}}}}
	if s, err := startServer(off, console{strings.NewReader(""), io.Discard, io.Discard}); err == nil {
		s.shutdown()
		t.Error("destinations without an activity log")
	}
}
