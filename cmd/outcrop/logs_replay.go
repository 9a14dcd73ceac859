package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

type logsReplayCmd struct {
	dataOption
	ID      string        `arg:"" help:"Request id, as logs has it."`
	To      string        `placeholder:"URL" xor:"where" help:"Send it to this endpoint, with the environment's AWS credentials. Default: the server on the data folder."`
	AWS     bool          `name:"aws" xor:"where" help:"Send it to the real Amazon Bedrock, with the environment's AWS credentials, which is billed."`
	Region  string        `placeholder:"REGION" help:"Region of the call. Default: the one that it had."`
	Yes     bool          `help:"Do not ask."`
	JSON    bool          `name:"json" help:"Print the answer's JSON as it came."`
	Timeout time.Duration `default:"10m" placeholder:"TIME" help:"Most time for the answer, such as 90s. Default: ${default}."`
}

func (logsReplayCmd) Help() string {
	return `Examples:

  outcrop logs replay 0b4c1c5e-5d0c-4c2e-9c41-0d6c8f8a2f5e
  outcrop logs replay 0b4c1c5e-5d0c-4c2e-9c41-0d6c8f8a2f5e --aws --region eu-west-1

The request of a call that was kept is sent again, as it was, and the answer is printed. Who would bill it, and how much at
most, is said first. What was streamed is asked for whole.

Without a terminal to ask at, nothing is sent unless --yes is said.`
}

func (c *logsReplayCmd) Run(ctx context.Context, con console) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	a, done, err := openArchive(ctx, c.Data, con)
	if err != nil {
		return err
	}
	defer done()
	x, err := a.Get(ctx, c.ID)
	if errors.Is(err, activity.ErrNoRecord) {
		return noSuchCall(c.ID)
	}
	if err != nil {
		return err
	}
	again, err := replayOf(x)
	if err != nil {
		return err
	}
	if c.Region == "" {
		c.Region = x.Record.Region
	}
	where := targetOption{dataOption: c.dataOption, Endpoint: c.To, AWS: c.AWS, Region: c.Region}
	t, err := where.open(ctx, "logs replay")
	if err != nil {
		return err
	}
	if err := c.consent(con, t.biller(ctx), t.most(again)); err != nil {
		return err
	}
	status, raw, err := t.post(ctx, again)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return t.refused(status, raw)
	}
	return c.print(con, t, again, raw)
}

// resend is a request that is sent again.
type resend struct {
	*activity.Record
	op        *bedrockapi.Operation
	path      string
	body      []byte
	maxTokens int64 // 0: the model's limit
}

func replayOf(x *activity.Exchange) (*resend, error) {
	r := &resend{Record: &x.Record, body: x.Input}
	if x.Input == nil {
		return nil, fmt.Errorf("the request of %s cannot be sent again: its contents are %s", r.RequestID, r.Content)
	}
	var asked struct {
		MaxTokens int64 `json:"max_tokens"`
		Stream    *bool
		Inference struct {
			MaxTokens int64
		} `json:"inferenceConfig"`
	}
	if err := json.Unmarshal(x.Input, &asked); err != nil {
		return nil, fmt.Errorf("the request of %s cannot be read: %w", r.RequestID, err)
	}
	r.maxTokens = max(asked.MaxTokens, asked.Inference.MaxTokens)
	switch r.Operation {
	case bedrockapi.InvokeModel.Name, bedrockapi.InvokeModelStream.Name:
		r.op = bedrockapi.InvokeModel
	case bedrockapi.Converse.Name, bedrockapi.ConverseStream.Name:
		r.op = bedrockapi.Converse
	case bedrockapi.CreateMessage.Name:
		r.op = bedrockapi.CreateMessage
		if asked.Stream != nil {
			m, err := jsonspan.Scan(nil, r.body, nil)
			if err != nil {
				return nil, err
			}
			r.body = jsonspan.Splice(nil, r.body, m, jsonspan.Edit{Key: "stream", Value: []byte("false")})
		}
	default:
		return nil, fmt.Errorf("%s is a call of %s, which is not sent again", r.RequestID, r.Operation)
	}
	r.path = strings.Replace(r.op.Path, "{modelId}", url.PathEscape(r.Ref), 1)
	return r, nil
}

// headers are what the caller said beside the body.
func (r *resend) headers(h http.Header) {
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	h.Set("Content-Type", "application/json")
	set("Anthropic-Version", r.Version)
	set("Anthropic-Beta", strings.Join(r.Betas, ","))
	if r.op == bedrockapi.Converse {
		return // it has these in its body
	}
	guardrail, version, _ := strings.Cut(r.Guardrail, " ")
	set("X-Amzn-Bedrock-GuardrailIdentifier", guardrail)
	set("X-Amzn-Bedrock-GuardrailVersion", version)
	set("X-Amzn-Bedrock-Trace", r.Trace)
	set("X-Amzn-Bedrock-PerformanceConfig-Latency", r.Latency)
	set("X-Amzn-Bedrock-Service-Tier", r.Tier)
	if len(r.Metadata) > 0 {
		if raw, err := json.Marshal(r.Metadata); err == nil {
			h.Set("X-Amzn-Bedrock-Request-Metadata", string(raw))
		}
	}
}

// biller says who answers there, and whether that costs anything.
type biller struct {
	who     string
	billing string // "": nobody bills
}

func (t *target) biller(ctx context.Context) biller {
	if t.aws {
		return biller{"Amazon Bedrock, " + t.Client.Region(), "the AWS account of the environment's credentials pays"}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var health struct{ Version, Upstream string }
	if req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.BaseURL()+"/healthz", nil); err == nil {
		if resp, err := t.AWSConfig().HTTPClient.Do(req); err == nil {
			_ = json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&health)
			resp.Body.Close()
		}
	}
	switch {
	case health.Version == "" || health.Upstream == "":
		return biller{t.BaseURL(), "whoever runs it may bill the environment's credentials"}
	case health.Upstream == "bedrock" || strings.HasPrefix(health.Upstream, "bedrock/"):
		return biller{"Amazon Bedrock, through " + t.BaseURL(), "the AWS account of that server pays"}
	default:
		return biller{health.Upstream + ", not Claude, through " + t.BaseURL(), ""}
	}
}

// most is what the call can cost on Amazon Bedrock: all tokens at the dearest of
// their rates, on the dearest of its endpoints.
func (t *target) most(r *resend) string {
	var prices []catalog.Price
	m, _ := t.catalog.Lookup(r.ModelID)
	if res, err := t.catalog.Resolve(r.Ref, t.Client.Region(), catalog.Policy{Now: time.Now()}); err == nil {
		m = res.Model
		for _, c := range res.Candidates {
			prices = append(prices, c.Price)
		}
	} else if m != nil {
		prices = append(prices, m.PriceAt(time.Now(), catalog.InRegion))
	}
	if m == nil || len(prices) == 0 {
		return ""
	}
	in, out := max(r.Usage.PromptTokens(), routing.Estimate(r.body)), r.maxTokens
	if out == 0 {
		out = m.OutputLimit(r.Betas, catalog.Policy{Now: time.Now()})
	}
	var most catalog.Nanodollars
	for _, p := range prices {
		for _, u := range []messages.Usage{
			{InputTokens: in},
			{CacheCreationInputTokens: in, CacheCreation: messages.CacheCreation{Ephemeral5m: in}},
			{CacheCreationInputTokens: in, CacheCreation: messages.CacheCreation{Ephemeral1h: in}},
		} {
			u.OutputTokens = out
			most = max(most, catalog.Cost(u, p))
		}
	}
	return fmt.Sprintf("$%s: %d tokens in and %d out", most.USD(), in, out)
}

func (c *logsReplayCmd) consent(con console, b biller, most string) error {
	w := visible{con.Err}
	switch {
	case b.billing == "" && most == "":
		fmt.Fprintf(w, "%s: billed $0.00\n", b.who)
	case b.billing == "":
		fmt.Fprintf(w, "%s: billed $0.00; on Amazon Bedrock at most %s\n", b.who, most)
	case most == "":
		fmt.Fprintf(w, "%s: %s; the price is not known\n", b.who, b.billing)
	default:
		fmt.Fprintf(w, "%s: %s, at most %s\n", b.who, b.billing, most)
	}
	if c.Yes {
		return nil
	}
	if !con.terminal() {
		return misuse("nothing was sent: say --yes, there is no terminal to ask at")
	}
	yes, err := con.agrees("Send it again?")
	if err == nil && !yes {
		err = errors.New("nothing was sent")
	}
	return err
}

// post sends the request once.
func (t *target) post(ctx context.Context, r *resend) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.op.Method, t.BaseURL()+r.path, bytes.NewReader(r.body))
	if err != nil {
		return 0, nil, err
	}
	r.headers(req.Header)
	cfg := t.AWSConfig()
	switch {
	case cfg.BearerAuthTokenProvider != nil:
		token, err := cfg.BearerAuthTokenProvider.RetrieveBearerToken(ctx)
		if err != nil {
			return 0, nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token.Value)
	default:
		key, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return 0, nil, noCredentials(ctx, err)
		}
		if err := sign(req, r.body, keyOf(key), cfg.Region, "bedrock"); err != nil {
			return 0, nil, err
		}
	}
	resp, err := cfg.HTTPClient.Do(req)
	if err != nil {
		return 0, nil, tell(err, "%s: %v", t.BaseURL(), err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, raw, err
}

// refused puts an error answer of either shape in words.
func (t *target) refused(status int, raw []byte) error {
	var said struct {
		Message string
		Error   struct{ Message string }
	}
	_ = json.Unmarshal(raw, &said)
	text := said.Message + said.Error.Message
	if text == "" {
		text = string(raw[:min(len(raw), 300)])
	}
	kind := bedrock.ErrValidation
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		kind = bedrock.ErrAccessDenied
	case status == http.StatusTooManyRequests:
		kind = bedrock.ErrThrottling
	case status >= 500:
		kind = bedrock.ErrServiceUnavailable
	}
	return tell(kind, "%s refuses: %d %s%s", t.BaseURL(), status, text, below(requestID(t.heard.says("X-Amzn-Requestid"))))
}

func (c *logsReplayCmd) print(con console, t *target, r *resend, raw []byte) error {
	out := con.answers()
	w := visible{con.Err}
	var m messages.Message
	message, left, err := messageOf(r.Operation, raw)
	if err == nil {
		err = json.Unmarshal(message, &m)
	}
	if err != nil || c.JSON {
		out.text(string(bytes.TrimSpace(raw)))
	} else {
		for _, b := range m.Content.Blocks {
			out.text(blockText(b) + "\n")
		}
	}
	out.newline()
	if len(left) > 0 && !c.JSON {
		fmt.Fprintf(w, "outcrop: warning: not shown, --json has it: %s\n", strings.Join(left, ", "))
	}
	for _, warning := range t.heard.warnings() {
		fmt.Fprintf(w, "outcrop: warning: %s\n", warning)
	}
	fmt.Fprintf(w, "outcrop: answered by %s: %s; %s; %s\n", t.who(), tokenLine(m.Usage), t.cost(r.Ref, m.Usage), requestID(t.heard.says("X-Amzn-Requestid")))
	return out.err
}
