package httpapi_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

var update = flag.Bool("update", false, "rewrite the transcripts")

// TestTranscripts plays each file of testdata/transcripts: a scenario, a request,
// and what came back and was recorded; where it has a part "upstream", also what
// the upstream got. "flags" are strict, manual, lossy, and text: an upstream that
// reads nothing else. Each is run {as it is, through decode and
// encode} x {whole reads, one byte a read}; all four must agree.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script := parts(ar)
			for _, way := range []struct {
				name            string
				forced, oneByte bool
			}{{"identity", false, false}, {"forced", true, false}, {"identity one-byte", false, true}, {"forced one-byte", true, true}} {
				response, record, got := play(t, script, way.forced, way.oneByte)
				_, looked := script["upstream"]
				if *update && way.name == "identity" {
					if looked {
						set(ar, "upstream", got)
					}
					set(ar, "response", response)
					set(ar, "record", record)
					if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
						t.Fatal(err)
					}
					script = parts(ar)
					continue
				}
				if got, want := canonical(got), canonical(script["upstream"]); looked && got != want {
					t.Errorf("%s: the upstream got:\n%s\nwant:\n%s", way.name, got, want)
				}
				if got, want := canonical(response), canonical(script["response"]); got != want {
					t.Errorf("%s: response:\n%s\nwant:\n%s", way.name, got, want)
				}
				if got, want := canonical(record), canonical(script["record"]); got != want {
					t.Errorf("%s: record:\n%s\nwant:\n%s", way.name, got, want)
				}
			}
		})
	}
}

func parts(ar *txtar.Archive) map[string]string {
	m := map[string]string{}
	for _, f := range ar.Files {
		m[f.Name] = string(f.Data)
	}
	return m
}

func set(ar *txtar.Archive, name, data string) {
	for i := range ar.Files {
		if ar.Files[i].Name == name {
			ar.Files[i].Data = []byte(data)
			return
		}
	}
	ar.Files = append(ar.Files, txtar.File{Name: name, Data: []byte(data)})
}

// play sends the script's request and gives the answer, the record and what the
// upstream got as text.
func play(t *testing.T, script map[string]string, forced, oneByte bool) (response, record, got string) {
	t.Helper()
	scenario := new(scripted.Scenario)
	if y, ok := script["scenario.yaml"]; ok {
		var err error
		if scenario, err = scripted.Read(strings.NewReader(y)); err != nil {
			t.Fatal(err)
		}
	}
	setup := newSetup(t, *scenario)
	up := &keeping{Upstream: setup.Gateway.Upstream}
	if strings.Contains(script["flags"], "text") {
		up.can = new(gateway.Capabilities)
	}
	setup.Gateway.Upstream, setup.Gateway.Documents = up, reader{}
	setup.Gateway.Forced, setup.Gateway.Lossy = forced, strings.Contains(script["flags"], "lossy")
	setup.Gateway.Policy.Strict = strings.Contains(script["flags"], "strict")
	setup.Access.Strict, setup.Access.Manual = setup.Gateway.Policy.Strict, strings.Contains(script["flags"], "manual")
	server := httptest.NewServer(setup.Server)
	defer server.Close()

	made := new(madeIDs)
	setup.before(t, server.URL, script["before"], made)
	req, body := parseRequest(t, server.URL, made.fill(script["request"]))
	if oneByte {
		req.Body = io.NopCloser(iotest.OneByteReader(bytes.NewReader(body)))
	}
	setup.sign(t, req, body)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var in io.Reader = resp.Body
	if oneByte {
		in = iotest.OneByteReader(in)
	}
	response = showResponse(t, resp, in)
	server.Close() // waits for the handler: the record follows the answer
	checkCost(t, resp, setup.Records.Records())
	made.see(response)
	return made.hide(response), made.hide(showRecords(setup.Records.Records())), up.text()
}

// parseRequest reads "METHOD PATH", headers, a blank line and the body.
func parseRequest(t *testing.T, base, text string) (*http.Request, []byte) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	method, path, _ := strings.Cut(lines[0], " ")
	raw := []byte(strings.TrimSuffix(body, "\n"))
	req, err := http.NewRequest(method, base+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		k, v, _ := strings.Cut(l, ":")
		req.Header.Add(k, strings.TrimSpace(v))
	}
	return req, raw
}

var volatile = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`)
var padded = regexp.MustCompile(`,"p":"[a-zA-Z0-9]+"`)

func showResponse(t *testing.T, resp *http.Response, in io.Reader) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, resp.StatusCode)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for k := range resp.Header {
			if k != "Date" && k != "Content-Length" && k != "X-Outcrop-Request-Id" && k != "Request-Id" && !yield(k) {
				return
			}
		}
	}) {
		for _, v := range resp.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	fmt.Fprintln(&b)
	if resp.Header.Get("Content-Type") == bedrockapi.TypeEventStream {
		showFrames(t, &b, in)
	} else {
		body, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(bytes.TrimRight(body, "\n"))
		b.WriteByte('\n')
	}
	for _, name := range slices.Sorted(maps.Keys(resp.Trailer)) {
		fmt.Fprintf(&b, "%s: %s\n", name, resp.Trailer.Get(name))
	}
	return volatile.ReplaceAllString(b.String(), "REQUEST-ID")
}

// checkCost holds what an answer says it costs to the last record, to the
// nanodollar.
func checkCost(t *testing.T, resp *http.Response, records []activity.Record) {
	t.Helper()
	said := func(name string) string { return cmp.Or(resp.Header.Get(name), resp.Trailer.Get(name)) }
	cost, would := said("X-Outcrop-Cost-Usd"), said("X-Outcrop-Would-Cost-Usd")
	if cost == "" && would == "" {
		return
	}
	r := records[len(records)-1]
	if got := r.WouldCost.USD(); cost != "0" || r.Billed != 0 || would != got && (would != "0" || r.WouldCost != 0) {
		t.Errorf("the answer says %q and %q, its record %s and %s", cost, would, r.Billed.USD(), got)
	}
}

// showFrames writes a frame a line: its kind and the event inside.
func showFrames(t *testing.T, b *strings.Builder, in io.Reader) {
	r := eventstream.NewReader(in)
	for {
		m, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _ := m.Header(eventstream.EventType)
		if x, ok := m.Header(eventstream.ExceptionType); ok {
			kind = "exception " + x
		}
		var chunk struct {
			Bytes []byte `json:"bytes"`
			P     string `json:"p"`
		}
		if json.Unmarshal(m.Payload, &chunk) == nil && chunk.Bytes != nil {
			if chunk.P == "" {
				t.Errorf("a chunk without padding: %s", m.Payload)
			}
			fmt.Fprintf(b, "%s %s\n", kind, chunk.Bytes)
			continue
		}
		fmt.Fprintf(b, "%s %s\n", kind, padded.ReplaceAll(m.Payload, nil))
	}
}

func showRecords(records []activity.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s %d", r.Operation, r.Status)
		show := func(name string, v any) {
			if s := fmt.Sprint(v); s != "" && s != "0" && s != "false" && s != "map[]" && s != "[]" && s != "{}" {
				fmt.Fprintf(&b, "\n  %s: %s", name, s)
			}
		}
		show("account", r.Account)
		show("key", r.KeyID)
		show("region", r.Region)
		show("ref", r.Ref)
		show("model", r.ModelID)
		show("route", r.RouteID)
		show("wall", r.Wall)
		show("upstream", r.Upstream)
		show("stop", r.StopReason)
		if usage, err := json.Marshal(r.Usage); err != nil || string(usage) != `{"input_tokens":0,"output_tokens":0}` {
			show("usage", string(usage))
		}
		show("billed", int64(r.Billed))
		show("would cost", int64(r.WouldCost))
		show("error", r.ErrorCode)
		show("text", r.Error)
		show("partial", r.Partial)
		show("warnings", r.Warnings)
		show("trace", r.Trace)
		show("metadata", r.Metadata)
		fmt.Fprintln(&b)
	}
	return b.String()
}

// canonical writes every JSON value of a text with sorted keys, so that texts
// are equal when their JSON is.
func canonical(s string) string {
	var out strings.Builder
	sc := bufio.NewScanner(strings.NewReader(s))
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		line := sc.Text()
		if i := strings.IndexByte(line, '{'); i >= 0 {
			var v any
			if json.Unmarshal([]byte(line[i:]), &v) == nil {
				b, _ := json.Marshal(v)
				line = line[:i] + string(b)
			}
		}
		fmt.Fprintln(&out, line)
	}
	return out.String()
}
