package gateway

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// detector finds the features that a request uses, by the patterns that stand
// beside them in features.json. Only those that a model does not have are looked
// for, and the body is decoded only if the words of one occur in it.
type detector struct {
	catalog *catalog.Catalog
	refused sync.Map // refusal -> []pattern
}

type refusal struct {
	model *catalog.Model
	api   catalog.API
	level catalog.Level
}

// pattern is one "detect": a path of members ("[]" any element, "[-1]" the last,
// "**" any depth) and the value that its end must have, with "*" for any text.
type pattern struct {
	feature string
	steps   []string
	value   string
	needle  []byte // occurs in each body that matches, unless it is escaped
}

func parsePattern(feature, s string) pattern {
	at, value, _ := strings.Cut(s, "=")
	p := pattern{feature: feature, value: value}
	for step := range strings.SplitSeq(at, ".") {
		name, index, ok := strings.Cut(step, "[")
		p.steps = append(p.steps, name)
		if ok {
			p.steps = append(p.steps, "["+index)
		}
	}
	last := p.steps[len(p.steps)-1]
	switch word, _, _ := strings.Cut(value, "*"); {
	case word != "" && word != "true":
		p.needle = []byte(word)
	case !strings.HasPrefix(last, "["):
		p.needle = []byte(`"` + last + `"`)
	}
	return p
}

// at lists the patterns of the features that the model has at that level.
func (d *detector) at(key refusal) []pattern {
	if v, ok := d.refused.Load(key); ok {
		return v.([]pattern)
	}
	var ps []pattern
	for _, f := range d.catalog.Features() {
		if key.model.Feature(f.Name, key.api).Level == key.level {
			for _, s := range f.Detect {
				ps = append(ps, parsePattern(f.Name, s))
			}
		}
	}
	d.refused.Store(key, ps)
	return ps
}

// used gives the features among those at level that the body shows.
func (d *detector) used(body *Body, m *catalog.Model, api catalog.API, level catalog.Level) []string {
	var found []string
	var decoded map[string]any
	escaped := bytes.Contains(body.data, []byte(`\u00`)) // may hide any word
	for _, p := range d.at(refusal{m, api, level}) {
		where := body.data
		if p.steps[0] != "**" {
			v, ok := body.Get(p.steps[0])
			if !ok {
				continue
			}
			if where = v; len(p.steps) == 1 && p.value == "" {
				if !bytes.Equal(v, []byte("null")) && !slices.Contains(found, p.feature) {
					found = append(found, p.feature)
				}
				continue
			}
		}
		if !escaped && !bytes.Contains(where, p.needle) || slices.Contains(found, p.feature) {
			continue
		}
		if decoded == nil && json.Unmarshal(body.data, &decoded) != nil {
			return found // the scan has accepted it; nothing to find in it then
		}
		if p.matches(decoded, p.steps) {
			found = append(found, p.feature)
		}
	}
	return found
}

func (p *pattern) matches(v any, steps []string) bool {
	if len(steps) == 0 {
		return p.ends(v)
	}
	step, rest := steps[0], steps[1:]
	switch v := v.(type) {
	case map[string]any:
		if step == "**" {
			if p.matches(v, rest) {
				return true
			}
			for _, x := range v {
				if p.matches(x, steps) {
					return true
				}
			}
			return false
		}
		x, ok := v[step]
		return ok && p.matches(x, rest)
	case []any:
		switch {
		case step == "[-1]":
			return len(v) > 0 && p.matches(v[len(v)-1], rest)
		case step == "[]" || step == "**":
			if step == "**" {
				rest = steps
			}
			return slices.ContainsFunc(v, func(x any) bool { return p.matches(x, rest) })
		}
	}
	return false
}

func (p *pattern) ends(v any) bool {
	if p.value == "" {
		return v != nil
	}
	switch v := v.(type) {
	case string:
		ok, _ := path.Match(p.value, v)
		return ok
	case bool:
		return v == (p.value == "true")
	default:
		return false
	}
}

// checkFeatures refuses what AWS does not have for this model and API. Under
// strict, what needs a beta is refused without it.
func (g *Gateway) checkFeatures(head *Head, body *Body, m *catalog.Model) error {
	g.detectorOnce.Do(func() { g.detector = &detector{catalog: g.Catalog} })
	api := apiOf(head)
	for _, name := range g.detector.used(body, m, api, catalog.No) {
		if name == "sampling" && neutralSampling(body) {
			continue
		}
		if name == "prefill" {
			return messages.Errorf(messages.ModelRejected, "This model does not support assistant message prefill. The conversation must end with a user message.")
		}
		if _, err := m.CheckFeature(name, api); err != nil {
			return err
		}
	}
	if !g.Policy.Strict {
		return nil
	}
	for _, name := range g.detector.used(body, m, api, catalog.Beta) {
		if s := m.Feature(name, api); !slices.Contains(head.Betas, s.Beta) {
			return messages.Errorf(messages.ModelRejected, "%s: Extra inputs are not permitted", name).
				WithHint("send anthropic_beta %s", s.Beta)
		}
	}
	for _, b := range head.Betas {
		if s := m.Beta(b, api); s.Known && !s.Accepted {
			return messages.Errorf(messages.ModelRejected, "invalid beta flag").WithHint("%s: %s (%s)", b, s.Source.Title, s.Source.Date)
		}
	}
	return nil
}

// neutralSampling says that the sampling members have the values that models
// without sampling still take: temperature 1, a top_p of 0.99 or more.
func neutralSampling(body *Body) bool {
	if _, ok := body.Get("top_k"); ok {
		return false
	}
	for key, least := range map[string]float64{"temperature": 1, "top_p": 0.99} {
		raw, ok := body.Get(key)
		if !ok {
			continue
		}
		var v float64
		if json.Unmarshal(raw, &v) != nil || v < least || v > 1 {
			return false
		}
	}
	return true
}

// warnBetas names the betas that AWS would refuse, where they are let pass.
func warnBetas(head *Head, m *catalog.Model) []string {
	var out []string
	for _, b := range head.Betas {
		if s := m.Beta(b, apiOf(head)); s.Known && !s.Accepted {
			out = append(out, "AWS would refuse the beta "+b+" for "+m.ID)
		}
	}
	return out
}
