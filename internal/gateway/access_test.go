package gateway

import (
	"context"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// asked is an Access that answers every question with one error.
type asked struct {
	err             error
	account, region string
	model           string
	api             catalog.API
	times           int
}

func (a *asked) Allowed(_ context.Context, account, region string, m *catalog.Model, api catalog.API) error {
	a.account, a.region, a.model, a.api = account, region, m.ID, api
	a.times++
	return a.err
}

// Whether the account has the model is asked once the model is known, before
// anybody looks at the body, and a refusal is recorded.
func TestAccess(t *testing.T) {
	denied := messages.Errorf(messages.AccessDenied, "no")
	for _, test := range []struct {
		name   string
		op     *bedrockapi.Operation
		ref    string
		body   string
		mantle bool
		api    catalog.API
		err    error
		asked  int
		kind   messages.Kind // 0: answered
	}{
		{name: "allowed", op: bedrockapi.InvokeModel, ref: opus, body: hello, api: catalog.Invoke, asked: 1},
		{name: "denied", op: bedrockapi.InvokeModel, ref: opus, body: hello, api: catalog.Invoke, err: denied, asked: 1, kind: messages.AccessDenied},
		{name: "denied, with a bad body", op: bedrockapi.InvokeModel, ref: opus, body: `{}`, api: catalog.Invoke, err: denied, asked: 1, kind: messages.AccessDenied},
		{name: "allowed, with a bad body", op: bedrockapi.InvokeModel, ref: opus, body: `{}`, api: catalog.Invoke, asked: 1, kind: messages.InvalidRequest},
		{name: "denied on Messages", op: bedrockapi.CreateMessage, body: helloMessages, api: catalog.Messages, err: denied, asked: 1, kind: messages.AccessDenied},
		{name: "denied on mantle", op: bedrockapi.CreateMessage, mantle: true, body: helloMessages, api: catalog.Mantle, err: denied, asked: 1, kind: messages.AccessDenied},
		{name: "denied to count", op: bedrockapi.CountTokens, ref: opus, body: hello, api: catalog.Count, err: denied, asked: 1, kind: messages.AccessDenied},
		{name: "no such model", op: bedrockapi.InvokeModel, ref: "anthropic.claude-opus-99", body: hello, err: denied, kind: messages.InvalidRequest},
		{name: "nobody knows", op: bedrockapi.InvokeModel, ref: opus, body: hello, api: catalog.Invoke, err: context.DeadlineExceeded, asked: 1, kind: messages.Internal},
	} {
		t.Run(test.name, func(t *testing.T) {
			up := &canned{frames: whole()}
			g, ring := newGateway(t, up)
			a := &asked{err: test.err}
			g.Access = a
			call := newCall(test.op, test.ref, test.body)
			call.Mantle = test.mantle
			err := g.Do(t.Context(), call, &paper{})
			switch {
			case test.kind == 0 && err != nil:
				t.Fatal(err)
			case test.kind != 0 && (err == nil || messages.AsError(err).Kind != test.kind):
				t.Fatalf("%v, want kind %d", err, test.kind)
			}
			if a.times != test.asked || a.api != test.api {
				t.Errorf("asked %d times, for %s", a.times, a.api)
			}
			if test.asked > 0 && (a.account != someone.Account || a.region != someone.Region || a.model != "anthropic.claude-opus-4-6-v1") {
				t.Errorf("%+v", a)
			}
			if test.err != nil && up.got.Body != nil {
				t.Error("the upstream has seen the call")
			}
			if recs := ring.Records(); len(recs) != 1 || (recs[0].ErrorCode == "") != (test.kind == 0) {
				t.Errorf("records: %+v", recs)
			}
		})
	}
}

// An account's own profile goes where what it was made from goes; another
// account's is not there.
func TestOwnProfile(t *testing.T) {
	const mine = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abcdefghijkl"
	up := &canned{frames: whole(), capabilities: Capabilities{Bills: true}}
	g, ring := newGateway(t, up)
	g.Policy = catalog.Policy{OwnHere: true, Own: func(arn string) (string, bool) {
		return "arn:aws:bedrock:us-west-2:123456789012:inference-profile/" + opus, arn == mine
	}}
	if err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, mine, hello), &paper{}); err != nil {
		t.Fatal(err)
	}
	if err := g.Do(t.Context(), newCall(bedrockapi.InvokeModel, opus, hello), &paper{}); err != nil {
		t.Fatal(err)
	}
	own, plain := ring.Records()[0], ring.Records()[1]
	if own.Ref != mine || own.ModelID != plain.ModelID || own.RouteID != plain.RouteID || own.Wall != plain.Wall || own.Billed != plain.Billed || own.Billed == 0 {
		t.Errorf("%+v\nwant as %+v", own, plain)
	}
	call := newCall(bedrockapi.InvokeModel, mine, hello)
	other := someone
	other.Account = "999999999999"
	call.Credential = pending{caller: other}
	if e := refused(t, g, call); e.Kind != messages.NotFound {
		t.Errorf("another account's: %v", e)
	}
}
