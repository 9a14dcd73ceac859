package statement_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/delivery"
	"github.com/outcrop-dev/outcrop/internal/activity/statement"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const (
	opus  = "us.anthropic.claude-opus-4-6-v1"
	haiku = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
)

func book(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// record is a call as the gateway records it.
func record(t *testing.T, id, op, ref string, u messages.Usage) activity.Record {
	t.Helper()
	res, err := book(t).Resolve(ref, "us-east-1", catalog.Policy{Now: noon})
	if err != nil {
		t.Fatal(err)
	}
	best := res.Candidates[0]
	r := activity.Record{RequestID: id, Time: noon, Operation: op, Ref: ref, RouteID: best.ID, ModelID: res.Model.ID, Endpoint: best.Endpoint.String(), Wall: best.Wall.String(),
		Region: "us-east-1", Account: "123456789012", Principal: "arn:aws:iam::123456789012:user/a", Status: 200, Usage: u}
	r.Charge(u, best.Price, res.Model.PriceAt(noon, catalog.Global), true)
	return r
}

// usage: fresh input, writes of five minutes and of an hour, reads, output.
func usage(in, w5, w1, read, out int64) messages.Usage {
	return messages.Usage{InputTokens: in, CacheCreationInputTokens: w5 + w1, CacheReadInputTokens: read, OutputTokens: out,
		CacheCreation: messages.CacheCreation{Ephemeral5m: w5, Ephemeral1h: w1}}
}

// kinds are the calls whose bodies logs have in different forms.
var kinds = []struct {
	op    string
	usage messages.Usage
	long  bool // the answer stands beside its record
}{
	{"InvokeModel", usage(10, 0, 0, 0, 5), false},
	{"InvokeModel", usage(10, 300, 200, 1000, 5), false},
	{"InvokeModel", usage(10, 300, 200, 0, 5), true},
	{"InvokeModelWithResponseStream", usage(11, 0, 0, 7, 6), false},
	{"InvokeModelWithResponseStream", usage(11, 30, 20, 7, 6), false},
	{"InvokeModelWithResponseStream", usage(11, 30, 20, 7, 6), true},
	{"Converse", usage(12, 40, 0, 0, 7), false},
	{"ConverseStream", usage(12, 40, 60, 0, 7), false},
	{"CreateMessage", usage(13, 0, 9, 0, 8), false},
}

func events(op string, u messages.Usage, long bool) []activity.Event {
	text := "Hello"
	if long {
		text = strings.Repeat("Hello ", 30_000)
	}
	written := fmt.Sprintf(`"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d,"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d}`,
		u.CacheCreationInputTokens, u.CacheReadInputTokens, u.CacheCreation.Ephemeral5m, u.CacheCreation.Ephemeral1h)
	if !strings.HasSuffix(op, "Stream") {
		return []activity.Event{{Name: "message", Data: fmt.Appendf(nil, `{"id":"m","type":"message","role":"assistant","model":"x","content":[{"type":"text","text":%q}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":%d,%s,"output_tokens":%d}}`,
			text, u.InputTokens, written, u.OutputTokens)}}
	}
	var out []activity.Event
	for _, e := range [][2]string{
		{"message_start", fmt.Sprintf(`{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":%d,%s,"output_tokens":1}}}`, u.InputTokens, written)},
		{"content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`},
		{"content_block_delta", fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%q}}`, text)},
		{"content_block_stop", `{"type":"content_block_stop","index":0}`},
		{"message_delta", fmt.Sprintf(`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":%d}}`, u.OutputTokens)},
		{"message_stop", `{"type":"message_stop"}`},
	} {
		out = append(out, activity.Event{Name: e[0], Data: []byte(e[1])})
	}
	return out
}

// delivered makes one call of each kind, delivers them to a folder in AWS's
// layout, and gives the folder and the records.
func delivered(t *testing.T) (folder string, records []activity.Record) {
	t.Helper()
	dir, folder := t.TempDir(), t.TempDir()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	s, err := activity.OpenStore(dir, activity.Options{Now: func() time.Time { return noon }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i, k := range kinds {
		r := record(t, fmt.Sprintf("call-%d", i), k.op, []string{opus, haiku}[i%2], k.usage)
		r.Deliver = &activity.Delivery{Bucket: "logs", Prefix: "claude"}
		body := `{"messages":[{"role":"user","content":"Hi"}]}`
		if strings.HasPrefix(k.op, "Converse") {
			body = `{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}`
		}
		e, err := s.Open(t.Context(), activity.Opening{Record: &r, Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events(k.op, k.usage, k.long) {
			e.Frame(ev.Name, ev.Data)
		}
		if err := e.Close(&r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	denied := record(t, "denied", "InvokeModel", opus, messages.Usage{})
	denied.Status, denied.ErrorCode, denied.Deliver = 403, "AccessDeniedException", &activity.Delivery{Bucket: "logs", Prefix: "claude"}
	s.Record(denied)
	records = append(records, denied)
	q := delivery.New(delivery.Options{Archive: activity.NewArchive(dir, nil), Dir: filepath.Join(dir, "delivery"), Destinations: map[string]delivery.Destination{"logs": delivery.Folder(folder)},
		Now: func() time.Time { return noon }, Log: log})
	if err := q.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return folder, records
}

func compare(t *testing.T, folder string, records []activity.Record) (*statement.Report, *statement.Logs) {
	t.Helper()
	s := &statement.Statement{Catalog: book(t)}
	logs, err := statement.Read(os.DirFS(folder), nil, s.There)
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		s.Here(&records[i])
	}
	return s.Report(), logs
}

// What our own delivery writes says what our records say, in each form, bodies
// beside their records included.
func TestOwnDelivery(t *testing.T) {
	folder, records := delivered(t)
	rep, logs := compare(t, folder, records)
	if !rep.Same() || rep.Matched != len(records) || rep.Unsplit != 0 || rep.Repriced != 0 || len(logs.Bad) != 0 {
		t.Errorf("%+v, %+v", rep, logs)
	}
	var want [5]int64
	for _, k := range kinds {
		for i, n := range catalog.TokensOf(k.usage) {
			want[i] += n
		}
	}
	for i, l := range rep.Totals {
		if l.Here != want[i] || l.There != want[i] || l.Cost[0] != l.Cost[1] {
			t.Errorf("%+v, want %d tokens", l, want[i])
		}
	}

	// The copy of the bucket may begin anywhere in its layout.
	for _, deeper := range []string{"claude", "claude/AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/11/20/12"} {
		if rep, logs := compare(t, filepath.Join(folder, filepath.FromSlash(deeper)), records); !rep.Same() || rep.Unsplit != 0 || len(logs.Bad) != 0 {
			t.Errorf("from %s: %+v, %+v", deeper, rep, logs)
		}
	}
	// A body that was not copied: the tokens are there, the split of writes is not.
	bodies, err := filepath.Glob(filepath.Join(folder, "claude/AWSLogs/*/*/*/*/*/*/*/data/*_output.json.gz"))
	if err != nil || len(bodies) != 2 {
		t.Fatalf("%q, %v", bodies, err)
	}
	for _, name := range bodies {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if rep, _ := compare(t, folder, records); !rep.Same() || rep.Unsplit != 2 {
		t.Errorf("without the bodies: %+v", rep)
	}
}

// Whatever is not the same is found, and named.
func TestDifferences(t *testing.T) {
	folder, records := delivered(t)
	more := record(t, "not delivered", "InvokeModel", haiku, usage(1, 0, 0, 0, 1))
	more.Deliver = &activity.Delivery{Bucket: "logs"}
	ours := append(slices.Clone(records[1:]), more) // the first is only there
	for i := range ours {
		r := &ours[i]
		switch r.RequestID {
		case "call-1":
			r.Usage.OutputTokens -= 2 // 2 x $5 a million
		case "call-2":
			r.Usage.CacheCreation = messages.CacheCreation{Ephemeral5m: 500} // 200 of an hour at $11, not $6.875
		case "call-3":
			r.Endpoint = "in-Region"
		case "call-4":
			r.ModelID = "anthropic.claude-opus-4-7"
		case "call-5":
			r.Billed++
		}
	}
	rep, _ := compare(t, folder, ours)
	if rep.Matched != len(records)-1 || len(rep.OnlyHere) != 1 || rep.OnlyHere[0].ID != "not delivered" || len(rep.OnlyThere) != 1 || rep.OnlyThere[0].ID != "call-0" || rep.Repriced != 1 || rep.Same() {
		t.Errorf("%+v", rep)
	}
	var said []string
	for _, l := range rep.Different {
		s := l.ID + ": " + strings.Join(l.Reasons, "; ")
		for _, c := range l.Tokens {
			s += fmt.Sprintf(" %s %d/%d", c.Class, c.Here, c.There)
		}
		said = append(said, s+" "+(l.Cost[1]-l.Cost[0]).USD())
	}
	want := []string{
		"call-1: tokens output 3/5 0.00001",
		"call-2: tokens cache_write_5m 500/300 cache_write_1h 0/200 0.000825",
		"call-3: the endpoint is global, not in-Region -0.00000417",
		"call-4: the model is us.anthropic.claude-opus-4-6-v1 0.00",
	}
	if !slices.Equal(said, want) {
		t.Errorf("%s", strings.Join(said, "\n"))
	}
	// What the logs do not cover is not missed: another Region, another day.
	for _, change := range []func(*activity.Record){func(r *activity.Record) { r.Region = "eu-west-1" }, func(r *activity.Record) { r.Time = noon.Add(-24 * time.Hour) }} {
		more := more
		change(&more)
		if rep, _ := compare(t, folder, append(slices.Clone(records), more)); !rep.Same() {
			t.Errorf("%+v", rep.OnlyHere)
		}
	}
}

// Records as AWS's documentation and others show them, whatever their lines.
func TestSamples(t *testing.T) {
	a, err := txtar.ParseFile("../invocationlog/testdata/samples.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	for _, f := range a.Files {
		switch f.Name {
		case "converse.json", "without-text.json":
			file.Write(f.Data)
		case "invoke.json":
			file.WriteString(strings.NewReplacer("<timestamp>", "2024-01-15T12:30:00Z", "<region>", "us-east-1",
				"<modelId>", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0").Replace(string(f.Data)))
		}
	}
	var calls []statement.Call
	logs, err := statement.Read(fstest.MapFS{"AWSLogs/x.json": {Data: file.Bytes()}}, nil, func(c statement.Call) { calls = append(calls, c) })
	if err != nil || len(logs.Bad) != 0 || len(calls) != 3 {
		t.Fatalf("%+v %+v %v", calls, logs, err)
	}
	if c := calls[0]; c.RequestID != "abcd1234-5678-efgh-ijkl-mnopqrstuvwx" || c.Usage.InputTokens != 25 || c.Usage.OutputTokens != 150 || c.Ours || !c.Split {
		t.Errorf("%+v", c)
	}
	// The documented Converse call against a record of ours: Sonnet 4, and AWS's id.
	r := record(t, "ours", "Converse", "us.anthropic.claude-sonnet-4-20250514-v1:0", usage(25, 0, 0, 0, 150))
	r.UpstreamRequestID, r.Time, r.Endpoint = calls[0].RequestID, calls[0].Time.Add(-time.Second), "in-Region"
	s := &statement.Statement{Catalog: book(t)}
	for _, c := range calls {
		s.There(c)
	}
	s.Here(&r)
	rep := s.Report()
	if rep.Matched != 1 || len(rep.Different) != 1 || rep.Different[0].Here != "ours" || rep.Elsewhere != 1 || len(rep.OnlyThere) != 1 || !rep.OnlyThere[0].Priced {
		t.Errorf("%+v", rep)
	}
}

// AWS's logs of calls that went through here: ids are AWS's, attempts that were
// left are refusals that nobody misses, and a Region outside of the wall is told.
func TestThroughHere(t *testing.T) {
	line := func(id, more string) string {
		return fmt.Sprintf(`{"schemaType":"ModelInvocationLog","schemaVersion":"1.0","timestamp":"2026-11-20T12:00:01Z","accountId":"111122223333","region":"us-east-1","requestId":%q,"operation":"InvokeModel","modelId":"%s",%s}`+"\n", id, opus, more)
	}
	const tokens = `"input":{"inputTokenCount":10},"output":{"outputTokenCount":5}`
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	fmt.Fprint(w, line("aws-1", `"inferenceRegion":"us-west-2",`+tokens), line("aws-1", tokens), line("aws-2", `"inferenceRegion":"eu-west-1",`+tokens),
		line("aws-3", `"errorCode":"ThrottlingException","input":{},"output":{}`), line("aws-4", `"input":{"inputTokenCount":10,"cacheWriteInputTokenCount":7,"cacheReadInputTokenCount":3},"output":{"outputTokenCount":5}`),
		line("aws-5", `"input":{},"output":{"outputBodyJson":[{"type":"message_start","message":{"usage":{"input_tokens":4,"output_tokens":1}}},{"type":"message_delta","usage":{"output_tokens":9}}]}`),
		`{"schemaType":"ModelInvocationLog","requestId":7}`+"\n", `{"schemaType":"Other"}`+"\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.json.gz"), z.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "torn.json.gz"), z.Bytes()[:z.Len()/2], 0o600); err != nil {
		t.Fatal(err)
	}
	var records []activity.Record
	for i, u := range []messages.Usage{usage(10, 0, 0, 0, 5), usage(10, 0, 0, 0, 5), usage(10, 0, 7, 3, 5), usage(4, 0, 0, 0, 9)} {
		r := record(t, fmt.Sprint("ours-", i), "InvokeModel", opus, u)
		r.UpstreamRequestID = []string{"aws-1", "aws-2", "aws-4", "aws-5"}[i]
		records = append(records, r)
	}
	mantle := record(t, "mantle", "CreateMessage", opus, usage(1, 0, 0, 0, 1))
	m, _ := book(t).Lookup("claude-opus-4-7")
	mantle.UpstreamRequestID, mantle.ModelID, mantle.RouteID, mantle.Endpoint = "aws-9", m.ID, m.MantleID, "in-Region"
	count := record(t, "count", "CountTokens", opus, messages.Usage{})
	count.UpstreamRequestID = "aws-10"
	rep, logs := compare(t, folder, append(records, mantle, count))
	if rep.Matched != 4 || len(rep.Different) != 1 || !strings.Contains(rep.Different[0].Reasons[0], "it ran in eu-west-1, outside of the wall us-east-1") || len(rep.OnlyHere)+len(rep.OnlyThere) != 0 ||
		rep.FailedThere != 1 || rep.Unsplit != 1 || rep.NotLogged != 1 {
		t.Errorf("%+v", rep)
	}
	if logs.Other != 1 || len(logs.Bad) != 2 || logs.Twice < 1 {
		t.Errorf("%+v", logs)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schemaType":"ModelInvocationLog","timestamp":"2026-11-20T12:00:01Z","requestId":"a","output":{"outputBodyJson":[{"usage":{"output_tokens":-9}}]}}`))
	f.Add([]byte(`{"schemaType":"ModelInvocationLog","timestamp":"2026-11-20T12:00:01Z","requestId":"a","output":{"outputBodyJson":{"usage":{"inputTokens":1,"cacheDetails":[{"ttl":"1h","inputTokens":5}]}}}} {}`))
	f.Add([]byte(`{"schemaType":"ModelInvocationLog","timestamp":"2026-11-20T12:00:01Z","requestId":"a","output":{"outputBodyS3Path":"s3://b/../../x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, err := statement.Read(fstest.MapFS{"x.json": {Data: data}}, nil, func(c statement.Call) {
			u := c.Usage
			if c.RequestID == "" || u.InputTokens < 0 || u.OutputTokens < 0 || u.CacheCreationInputTokens < 0 || u.CacheReadInputTokens < 0 {
				t.Fatalf("%+v", c)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// endless is a file whose record has no end; no more of it is read than fits.
type endless struct {
	fs.File
	name string
	read int64
}

func (e *endless) Open(name string) (fs.File, error) {
	if name != e.name {
		return e.File.(fs.ReadDirFile), nil
	}
	return e, nil
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	if e.read == 0 {
		copy(p, `{"requestId":"`)
	}
	e.read += int64(len(p))
	if e.read > 1<<30 {
		return 0, io.EOF
	}
	return len(p), nil
}

func TestRecordWithoutEnd(t *testing.T) {
	dir, err := fstest.MapFS{"a.json": {Data: []byte("{}")}}.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	e := &endless{File: dir, name: "a.json"}
	logs, err := statement.Read(e, nil, func(statement.Call) { t.Error("a call") })
	if err != nil || len(logs.Bad) != 1 || !strings.Contains(logs.Bad[0].Error(), "larger than") || e.read > 64<<20 {
		t.Errorf("%+v, %v, %d bytes are read", logs, err, e.read)
	}
}
