package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// TestRecords runs a call to each place where it can end, and looks at what is
// known of it there.
func TestRecords(t *testing.T) {
	failed := messages.Errorf(messages.Throttled, "Too many tokens, please wait before trying again.")
	failed.RequestID = "up-9"
	for _, test := range []struct {
		name string
		up   canned
		call func(*Call)
		want activity.Record // RequestID, Time, Upstream, InputBytes are the same for all
	}{
		{"an answer", canned{frames: whole()}, nil, activity.Record{Status: 200, StopReason: "end_turn",
			ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere", UpstreamRequestID: "up-1", OutputBytes: int64(len(wholeAnswer)), WouldCost: 15_000_000}},
		{"not authenticated", canned{}, func(c *Call) {
			c.Credential = pending{err: messages.Errorf(messages.InvalidSignature, "no")}
		}, activity.Record{Status: 403, ErrorCode: "InvalidSignatureException", Error: "no"}},
		{"headers refused", canned{}, func(c *Call) { c.Refused = messages.Errorf(messages.InvalidRequest, "metadata") },
			activity.Record{Status: 400, ErrorCode: "ValidationException", Error: "metadata"}},
		{"wrapping refused", canned{}, func(c *Call) {
			c.Decode = func([]byte) (Dialect, []byte, error) { return 0, nil, messages.Errorf(messages.TooLarge, "big") }
		}, activity.Record{Status: 400, ErrorCode: "ValidationException", Error: "big"}},
		{"not JSON", canned{}, func(c *Call) { c.Data = []byte("[]") },
			activity.Record{Status: 400, ErrorCode: "ValidationException", Error: "Malformed input request: not a JSON object, please reformat your input and try again.: not a JSON object (at byte 0)"}},
		{"unknown model", canned{}, func(c *Call) { c.Ref = "anthropic.nobody" },
			activity.Record{Status: 400, ErrorCode: "ValidationException", Error: "The provided model identifier is invalid."}},
		{"outside the wall", canned{capabilities: Capabilities{Place: routing.In(wall(t, "eu-west-1"))}}, func(c *Call) { c.Ref = "us.anthropic.claude-opus-4-6-v1" },
			activity.Record{Status: 400, ErrorCode: "ValidationException", Error: "The model us.anthropic.claude-opus-4-6-v1 may run only in us-east-1 us-east-2 us-west-2, and the upstream canned is not known to be there."}},
		{"schema", canned{}, func(c *Call) { c.Data = []byte(`{"anthropic_version":"bedrock-2023-05-31","messages":[]}`) },
			activity.Record{Status: 400, ErrorCode: "ValidationException", ModelID: "anthropic.claude-opus-4-6-v1", Wall: "anywhere",
				Error: "Malformed input request: #: required key [max_tokens] not found, please reformat your input and try again."}},
		{"option refused", canned{}, func(c *Call) { c.Options.ServiceTier = "flex" },
			activity.Record{Status: 400, ErrorCode: "ValidationException", ModelID: "anthropic.claude-opus-4-6-v1", Wall: "anywhere", Tier: "flex", Error: "The service tier flex cannot be honoured by the upstream canned."}},
		{"upstream refuses", canned{send: failed}, nil, activity.Record{Status: 429, ErrorCode: "ThrottlingException", UpstreamRequestID: "up-9",
			ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere", Error: failed.Message}},
		{"upstream's own fault", canned{send: errors.New("dial")}, nil, activity.Record{Status: 500, ErrorCode: "InternalServerException",
			ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere",
			Error: "The system encountered an unexpected error during processing. Try your request again.: dial"}},
		{"panic", canned{panics: true}, nil, activity.Record{Status: 500, ErrorCode: "InternalServerException", ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere",
			Error: "The system encountered an unexpected error during processing. Try your request again.: panic"}},
		{"no answer at all", canned{}, nil, activity.Record{Status: 424, ErrorCode: "ModelStreamErrorException", UpstreamRequestID: "up-1",
			ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere", Error: "stream ended before message_stop"}},
		{"cut stream", canned{frames: streamed()[:3]}, nil, activity.Record{Status: 200, Partial: true, ErrorCode: "ModelStreamErrorException", UpstreamRequestID: "up-1",
			ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere", Error: "stream ended before message_stop", OutputBytes: 289, WouldCost: 10_025_000}},
		{"fault in the stream", canned{frames: streamed()[:1], end: messages.Errorf(messages.Unavailable, "busy")}, nil,
			activity.Record{Status: 200, Partial: true, ErrorCode: "ServiceUnavailableException", UpstreamRequestID: "up-1",
				ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere", Error: "busy", OutputBytes: 125, WouldCost: 10_025_000}},
		{"an event that is none", canned{frames: []Frame{{Event: messages.EventMessageStart, Data: []byte(`{`)}}}, nil,
			activity.Record{Status: 424, ErrorCode: "ModelStreamErrorException", UpstreamRequestID: "up-1", OutputBytes: 1,
				ModelID: "anthropic.claude-opus-4-6-v1", RouteID: opus, Wall: "anywhere",
				Error: "The model sent an event that cannot be read.: unexpected end of JSON input"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, ring := newGateway(t, &test.up)
			call := newCall(bedrockapi.InvokeModelStream, opus, hello)
			if test.call != nil {
				test.call(call)
			}
			func() {
				defer func() { _ = recover() }()
				if err := g.Do(t.Context(), call, &paper{}); (err == nil) != (test.want.ErrorCode == "") {
					t.Errorf("%v", err)
				}
			}()
			if n := len(ring.Records()); n != 1 {
				t.Fatalf("%d records", n)
			}
			got, want := ring.Records()[0], test.want
			want.RequestID, want.Operation, want.Time, want.Duration = "req-1", "InvokeModelWithResponseStream", call.Start, time.Second
			want.Upstream, want.InputBytes = "canned", int64(len(hello))
			want.Ref = call.Ref
			if want.RouteID != "" {
				want.Endpoint = "global"
			}
			if want.WouldCost > 0 { // the canned usage reads 10,000 tokens of a cache, at a tenth of the price
				want.CacheSaved = 45_000_000
			}
			if want.ErrorCode != "InvalidSignatureException" {
				want.Account, want.Principal, want.KeyID, want.Region = someone.Account, someone.ARN, someone.KeyID, someone.Region
			}
			if want.OutputBytes > 0 {
				want.FirstFrame = time.Second
			}
			got.Usage = messages.Usage{} // TestCost
			if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
				t.Errorf("record\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func wall(t *testing.T, regions ...string) catalog.Wall {
	t.Helper()
	c, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Wall(regions...)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// On the Messages API the record has the status of that surface.
func TestRecordStatusOfSurface(t *testing.T) {
	for kind, want := range map[messages.Kind]int{messages.MissingToken: 401, messages.TooLarge: 413, messages.ModelFailed: 500, messages.ModelTimeout: 504} {
		g, ring := newGateway(t, &canned{send: messages.Errorf(kind, "no")})
		refused(t, g, newCall(bedrockapi.CreateMessage, "", helloMessages))
		if got := ring.Records()[0].Status; got != want {
			t.Errorf("%d: status %d, want %d", kind, got, want)
		}
	}
}

// A call of which nobody took the answer is the client's, whatever the error.
func TestClientGone(t *testing.T) {
	gone := errors.New("broken pipe")
	left, leave := context.WithCancel(t.Context())
	leave()
	for name, test := range map[string]struct {
		ctx     context.Context
		up      canned
		w       paper
		partial bool
	}{
		"begin":            {t.Context(), canned{frames: streamed()}, paper{noBegin: gone}, false},
		"frame":            {t.Context(), canned{frames: streamed()}, paper{noFrame: gone}, true},
		"flush":            {t.Context(), canned{frames: streamed()}, paper{noRoom: gone}, true},
		"left":             {left, canned{send: context.Canceled}, paper{}, false},
		"left, other text": {left, canned{send: messages.Errorf(messages.Unavailable, "cut")}, paper{}, false},
		"left midway":      {left, canned{frames: streamed()[:2], end: context.Canceled}, paper{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, ring := newGateway(t, &test.up)
			err := g.Do(test.ctx, newCall(bedrockapi.InvokeModelStream, opus, hello), &test.w)
			if !ClientGone(test.ctx, err) {
				t.Errorf("%v", err)
			}
			r := ring.Records()[0]
			if r.ErrorCode != "ClientDisconnected" || r.Status != StatusClientGone || r.Partial != test.partial || r.ModelID == "" {
				t.Errorf("%+v", r)
			}
			if test.up.send == nil && test.up.closed != 1 {
				t.Errorf("the upstream's stream was closed %d times", test.up.closed)
			}
		})
	}
	// A Writer that refuses the answer, because it cannot be translated, is there.
	g, ring := newGateway(t, &canned{frames: whole()})
	err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, opus, hello), &paper{noFrame: messages.Errorf(messages.ModelFailed, "untranslatable")})
	if r := ring.Records()[0]; ClientGone(t.Context(), err) || r.ErrorCode != "ModelErrorException" || r.Status != 424 || r.Partial {
		t.Errorf("%v %+v", err, r)
	}
	if ClientGone(t.Context(), messages.Errorf(messages.Internal, "x")) || ClientGone(left, nil) {
		t.Error("a failure or a success is no client that left")
	}
}

// TestCost: what nobody is billed for is not added to what somebody is.
func TestCost(t *testing.T) {
	for _, bills := range []bool{false, true} {
		for name, frames := range map[string][]Frame{"whole": whole(), "streamed": streamed()} {
			g, ring := newGateway(t, &canned{frames: frames, capabilities: Capabilities{Bills: bills}})
			if err := g.Do(t.Context(), newCall(bedrockapi.InvokeModelStream, opus, hello), &paper{}); err != nil {
				t.Fatal(err)
			}
			r := ring.Records()[0]
			// 1000 x $5 + 200 x $25 + 10000 x $0.50 a million.
			const cost = catalog.Nanodollars(15_000_000)
			want := [2]catalog.Nanodollars{0, cost}
			if bills {
				want = [2]catalog.Nanodollars{cost, 0}
			}
			if got := [2]catalog.Nanodollars{r.Billed, r.WouldCost}; got != want {
				t.Errorf("%s, bills %v: billed and would cost %v, want %v", name, bills, got, want)
			}
			if r.Usage.InputTokens != 1000 || r.Usage.OutputTokens != 200 || r.Usage.CacheReadInputTokens != 10000 || r.StopReason != "end_turn" {
				t.Errorf("%s: %+v", name, r.Usage)
			}
		}
	}
}

// A server that counts below zero earns nothing.
func TestNegativeUsage(t *testing.T) {
	answer := strings.Replace(wholeAnswer, `"input_tokens":1000`, `"input_tokens":-1000`, 1)
	g, ring := newGateway(t, &canned{frames: []Frame{{Event: EventMessage, Data: []byte(answer)}}})
	if err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, opus, hello), &paper{}); err != nil {
		t.Fatal(err)
	}
	if r := ring.Records()[0]; r.Usage.InputTokens != 0 || r.WouldCost != 10_000_000 {
		t.Errorf("%+v", r)
	}
}

// TestForced: through decode and encode the frames are the same.
func TestForced(t *testing.T) {
	extra := `{"type":"content_block_start","index":1,"content_block":{"type":"tomorrow","x":[1.50]}}`
	frames := append(streamed(), whole()...)
	frames = append(frames, Frame{Event: messages.EventContentBlockStart, Data: []byte(extra)}, Frame{Event: "later", Data: []byte(`{"type":"later","usage":{"output_tokens":1,"tier":"x"}}`)},
		Frame{Event: EventCount, Data: []byte(`{"input_tokens":3}`)})
	for _, f := range frames {
		f.Wire = []byte("wire")
		got, err := forceFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		if canonical(t, got.Data) != canonical(t, f.Data) || got.Event != f.Event || got.Wire != nil {
			t.Errorf("%s\nbecomes\n%s", f.Data, got.Data)
		}
	}
	b, err := NewBody(Messages, []byte(`{"stream":true,"new":{"a":[]},"messages":[{"role":"user","content":[{"type":"text","text":"<","y":1}]}],"max_tokens":5}`))
	if err != nil {
		t.Fatal(err)
	}
	again, err := new(Gateway).forceBody(b, false)
	if err != nil || canonical(t, again.Bytes()) != canonical(t, b.Bytes()) {
		t.Errorf("%s, %v", again.Bytes(), err)
	}
}

// The Region of a call: the credential's, else the host's, else the key's, else
// the server's.
func TestRegion(t *testing.T) {
	g, _ := newGateway(t, &canned{})
	for _, test := range []struct{ scope, host, key, want string }{
		{"eu-west-1", "us-west-2", "ap-south-1", "eu-west-1"},
		{"", "us-west-2", "ap-south-1", "us-west-2"},
		{"", "", "ap-south-1", "ap-south-1"},
		{"", "", "", "us-east-1"},
	} {
		c := someone
		c.Region, c.DefaultRegion = test.scope, test.key
		if got := g.CallRegion(c, test.host); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
	call := newCall(bedrockapi.InvokeModel, opus, hello)
	c := someone
	c.Region = "mars-north-1"
	call.Credential = pending{caller: c}
	if e := refused(t, g, call); e.Message != "The provided model identifier is invalid." || !strings.Contains(e.Hint, "mars-north-1") {
		t.Errorf("%+v", e)
	}
}

func TestMaxTokens(t *testing.T) {
	for _, test := range []struct {
		n, beta string
		refused bool
	}{{"128000", "", false}, {"128001", "", true}, {"9223372036854775807", "", true}} {
		g, _ := newGateway(t, &canned{frames: whole()})
		err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, opus, strings.Replace(hello, "64", test.n, 1)), &paper{})
		if (err != nil) != test.refused || err != nil && err.Error() != "The maximum tokens you requested exceeds the model limit of 128000. Try again with a maximum tokens value lower than 128000." {
			t.Errorf("%s: %v", test.n, err)
		}
	}
}

// Which API version goes with which model and API.
func TestVersions(t *testing.T) {
	const old, mid, latest = "bedrock-2023-05-31", "2023-06-01", version2026
	for _, test := range []struct {
		op             *bedrockapi.Operation
		model, version string
		lax, strict    bool
	}{
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-6-v1", old, true, true},
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-6-v1", mid, true, false},
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-6-v1", latest, true, false},
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-7", old, true, true},
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-7", latest, true, true},
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-7", "2024-01-01", false, false},
		{bedrockapi.InvokeModel, "us.anthropic.claude-opus-4-7", "", false, false},
		{bedrockapi.CountTokens, "us.anthropic.claude-opus-4-6-v1", old, true, true},
		{bedrockapi.CountTokens, "us.anthropic.claude-opus-4-6-v1", latest, true, false},
		{bedrockapi.CreateMessage, "us.anthropic.claude-opus-4-6-v1", mid, true, false}, // InvokeModel and Converse alone
		{bedrockapi.CreateMessage, "us.anthropic.claude-opus-4-7", mid, true, true},
		{bedrockapi.CreateMessage, "us.anthropic.claude-opus-4-7", latest, true, true},
		{bedrockapi.CreateMessage, "us.anthropic.claude-opus-4-7", old, true, false},
		{bedrockapi.CountMessage, "us.anthropic.claude-opus-4-7", mid, true, true},
	} {
		for _, strict := range []bool{false, true} {
			g, _ := newGateway(t, &canned{frames: whole(), count: 1})
			g.Policy.Strict = strict
			var call *Call
			if onMessages(test.op) {
				call = newCall(test.op, "", strings.Replace(helloMessages, opus, test.model, 1))
				call.Version = test.version
			} else {
				call = newCall(test.op, test.model, strings.Replace(hello, old, test.version, 1))
			}
			err := g.Do(t.Context(), call, &paper{})
			if want := test.lax && (test.strict || !strict); (err == nil) != want {
				t.Errorf("%s %s %q strict %v: %v", test.op.Name, test.model, test.version, strict, err)
			}
		}
	}
}

// TestVersion2026: what that version has done away with.
func TestVersion2026(t *testing.T) {
	for body, want := range map[string]string{
		`"temperature":1,"messages":[{"role":"user","content":"x"}]`:                                                                      "temperature: Extra inputs are not permitted",
		`"top_p":1,"messages":[{"role":"user","content":"x"}]`:                                                                            "top_p: Extra inputs are not permitted",
		`"top_k":1,"messages":[{"role":"user","content":"x"}]`:                                                                            "top_k: Extra inputs are not permitted",
		`"messages":[{"role":"user","content":"document citations"}]`:                                                                     "",
		`"messages":[{"role":"user","content":[{"type":"document"}]}]`:                                                                    "",
		`"messages":[{"role":"user","content":[{"type":"document","citations":{"enabled":true}}]}]`:                                       "",
		`"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text","text":"x","citations":[]}]}]`:           "",
		`"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"text"},{"type":"document"}]}]`:                 "messages.1.content.1: Extra inputs are not permitted",
		`"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"doc\u0075ment"}]}]`:                            "messages.1.content.0: Extra inputs are not permitted",
		`"messages":[{"role":"user","content":[{"type":"text","text":"x","citations":[]}]}]`:                                              "messages.0.content.0.citations: Extra inputs are not permitted",
		`"messages":[{"role":"user","content":[{"type":"text","Citations":[]}]},{"role":"assistant","content":[{"type":"document"}]}]`:    "Malformed input request",
		`"messages":[{"role":"user","role":"assistant","content":[{"type":"document"}]}]`:                                                 "Malformed input request",
		`"messages":[5,{"role":"user"},{"role":7,"content":[5,{}]},{"role":"assistant","content":"\"document\""}]`:                        "",
		`"messages":[{"content":[{"type":"document"}],"role":"assistant"}]`:                                                               "messages.0.content.0: Extra inputs are not permitted",
		`"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"document","citations":{"enabled":true}}]}]}]`:    "",
		`"messages":[{"role":"assistant","content":[{"type":"tool_use","name":"n","id":"i","input":{"type":"document","citations":1}}]}]`: "",
	} {
		for _, version := range []string{version2026, "bedrock-2023-05-31"} {
			g, _ := newGateway(t, &canned{frames: whole(), capabilities: Capabilities{Documents: true}})
			// A model that takes a last turn of the assistant, and sampling.
			err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", `{"anthropic_version":"`+version+`","max_tokens":5,`+body+`}`), &paper{})
			if want == "" || version != version2026 {
				if err != nil {
					t.Errorf("%s {%s}: %v", version, body, err)
				}
				continue
			}
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("{%s}: %v, want %s", body, err, want)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	all := Capabilities{Guardrails: true, Tiers: true, Optimized: true}
	for _, test := range []struct {
		o     Options
		plain string // with an upstream that has nothing of it; "": accepted
		full  string // with one that has it all
	}{
		{Options{}, "", ""},
		{Options{Trace: "ENABLED", Latency: "standard", ServiceTier: "default", Metadata: map[string]string{"a": "b"}}, "", ""},
		{Options{Latency: "optimized"}, "latency=optimized cannot be honoured by the upstream canned.", ""},
		{Options{ServiceTier: "priority"}, "The service tier priority cannot be honoured", ""},
		{Options{ServiceTier: "flex"}, "The service tier flex cannot be honoured", ""},
		{Options{ServiceTier: "reserved"}, "The service tier reserved cannot be honoured", ""},
		{Options{GuardrailID: "g", GuardrailVersion: "1"}, "The guardrail g cannot be honoured", ""},
		{Options{GuardrailID: "g"}, "must be given together", "must be given together"},
		{Options{GuardrailVersion: "1"}, "must be given together", "must be given together"},
		{Options{Trace: "on"}, "Value 'on' at 'trace' failed to satisfy constraint: Member must satisfy enum value set: [ENABLED, DISABLED, ENABLED_FULL]", "at 'trace'"},
		{Options{Latency: "fast"}, "at 'performanceConfigLatency'", "at 'performanceConfigLatency'"},
		{Options{ServiceTier: "gold"}, "at 'serviceTier'", "at 'serviceTier'"},
	} {
		for i, want := range []string{test.plain, test.full} {
			g, _ := newGateway(t, &canned{frames: whole(), capabilities: []Capabilities{{}, all}[i]})
			call := newCall(bedrockapi.InvokeModel, opus, hello)
			call.Options = test.o
			err := g.Do(t.Context(), call, &paper{})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%+v: %v, want %q", test.o, err, want)
			}
		}
	}
}

func TestHopsReachTheUpstream(t *testing.T) {
	up := &canned{frames: whole()}
	g, _ := newGateway(t, up)
	call := newCall(bedrockapi.InvokeModel, opus, hello)
	call.Hops = []string{"a", "b"}
	if err := g.Do(t.Context(), call, &paper{}); err != nil || !slices.Equal(up.got.Head.Hops, call.Hops) {
		t.Errorf("%v, %v", up.got.Head.Hops, err)
	}
}

func TestWhole(t *testing.T) {
	s := Whole([]byte("x"), "id")
	if f, err := s.Next(); err != nil || string(f.Data) != "x" || f.Event != EventMessage || s.UpstreamRequestID() != "id" {
		t.Errorf("%+v %v", f, err)
	}
	if _, err := s.Next(); err != io.EOF {
		t.Errorf("%v", err)
	}
	g, _ := newGateway(t, &canned{count: 42})
	p := &paper{}
	if err := g.Do(t.Context(), newCall(bedrockapi.CountTokens, opus, hello), p); err != nil || len(p.frames) != 1 || p.frames[0] != `{"input_tokens":42}` {
		t.Errorf("%q %v", p.frames, err)
	}
}
