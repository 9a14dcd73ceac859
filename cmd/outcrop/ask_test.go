package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// samples writes report.pdf and dot.png.
func samples(ts *testscript.TestScript, neg bool, _ []string) {
	var dot bytes.Buffer
	ts.Check(png.Encode(&dot, image.NewGray(image.Rect(0, 0, 8, 8))))
	ts.Check(os.WriteFile(ts.MkAbs("dot.png"), dot.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("report.pdf"), tourPDF, 0o600))
}

// says FILE TEXT waits until the file holds the text.
func says(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: says FILE TEXT")
	}
	eventually(ts, args[0], func() bool {
		raw, _ := os.ReadFile(ts.MkAbs(args[0]))
		return bytes.Contains(raw, []byte(args[1]))
	})
}

// proxy takes calls to https hosts, refuses them, and writes their names to the
// file "proxied".
func proxy(ts *testscript.TestScript, neg bool, _ []string) {
	log := ts.MkAbs("proxied")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			fmt.Fprintln(f, r.Method, r.Host)
			f.Close()
		}
		http.Error(w, "no", http.StatusBadGateway)
	}))
	ts.Defer(s.Close)
	ts.Setenv("HTTPS_PROXY", s.URL)
}

// TestExitCodes holds each kind of error to one code, however it came.
func TestExitCodes(t *testing.T) {
	for _, k := range messages.Kinds() {
		if statusOfKind(k) == exitFailed {
			t.Errorf("kind %v has no exit code of its own", k)
		}
		if got := statusOfError(fmt.Errorf("call: %w", &messages.Error{Kind: k})); got != statusOfKind(k) {
			t.Errorf("kind %v: %d, want %d", k, got, statusOfKind(k))
		}
	}
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{exitCode(42), 42},
		{fmt.Errorf("wrapped: %w", exitCode(3)), 3},
		{bedrock.ErrConfiguration, 2},
		{bedrock.ErrUnsupported, 3},
		{bedrock.ErrValidation, 3},
		{bedrock.ErrNotFound, 3},
		{bedrock.ErrNoCredentials, 4},
		{bedrock.ErrAuthentication, 4},
		{bedrock.ErrAccessDenied, 4},
		{bedrock.ErrThrottling, 5},
		{bedrock.ErrQuotaExceeded, 5},
		{bedrock.ErrModel, 6},
		{&bedrock.Error{Code: "ModelStreamErrorException", Status: 424}, 7},
		{bedrock.ErrModelNotReady, 6},
		{bedrock.ErrInternal, 6},
		{bedrock.ErrServiceUnavailable, 6},
		{bedrock.ErrModelTimeout, 7},
		{bedrock.ErrTruncated, 7},
		{bedrock.ErrCorrupted, 7},
		{context.Canceled, 130},
		{context.DeadlineExceeded, 7},
		{io.ErrUnexpectedEOF, 7},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, 6},
		{&net.OpError{Op: "listen", Err: errors.New("in use")}, 1},
		{tell(bedrock.ErrThrottling, "slow down"), 5},
	} {
		if got := statusOfError(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}

func TestAttachments(t *testing.T) {
	var dot bytes.Buffer
	if err := png.Encode(&dot, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		data   string
		format string // "": refused
	}{
		{"report.pdf", "%PDF-1.7\n", "pdf"},
		{"report", "%PDF-1.7\n", "pdf"},
		{"liar.pdf", "words", "txt"},
		{"dot", dot.String(), "png"},
		{"dot.pdf", dot.String(), "png"},
		{"photo", "\xff\xd8\xff\xe0", "jpeg"},
		{"moving", "GIF89a", "gif"},
		{"small", "RIFF\x00\x00\x00\x00WEBPVP8 ", "webp"},
		{"icon.bmp", "BM\x00\x00", ""},
		{"table.CSV", "a,b", "csv"},
		{"notes.md", "# Notes", "md"},
		{"page.htm", "<p>", "html"},
		{"main.go", "package main", "txt"},
		{"letter.docx", "PK\x03\x04", "docx"},
		{"archive.zip", "PK\x03\x04\xff", ""},
		{"latin1.txt", "caf\xe9", ""},
		{"empty.txt", "", ""},
	} {
		a, err := newAttachment(test.name, []byte(test.data))
		if test.format == "" {
			if err == nil {
				t.Errorf("%s is taken for %s", test.name, a.format)
			}
			continue
		}
		if err != nil || a.format != test.format {
			t.Errorf("%s is %q, %v; want %s", test.name, a.format, err, test.format)
		}
	}
}

func TestDocumentNames(t *testing.T) {
	var taken []string
	for _, test := range []struct{ path, want string }{
		{"/tmp/report.pdf", "report"},
		{"other/report.pdf", "report (2)"},
		{"report.txt", "report (3)"},
		{"q3_final  v2.1 [draft].md", "q3 final v2 1 [draft]"},
		{"報告.pdf", "document"},
		{strings.Repeat("x", 300) + ".pdf", strings.Repeat("x", 190)},
	} {
		got := documentName(test.path, taken)
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.path, got, test.want)
		}
		taken = append(taken, got)
	}
}

// TestPromptOrder: what is asked comes after what it is asked about.
func TestPromptOrder(t *testing.T) {
	o := promptOption{Text: []string{"Summarise", "it."}, modelOption: modelOption{ModelID: defaultModel}}
	p, err := o.prompt(console{In: strings.NewReader("a long text\n")})
	if err != nil {
		t.Fatal(err)
	}
	p.turns[0].files = []attachment{{name: "a/report.pdf", format: "pdf", data: tourPDF}}
	params, _, err := p.params()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, b := range params.Messages[0].OfUser.Content {
		switch {
		case b.OfText != nil:
			got = append(got, b.OfText.Text)
		case b.OfDocument != nil:
			got = append(got, b.OfDocument.Title.Value)
		default:
			t.Fatalf("%+v", b)
		}
	}
	if want := []string{"report.pdf", "a long text\n", "Summarise it."}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
	if n := len(p.converse().Messages[0].Content); n != 3 {
		t.Errorf("converse has %d blocks", n)
	}
}

// TestModelID: a name becomes an id that the Region has; an id stays.
func TestModelID(t *testing.T) {
	for _, test := range []struct{ region, name, want string }{
		{"us-east-1", "claude-opus-4-6", "global.anthropic.claude-opus-4-6-v1"},
		{"us-east-1", "claude-3-haiku-20240307", "us.anthropic.claude-3-haiku-20240307-v1:0"},
		{"us-gov-west-1", "claude-sonnet-4-5-20250929", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"},
		{"us-east-1", "eu.anthropic.claude-opus-4-6-v1", "eu.anthropic.claude-opus-4-6-v1"},
		{"us-east-1", "anthropic.claude-opus-4-6-v1:0", "anthropic.claude-opus-4-6-v1:0"},
		{"us-east-1", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"},
		{"us-east-1", "claude-opus-99", "claude-opus-99"},
	} {
		o := targetOption{Endpoint: "http://127.0.0.1:1", Region: test.region}
		t.Setenv("AWS_BEARER_TOKEN_BEDROCK", "x")
		target, err := o.open(t.Context(), "test")
		if err != nil {
			t.Fatal(err)
		}
		if got := target.modelID(test.name); got != test.want {
			t.Errorf("%s from %s: %s, want %s", test.name, test.region, got, test.want)
		}
	}
}

// TestAnswers: a terminal obeys no model; a pipe gets every byte.
func TestAnswers(t *testing.T) {
	const bad = "a\x1b]0;title\a"
	var shown, piped bytes.Buffer
	(&answers{w: visible{&shown}}).text(bad)
	console{Out: &piped}.answers().text(bad)
	if shown.String() != "a·]0;title·" || piped.String() != bad {
		t.Errorf("%q, %q", shown.String(), piped.String())
	}
}
