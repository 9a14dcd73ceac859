package bedrock

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Names of one set of rules on AWS's own API and on the Messages API, and the
// newer set, which only newer models take.
const (
	version2023AWS = "bedrock-2023-05-31"
	version2023    = "2023-06-01"
	version2026    = "2026-10-21"
)

// shape puts a request into the form of the API that the route leads to, by
// splices: what needs no change is the caller's own bytes, and its digest too.
func (u *Upstream) shape(route routing.Route, req gateway.Request) (*outgoing, error) {
	api, err := u.api(route, req.Body)
	if err != nil {
		return nil, err
	}
	out := &outgoing{api: api, id: route.ID(), stream: req.Stream, hops: req.Head.Hops, client: req.Forward}
	if api == catalog.Mantle && req.Head.Options.GuardrailID != "" { // it would be ignored there
		return nil, refusal(messages.InvalidRequest, "The guardrail %s cannot be honoured by bedrock-mantle.", req.Head.Options.GuardrailID).
			WithHint("call the model through bedrock-runtime, or leave the guardrail out")
	}
	if api != catalog.Converse { // which has them in its body
		if out.options, err = optionsOf(req.Head.Options); err != nil {
			return nil, err
		}
	}
	body := req.Body
	switch api {
	case catalog.Converse:
		out.op = "converse"
		if req.Stream {
			out.op = "converse-stream"
		}
		body, err = u.shapeConverse(route.Model(), body, out)
	default:
		out.op = "invoke"
		if req.Stream {
			out.op = "invoke-with-response-stream"
		}
		if api != catalog.Invoke {
			out.op = ""
		}
		body, err = u.shapeMessages(route, req, out)
	}
	if err != nil {
		return nil, err
	}
	out.take(body)
	return out, nil
}

// take sets the body that is sent.
func (o *outgoing) take(b *gateway.Body) {
	sum := b.SHA256()
	var room [2 * len(sum)]byte
	o.data, o.sum = b.Bytes(), string(hex.AppendEncode(room[:0], sum[:]))
}

// api chooses the way in. A Converse body has one; a Messages body goes to
// InvokeModel unless the route or the operator says otherwise, or the model has
// nothing else.
func (u *Upstream) api(route routing.Route, body *gateway.Body) (catalog.API, error) {
	m := route.Model()
	switch {
	case body.Dialect() == gateway.Converse && route.Mantle():
		return 0, refusal(messages.InvalidRequest, "bedrock-mantle has no Converse.")
	case body.Dialect() == gateway.Converse:
		return catalog.Converse, nil
	case body.Dialect() != gateway.Messages:
		return 0, refusal(messages.InvalidRequest, "A %s request cannot be sent to Amazon Bedrock.", body.Dialect())
	case route.Mantle():
		return catalog.Mantle, nil
	case m.Serves(catalog.Messages) && (u.opts.NativeMessages || !m.Serves(catalog.Invoke)):
		return catalog.Messages, nil
	default:
		return catalog.Invoke, nil
	}
}

// shapeMessages edits a Messages body: AWS's API has model and stream in the path
// and version and betas in the body, the Messages API the other way round.
func (u *Upstream) shapeMessages(route routing.Route, req gateway.Request, out *outgoing) (*gateway.Body, error) {
	m := route.Model()
	betas, body, err := u.trimmed(m, out.api, out, req.Head.Betas, req.Body)
	if err != nil {
		return nil, err
	}
	version := shapeVersion(m, out, req.Head.Version)
	if native(out.api) {
		out.version, out.betas = version, strings.Join(betas, ",")
		edits := []jsonspan.Edit{
			{Key: "model", Value: messages.AppendString(nil, out.id)},
			{Key: "anthropic_version"}, {Key: "anthropic_beta"},
		}
		if raw, ok := body.Get("stream"); req.Stream != (ok && string(raw) == "true") {
			edits = append(edits, jsonspan.Edit{Key: "stream", Value: fmt.Appendf(nil, "%t", req.Stream)})
		}
		return body.With(edits...)
	}
	edits := []jsonspan.Edit{{Key: "model"}, {Key: "stream"}}
	if !says(body, "anthropic_version", version) {
		edits = append(edits, jsonspan.Edit{Key: "anthropic_version", Value: messages.AppendString(nil, version)})
	}
	if raw, _ := body.Get("anthropic_beta"); !lists(raw, betas) {
		edits = append(edits, jsonspan.Edit{Key: "anthropic_beta", Value: appendList(betas)})
	}
	return body.With(edits...)
}

func native(api catalog.API) bool { return api == catalog.Messages || api == catalog.Mantle }

// shapeConverse strips betas where Converse has them.
func (u *Upstream) shapeConverse(m *catalog.Model, body *gateway.Body, out *outgoing) (*gateway.Body, error) {
	const extra = "additionalModelRequestFields"
	raw, ok := body.Get(extra)
	if !ok || !bytes.Contains(raw, []byte("anthropic_beta")) {
		return body, nil
	}
	members, err := jsonspan.Scan(nil, raw, nil)
	if err != nil {
		return body, nil // AWS says what is wrong with it
	}
	list, ok := members.Get("anthropic_beta")
	had, ok2 := listOf(list.Value(raw))
	if !ok || !ok2 {
		return body, nil
	}
	betas, fields, err := u.betas(m, catalog.Converse, out, had, false)
	if err != nil || slices.Equal(had, betas) {
		return body, err
	}
	edit := jsonspan.Edit{Key: "anthropic_beta", Value: appendList(betas)}
	raw = jsonspan.Splice(nil, raw, members, edit)
	for _, f := range fields {
		if cut, ok := drop(raw, f); ok {
			raw = cut
		}
	}
	return body.With(jsonspan.Edit{Key: extra, Value: raw})
}

// shapeVersion gives the API version that AWS is told. The newer rules take
// things away and add none, and the gateway has held the body to them: it is good
// under the older.
func shapeVersion(m *catalog.Model, out *outgoing, have string) string {
	older := version2023AWS
	if native(out.api) {
		older = version2023
	}
	switch have {
	case "", version2023, version2023AWS:
		return older
	case version2026:
		api := out.api
		if api == catalog.Count { // its input is InvokeModel's
			api = catalog.Invoke
		}
		if m.AcceptsVersion(version2026, api) {
			return have
		}
		out.warnings = append(out.warnings, m.FirstPartyID+" does not know API version "+version2026+" on Amazon Bedrock; the call was sent as "+older)
		return older
	default:
		return have
	}
}

// Trim implements gateway.Trimmer: what shape would do to the betas, before the
// gateway looks for what they bring. shape finds nothing left to do.
func (u *Upstream) Trim(route routing.Route, req gateway.Request) (gateway.Trimmed, error) {
	api, err := u.api(route, req.Body)
	if err != nil {
		return gateway.Trimmed{}, err
	}
	if req.Counts() && api != catalog.Mantle && api != catalog.Converse {
		api = catalog.Count
	}
	m, out := route.Model(), new(outgoing)
	t := gateway.Trimmed{Body: req.Body, Betas: req.Head.Betas}
	if u.opts.Betas == Pass {
		for _, b := range req.Head.Betas {
			if s := m.Beta(b, api); s.Known && !s.Accepted {
				t.Left = append(t.Left, s.Fields...)
			}
		}
		return t, nil
	}
	if api == catalog.Converse { // which has its own place for them
		if t.Betas, _, err = u.betas(m, api, new(outgoing), req.Head.Betas, false); err == nil {
			t.Body, err = u.shapeConverse(m, req.Body, out)
		}
	} else {
		t.Betas, t.Body, err = u.trimmed(m, api, out, req.Head.Betas, req.Body)
	}
	t.Warnings = out.warnings
	return t, err
}

// trimmed gives the betas that AWS is told and the body without what goes with
// the others.
func (u *Upstream) trimmed(m *catalog.Model, api catalog.API, out *outgoing, have []string, body *gateway.Body) ([]string, *gateway.Body, error) {
	moved, moves := formatMoved(m, api, body)
	keep, fields, err := u.betas(m, api, out, have, moves)
	if err != nil {
		return nil, nil, err
	}
	if moves && slices.Contains(fields, betaFormat) {
		body = moved
	}
	body, err = without(body, fields)
	return keep, body, err
}

// betas gives what AWS is told, and the body fields that go with what it is not.
// moves: betaFormat has another place.
func (u *Upstream) betas(m *catalog.Model, api catalog.API, out *outgoing, have []string, moves bool) (keep, fields []string, err error) {
	if u.opts.Betas == Pass {
		return have, nil, nil
	}
	add := func(b string) {
		if !slices.Contains(keep, b) {
			keep = append(keep, b)
		}
	}
	for _, b := range have {
		s := m.Beta(b, api)
		if !s.Known || s.Accepted {
			add(b)
			continue
		}
		if u.opts.Betas == Strict {
			return nil, nil, refusal(messages.ModelRejected, "invalid beta flag").
				WithHint("%s: %s (%s)", b, s.Source.Title, s.Source.Date)
		}
		if s.Becomes != "" {
			as := m.Beta(s.Becomes, api)
			if !as.Known || as.Accepted {
				add(s.Becomes)
				out.warnings = append(out.warnings, "beta "+b+" was sent as "+s.Becomes)
				continue
			}
			s.Fields = append(slices.Clone(s.Fields), as.Fields...)
		}
		fields = append(fields, s.Fields...)
		said := "beta " + b + " was left out: AWS refuses it for " + m.FirstPartyID
		gone := s.Fields
		if moves && slices.Contains(gone, betaFormat) {
			gone = slices.DeleteFunc(slices.Clone(gone), func(f string) bool { return f == betaFormat })
			said += "; its " + betaFormat + " was sent as " + formatThere
		}
		if len(gone) > 0 {
			said += ", and with it " + strings.Join(gone, ", ")
		}
		out.warnings = append(out.warnings, said)
	}
	// A field that a beta still asks for is not that beta's to lose.
	for _, b := range keep {
		for _, f := range m.Beta(b, api).Fields {
			fields = slices.DeleteFunc(fields, func(x string) bool { return x == f })
		}
	}
	return keep, fields, nil
}
