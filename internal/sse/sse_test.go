package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// readers gives in in several ways.
func readers(in string) map[string]io.Reader {
	return map[string]io.Reader{
		"whole":         strings.NewReader(in),
		"one byte":      iotest.OneByteReader(strings.NewReader(in)),
		"data with EOF": iotest.DataErrReader(strings.NewReader(in)),
		"one with EOF":  iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(in))),
	}
}

// events are written name|data.
func readAll(r *Reader) (events []string, err error) {
	for {
		e, err := r.Next()
		if err != nil {
			return events, err
		}
		events = append(events, string(e.Name)+"|"+string(e.Data))
	}
}

func TestReader(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "", nil},
		{"Anthropic's", "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: ping\ndata: {}\n\n",
			[]string{`message_start|{"type":"message_start"}`, "ping|{}"}},
		{"no name", "data: a\n\n", []string{"|a"}},
		{"name does not last", "event: x\ndata: a\n\ndata: b\n\n", []string{"x|a", "|b"}},
		{"name after data", "data: a\nevent: x\n\n", []string{"x|a"}},
		{"last name counts", "event: x\nevent: yy\ndata: a\n\n", []string{"yy|a"}},
		{"data lines", "data: a\ndata:\ndata: b\ndata\n\n", []string{"|a\n\nb\n"}},
		{"data lines apart", "data: a\nevent: long name\n: comment\ndata: bbbbbbbbbbbbbbbbbbb\nid: 7\ndata: c\n\n", []string{"long name|a\nbbbbbbbbbbbbbbbbbbb\nc"}},
		{"empty data", "data\n\ndata:\n\ndata: \n\n", []string{"|", "|", "|"}},
		{"one space goes", "data:a\n\ndata:  a \n\n", []string{"|a", "| a "}},
		{"colon in value", "data: a:b: c\n\n", []string{"|a:b: c"}},
		{"CRLF", "event: x\r\ndata: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", []string{"x|a\nb", "|c"}},
		{"CR", "event: x\rdata: a\rdata: b\r\rdata: c\r\r", []string{"x|a\nb", "|c"}},
		{"mixed", "data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", []string{"|a", "|b", "|c"}},
		{"byte order mark", "\ufeffdata: a\n\n\ufeffdata: b\n\ndata: \ufeffc\n\n", []string{"|a", "|\ufeffc"}},
		{"byte order mark alone in its line", "\ufeff\n\ndata: a\n\n", []string{"|a"}},
		{"skipped", ": comment\n:\nid: 1\nretry: 10\nfoo: bar\nfoo\n\nData: a\n data: b\n\ndata: c\n\n", []string{"|c"}},
		{"without data no event", "event: x\n\ndata: a\n\n", []string{"|a"}},
		{"blank lines", "\n\n\r\n\rdata: a\n\n\n\n", []string{"|a"}},
	} {
		for how, src := range readers(tt.in) {
			got, err := readAll(NewReader(src))
			if err != io.EOF || !slices.Equal(got, tt.want) {
				t.Errorf("%s, %s: got %q, %v; want %q", tt.name, how, got, err, tt.want)
			}
		}
	}
}

// Cut at every byte: the events before the cut come, and io.EOF only where
// nothing is lost.
func TestReaderCut(t *testing.T) {
	for _, whole := range []string{
		"event: a\ndata: 1\n\n: hello\ndata: 2\ndata: 3\n\nevent: c\ndata: 4\n\n",
		"event: a\r\ndata: 1\r\n\r\n: hello\r\ndata: 2\r\n\r\n",
	} {
		for cut := range len(whole) + 1 {
			wantEvents, wantErr := model(whole[:cut])
			for how, src := range readers(whole[:cut]) {
				r := NewReader(src)
				got, err := readAll(r)
				if err != wantErr || !slices.Equal(got, wantEvents) {
					t.Errorf("%q, %s: %q, %v; want %q, %v", whole[:cut], how, got, err, wantEvents, wantErr)
				}
				if _, again := r.Next(); again != err {
					t.Errorf("%q, %s: then %v", whole[:cut], how, again)
				}
			}
		}
		if _, err := model(whole[:len(whole)-3]); err != io.ErrUnexpectedEOF {
			t.Errorf("the model takes a cut event for whole: %v", err)
		}
	}
}

// model is the standard's algorithm, on the whole stream at once.
func model(in string) (events []string, err error) {
	in = strings.TrimPrefix(in, "\ufeff")
	in = strings.ReplaceAll(strings.ReplaceAll(in, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(in, "\n")
	name, data, fields := "", []string(nil), false
	for _, line := range lines[:len(lines)-1] {
		if line == "" {
			if data != nil {
				events = append(events, name+"|"+strings.Join(data, "\n"))
			}
			name, data, fields = "", nil, false
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "data":
			data, fields = append(data, value), true
		case "event":
			name, fields = value, true
		}
	}
	if fields || lines[len(lines)-1] != "" {
		return events, io.ErrUnexpectedEOF
	}
	return events, io.EOF
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"event: a\r\ndata: 1\r\n\r\n", "data\rdata: \r\r\ndata:x\n\n", "\ufeff: c\n\ndata: y", "id\nevent:\nevent: x\n\ndata: 1\n\n",
		"data: 1\nevent: xxxxxxx\ndata: 2222222222\n\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if in == "\ufeff" { // to the Reader a line that has not ended
			return
		}
		wantEvents, wantErr := model(in)
		for how, src := range readers(in) {
			r := NewReader(src)
			got, err := readAll(r)
			if err != wantErr || !slices.Equal(got, wantEvents) {
				t.Fatalf("%s: got %q, %v; want %q, %v", how, got, err, wantEvents, wantErr)
			}
		}
	})
}

func TestReaderLongEvents(t *testing.T) {
	long := strings.Repeat("x", 5*readSize)
	in := "data: a\n\ndata: " + long + "\ndata: " + long + "\n\n: " + long + "\ndata: b\n\n"
	want := []string{"|a", "|" + long + "\n" + long, "|b"}
	for _, src := range []io.Reader{strings.NewReader(in), iotest.HalfReader(strings.NewReader(in))} {
		r := NewReader(src)
		got, err := readAll(r)
		if err != io.EOF || !slices.Equal(got, want) {
			t.Errorf("%d events, %v", len(got), err)
		}
		r.Reset(strings.NewReader("event: n\ndata: c\n\n"))
		if len(r.buf) > 2*readSize {
			t.Errorf("a reset reader holds %d bytes", len(r.buf))
		}
		if got, err = readAll(r); err != io.EOF || !slices.Equal(got, []string{"n|c"}) {
			t.Errorf("after Reset: %q, %v", got, err)
		}
	}
}

// Small events never make the buffer grow, whatever the reads.
func TestReaderBufferStays(t *testing.T) {
	events := &endless{text: "event: x\ndata: " + strings.Repeat("x", 1000) + "\n\n"}
	for _, src := range []io.Reader{events, iotest.HalfReader(events), iotest.OneByteReader(events)} {
		r := NewReader(src)
		for range 200 {
			if _, err := r.Next(); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.buf) != readSize {
			t.Errorf("buffer of %d bytes", len(r.buf))
		}
	}
}

func TestReaderLimit(t *testing.T) {
	for name, unit := range map[string]string{"line": "x", "data lines": "\ndata: x", "comment": ":"} {
		prefix := "data: a\n\ndata: "
		if name == "comment" {
			prefix = "data: a\n\n"
		}
		r := NewReader(io.MultiReader(strings.NewReader(prefix), &endless{text: unit}))
		r.limit = 100_000
		got, err := readAll(r)
		if len(got) != 1 || !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %d events, %v", name, len(got), err)
		}
		if len(r.buf) > 300_000 {
			t.Errorf("%s: buffer of %d bytes", name, len(r.buf))
		}
	}
	r := NewReader(io.MultiReader(strings.NewReader(strings.Repeat(": comment\n", 50_000)+"data: a\n\n"), strings.NewReader("")))
	r.limit = 100_000
	if got, err := readAll(r); len(got) != 1 || err != io.EOF {
		t.Errorf("comments between events count towards the limit: %q, %v", got, err)
	}
}

func TestReaderPassesErrorOn(t *testing.T) {
	broken := errors.New("connection reset")
	for _, in := range []string{"data: a\n\n", "data: a\n\ndata: b"} {
		got, err := readAll(NewReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken))))
		if len(got) != 1 || err != broken {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if _, err := NewReader(readerFunc(func([]byte) (int, error) { return 0, nil })).Next(); err != io.ErrNoProgress {
		t.Errorf("no progress: %v", err)
	}
	if _, err := NewReader(readerFunc(func(b []byte) (int, error) { return -1, nil })).Next(); err == nil {
		t.Error("impossible count: no error")
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// EventBuffered is true exactly when Next does not read, and looking ahead
// leaves the event at hand alone.
func TestEventBuffered(t *testing.T) {
	reads := []string{"event: one\ndata: 1\n\nevent: two\ndata: 2\n\n: comment\n\nevent: x\nda", "ta: 3\r\n\r", "\nevent: y\n\n", "data: 4\ndata: 5\n\ndata: 6\n\n"}
	n := 0
	r := NewReader(readerFunc(func(b []byte) (int, error) {
		if n++; n > len(reads) {
			return 0, io.EOF
		}
		return copy(b, reads[n-1]), nil
	}))
	want := []string{"one|1", "two|2", "x|3", "|4\n5", "|6"}
	if r.EventBuffered() {
		t.Error("before the first read")
	}
	ahead, got := false, []bool{}
	for i := 0; ; i++ {
		before := n
		e, err := r.Next()
		if ahead != (n == before) {
			t.Errorf("event %d: EventBuffered was %v, reads went from %d to %d", i, ahead, before, n)
		}
		if err != nil {
			break
		}
		ahead = r.EventBuffered()
		got = append(got, ahead)
		if s := string(e.Name) + "|" + string(e.Data); s != want[i] {
			t.Errorf("event %d is %q, want %q", i, s, want[i])
		}
	}
	if !slices.Equal(got, []bool{true, false, false, true, false}) {
		t.Errorf("got %v", got)
	}
	if !r.EventBuffered() {
		t.Error("an error is at hand, but false")
	}
}

func TestAppendEvent(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"ping", `{"type":"ping"}`, "event: ping\ndata: {\"type\":\"ping\"}\n\n"},
		{"", "x", "data: x\n\n"},
		{"", "", "data: \n\n"},
		{"a", " x\ny\r\nz\r\r\nw\n", "event: a\ndata:  x\ndata: y\ndata: z\ndata: \ndata: w\ndata: \n\n"},
		{"a\nb\rc", "x", "event: a b c\ndata: x\n\n"},
	} {
		if got := AppendEvent([]byte("before"), tt.name, []byte(tt.data)); string(got) != "before"+tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.name, tt.data, got, tt.want)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("message_start", []byte("{}"))
	f.Add(" a:b\r\n", []byte("\n \r\n\rx"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		stream := AppendEvent(nil, name, data)
		stream = AppendEvent(stream, "", nil)
		got, err := readAll(NewReader(bytes.NewReader(stream)))
		wantName := strings.NewReplacer("\n", " ", "\r", " ").Replace(name)
		wantData := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
		if err != io.EOF || !slices.Equal(got, []string{wantName + "|" + wantData, "|"}) {
			t.Fatalf("%q: got %q, %v", stream, got, err)
		}
	})
}

// endless gives its text again and again.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		k := copy(b[n:], e.text[e.at:])
		e.at = (e.at + k) % len(e.text)
		n += k
	}
	return n, nil
}

func TestAllocations(t *testing.T) {
	r := NewReader(&endless{text: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\"}\n\n: ping\r\n\r\ndata: a\r\ndata: b\r\n\r\n"})
	next := func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		r.EventBuffered()
	}
	for range 10 {
		next()
	}
	if n := testing.AllocsPerRun(1000, next); n != 0 {
		t.Errorf("Next: %v allocations an event", n)
	}
	buf, data := make([]byte, 0, 256), []byte("{\"a\":\n1}")
	if n := testing.AllocsPerRun(100, func() { AppendEvent(buf, "ping", data) }); n != 0 {
		t.Errorf("AppendEvent: %v allocations", n)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, size := range []int{100, 300, 4096} {
		r := NewReader(&endless{text: fmt.Sprintf("event: content_block_delta\ndata: {\"text\":%q}\n\n", strings.Repeat("x", size))})
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	for _, size := range []int{100, 300, 4096} {
		data, buf := bytes.Repeat([]byte("x"), size), make([]byte, 0, 8192)
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = AppendEvent(buf[:0], "content_block_delta", data)
			}
		})
	}
}
