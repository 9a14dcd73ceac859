// Package recording is the file in which calls of models and their answers are
// kept, to be answered again: a txtar archive of two entries a call. It keeps what
// a request means and the bytes of an answer; an event stream is a line a frame.
//
// Invariant: the bytes of an answer come back as they were, and no Authorization
// header, signature or key is in a file.
//
// Non-goal: anything but calls of models; lists, access and STS answer themselves.
package recording

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
)

// Exchange is one call and its answer.
type Exchange struct {
	Call   Call
	Answer Answer
}

// Call is what a request means.
type Call struct {
	Operation string
	Model     string      // in the path, decoded; "" where the body names it
	Converse  bool        // of CountTokens: the body is its converse input
	Header    http.Header // those of meaningful alone
	Body      []byte      // JSON; of CountTokens, what it counts
}

// Answer is a response. Its body is as it was sent.
type Answer struct {
	Status int
	Header http.Header // those of kept alone
	Body   []byte
}

const (
	magic = "outcrop recording 1"
	note  = magic + `
Calls of models and their answers, made by "outcrop record" and played by
"outcrop serve --upstream replay:FILE" and outcroptest.Replay. A call is matched
on its operation, model, headers below and JSON. A line of an event stream is a
frame: its type, its event, and the padding that it came with.

`
)

// meaningful are the request headers that change what a call means.
var meaningful = []string{
	"Anthropic-Beta", "Anthropic-Version", bedrockapi.HeaderGuardrailID, bedrockapi.HeaderGuardrailVersion,
	bedrockapi.HeaderTrace, bedrockapi.HeaderLatency, bedrockapi.HeaderServiceTier,
}

// kept are the response headers that a server does not make itself.
var kept = []string{
	"Content-Type", "Retry-After", bedrockapi.HeaderErrorType, "X-Outcrop-Upstream", "X-Outcrop-Hint", "X-Outcrop-Estimate",
	bedrockapi.HeaderServiceTier, bedrockapi.HeaderLatency,
}

// Meaningful gives those headers of a request that change what it means, betas
// sorted.
func Meaningful(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range meaningful {
		if v := h[name]; len(v) > 0 {
			out[name] = []string{strings.Join(v, ", ")}
		}
	}
	if list, ok := out["Anthropic-Beta"]; ok {
		var betas []string
		for b := range strings.SplitSeq(list[0], ",") {
			if b = strings.TrimSpace(b); b != "" {
				betas = append(betas, b)
			}
		}
		slices.Sort(betas)
		out["Anthropic-Beta"] = []string{strings.Join(slices.Compact(betas), ", ")}
	}
	return out
}

// AppendHead begins a file.
func AppendHead(dst []byte) []byte { return append(dst, note...) }

// AppendText appends the n-th exchange of a file.
func (e *Exchange) AppendText(dst []byte, n int) ([]byte, error) {
	dst = fmt.Appendf(dst, "-- call %d --\n%s", n, e.Call.Operation)
	if e.Call.Model != "" {
		dst = fmt.Appendf(dst, " %s", e.Call.Model)
	}
	dst = append(dst, '\n')
	header := e.Call.Header
	if e.Call.Converse {
		header = header.Clone()
		if header == nil {
			header = http.Header{}
		}
		header.Set(inputHeader, "converse")
	}
	dst = append(appendHeader(dst, header), '\n')
	var body bytes.Buffer
	if err := json.Indent(&body, e.Call.Body, "", "  "); err != nil {
		return nil, fmt.Errorf("the body of the call: %w", err)
	}
	dst = append(append(dst, redact(body.Bytes())...), '\n')

	text, encoding := encode(&e.Answer)
	dst = fmt.Appendf(dst, "-- answer %d --\n%d\n", n, e.Answer.Status)
	dst = appendHeader(dst, e.Answer.Header)
	if encoding != "" {
		dst = fmt.Appendf(dst, "%s: %s\n", encodingHeader, encoding)
	}
	dst = append(append(dst, '\n'), text...)
	if len(text) > 0 && !bytes.HasSuffix(dst, []byte("\n")) {
		dst = append(dst, '\n')
	}
	return dst, nil
}

// Headers of the file's own.
const (
	inputHeader    = "Input"    // of CountTokens: converse
	encodingHeader = "Encoding" // of an answer; without it: see encode
)

func appendHeader(dst []byte, h http.Header) []byte {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, v := range h[name] {
			dst = fmt.Appendf(dst, "%s: %s\n", name, v)
		}
	}
	return dst
}

// encode gives the text that stands for a body. Compact JSON is indented, an event
// stream a line a frame, text/event-stream is itself; what these would change is
// in base64.
func encode(a *Answer) (text []byte, encoding string) {
	var b bytes.Buffer
	switch kind := mediaType(a.Header); kind {
	case "application/json":
		if json.Indent(&b, a.Body, "", "  ") != nil {
			b.Reset()
		}
	case bedrockapi.TypeEventStream:
		if lines, err := appendFrames(nil, a.Body); err == nil {
			b.Write(lines)
		}
	default:
		if bytes.HasSuffix(a.Body, []byte("\n")) { // as every entry does
			b.Write(a.Body)
		}
	}
	if plain(b.Bytes()) {
		if back, err := decode(b.Bytes(), "", mediaType(a.Header)); err == nil && bytes.Equal(back, a.Body) {
			return b.Bytes(), ""
		}
	}
	return append(base64.StdEncoding.AppendEncode(nil, a.Body), '\n'), "base64"
}

// plain says that the text survives in an archive.
func plain(text []byte) bool {
	return !bytes.HasPrefix(text, []byte("-- ")) && !bytes.Contains(text, []byte("\n-- ")) && !bytes.Contains(text, []byte{'\r'})
}

func decode(text []byte, encoding, mediaType string) ([]byte, error) {
	var b bytes.Buffer
	switch {
	case encoding == "base64":
		return base64.StdEncoding.DecodeString(string(bytes.TrimSpace(text)))
	case encoding != "":
		return nil, fmt.Errorf("%s: %q is not known", encodingHeader, encoding)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, nil
	case mediaType == "application/json":
		err := json.Compact(&b, text)
		return b.Bytes(), err
	case mediaType == bedrockapi.TypeEventStream:
		return framesOf(text)
	default:
		return bytes.Clone(text), nil
	}
}

func mediaType(h http.Header) string {
	t, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// maxFile bounds what Parse reads.
const maxFile = 1 << 30

// Parse reads a file.
func Parse(r io.Reader) ([]Exchange, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxFile))
	if err != nil {
		return nil, err
	}
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")) // of git on Windows
	head, rest, _ := bytes.Cut(raw, []byte("\n"))
	if string(bytes.TrimSpace(head)) != magic {
		return nil, fmt.Errorf("this is no recording: it does not begin with %q", magic)
	}
	var out []Exchange
	var open *Call // waits for its answer
	at, name := 2, ""
	var entry []byte
	end := func() error {
		kind, number, _ := strings.Cut(name, " ")
		switch {
		case name == "": // the note
			return nil
		case kind == "call" && open == nil && number == strconv.Itoa(len(out)+1):
			c, err := parseCall(entry)
			open = c
			return err
		case kind == "answer" && open != nil && number == strconv.Itoa(len(out)+1):
			a, err := parseAnswer(entry)
			if err != nil {
				return err
			}
			out, open = append(out, Exchange{*open, *a}), nil
			return nil
		case open != nil:
			return fmt.Errorf("want answer %d", len(out)+1)
		default:
			return fmt.Errorf("want call %d", len(out)+1)
		}
	}
	line, began := 2, 2
	for len(rest) > 0 {
		text, after, _ := bytes.Cut(rest, []byte("\n"))
		if marker, ok := bytes.CutPrefix(text, []byte("-- ")); ok && bytes.HasSuffix(marker, []byte(" --")) {
			if err := end(); err != nil {
				return nil, fmt.Errorf("line %d: %s: %w", began, cmp.Or(name, "start"), err)
			}
			name, entry, began = string(bytes.TrimSuffix(marker, []byte(" --"))), nil, line
		} else {
			entry = append(append(entry, text...), '\n')
		}
		rest = after
		line++
		at = line
	}
	if err := end(); err != nil {
		return nil, fmt.Errorf("line %d: %s: %w", began, cmp.Or(name, "start"), err)
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: call %d has no answer", at, len(out)+1)
	}
	return out, nil
}

func parseCall(entry []byte) (*Call, error) {
	first, header, body, err := split(entry)
	if err != nil {
		return nil, err
	}
	c := &Call{Header: header}
	c.Operation, c.Model, _ = strings.Cut(first, " ")
	if !slices.ContainsFunc(modelOperations, func(o *bedrockapi.Operation) bool { return o.Name == c.Operation }) {
		return nil, fmt.Errorf("%q is no operation that calls a model", c.Operation)
	}
	if v, ok := header[inputHeader]; ok {
		if c.Operation != bedrockapi.CountTokens.Name || v[0] != "converse" {
			return nil, fmt.Errorf("%s: %q is not known", inputHeader, v[0])
		}
		c.Converse = true
		delete(header, inputHeader)
	}
	for name := range header {
		if !slices.Contains(meaningful, name) {
			return nil, fmt.Errorf("the header %s is none that a call is matched on", name)
		}
	}
	c.Header = Meaningful(header)
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		return nil, fmt.Errorf("the body: %w", err)
	}
	c.Body = b.Bytes()
	return c, nil
}

func parseAnswer(entry []byte) (*Answer, error) {
	first, header, text, err := split(entry)
	if err != nil {
		return nil, err
	}
	a := &Answer{Header: header}
	if a.Status, err = strconv.Atoi(first); err != nil || a.Status < 200 || a.Status > 599 {
		return nil, fmt.Errorf("%q is no HTTP status of an answer", first)
	}
	encoding := header.Get(encodingHeader)
	header.Del(encodingHeader)
	for name := range header {
		if !slices.Contains(kept, name) {
			return nil, fmt.Errorf("the header %s is none that an answer has here", name)
		}
	}
	if a.Body, err = decode(text, encoding, mediaType(header)); err != nil {
		return nil, fmt.Errorf("the body: %w", err)
	}
	return a, nil
}

// split takes an entry apart: its first line, headers, an empty line, the rest.
func split(entry []byte) (first string, header http.Header, rest []byte, err error) {
	line, rest, _ := bytes.Cut(entry, []byte("\n"))
	first = strings.TrimSpace(string(line))
	header = http.Header{}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		if len(bytes.TrimSpace(line)) == 0 {
			return first, header, rest, nil
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || name == "" || textproto.CanonicalMIMEHeaderKey(name) != name {
			return "", nil, nil, fmt.Errorf("%q is no header", line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return "", nil, nil, errors.New("there is no empty line after the headers")
}
