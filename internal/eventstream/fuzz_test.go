package eventstream

import (
	"bytes"
	"io"
	"testing"
)

func FuzzReader(f *testing.F) {
	f.Add(stream())
	f.Add(AppendMessage(nil, []Header{StringHeader("a", "1"), StringHeader("a", "\xff")}, []byte(`{"bytes":"e30="}`)))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		at := 0
		for {
			m, err := r.Next()
			if err != nil {
				if (err == io.EOF) != (at == len(in)) {
					t.Fatalf("%v at byte %d of %d", err, at, len(in))
				}
				return
			}
			if !bytes.Equal(m.Raw, in[at:at+len(m.Raw)]) {
				t.Fatal("Raw is not what came")
			}
			at += len(m.Raw)
			if again := AppendMessage(nil, m.Headers, m.Payload); !bytes.Equal(again, m.Raw) {
				t.Fatalf("%x encodes to %x", m.Raw, again)
			}
		}
	})
}

// FuzzRoundTrip makes whole frames of anything, which FuzzReader, held by the
// checksums, seldom does; Dump and Load must give each again.
func FuzzRoundTrip(f *testing.F) {
	f.Add("name", byte(String), []byte("value"), []byte(`{"bytes":"eyJ0eXBlIjoicGluZyJ9","p":"a"}`))
	f.Add("n\xff", byte(Int16), []byte{1, 2}, []byte("text"))
	f.Add("id", byte(UUID), []byte("0123456789abcdef"), []byte(`{"bytes":"e30"}`))
	f.Add("t", byte(Timestamp), []byte("01234567"), []byte("[1, 2]"))
	f.Add(MessageType, byte(True), []byte{}, []byte("\"\xff\""))
	f.Fuzz(func(t *testing.T, name string, typ byte, value, payload []byte) {
		h := Header{name, typ, value}
		if h.Check() != nil {
			return
		}
		frame := AppendMessage(nil, []Header{StringHeader(EventType, "chunk"), h}, payload)
		m, err := NewReader(bytes.NewReader(frame)).Next()
		if err != nil {
			t.Fatal(err)
		}
		if g := m.Headers[1]; g.Name != name || g.Type != typ || !bytes.Equal(g.Value, value) || !bytes.Equal(m.Payload, payload) {
			t.Fatalf("got %+v", m)
		}
		var text, again bytes.Buffer
		if err := Dump(&text, bytes.NewReader(frame)); err != nil {
			t.Fatal(err)
		}
		if bytes.Count(text.Bytes(), []byte("\n")) != 1 {
			t.Fatalf("not one line: %q", text.Bytes())
		}
		line := text.String()
		if err := Load(&again, &text); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if !bytes.Equal(again.Bytes(), frame) {
			t.Fatalf("%s: %x became %x", line, frame, again.Bytes())
		}
	})
}
