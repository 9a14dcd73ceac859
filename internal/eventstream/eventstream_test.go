package eventstream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// allHeaders has a header of each wire type.
func allHeaders() []Header {
	return []Header{
		BoolHeader("yes", true),
		BoolHeader("no", false),
		IntHeader("i8", Int8, -49),
		IntHeader("i16", Int16, -2),
		IntHeader("i32", Int32, 40972),
		IntHeader("i64", Int64, -1<<63),
		BytesHeader("bytes", []byte{0, 255}),
		StringHeader("text", "ü"),
		TimeHeader("at", time.UnixMilli(8675309)),
		UUIDHeader("id", [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}),
	}
}

func stream() []byte {
	var b []byte
	b = AppendEvent(b, "chunk", JSON, []byte(`{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"}`))
	b = AppendMessage(b, nil, nil)
	b = AppendMessage(b, allHeaders(), []byte("not JSON"))
	return AppendException(b, "throttlingException", []byte(`{"message":"slow down"}`))
}

func readAll(r *Reader) (frames [][]byte, err error) {
	for {
		m, err := r.Next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, bytes.Clone(m.Raw))
	}
}

func TestReaderReadsWhatWriterWrites(t *testing.T) {
	whole := stream()
	for name, src := range map[string]io.Reader{
		"whole reads":     bytes.NewReader(whole),
		"one-byte reads":  iotest.OneByteReader(bytes.NewReader(whole)),
		"half reads":      iotest.HalfReader(bytes.NewReader(whole)),
		"EOF with data":   iotest.DataErrReader(bytes.NewReader(whole)),
		"many small ones": iotest.DataErrReader(iotest.OneByteReader(bytes.NewReader(whole))),
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader(src)
			m, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			for h, want := range map[string]string{MessageType: "event", EventType: "chunk", ContentType: "application/json"} {
				if got, ok := m.Header(h); !ok || got != want {
					t.Errorf("%s: %q, %v", h, got, ok)
				}
			}
			if _, ok := m.Header(ExceptionType); ok {
				t.Error("an event has an exception type")
			}
			if want := `{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"abc"}`; string(m.Payload) != want {
				t.Errorf("payload %s", m.Payload)
			}
			if m, err = r.Next(); err != nil || len(m.Headers)+len(m.Payload) != 0 {
				t.Errorf("empty frame: %+v, %v", m, err)
			}
			if m, err = r.Next(); err != nil {
				t.Fatal(err)
			}
			checkAllHeaders(t, m.Headers)
			if m, err = r.Next(); err != nil {
				t.Fatal(err)
			}
			if kind, _ := m.Header(MessageType); kind != TypeException {
				t.Errorf("message type %q", kind)
			}
			if kind, _ := m.Header(ExceptionType); kind != "throttlingException" {
				t.Errorf("exception type %q", kind)
			}
			for range 2 {
				if _, err := r.Next(); err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			}
		})
	}
}

func checkAllHeaders(t *testing.T, got []Header) {
	t.Helper()
	want := allHeaders()
	if len(got) != len(want) {
		t.Fatalf("%d headers, want %d", len(got), len(want))
	}
	for i, h := range got {
		if h.Name != want[i].Name || h.Type != want[i].Type || !bytes.Equal(h.Value, want[i].Value) {
			t.Errorf("got %+v, want %+v", h, want[i])
		}
	}
	if v, ok := got[0].Bool(); !v || !ok {
		t.Error("true")
	}
	if v, ok := got[1].Bool(); v || !ok {
		t.Error("false")
	}
	for i, want := range map[int]int64{2: -49, 3: -2, 4: 40972, 5: -1 << 63} {
		if v, ok := got[i].Int(); v != want || !ok {
			t.Errorf("%s: %d, %v", got[i].Name, v, ok)
		}
	}
	if v, ok := got[7].Text(); v != "ü" || !ok {
		t.Errorf("text %q", v)
	}
	if v, ok := got[8].Time(); !v.Equal(time.UnixMilli(8675309)) || !ok {
		t.Errorf("time %v", v)
	}
	if v, ok := got[9].UUID(); v[15] != 16 || !ok {
		t.Errorf("uuid %v", v)
	}
	// An accessor of another type says no.
	s := got[7]
	_, isBool := s.Bool()
	_, isInt := s.Int()
	_, isTime := s.Time()
	_, isUUID := s.UUID()
	_, isText := got[0].Text()
	if isBool || isInt || isTime || isUUID || isText {
		t.Error("a header read as a type that it is not")
	}
}

// A header made by hand may have a value of the wrong size.
func TestAccessorsCheckSize(t *testing.T) {
	for _, typ := range []byte{Int8, Int16, Int32, Int64, Timestamp, UUID} {
		h := Header{"n", typ, make([]byte, 3)}
		_, isInt := h.Int()
		_, isTime := h.Time()
		_, isUUID := h.UUID()
		if isInt || isTime || isUUID {
			t.Errorf("type %d: a value of 3 bytes was read", typ)
		}
	}
	for _, size := range []int{1, 2, 4, 8, 16} {
		h := Header{"n", Bytes, make([]byte, size)}
		_, isInt := h.Int()
		_, isTime := h.Time()
		_, isUUID := h.UUID()
		if isInt || isTime || isUUID {
			t.Errorf("bytes, %d of them, were read as another type", size)
		}
	}
}

func TestHeaderLaterCounts(t *testing.T) {
	b := AppendMessage(nil, []Header{StringHeader("a", "1"), StringHeader("a", "2")}, nil)
	m, err := NewReader(bytes.NewReader(b)).Next()
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := m.Header("a"); v != "2" {
		t.Errorf("got %q", v)
	}
}

// Cut at every byte: a border gives io.EOF, all else io.ErrUnexpectedEOF, and
// the frames before the cut are given.
func TestReaderCut(t *testing.T) {
	whole := stream()
	borders := map[int]int{0: 0} // offset: frames before it
	r := NewReader(bytes.NewReader(whole))
	for n, at := 1, 0; ; n++ {
		m, err := r.Next()
		if err != nil {
			break
		}
		at += len(m.Raw)
		borders[at] = n
	}
	if len(borders) != 5 {
		t.Fatalf("borders %v", borders)
	}
	before := 0
	for cut := range len(whole) + 1 {
		want := io.ErrUnexpectedEOF
		if n, ok := borders[cut]; ok {
			want, before = io.EOF, n
		}
		for name, src := range map[string]io.Reader{
			"whole":    bytes.NewReader(whole[:cut]),
			"one byte": iotest.OneByteReader(bytes.NewReader(whole[:cut])),
			"data+EOF": iotest.DataErrReader(bytes.NewReader(whole[:cut])),
		} {
			frames, err := readAll(NewReader(src))
			if err != want || len(frames) != before {
				t.Fatalf("%s, cut at %d: %d frames, %v; want %d, %v", name, cut, len(frames), err, before, want)
			}
		}
	}
}

func TestReaderPassesErrorOn(t *testing.T) {
	broken := errors.New("connection reset")
	one := AppendEvent(nil, "chunk", JSON, []byte(`{}`))
	for name, whole := range map[string][]byte{"on a border": one, "inside": append(bytes.Clone(one), one[:20]...)} {
		frames, err := readAll(NewReader(io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(broken))))
		if len(frames) != 1 || err != broken {
			t.Errorf("%s: %d frames, %v", name, len(frames), err)
		}
	}
	if _, err := NewReader(readerFunc(func([]byte) (int, error) { return 0, nil })).Next(); err != io.ErrNoProgress {
		t.Errorf("no progress: %v", err)
	}
	if _, err := NewReader(readerFunc(func(b []byte) (int, error) { return len(b) + 1, nil })).Next(); err == nil {
		t.Error("impossible count: no error")
	}
}

// Small frames never make the buffer grow, whatever the reads.
func TestReaderBufferStays(t *testing.T) {
	frames := &endless{frames: AppendEvent(nil, "chunk", JSON, make([]byte, 1000))}
	for _, src := range []io.Reader{frames, iotest.HalfReader(frames), iotest.OneByteReader(frames)} {
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

// Reads of nothing are allowed, as long as something comes in the end.
func TestReaderEmptyReads(t *testing.T) {
	src, n := iotest.OneByteReader(bytes.NewReader(stream())), 0
	frames, err := readAll(NewReader(readerFunc(func(b []byte) (int, error) {
		if n++; n%50 != 0 {
			return 0, nil
		}
		return src.Read(b)
	})))
	if err != io.EOF || len(frames) != 4 {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestReaderRefuses(t *testing.T) {
	frame := func(total, headers uint32) []byte {
		b := binary.BigEndian.AppendUint32(nil, total)
		b = binary.BigEndian.AppendUint32(b, headers)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	withHeaders := func(block string) []byte {
		b := append(frame(uint32(len(block)+overhead), uint32(len(block))), block...)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	}
	flip := func(at int) []byte {
		b := AppendEvent(nil, "chunk", JSON, []byte(`{}`))
		if at < 0 {
			at += len(b)
		}
		b[at] ^= 1
		return b
	}
	for name, tt := range map[string]struct {
		in   []byte
		want error
	}{
		"total length":        {flip(3), ErrPreludeCRC},
		"header length":       {flip(7), ErrPreludeCRC},
		"prelude CRC":         {flip(8), ErrPreludeCRC},
		"header byte":         {flip(20), ErrMessageCRC},
		"payload byte":        {flip(-5), ErrMessageCRC},
		"message CRC":         {flip(-1), ErrMessageCRC},
		"too short":           {frame(15, 0), ErrMalformed},
		"headers over frame":  {frame(20, 5), ErrMalformed},
		"headers over limit":  {frame(MaxHeaders+17, MaxHeaders+1), ErrTooLarge},
		"payload over limit":  {frame(MaxPayload+17, 0), ErrTooLarge},
		"all ones":            {frame(1<<32-1, 1<<32-1), ErrMalformed},
		"empty name":          {withHeaders("\x00\x00"), ErrMalformed},
		"name cut":            {withHeaders("\x02a"), ErrMalformed},
		"no type":             {withHeaders("\x01a"), ErrMalformed},
		"unknown type":        {withHeaders("\x01a\x0a"), ErrMalformed},
		"no length":           {withHeaders("\x01a\x07\x00"), ErrMalformed},
		"value cut":           {withHeaders("\x01a\x07\x00\x02x"), ErrMalformed},
		"number cut":          {withHeaders("\x01a\x04\x00\x00\x00"), ErrMalformed},
		"bytes after headers": {withHeaders("\x01a\x00\x01"), ErrMalformed},
	} {
		good := AppendEvent(nil, "chunk", JSON, nil)
		r := NewReader(bytes.NewReader(append(bytes.Clone(good), tt.in...)))
		frames, err := readAll(r)
		if !errors.Is(err, tt.want) || len(frames) != 1 {
			t.Errorf("%s: %d frames, %v", name, len(frames), err)
			continue
		}
		if where := fmt.Sprintf("frame at byte %d:", len(good)); !strings.Contains(err.Error(), where) {
			t.Errorf("%s: %q does not say %q", name, err, where)
		}
		if _, again := r.Next(); again != err {
			t.Errorf("%s: then %v", name, again)
		}
	}
}

func TestReaderTakesFramesUpToTheLimits(t *testing.T) {
	headers := []Header{
		BytesHeader("b", make([]byte, 65535)),
		BytesHeader(strings.Repeat("n", 255), make([]byte, 1000)),
		StringHeader("e", ""),
	}
	left := MaxHeaders - len(AppendMessage(nil, headers, nil)) + overhead
	headers = slices.Insert(headers, 0, BytesHeader("b", make([]byte, left-5)))
	big := AppendMessage(nil, headers, make([]byte, MaxPayload))
	small := AppendEvent(nil, "chunk", JSON, nil)
	whole := slices.Concat(small, big, small)
	for _, src := range []io.Reader{bytes.NewReader(whole), iotest.HalfReader(bytes.NewReader(whole))} {
		r := NewReader(src)
		frames, err := readAll(r)
		if err != io.EOF || len(frames) != 3 || !bytes.Equal(frames[1], big) {
			t.Errorf("%d frames, %v", len(frames), err)
		}
		r.Reset(bytes.NewReader(small))
		if cap(r.buf) > 2*readSize {
			t.Errorf("a reset reader holds %d bytes", cap(r.buf))
		}
		if frames, err = readAll(r); err != io.EOF || len(frames) != 1 {
			t.Errorf("after Reset: %d frames, %v", len(frames), err)
		}
	}
}

// A relay that flushes when nothing more is buffered flushes once per read.
func TestFrameBuffered(t *testing.T) {
	one := AppendEvent(nil, "chunk", JSON, []byte(`{}`))
	var reads [][]byte
	reads = append(reads, slices.Concat(one, one, one[:30]), one[30:], one[:5], slices.Concat(one[5:], one))
	n := 0
	r := NewReader(readerFunc(func(b []byte) (int, error) {
		if n++; n > len(reads) {
			return 0, io.EOF
		}
		return copy(b, reads[n-1]), nil
	}))
	if r.FrameBuffered() {
		t.Error("before the first read")
	}
	var got []bool
	for {
		before := n
		_, err := r.Next()
		if len(got) > 0 && got[len(got)-1] != (n == before) {
			t.Errorf("frame %d: FrameBuffered was %v, reads went from %d to %d", len(got), got[len(got)-1], before, n)
		}
		if err != nil {
			break
		}
		got = append(got, r.FrameBuffered())
	}
	if want := []bool{true, false, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !r.FrameBuffered() {
		t.Error("an error is at hand, but false")
	}
	for _, cut := range []int{preludeSize - 1, preludeSize, len(one) - 1} {
		r := NewReader(iotest.DataErrReader(bytes.NewReader(slices.Concat(one, one[:cut]))))
		if _, err := r.Next(); err != nil || !r.FrameBuffered() {
			t.Errorf("the end of the stream has come after %d bytes of a frame (%v), but false", cut, err)
		}
	}
	bad := append(bytes.Clone(one), 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0)
	r = NewReader(io.MultiReader(bytes.NewReader(bad), iotest.ErrReader(io.EOF)))
	if _, err := r.Next(); err != nil || !r.FrameBuffered() {
		t.Errorf("a prelude that cannot be is at hand (%v), but false", err)
	}
}

func TestBeginEnd(t *testing.T) {
	want := AppendEvent([]byte("x"), "chunk", JSON, []byte(`{"a":1}`))
	got := BeginEvent([]byte("x"), "chunk", JSON)
	got = append(got, `{"a":1}`...)
	if got = EndFrame(got, 1); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendMessageRefuses(t *testing.T) {
	for name, h := range map[string]Header{
		"no name":      StringHeader("", ""),
		"long name":    StringHeader(strings.Repeat("n", 256), ""),
		"long value":   StringHeader("n", strings.Repeat("v", 65536)),
		"wrong size":   {"n", Int32, []byte{1}},
		"value of a 0": {"n", True, []byte{1}},
		"unknown type": {"n", 10, nil},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			AppendMessage(nil, []Header{h}, nil)
		})
	}
}
