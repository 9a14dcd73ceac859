package httpapi

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Wire shapes of the control plane, bedrock 2023-04-20. Timestamps are ISO 8601.
type (
	modelSummary struct {
		ModelArn                   string         `json:"modelArn"`
		ModelID                    string         `json:"modelId"`
		ModelName                  string         `json:"modelName"`
		ProviderName               string         `json:"providerName"`
		InputModalities            []string       `json:"inputModalities"`
		OutputModalities           []string       `json:"outputModalities"`
		ResponseStreamingSupported bool           `json:"responseStreamingSupported"`
		CustomizationsSupported    []string       `json:"customizationsSupported"`
		InferenceTypesSupported    []string       `json:"inferenceTypesSupported"`
		ModelLifecycle             modelLifecycle `json:"modelLifecycle"`
	}
	modelLifecycle struct {
		Status                   string     `json:"status"`
		StartOfLifeTime          *time.Time `json:"startOfLifeTime,omitempty"`
		LegacyTime               *time.Time `json:"legacyTime,omitempty"`
		PublicExtendedAccessTime *time.Time `json:"publicExtendedAccessTime,omitempty"`
		EndOfLifeTime            *time.Time `json:"endOfLifeTime,omitempty"`
	}
	profileSummary struct {
		InferenceProfileName string         `json:"inferenceProfileName"`
		Description          string         `json:"description,omitempty"`
		CreatedAt            *time.Time     `json:"createdAt,omitempty"`
		UpdatedAt            *time.Time     `json:"updatedAt,omitempty"`
		InferenceProfileArn  string         `json:"inferenceProfileArn"`
		Models               []profileModel `json:"models"`
		InferenceProfileID   string         `json:"inferenceProfileId"`
		Status               string         `json:"status"`
		Type                 string         `json:"type"`
	}
	profileModel struct {
		ModelArn string `json:"modelArn"`
	}
)

func (x *exchange) replyJSON(v any) error {
	body, err := messages.Marshal(v)
	if err != nil {
		return err
	}
	x.reply("application/json", body)
	return nil
}

// policy is the catalog's, at this moment.
func (x *exchange) policy() catalog.Policy {
	p := x.Gateway.Policy
	p.Now = x.Now()
	return p
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func summaryOf(f catalog.FoundationModel) modelSummary {
	m := f.Model
	s := modelSummary{
		ModelArn: f.ARN(), ModelID: f.ID, ModelName: m.Name, ProviderName: catalog.Provider,
		InputModalities: m.InputModalities, OutputModalities: m.OutputModalities,
		ResponseStreamingSupported: true, CustomizationsSupported: []string{}, InferenceTypesSupported: f.InferenceTypes,
		ModelLifecycle: modelLifecycle{
			Status: "ACTIVE", StartOfLifeTime: timeOf(m.Lifecycle.Start), LegacyTime: timeOf(m.Lifecycle.Legacy),
			PublicExtendedAccessTime: timeOf(m.Lifecycle.Extended), EndOfLifeTime: timeOf(m.Lifecycle.End),
		},
	}
	// AWS's enum has no third value: a retired model that still answers is legacy.
	if f.Stage != catalog.Active || f.Deprecated {
		s.ModelLifecycle.Status = "LEGACY"
	}
	return s
}

// query refuses a parameter whose value is not in its enum, as AWS does.
func enum(q url.Values, name string, values ...string) (string, error) {
	v := q.Get(name)
	if v == "" || slices.Contains(values, v) {
		return v, nil
	}
	return "", messages.Errorf(messages.InvalidRequest,
		"1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy enum value set: [%s]", v, name, strings.Join(values, ", "))
}

func (x *exchange) listFoundationModels(caller identity.Caller, _ []byte) (err error) {
	q := x.r.URL.Query()
	f := catalog.ModelFilter{Provider: q.Get("byProvider")}
	if f.Customization, err = enum(q, "byCustomizationType", "FINE_TUNING", "CONTINUED_PRE_TRAINING", "DISTILLATION"); err != nil {
		return err
	}
	if f.OutputModality, err = enum(q, "byOutputModality", "TEXT", "IMAGE", "EMBEDDING"); err != nil {
		return err
	}
	if f.InferenceType, err = enum(q, "byInferenceType", "ON_DEMAND", "PROVISIONED", "INFERENCE_PROFILE"); err != nil {
		return err
	}
	out := struct {
		ModelSummaries []modelSummary `json:"modelSummaries"`
	}{[]modelSummary{}}
	for _, m := range x.Gateway.Catalog.FoundationModels(x.region(caller), f, x.policy()) {
		out.ModelSummaries = append(out.ModelSummaries, summaryOf(m))
	}
	return x.replyJSON(out)
}

func (x *exchange) getFoundationModel(caller identity.Caller, _ []byte) error {
	m, err := x.Gateway.Catalog.FoundationModel(x.label, x.region(caller), x.policy())
	if err != nil {
		return err
	}
	return x.replyJSON(struct {
		ModelDetails modelSummary `json:"modelDetails"`
	}{summaryOf(m)})
}

func (x *exchange) profileOf(p catalog.InferenceProfile) profileSummary {
	s := profileSummary{
		InferenceProfileName: p.Name, Description: p.Description, CreatedAt: timeOf(p.Created), UpdatedAt: timeOf(p.Created),
		InferenceProfileArn: p.ARN(x.Account), InferenceProfileID: p.ID, Status: "ACTIVE", Type: "SYSTEM_DEFINED",
	}
	for _, arn := range p.ModelARNs {
		s.Models = append(s.Models, profileModel{arn})
	}
	return s
}

const maxPage = 1000

func (x *exchange) listInferenceProfiles(caller identity.Caller, _ []byte) error {
	q := x.r.URL.Query()
	kind, err := enum(q, "type", "SYSTEM_DEFINED", "APPLICATION")
	if err != nil {
		return err
	}
	size := maxPage
	if v := q.Get("maxResults"); v != "" {
		if size, err = strconv.Atoi(v); err != nil || size < 1 || size > maxPage {
			return messages.Errorf(messages.InvalidRequest, "1 validation error detected: Value '%s' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and %d", v, maxPage)
		}
	}
	start := 0
	if v := q.Get("nextToken"); v != "" {
		if start, err = parsePageToken(v); err != nil {
			return messages.Errorf(messages.InvalidRequest, "The pagination token is not valid.").WithCause(err)
		}
	}
	var all []profileSummary
	if kind != "APPLICATION" {
		for _, p := range x.Gateway.Catalog.InferenceProfiles(x.region(caller), x.policy()) {
			all = append(all, x.profileOf(p))
		}
	}
	if kind != "SYSTEM_DEFINED" {
		own, err := x.applicationProfiles(x.scope(caller))
		if err != nil {
			return err
		}
		all = append(append(all, own...), x.inTheirs(x.region(caller))...)
	}
	out := struct {
		Summaries []profileSummary `json:"inferenceProfileSummaries"`
		NextToken string           `json:"nextToken,omitempty"`
	}{Summaries: []profileSummary{}}
	start = min(start, len(all))
	end := min(start+size, len(all))
	out.Summaries = append(out.Summaries, all[start:end]...)
	if end < len(all) {
		out.NextToken = pageToken(end)
	}
	return x.replyJSON(out)
}

func pageToken(at int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "at:%d", at))
}

func parsePageToken(s string) (int, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(string(b), "at:")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("token %q", b)
	}
	return n, nil
}

func (x *exchange) getInferenceProfile(caller identity.Caller, _ []byte) error {
	if own, ok, err := x.findApplicationProfile(x.scope(caller)); ok || err != nil {
		if err != nil {
			return err
		}
		return x.replyJSON(own)
	}
	for _, p := range x.inTheirs(x.region(caller)) {
		if x.label == p.InferenceProfileArn || x.label == p.InferenceProfileID {
			return x.replyJSON(p)
		}
	}
	p, err := x.Gateway.Catalog.InferenceProfile(x.label, x.region(caller), x.policy())
	if err != nil {
		return err
	}
	return x.replyJSON(x.profileOf(p))
}

// anthropicModel is a row of GET /v1/models, in Anthropic's shape.
type anthropicModel struct {
	Type        string    `json:"type"`
	ID          string    `json:"id"`
	DisplayName string    `json:"display_name"`
	CreatedAt   time.Time `json:"created_at"`
}

func (x *exchange) anthropicModels(caller identity.Caller) []anthropicModel {
	out := []anthropicModel{}
	for _, f := range x.Gateway.Catalog.FoundationModels(x.region(caller), catalog.ModelFilter{}, x.policy()) {
		out = append(out, anthropicModel{"model", f.ID, f.Model.Name, f.Model.Lifecycle.Start})
	}
	return out
}

func (x *exchange) listModels(caller identity.Caller, _ []byte) error {
	all := x.anthropicModels(caller)
	q := x.r.URL.Query()
	limit := 20
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxPage {
			return messages.Errorf(messages.InvalidRequest, "limit: Input should be between 1 and %d", maxPage)
		}
		limit = n
	}
	start, end, more := 0, len(all), false // more: in the direction that was asked for
	at := func(name string) (int, error) {
		i := slices.IndexFunc(all, func(m anthropicModel) bool { return m.ID == q.Get(name) })
		if i < 0 {
			return 0, messages.Errorf(messages.InvalidRequest, "%s: there is no model %q", name, q.Get(name))
		}
		return i, nil
	}
	switch {
	case q.Get("after_id") != "" && q.Get("before_id") != "":
		return messages.Errorf(messages.InvalidRequest, "after_id and before_id exclude each other")
	case q.Get("after_id") != "":
		i, err := at("after_id")
		if err != nil {
			return err
		}
		start = i + 1
	case q.Get("before_id") != "":
		i, err := at("before_id")
		if err != nil {
			return err
		}
		end = i
		start = max(0, end-limit)
		more = start > 0
	}
	page := all[start:min(end, start+limit)]
	out := struct {
		Data    []anthropicModel `json:"data"`
		HasMore bool             `json:"has_more"`
		FirstID *string          `json:"first_id"`
		LastID  *string          `json:"last_id"`
	}{Data: page, HasMore: more || start+len(page) < end}
	if len(page) > 0 {
		out.FirstID, out.LastID = &page[0].ID, &page[len(page)-1].ID
	}
	return x.replyJSON(out)
}

func (x *exchange) getModel(caller identity.Caller, _ []byte) error {
	m, ok := x.Gateway.Catalog.Lookup(x.label)
	if ok {
		for _, a := range x.anthropicModels(caller) {
			if a.DisplayName == m.Name {
				return x.replyJSON(a)
			}
		}
	}
	return messages.Errorf(messages.NotFound, "model: %s", x.label)
}
