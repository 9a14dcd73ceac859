package messages

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestEveryKindHasAFace(t *testing.T) {
	for _, k := range Kinds() {
		f := k.Face()
		if f.Type == "" || f.Status < 400 || f.Status > 599 {
			t.Errorf("kind %d: %+v", k, f)
		}
		// What a surface says is understood again, as the same type.
		if back := KindOf(f.Type, f.Status).Face(); f.Type != "api_error" && back.Type != f.Type {
			t.Errorf("%s %d comes back as %s", f.Type, f.Status, back.Type)
		}
	}
	if Kind(0).Face() != Internal.Face() || Kind(200).Face() != Internal.Face() {
		t.Error("a Kind that is none must look internal")
	}
}

func TestEveryTypeHasAFace(t *testing.T) {
	for name, k := range kindOfType {
		if k.Face().Type != name && name != "billing_error" {
			t.Errorf("%s is read as %d, which looks %s", name, k, k.Face().Type)
		}
	}
}

func TestKindOf(t *testing.T) {
	for _, test := range []struct {
		kind   string
		status int
		want   Kind
	}{
		{"invalid_request_error", 400, ModelRejected},
		{"invalid_request_error", 0, ModelRejected},
		{"not_found_error", 404, NotFound}, // not UnknownOperation: the path was ours
		{"permission_error", 403, AccessDenied},
		{"authentication_error", 401, InvalidAPIKey},
		{"billing_error", 402, SpendLimit},
		{"rate_limit_error", 429, Throttled},
		{"overloaded_error", 529, Unavailable},
		{"overloaded_error", 0, Unavailable},
		{"timeout_error", 504, ModelTimeout},
		{"request_too_large", 413, TooLarge},
		{"api_error", 500, ModelFailed},
		{"api_error", 0, ModelStreamFailed},
		{"api_error", 503, Unavailable},
		{"api_error", 508, Loop},
		{"tomorrow_error", 429, Throttled},
		{"tomorrow_error", 422, ModelRejected},
		{"", 0, ModelFailed},
		{"", 302, ModelFailed},
		{"", 400, ModelRejected},
		{"", 401, AccessDenied},
		{"", 403, AccessDenied},
		{"", 404, NotFound},
		{"", 408, ModelTimeout},
		{"", 413, TooLarge},
		{"", 500, ModelFailed},
		{"", 502, ModelFailed},
		{"", 503, Unavailable},
		{"", 504, ModelTimeout},
		{"", 529, Unavailable},
	} {
		if got := KindOf(test.kind, test.status); got != test.want {
			t.Errorf("%q %d: kind %d, want %d", test.kind, test.status, got, test.want)
		}
	}
}

// The cause is for logs: nothing that a client is sent holds it.
func TestCauseIsNotShown(t *testing.T) {
	cause := errors.New("dial 10.0.0.7: secret")
	e := Errorf(Unavailable, "no").WithHint("try %d", 2).WithCause(cause)
	if got := string(e.AppendError(nil, "id-1")); got != `{"type":"error","error":{"type":"overloaded_error","message":"no"},"request_id":"id-1"}` {
		t.Errorf("%s", got)
	}
	if !errors.Is(e, cause) || !strings.Contains(e.Error(), "secret") {
		t.Errorf("the log has lost the cause: %v", e)
	}
	if got := AsError(fmt.Errorf("while: %w", e)); got != e {
		t.Errorf("%v", got)
	}
	hidden := AsError(cause)
	if hidden.Kind != Internal || strings.Contains(string(hidden.AppendError(nil, "")), "secret") || !errors.Is(hidden, cause) {
		t.Errorf("%+v", hidden)
	}
	if AsError(nil) != nil {
		t.Error("no error became one")
	}
	// With* copy: an error that is shared stays as it is.
	if e.Hint == "" || Errorf(Internal, "x").WithHint("y").Cause != nil {
		t.Error(e)
	}
	shared := Errorf(Loop, "x")
	if _ = shared.WithCause(cause); shared.Cause != nil {
		t.Error("WithCause has changed its receiver")
	}
}

func TestAppendErrorIsJSON(t *testing.T) {
	for _, k := range Kinds() {
		raw := Errorf(k, "a \"quoted\" \x00 \n text").AppendError([]byte("x"), "")
		if raw[0] != 'x' || !json.Valid(raw[1:]) || strings.Contains(string(raw), "request_id") {
			t.Errorf("%s", raw)
		}
	}
}
