package gateway

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// detector finds the features that a request uses, by the patterns that stand
// beside them in features.json. Only those that a model does not have are looked
// for, and only where the words of one occur. The objects on the way are scanned
// as strictly as the top level: a parser that disagrees could show another feature.
type detector struct {
	catalog *catalog.Catalog
	refused sync.Map // refusal -> *patterns
	named   sync.Map // feature -> *patterns
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
	keys    []*jsonspan.Keys // of each step that is a member
	value   string
	needle  []byte // a quote and what follows it, in each body that matches, unless it is escaped; nil: none
}

// patterns are those that are looked for together.
type patterns struct {
	all     []pattern
	after   [256][]int // those whose needle has that byte behind its quote
	without bool       // some have no needle
}

func (ps *patterns) add(p pattern) {
	if len(p.needle) < len(`"x`) {
		ps.without = true
	} else {
		ps.after[p.needle[1]] = append(ps.after[p.needle[1]], len(ps.all))
	}
	ps.all = append(ps.all, p)
}

// among says, in one pass, of which patterns the needle occurs in data; nil: of
// none, and each has one.
func (ps *patterns) among(data []byte) (may []bool) {
	if ps.without {
		may = make([]bool, len(ps.all))
		for i, p := range ps.all {
			may[i] = len(p.needle) < len(`"x`)
		}
	}
	for {
		at := bytes.IndexByte(data, '"')
		if at < 0 || at+1 == len(data) {
			return may
		}
		for _, i := range ps.after[data[at+1]] {
			if bytes.HasPrefix(data[at:], ps.all[i].needle) {
				if may == nil {
					may = make([]bool, len(ps.all))
				}
				may[i] = true
			}
		}
		data = data[at+1:]
	}
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
	for _, step := range p.steps {
		p.keys = append(p.keys, jsonspan.NewKeys(step))
	}
	last := p.steps[len(p.steps)-1]
	switch word, _, wild := strings.Cut(value, "*"); {
	case value != "" && value != "true":
		p.needle = []byte(`"` + word)
		if !wild {
			p.needle = append(p.needle, '"')
		}
	case !strings.HasPrefix(last, "["):
		p.needle = []byte(`"` + last + `"`)
	}
	return p
}

// at lists the patterns of the features that the model has at that level.
func (d *detector) at(key refusal) *patterns {
	if v, ok := d.refused.Load(key); ok {
		return v.(*patterns)
	}
	ps := new(patterns)
	for _, f := range d.catalog.Features() {
		if key.model.Feature(f.Name, key.api).Level == key.level {
			for _, s := range f.Detect {
				ps.add(parsePattern(f.Name, s))
			}
		}
	}
	d.refused.Store(key, ps)
	return ps
}

// used gives the features among those at level that the body shows.
func (d *detector) used(body *Body, m *catalog.Model, api catalog.API, level catalog.Level) ([]string, error) {
	return shown(body, d.at(refusal{m, api, level}))
}

// of lists the patterns of one feature.
func (d *detector) of(name string) *patterns {
	if v, ok := d.named.Load(name); ok {
		return v.(*patterns)
	}
	ps := new(patterns)
	for _, f := range d.catalog.Features() {
		if f.Name == name {
			for _, s := range f.Detect {
				ps.add(parsePattern(f.Name, s))
			}
		}
	}
	d.named.Store(name, ps)
	return ps
}

func (d *detector) title(name string) string {
	for _, f := range d.catalog.Features() {
		if f.Name == name {
			return f.Title
		}
	}
	return name
}

// shown gives the features of the patterns that the body matches.
func shown(body *Body, ps *patterns) ([]string, error) {
	var found []string
	search := search{escaped: hidesWords(body.data)}
	var may []bool
	if !search.escaped {
		if may = ps.among(body.data); may == nil {
			return nil, nil
		}
	}
	for i := range ps.all {
		if may != nil && !may[i] {
			continue
		}
		search.pattern = &ps.all[i]
		where, step := bytes.TrimLeft(body.data, " \t\r\n"), 0
		if search.steps[0] != "**" {
			v, ok := body.Get(search.steps[0])
			if !ok {
				continue
			}
			where, step = v, 1
		}
		if slices.Contains(found, search.feature) {
			continue
		}
		ok, err := search.in(where, step, 0)
		if err != nil {
			return nil, malformed(err)
		}
		if ok {
			found = append(found, search.feature)
		}
	}
	return found, nil
}

// hidesWords says that a word may be written with escapes. Those of <, > and &,
// which Go writes, and of letters beyond ASCII, which Python writes, hide none.
func hidesWords(data []byte) bool {
	if bytes.IndexByte(data, '\\') < 0 {
		return false
	}
	if bytes.Contains(data, []byte(`\/`)) {
		return true
	}
	for {
		i := bytes.Index(data, []byte(`\u00`))
		if i < 0 || len(data) < i+6 {
			return false
		}
		var c [1]byte
		if _, err := hex.Decode(c[:], data[i+4:i+6]); err != nil {
			return true // not JSON's; the scan refuses it
		}
		if c[0] >= '-' && c[0] <= 'z' && c[0] != '<' && c[0] != '>' && c[0] != '\\' {
			return true
		}
		data = data[i+6:]
	}
}

// search looks for one pattern.
type search struct {
	*pattern
	escaped bool // an escape somewhere may hide any word
}

// maxSearchDepth is deeper than the vocabulary nests; it bounds what is scanned
// again on each level.
const maxSearchDepth = 16

// opaque members hold the caller's own JSON, in which the words mean nothing.
var opaque = []string{"input", "input_schema", "input_examples", "schema", "metadata"}

func (s *search) in(raw []byte, step, depth int) (bool, error) {
	switch {
	case step == len(s.steps):
		return s.ends(raw), nil
	case depth > maxSearchDepth:
		return false, nil
	case !s.escaped && !bytes.Contains(raw, s.needle):
		return false, nil
	}
	switch name := s.steps[step]; raw[0] {
	case '{':
		members, err := jsonspan.Scan(make(jsonspan.Members, 0, 8), raw, s.keys[step])
		if err != nil {
			return false, err
		}
		if name == "**" {
			if ok, err := s.in(raw, step+1, depth); ok || err != nil {
				return ok, err
			}
			for _, m := range members {
				if slices.Contains(opaque, string(m.Key)) {
					continue
				}
				if ok, err := s.in(m.Value(raw), step, depth+1); ok || err != nil {
					return ok, err
				}
			}
			return false, nil
		}
		if m, ok := members.Get(name); ok {
			return s.in(m.Value(raw), step+1, depth+1)
		}
	case '[':
		if name != "[]" && name != "[-1]" && name != "**" {
			return false, nil
		}
		elements, err := jsonspan.ScanArray(nil, raw)
		if err != nil {
			return false, err
		}
		next := step + 1
		switch {
		case name == "**":
			next = step
		case name == "[-1]" && len(elements) > 0:
			elements = elements[len(elements)-1:]
		}
		for _, e := range elements {
			if ok, err := s.in(e.Value(raw), next, depth+1); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

func (p *pattern) ends(raw []byte) bool {
	if p.value == "" {
		return string(raw) != "null"
	}
	if v, ok := jsonspan.Bool(raw); ok {
		return v == (p.value == "true")
	}
	text, err := jsonspan.String(nil, raw)
	if err != nil {
		return false
	}
	ok, _ := path.Match(p.value, string(text))
	return ok
}

func (g *Gateway) detects() *detector {
	g.detectorOnce.Do(func() { g.detector = &detector{catalog: g.Catalog} })
	return g.detector
}

// checkCapabilities refuses by name what the model has and this upstream has not.
// What reads documents for an upstream has a refusal of its own.
func (g *Gateway) checkCapabilities(body *Body) error {
	if body.dialect != Messages {
		return nil
	}
	c := g.Upstream.Capabilities()
	for _, n := range []struct {
		can     bool
		feature string
	}{{c.Images, "vision"}, {c.Tools, "tool_use"}, {c.Thinking, "thinking"}, {c.Thinking, "adaptive_thinking"}} {
		if n.can {
			continue
		}
		used, err := shown(body, g.detects().of(n.feature))
		if err != nil {
			return err
		}
		if len(used) > 0 {
			return messages.Errorf(messages.InvalidRequest, "Not supported by the upstream %s: %s.", g.Upstream.Name(), g.detects().title(n.feature)).
				WithHint("leave it out, or use an upstream that has it")
		}
	}
	return nil
}

// checkFeatures refuses what AWS does not have for this model and API. Under
// strict, what needs a beta is refused without it.
func (g *Gateway) checkFeatures(head *Head, body *Body, m *catalog.Model) error {
	api := apiOf(head)
	if head.Operation == bedrockapi.CountTokens && !g.estimates() && m.Feature("count_tokens", api).Level == catalog.No {
		return errUncounted
	}
	used, err := g.detects().used(body, m, api, catalog.No)
	if err != nil {
		return err
	}
	for _, name := range used {
		if head.isLeft(g.Catalog, name) || name == "sampling" && neutralSampling(body) {
			continue
		}
		if name == "prefill" {
			return messages.Errorf(messages.ModelRejected, "This model does not support assistant message prefill. The conversation must end with a user message.")
		}
		if _, err := m.CheckFeature(name, api); err != nil {
			if at, tag := toolTag(body, "advisor_"); name == "advisor" && tag != "" {
				// In the model's words: by them Claude Code knows to go on without it.
				return messages.Errorf(messages.ModelRejected, "tools.%d: Input tag '%s' found using 'type' does not match any of the expected tags", at, tag).
					WithHint("%s", messages.AsError(err).Message)
			}
			return err
		}
	}
	if !g.Policy.Strict {
		return nil
	}
	if used, err = g.detects().used(body, m, api, catalog.Beta); err != nil {
		return err
	}
	for _, name := range used {
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

// toolTag finds the first tool whose type begins so; "": there is none.
func toolTag(body *Body, prefix string) (at int, tag string) {
	raw, _ := body.Get("tools")
	tools, err := jsonspan.ScanArray(nil, raw)
	if err != nil {
		return 0, ""
	}
	for i, span := range tools {
		members, err := jsonspan.Scan(nil, span.Value(raw), nil)
		if err != nil {
			continue // it has been looked at
		}
		kind, _ := members.Get("type")
		if tag, err := stringOf(kind.Value(span.Value(raw))); err == nil && strings.HasPrefix(tag, prefix) {
			return i, tag
		}
	}
	return 0, ""
}

// neutralSampling says that the sampling members have the values that models
// without sampling still take: temperature 1, a top_p of 0.99 or more.
func neutralSampling(body *Body) bool {
	set := func(key string) ([]byte, bool) {
		raw, ok := body.Get(key)
		return raw, ok && string(raw) != "null"
	}
	if _, ok := set("top_k"); ok {
		return false
	}
	for key, least := range map[string]float64{"temperature": 1, "top_p": 0.99} {
		var v float64
		if raw, ok := set(key); ok && (json.Unmarshal(raw, &v) != nil || v < least || v > 1) {
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
