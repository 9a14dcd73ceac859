package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReconcile: what a server has delivered says what its log says; what is
// changed, lost or added on one side is found, and the exit code tells.
func TestReconcile(t *testing.T) {
	folder := t.TempDir()
	s := scriptedServer(t, func(o *serveOptions) {
		o.InsecureSkipAuth, o.Destinations = true, destinations{"team-logs": {Folder: folder}}
	})
	data := s.Data.Path()
	const model = "/model/us.anthropic.claude-opus-4-6-v1:0/"
	c := caller{t, s.URL, "bedrock-runtime.us-east-1.amazonaws.com"}
	text := `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"messages":[{"role":"user","content":"Hello"}]}`
	converse := `{"messages":[{"role":"user","content":[{"text":"` + strings.Repeat("Long. ", 20_000) + `"}]}]}`
	c.must(200, "POST", model+"invoke", text) // before there is a destination
	c.must(200, "PUT", "/logging/modelinvocations", `{"loggingConfig":{"s3Config":{"bucketName":"team-logs","keyPrefix":"calls"}}}`)
	c.must(200, "POST", model+"invoke", text)
	c.must(200, "POST", model+"invoke-with-response-stream", text)
	c.must(200, "POST", model+"converse", converse)
	c.must(200, "POST", model+"converse-stream", converse)
	c.must(400, "POST", "/model/us.anthropic.claude-of-tomorrow/invoke", text)
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}
	reconcile := func(asJSON bool) (string, int) {
		t.Helper()
		var out, talk bytes.Buffer
		cmd := &reconcileCmd{logOption: logOption{Data: data}, Dir: folder, JSON: asJSON}
		var code exitCode
		err := cmd.Run(t.Context(), console{nil, &out, &talk})
		if err != nil && !errors.As(err, &code) {
			t.Fatal(err)
		}
		return out.String(), int(code)
	}
	out, code := reconcile(false)
	if code != 0 || !strings.Contains(out, "5 calls on both sides, 0 of them different; 0 only here, 0 only there") {
		t.Fatalf("exit %d:\n%s", code, out)
	}

	// A record less, one with a token more, one that we do not have, and half a file.
	changed := 0
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(path, "/data/") || !strings.HasSuffix(path, ".json.gz") {
			return err
		}
		z, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var kept bytes.Buffer
		w := gzip.NewWriter(&kept)
		for line := range bytes.Lines(gunzip(t, z)) {
			switch {
			case bytes.Contains(line, []byte(`"operation":"Converse"`)):
				changed++
				continue
			case bytes.Contains(line, []byte(`"operation":"InvokeModel"`)) && !bytes.Contains(line, []byte("errorCode")):
				changed++
				var r map[string]any
				if err := json.Unmarshal(line, &r); err != nil {
					return err
				}
				o := r["output"].(map[string]any)
				o["outputTokenCount"] = o["outputTokenCount"].(float64) + 1
				more, _ := json.Marshal(r)
				r["requestId"] = "nobody's"
				other, _ := json.Marshal(r)
				line = append(append(more, '\n'), append(other, '\n')...)
			}
			w.Write(line)
		}
		if err := w.Close(); err != nil {
			return err
		}
		return os.WriteFile(path, kept.Bytes(), 0o600)
	})
	if err != nil || changed != 2 {
		t.Fatal(changed, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "torn.json.gz"), []byte("\x1f\x8b\x08"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code = reconcile(true)
	var r reconciled
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	if r.Same || r.Matched != 4 || len(r.OnlyHere) != 1 || len(r.OnlyThere) != 1 || r.OnlyThere[0].ID != "nobody's" || len(r.Bad) != 1 ||
		len(r.Different) != 1 || len(r.Different[0].Tokens) != 1 || r.Different[0].Tokens[0].Class != "output" || r.Different[0].Tokens[0].Different != "0.0000275" {
		t.Errorf("%s", out)
	}
	out, code = reconcile(false)
	for _, want := range []string{"4 calls on both sides, 1 of them different; 1 only here, 1 only there", "cannot be read: torn.json.gz", "DIFFERENT", "tokens, output +1", "ONLY THERE", "nobody's"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d, no %q in\n%s", code, want, out)
		}
	}
}
