package eventstream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The text form is one JSON object a line, one line a frame:
//
//	{"headers":{":event-type":"chunk","n":{"int32":7}},"payload":{"bytes":"…"},"event":{"type":"ping"}}
//
// A header is a string, or an object that names its other type. The payload
// stands as "payload" when it is JSON without spaces, else as "base64"; an
// empty one is left out. "event" shows what Bedrock packs into "bytes". A
// frame whose headers JSON cannot hold (repeated or non-UTF-8 names, non-UTF-8
// strings) is {"raw":"<base64 of the frame>"}.

// Dump writes the text form of the event stream r to w, each frame as it
// comes. It loses nothing: Load gives the same bytes again.
func Dump(w io.Writer, r io.Reader) error {
	frames := NewReader(r)
	var line []byte
	for {
		m, err := frames.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		line = append(appendLine(line[:0], m), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
}

// Load writes the event stream that the text r stands for to w. Lengths and
// checksums are computed. An "event" must agree with the payload; where there
// is no payload it becomes one. Space between tokens and lines is free.
func Load(w io.Writer, r io.Reader) error {
	dec := json.NewDecoder(r)
	var frame []byte
	for n := 1; ; n++ {
		var line json.RawMessage
		err := dec.Decode(&line)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			frame, err = appendFrame(frame[:0], line)
		}
		if err != nil {
			return fmt.Errorf("frame %d: %w", n, err)
		}
		if _, err := w.Write(frame); err != nil {
			return err
		}
	}
}

func appendLine(dst []byte, m *Message) []byte {
	if !textual(m.Headers) {
		dst = append(dst, `{"raw":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Raw)
		return append(dst, `"}`...)
	}
	dst = append(dst, `{"headers":{`...)
	for i, h := range m.Headers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendQuoted(dst, h.Name)
		dst = append(dst, ':')
		dst = appendHeaderValue(dst, h)
	}
	dst = append(dst, '}')
	switch {
	case len(m.Payload) == 0:
	case compactJSON(m.Payload):
		dst = append(dst, `,"payload":`...)
		dst = append(dst, m.Payload...)
		if event, ok := packedEvent(m.Payload); ok {
			dst = append(dst, `,"event":`...)
			dst = append(dst, event...)
		}
	default:
		dst = append(dst, `,"base64":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, m.Payload)
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// textual reports whether a JSON object can hold the headers.
func textual(headers []Header) bool {
	for i, h := range headers {
		if !utf8.ValidString(h.Name) || h.Type == String && !utf8.Valid(h.Value) {
			return false
		}
		for _, other := range headers[:i] {
			if other.Name == h.Name {
				return false
			}
		}
	}
	return true
}

func appendHeaderValue(dst []byte, h Header) []byte {
	switch h.Type {
	case String:
		return appendQuoted(dst, string(h.Value))
	case True:
		return append(dst, `{"bool":true}`...)
	case False:
		return append(dst, `{"bool":false}`...)
	case Bytes:
		dst = append(dst, `{"bytes":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, h.Value)
		return append(dst, `"}`...)
	case UUID:
		s := hex.EncodeToString(h.Value)
		return fmt.Appendf(dst, `{"uuid":"%s-%s-%s-%s-%s"}`, s[:8], s[8:12], s[12:16], s[16:20], s[20:])
	case Timestamp: // milliseconds: years past 9999 have no common text form
		at, _ := h.Time()
		return fmt.Appendf(dst, `{"timestamp":%d}`, at.UnixMilli())
	default:
		n, _ := h.Int()
		return fmt.Appendf(dst, `{"int%d":%d}`, 8*len(h.Value), n)
	}
}

func appendFrame(dst []byte, line json.RawMessage) ([]byte, error) {
	var headers []Header
	var raw, payload, event []byte
	hasPayload := false
	err := members(line, func(key string, value json.RawMessage) (err error) {
		switch key {
		case "raw":
			raw, err = unbase64(value)
		case "headers":
			headers, err = readHeaders(value)
		case "payload", "base64":
			if hasPayload {
				return errors.New("both payload and base64")
			}
			hasPayload = true
			if key == "payload" {
				payload, err = compact(value)
			} else {
				payload, err = unbase64(value)
			}
		case "event":
			event, err = compact(value)
		default:
			return fmt.Errorf("unknown member %q", key)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return dst, err
	}
	if raw != nil {
		if headers != nil || hasPayload || event != nil {
			return dst, errors.New("raw stands for the whole frame, but there are other members")
		}
		m, err := NewReader(bytes.NewReader(raw)).Next()
		if err != nil {
			return dst, fmt.Errorf("raw: %w", err)
		}
		if len(m.Raw) != len(raw) {
			return dst, errors.New("raw: more than one frame")
		}
		return append(dst, raw...), nil
	}
	switch packed, ok := packedEvent(payload); {
	case event == nil:
	case !hasPayload:
		payload = append(payload, `{"bytes":"`...)
		payload = base64.StdEncoding.AppendEncode(payload, event)
		payload = append(payload, `"}`...)
	case !ok || !bytes.Equal(packed, event):
		return dst, errors.New("event is not what payload.bytes holds: change payload.bytes too, or leave the payload out")
	}
	start := len(dst)
	dst = AppendMessage(dst, headers, payload)
	return dst, checkLengths(binary.BigEndian.Uint32(dst[start:]), binary.BigEndian.Uint32(dst[start+4:]))
}

func readHeaders(object json.RawMessage) ([]Header, error) {
	headers := []Header{}
	err := members(object, func(name string, value json.RawMessage) error {
		h, err := readHeader(name, value)
		if err == nil {
			err = h.Check()
		}
		headers = append(headers, h)
		return err
	})
	return headers, err
}

func readHeader(name string, value json.RawMessage) (h Header, err error) {
	if value[0] == '"' {
		s, err := unquote(value)
		return StringHeader(name, s), err
	}
	types := 0
	err = members(value, func(typ string, value json.RawMessage) error {
		types++
		number := func(code byte, bits int) error {
			n, err := strconv.ParseInt(string(value), 10, bits)
			h = IntHeader(name, code, n)
			return err
		}
		switch typ {
		case "bool":
			h = BoolHeader(name, string(value) == "true")
			if h.Type == False && string(value) != "false" {
				return errors.New("neither true nor false")
			}
			return nil
		case "int8":
			return number(Int8, 8)
		case "int16":
			return number(Int16, 16)
		case "int32":
			return number(Int32, 32)
		case "int64":
			return number(Int64, 64)
		case "timestamp":
			return number(Timestamp, 64)
		case "bytes":
			v, err := unbase64(value)
			h = BytesHeader(name, v)
			return err
		case "uuid":
			s, err := unquote(value)
			if err != nil {
				return err
			}
			v, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
			h = Header{name, UUID, v}
			return err
		default:
			return fmt.Errorf("unknown type %q", typ)
		}
	})
	if err == nil && types != 1 {
		err = fmt.Errorf("%d types; a header has one", types)
	}
	if err != nil {
		err = fmt.Errorf("header %q: %w", name, err)
	}
	return h, err
}

// members calls f for each member of object in its order, and refuses a
// repeated one.
func members(object json.RawMessage, f func(key string, value json.RawMessage) error) error {
	dec := json.NewDecoder(bytes.NewReader(object))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key := t.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("member %q twice", key)
		}
		seen[key] = true
		if err := f(key, value); err != nil {
			return err
		}
	}
	return nil
}

// packedEvent is the event inside a payload of InvokeModelWithResponseStream,
// when it is JSON that a line can show.
func packedEvent(payload []byte) ([]byte, bool) {
	var m map[string]json.RawMessage
	if json.Unmarshal(payload, &m) != nil {
		return nil, false
	}
	event, err := unbase64(m["bytes"])
	return event, err == nil && compactJSON(event)
}

// compactJSON reports whether text is JSON that stands unchanged in a line. The
// line is one more level of the nesting that encoding/json allows.
func compactJSON(text []byte) bool {
	if !utf8.Valid(text) || !json.Valid(text) {
		return false
	}
	in := append(append([]byte{'['}, text...), ']')
	out, err := compact(in)
	return err == nil && bytes.Equal(out, in)
}

func compact(text []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, text)
	return b.Bytes(), err
}

func unbase64(value json.RawMessage) ([]byte, error) {
	s, err := unquote(value)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

// unquote refuses null, which encoding/json reads as the empty string.
func unquote(value json.RawMessage) (s string, err error) {
	if len(value) == 0 || value[0] != '"' {
		return "", errors.New("not a JSON string")
	}
	err = json.Unmarshal(value, &s)
	return s, err
}

func appendQuoted(dst []byte, s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
