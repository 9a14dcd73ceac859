package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// meetPrice holds what answers say they cost to the price book, on both kinds of
// endpoint and for a stream, and on the tour's own server the log's sum to it.
func meetPrice(ctx context.Context, v *visit) (string, error) {
	tag := rand.Text()
	metadata := fmt.Sprintf(`{"tour":%q}`, tag)
	var sum, premium catalog.Nanodollars
	var said [2]string
	for i, model := range []string{pageGlobal, "us." + pageModel} {
		r, err := v.invokeWith(ctx, pageRegion, model, "invoke", metadata)
		if err != nil {
			return "", err
		}
		m := new(anthropic.Message)
		if err := json.Unmarshal(r.body, m); err != nil {
			return "", err
		}
		cost, err := wouldCost(v.catalog, model, pageRegion, m)
		if err != nil {
			return "", err
		}
		list, err := wouldCost(v.catalog, pageGlobal, pageRegion, m)
		if err != nil {
			return "", err
		}
		if cost <= 0 || i == 1 && cost*10 != list*11 {
			return "", fmt.Errorf("%s costs $%s, by the global endpoint $%s", model, cost.USD(), list.USD())
		}
		if err := v.saysCost(r.header, cost); err != nil {
			return "", fmt.Errorf("%s: %w", model, err)
		}
		sum, premium, said[i] = sum+cost, premium+cost-list, cost.USD()
	}
	r, err := v.invokeWith(ctx, pageRegion, pageGlobal, "invoke-with-response-stream", metadata)
	if err != nil {
		return "", err
	}
	trailer, err := streamCost(r.trailer)
	if err != nil && v.upstream != "" {
		return "", fmt.Errorf("the stream's trailer: %w", err)
	}
	sum += trailer
	where := "the price book"
	if v.log != nil {
		lines, err := v.log.archive.Usage(ctx, activity.UsageQuery{Tag: "tour=" + tag})
		if err != nil {
			return "", err
		}
		if len(lines) != 1 || lines[0].Calls != 3 || lines[0].Billed+lines[0].WouldCost != sum || lines[0].BilledPremium+lines[0].WouldPremium != premium {
			return "", fmt.Errorf("usage says %+v, the three answers $%s, of it $%s for the Region", lines, sum.USD(), premium.USD())
		}
		where = "the price book and the log's sum"
	}
	how := "would have cost"
	if v.bills() {
		how = "cost"
	}
	return fmt.Sprintf("Hello, world %s $%s by the global endpoint, $%s by us., a tenth more; as the answers say, and %s", how, said[0], said[1], where), nil
}

// bills says whether somebody pays for the answers, as far as they say so.
func (v *visit) bills() bool { return v.upstream == "" || v.upstream == "bedrock" }

// invokeWith is the page's greeting with request metadata.
func (v *visit) invokeWith(ctx context.Context, region, model, operation, metadata string) (*reply, error) {
	body, err := json.Marshal(map[string]any{
		"anthropic_version": "bedrock-2023-05-31", "max_tokens": 16,
		"messages": []any{map[string]any{"role": "user", "content": "Hello, world"}},
	})
	if err != nil {
		return nil, err
	}
	r, err := v.send(ctx, http.MethodPost, region, "/model/"+url.PathEscape(model)+"/"+operation, body, "X-Amzn-Bedrock-Request-Metadata", metadata)
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("%s in %s: %s", model, region, r.refusal())
	}
	return r, err
}

// saysCost holds the header of an answer to an amount. AWS itself says none, and a
// server elsewhere may have prices of its own.
func (v *visit) saysCost(h http.Header, cost catalog.Nanodollars) error {
	billed, would := h.Get("X-Outcrop-Cost-Usd"), h.Get("X-Outcrop-Would-Cost-Usd")
	switch {
	case v.upstream == "" && billed == "":
		return nil
	case billed == "":
		return errNoCost
	case !v.own:
		return nil
	case would == "" && billed == cost.USD() || billed == "0" && would == cost.USD():
		return nil
	default:
		return fmt.Errorf("the answer says %q and %q, the price book $%s", billed, would, cost.USD())
	}
}

var errNoCost = errors.New("x-outcrop-cost-usd is missing")

// streamCost reads what a stream has said at its end.
func streamCost(trailer http.Header) (catalog.Nanodollars, error) {
	for _, name := range []string{"X-Outcrop-Would-Cost-Usd", "X-Outcrop-Cost-Usd"} {
		if text := trailer.Get(name); text != "" {
			var d dollars
			err := d.UnmarshalText([]byte(text))
			return catalog.Nanodollars(d), err
		}
	}
	return 0, errNoCost
}

// wouldCost is what Amazon Bedrock asks for such an answer.
func wouldCost(cat *catalog.Catalog, model, region string, m *anthropic.Message) (catalog.Nanodollars, error) {
	r, err := cat.Resolve(model, region, catalog.Policy{})
	if err != nil {
		return 0, err
	}
	u := messages.Usage{InputTokens: m.Usage.InputTokens, OutputTokens: m.Usage.OutputTokens,
		CacheReadInputTokens: m.Usage.CacheReadInputTokens, CacheCreationInputTokens: m.Usage.CacheCreationInputTokens}
	return catalog.Cost(u, r.Candidates[0].Price), nil
}
