// Package invocationlog renders stored calls as Amazon Bedrock's model invocation
// logging does, with an object "outcrop" of what AWS's record lacks.
//
// Invariant: every member that AWS documents has AWS's name, place and form;
// whatever else there is stands under "outcrop".
//
// Not a goal: to carry records anywhere.
package invocationlog

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/converse"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Options say what is left out.
type Options struct {
	NoText      bool // no bodies at all
	NoImages    bool // their bytes
	NoDocuments bool
}

// Log is one record in AWS's form. Bodies stand in it, or elsewhere: who sets a
// path takes the body out.
type Log struct {
	SchemaType      string            `json:"schemaType"`
	SchemaVersion   string            `json:"schemaVersion"`
	Timestamp       string            `json:"timestamp"`
	AccountID       string            `json:"accountId"`
	Region          string            `json:"region"`
	RequestID       string            `json:"requestId"`
	Operation       string            `json:"operation"`
	ModelID         string            `json:"modelId"`
	Identity        *Identity         `json:"identity,omitempty"`
	InferenceRegion string            `json:"inferenceRegion,omitempty"`
	Metadata        map[string]string `json:"requestMetadata,omitempty"`
	ErrorCode       string            `json:"errorCode,omitempty"`
	Performance     *Performance      `json:"performanceConfig,omitempty"`
	Input           Input             `json:"input"`
	Output          Output            `json:"output"`
	Outcrop         Outcrop           `json:"outcrop"`
}

type (
	Identity struct {
		ARN string `json:"arn"`
	}
	Performance struct {
		Latency string `json:"latency"`
	}
	Input struct {
		ContentType string          `json:"inputContentType,omitempty"`
		Body        json.RawMessage `json:"inputBodyJson,omitempty"`
		Path        string          `json:"inputBodyS3Path,omitempty"`
		Tokens      *int64          `json:"inputTokenCount,omitempty"`
		CacheRead   *int64          `json:"cacheReadInputTokenCount,omitempty"`
		CacheWrite  *int64          `json:"cacheWriteInputTokenCount,omitempty"`
	}
	Output struct {
		ContentType string          `json:"outputContentType,omitempty"`
		Body        json.RawMessage `json:"outputBodyJson,omitempty"`
		Path        string          `json:"outputBodyS3Path,omitempty"`
		Tokens      *int64          `json:"outputTokenCount,omitempty"`
	}
)

// Outcrop is what AWS's record lacks.
type Outcrop struct {
	Model             string    `json:"model,omitempty"` // the catalog's id
	Route             string    `json:"route,omitempty"` // the id that was called
	Endpoint          string    `json:"endpoint,omitempty"`
	Wall              string    `json:"wall,omitempty"`
	Tried             []Attempt `json:"tried,omitempty"`
	Upstream          string    `json:"upstream,omitempty"`
	UpstreamRequestID string    `json:"upstreamRequestId,omitempty"`
	KeyID             string    `json:"keyId,omitempty"`
	Status            int       `json:"status"`
	Error             string    `json:"error,omitempty"`
	Partial           bool      `json:"partial,omitempty"`
	Interrupted       bool      `json:"interrupted,omitempty"`
	StopReason        string    `json:"stopReason,omitempty"`
	LatencyMS         int64     `json:"latencyMs"`
	FirstByteMS       *int64    `json:"firstByteLatencyMs,omitempty"`
	Cost              *Cost     `json:"cost,omitempty"`
	ServiceTier       string    `json:"serviceTier,omitempty"`
	Trace             string    `json:"trace,omitempty"`
	Warnings          []string  `json:"warnings,omitempty"`
	Content           string    `json:"content"`
	Session           string    `json:"sessionId,omitempty"`
	Agent             string    `json:"agentId,omitempty"`
	ParentAgent       string    `json:"parentAgentId,omitempty"`
	Prompt            string    `json:"promptId,omitempty"`
	Class             string    `json:"requestClass,omitempty"`
}

// Attempt is a route that was left.
type Attempt struct {
	Route  string `json:"route"`
	Region string `json:"region,omitempty"`
	Code   string `json:"code,omitempty"`
}

// Cost is in US dollars, exact, as text: a float would not be.
type Cost struct {
	Billed     string `json:"billedUsd"`
	WouldCost  string `json:"wouldCostUsd,omitempty"`
	Premium    string `json:"premiumUsd,omitempty"`
	CacheSaved string `json:"cacheSavedUsd,omitempty"`
	OwnPrice   bool   `json:"operatorPrice,omitempty"`
	Estimated  bool   `json:"estimated,omitempty"`
}

const contentType = "application/json"

// Of renders a call. What of its content cannot be put into AWS's form is left
// out, and a warning says so.
func Of(x *activity.Exchange, o Options) *Log {
	r := &x.Record
	l := &Log{SchemaType: "ModelInvocationLog", SchemaVersion: "1.0", Timestamp: r.Time.UTC().Format(time.RFC3339),
		AccountID: r.Account, Region: r.Region, RequestID: r.RequestID, Operation: r.Operation, ModelID: r.Ref,
		Metadata: r.Metadata, ErrorCode: r.ErrorCode, Outcrop: outcropOf(r)}
	if r.Principal != "" {
		l.Identity = &Identity{r.Principal}
	}
	if r.Served != r.Region {
		l.InferenceRegion = r.Served
	}
	if r.Latency != "" {
		l.Performance = &Performance{r.Latency}
	}
	// The service leaves both objects of a call that failed empty (observed).
	if r.Status < 400 || r.Partial || len(x.Events) > 0 {
		u := r.Usage
		l.Input.ContentType, l.Input.Tokens = contentType, &u.InputTokens
		l.Output.ContentType, l.Output.Tokens = contentType, &u.OutputTokens
		if u.CacheReadInputTokens > 0 || u.CacheCreationInputTokens > 0 {
			l.Input.CacheRead, l.Input.CacheWrite = &u.CacheReadInputTokens, &u.CacheCreationInputTokens
		}
	}
	if o.NoText {
		return l
	}
	warn := func(what string, err error) {
		l.Outcrop.Warnings = append(l.Outcrop.Warnings, what+" is left out: "+err.Error())
	}
	var err error
	if x.Input != nil {
		l.Input.ContentType = contentType
		if l.Input.Body, err = body(x.Input, o); err != nil {
			warn("the request", err)
		}
	}
	if len(x.Events) > 0 {
		out, err := answer(x)
		if err == nil {
			l.Output.Body, err = body(out, o)
		}
		if err != nil {
			warn("the answer", err)
		}
	}
	return l
}

func body(raw []byte, o Options) (json.RawMessage, error) {
	if o.NoImages || o.NoDocuments {
		return redact(raw, o.NoImages, o.NoDocuments)
	}
	return raw, nil
}

// answer gives the output's body: of InvokeModelWithResponseStream the array of
// its chunks, of Converse and ConverseStream one Converse answer, of all others
// one message.
func answer(x *activity.Exchange) ([]byte, error) {
	switch x.Record.Operation {
	case "InvokeModelWithResponseStream":
		chunks := make([][]byte, len(x.Events))
		for i, e := range x.Events {
			chunks[i] = e.Data
			if e.Name == messages.EventMessageStop {
				var err error
				if chunks[i], err = withMetrics(e.Data, &x.Record); err != nil {
					return nil, err
				}
			}
		}
		return array(chunks), nil
	case "Converse", "ConverseStream":
		m, err := Message(x.Events)
		if err != nil {
			return nil, err
		}
		return converseAnswer(x, m)
	default:
		return Message(x.Events)
	}
}

// converseAnswer gives one Converse answer. An answer that was cut off has no
// stopReason.
func converseAnswer(x *activity.Exchange, message []byte) ([]byte, error) {
	m, err := scan(message)
	if err != nil {
		return nil, err
	}
	reason := value(m, message, "stop_reason")
	cut := reason == nil || string(reason) == "null"
	if cut { // the translation needs one
		message = jsonspan.Splice(nil, message, m, jsonspan.Edit{Key: "stop_reason", Value: []byte(`"end_turn"`)})
	}
	e := converse.Envelope{}
	if s, err := converse.ReadSettings(x.Input); err == nil { // a request that was not kept says nothing
		e = s.Envelope()
	}
	e.LatencyMS, e.Lossy = x.Record.Duration.Milliseconds(), true
	out, _, err := converse.AppendAnswer(nil, message, e)
	if err != nil || !cut {
		return out, err
	}
	if m, err = scan(out); err != nil {
		return nil, err
	}
	return jsonspan.Splice(nil, out, m, jsonspan.Edit{Key: "stopReason"}), nil
}

func outcropOf(r *activity.Record) Outcrop {
	o := Outcrop{Model: r.ModelID, Route: r.RouteID, Endpoint: r.Endpoint, Wall: r.Wall, Upstream: r.Upstream, UpstreamRequestID: r.UpstreamRequestID,
		KeyID: r.KeyID, Status: r.Status, Error: r.Error, Partial: r.Partial, Interrupted: r.Interrupted, StopReason: r.StopReason,
		LatencyMS: r.Duration.Milliseconds(), ServiceTier: r.Tier, Trace: r.Trace, Warnings: slices.Clip(r.Warnings), Content: r.Content.String(),
		Session: r.Client.Session, Agent: r.Client.Agent, ParentAgent: r.Client.ParentAgent, Prompt: r.Client.Prompt, Class: r.Client.Class}
	for _, t := range r.Tried {
		o.Tried = append(o.Tried, Attempt{t.RouteID, t.Region, t.Code})
	}
	if r.FirstFrame > 0 {
		ms := r.FirstFrame.Milliseconds()
		o.FirstByteMS = &ms
	}
	if r.RouteID != "" {
		o.Cost = &Cost{Billed: r.Billed.USD(), WouldCost: usd(r.WouldCost), Premium: usd(r.Premium), CacheSaved: usd(r.CacheSaved), OwnPrice: r.OwnPrice, Estimated: r.Estimated}
	}
	return o
}

func usd(n catalog.Nanodollars) string {
	if n == 0 {
		return ""
	}
	return n.USD()
}

// JSON writes the record on one line. A body that is no JSON is an error.
func (l *Log) JSON() ([]byte, error) { return messages.Marshal(l) }
