package bedrock

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Counted is an Estimate where AWS does not count for the model.
type Counted = gateway.Counted

// Count implements gateway.Upstream. It gives AWS's numbers alone: where there
// are none, CountTokens has an estimate, and says so.
func (u *Upstream) Count(ctx context.Context, route routing.Route, req gateway.Request) (int64, error) {
	c, err := u.CountTokens(ctx, route, req)
	if err != nil {
		return 0, err
	}
	if c.Estimate {
		return 0, refusal(messages.InvalidRequest, "The provided model doesn't support counting tokens.")
	}
	return c.Tokens, nil
}

// CountTokens asks AWS's CountTokens; for a model that AWS counts at bedrock-mantle
// alone, that, in the same Region; else it estimates.
func (u *Upstream) CountTokens(ctx context.Context, route routing.Route, req gateway.Request) (Counted, error) {
	m := route.Model()
	if !route.Mantle() && m.Feature("count_tokens", catalog.Count).Level == catalog.Yes {
		out, err := u.shapeCount(route, req)
		if err != nil {
			return Counted{}, err
		}
		c, err := u.count(ctx, route, out, "inputTokens")
		if err == nil || !uncounted(err) {
			return c, err
		}
	}
	if req.Body.Dialect() == gateway.Messages && m.Feature("count_tokens", catalog.Mantle).Level == catalog.Yes &&
		slices.Contains(m.MantleRegions(), route.Region()) {
		out, err := u.shapeMantleCount(route, req)
		if err != nil {
			return Counted{}, err
		}
		c, err := u.count(ctx, route, out, "input_tokens")
		if err == nil || route.Mantle() || !elsewhere(err) {
			return c, err
		}
	}
	return Counted{Tokens: routing.Estimate(req.Body.Bytes()), Estimate: true,
		Warnings: []string{"AWS does not count tokens for " + m.FirstPartyID + " here; the number is an estimate"}}, nil
}

// uncounted says that AWS refuses to count for the id, which is not the caller's:
// nothing is wrong with the call.
func uncounted(err error) bool {
	e := messages.AsError(err)
	return e.Kind == messages.InvalidRequest && (e.Message == "The provided model doesn't support counting tokens." ||
		e.Message == "The provided model identifier is invalid." || strings.Contains(e.Message, "with on-demand throughput"))
}

// elsewhere says that mantle, which nobody asked for, will not have us: it wants
// permissions of its own, and an endpoint.
func elsewhere(err error) bool {
	if errors.Is(err, errNoMantle) {
		return true
	}
	switch messages.AsError(err).Kind {
	case messages.AccessDenied, messages.NotFound, messages.UnknownOperation, messages.Unavailable:
		return true
	default:
		return false
	}
}

func (u *Upstream) shapeMantleCount(route routing.Route, req gateway.Request) (*outgoing, error) {
	out := &outgoing{api: catalog.Mantle, op: "/count_tokens", id: route.Model().MantleID, hops: req.Head.Hops, client: req.Forward}
	body, err := u.shapeMessages(route, gateway.Request{Body: req.Body, Head: req.Head}, out)
	if err != nil {
		return nil, err
	}
	if body, err = body.With(jsonspan.Edit{Key: "stream"}, jsonspan.Edit{Key: "max_tokens"}); err != nil {
		return nil, err
	}
	out.take(body)
	return out, nil
}

// countWithin is more than a count takes, unless content is to come sooner.
const countWithin = time.Minute

func (u *Upstream) count(parent context.Context, route routing.Route, out *outgoing, member string) (Counted, error) {
	within := countWithin
	if first := u.opts.FirstContent; first > 0 {
		within = min(within, first)
	}
	ctx, cancel := context.WithTimeout(parent, within)
	defer cancel()
	resp, err := u.exchange(ctx, route, out)
	var data []byte
	if err == nil {
		data, err = readWhole(resp, nil)
	}
	switch {
	case err != nil && parent.Err() != nil:
		return Counted{}, parent.Err()
	case err != nil && ctx.Err() != nil:
		return Counted{}, messages.Errorf(messages.ModelTimeout, "The token count did not come in time.").WithCause(err)
	case err != nil:
		return Counted{}, err
	}
	var answer map[string]json.RawMessage
	err = json.Unmarshal(data, &answer)
	n, ok := jsonspan.Int(answer[member])
	if err != nil || !ok {
		return Counted{}, messages.Errorf(messages.ModelFailed, "The token count cannot be read.").WithCause(err)
	}
	return Counted{Tokens: n, RequestID: requestID(resp.Header), Warnings: out.warnings}, nil
}

// shapeCount wraps the request for AWS's CountTokens, which refuses the ids of
// profiles: the model's own goes.
// Source: pydantic/pydantic-ai#4001, 2026-01.
func (u *Upstream) shapeCount(route routing.Route, req gateway.Request) (*outgoing, error) {
	out := &outgoing{api: catalog.Count, op: "count-tokens", id: route.Model().ID, hops: req.Head.Hops, client: req.Forward}
	if req.Body.Dialect() == gateway.Converse {
		body, err := u.shapeConverse(route.Model(), req.Body, out)
		if err != nil {
			return nil, err
		}
		out.data = append(out.data, `{"input":{"converse":{`...)
		n := len(out.data)
		for _, key := range []string{"messages", "system", "toolConfig", "additionalModelRequestFields"} {
			if raw, ok := body.Get(key); ok {
				if len(out.data) > n {
					out.data = append(out.data, ',')
				}
				out.data = append(append(append(out.data, '"'), key...), '"', ':')
				out.data = append(out.data, raw...)
			}
		}
		out.data = append(out.data, `}}}`...)
	} else {
		body, err := u.shapeMessages(route, gateway.Request{Body: req.Body, Head: req.Head}, out)
		if err != nil {
			return nil, err
		}
		// AWS wants a whole InvokeModel body; the Messages API counts without.
		if _, ok := body.Get("max_tokens"); !ok {
			if body, err = body.With(jsonspan.Edit{Key: "max_tokens", Value: leastMaxTokens(body)}); err != nil {
				return nil, err
			}
		}
		out.data = append(out.data, `{"input":{"invokeModel":{"body":"`...)
		out.data = base64.StdEncoding.AppendEncode(out.data, body.Bytes())
		out.data = append(out.data, `"}}}`...)
	}
	sum := sha256.Sum256(out.data)
	out.sum = hex.EncodeToString(sum[:])
	return out, nil
}

// leastMaxTokens is more than a thinking budget, which the model insists on.
func leastMaxTokens(body *gateway.Body) []byte {
	thinking, _ := body.Get("thinking")
	budget, _ := jsonspan.Int(member(thinking, "budget_tokens"))
	return strconv.AppendInt(nil, max(budget, 0)+1, 10)
}
