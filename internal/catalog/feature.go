package catalog

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

//go:embed features.json
var featuresJSON []byte

// Level is how far something is supported.
type Level uint8

const (
	Unknown Level = iota // the data does not know the feature
	No
	Beta // with the beta named in Support
	Yes
)

func (l Level) String() string {
	switch l {
	case No:
		return "no"
	case Beta:
		return "beta"
	case Yes:
		return "yes"
	default:
		return "unknown"
	}
}

// Support is one cell of the matrix feature x model x API.
type Support struct {
	Level  Level
	Beta   string // what to send, where Level is Beta
	Note   string
	Source Source
}

// Feature is one row.
type Feature struct {
	Name, Title string
	Detect      []string // where a Messages body shows it; see "about" in features.json
	APIs        []API    // elsewhere it is No
}

// Features lists the rows in the order of the data.
func (c *Catalog) Features() []Feature {
	out := make([]Feature, len(c.features))
	for i, f := range c.features {
		out[i] = f.Feature
	}
	return out
}

// feature is a row with its cells, by model number then API.
type feature struct {
	Feature
	cells [][apiEnd]Support
}

// Feature says whether the model supports the named feature through that API.
// It is about AWS: what an upstream of another kind can do is its own affair.
func (m *Model) Feature(name string, api API) Support {
	f, ok := m.cat.featureIndex[name]
	if !ok || api < Invoke || api >= apiEnd {
		return Support{}
	}
	return f.cells[m.number][api]
}

// CheckFeature refuses, by name, what the data says no to. A feature that the
// data does not know is not refused.
func (m *Model) CheckFeature(name string, api API) (Support, error) {
	s := m.Feature(name, api)
	if s.Level != No {
		return s, nil
	}
	f := m.cat.featureIndex[name]
	e := messages.Errorf(messages.InvalidRequest, "Not supported by %s through %s on Amazon Bedrock: %s.", m.FirstPartyID, api.title(), f.Title)
	return s, e.WithHint("%s (%s, %s)", s.Source.Title, s.Source.URL, s.Source.Date)
}

func (a API) title() string {
	switch a {
	case Invoke:
		return "InvokeModel"
	case Converse:
		return "Converse"
	case Messages:
		return "the Messages API"
	case Mantle:
		return "bedrock-mantle"
	case Count:
		return "CountTokens"
	default:
		return "an unknown API"
	}
}

// BetaSupport says what AWS does with an anthropic_beta.
type BetaSupport struct {
	Known    bool // false: no evidence either way
	Accepted bool
	Becomes  string   // the name that Bedrock has for it
	Fields   []string // body members that are refused without it: strip both or none
	Source   Source
}

// Beta says what is known of a beta for the model through that API.
func (m *Model) Beta(name string, api API) BetaSupport {
	var s BetaSupport
	for _, b := range m.cat.betas {
		stem, any := strings.CutSuffix(b.name, "*")
		if b.name != name && !(any && strings.HasPrefix(name, stem)) {
			continue
		}
		if b.models[m.number] && slices.Contains(b.apis, api) {
			s = b.BetaSupport
		}
	}
	return s
}

type betaRow struct {
	name   string
	models []bool
	apis   []API
	BetaSupport
}

type fileFeatures struct {
	Schema   string                `json:"schema"`
	About    string                `json:"about"`
	Sources  map[string]fileSource `json:"sources"`
	Groups   map[string][]string   `json:"groups"`
	Features []struct {
		Name    string     `json:"name"`
		Title   string     `json:"title"`
		Detect  []string   `json:"detect"`
		APIs    []string   `json:"apis"`
		Default string     `json:"default"`
		Beta    string     `json:"beta"`
		Source  string     `json:"source"`
		Rules   []fileRule `json:"rules"`
	} `json:"features"`
	Betas []struct {
		Name    string   `json:"name"`
		Models  []string `json:"models"`
		APIs    []string `json:"apis"`
		Is      string   `json:"is"`
		Becomes string   `json:"becomes"`
		Fields  []string `json:"fields"`
		Source  string   `json:"source"`
	} `json:"betas"`
}

type fileRule struct {
	Models []string `json:"models"`
	APIs   []string `json:"apis"`
	Is     string   `json:"is"`
	Beta   string   `json:"beta"`
	Note   string   `json:"note"`
	Source string   `json:"source"`
}

// Stem is the short name that features.json knows the model by: opus-4-6.
func (m *Model) Stem() string {
	s := strings.TrimPrefix(m.FirstPartyID, "claude-")
	if i := strings.LastIndex(s, "-20"); i > 0 {
		s = s[:i]
	}
	return s
}

func (c *Catalog) loadFeatures(data []byte) error {
	var f fileFeatures
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return err
	}
	if f.Schema != "outcrop.features/1" {
		return fmt.Errorf("schema %q is not known", f.Schema)
	}
	c.featureIndex = map[string]*feature{}
	for _, in := range f.Features {
		row, err := c.feature(&f, in.APIs, fileRule{Is: in.Default, Beta: in.Beta, Source: in.Source}, in.Rules)
		if err != nil {
			return fmt.Errorf("%s: %w", in.Name, err)
		}
		row.Name, row.Title, row.Detect = in.Name, in.Title, in.Detect
		if row.Name == "" || row.Title == "" || c.featureIndex[row.Name] != nil {
			return fmt.Errorf("feature %q needs a name of its own and a title", row.Name)
		}
		c.features = append(c.features, row)
		c.featureIndex[row.Name] = row
	}
	for _, in := range f.Betas {
		models, apis, src, err := c.scope(&f, in.Models, in.APIs, in.Source)
		if err != nil || in.Is != "accepted" && in.Is != "rejected" {
			return errors.Join(fmt.Errorf("beta %s is %q", in.Name, in.Is), err)
		}
		c.betas = append(c.betas, betaRow{in.Name, models, apis, BetaSupport{true, in.Is == "accepted", in.Becomes, in.Fields, src}})
	}
	return nil
}

func (c *Catalog) feature(f *fileFeatures, apiNames []string, base fileRule, rules []fileRule) (*feature, error) {
	row := &feature{cells: make([][apiEnd]Support, len(c.models))}
	_, apis, src, err := c.scope(f, nil, apiNames, base.Source)
	if err != nil {
		return nil, err
	}
	row.APIs = apis
	for i := range row.cells {
		for _, a := range APIs() {
			row.cells[i][a] = Support{Level: No, Source: src, Note: "not a part of this API"}
		}
	}
	for i, r := range append([]fileRule{base}, rules...) {
		if r.Source == "" {
			r.Source = base.Source
		}
		if i == 0 {
			r.APIs = apiNames
		}
		models, in, src, err := c.scope(f, r.Models, r.APIs, r.Source)
		if err != nil {
			return nil, err
		}
		s := Support{Beta: r.Beta, Note: r.Note, Source: src}
		switch r.Is {
		case "yes":
			s.Level = Yes
		case "beta":
			s.Level = Beta
		case "no":
			s.Level = No
		default:
			return nil, fmt.Errorf("support %q is not known", r.Is)
		}
		if (s.Level == Beta) != (s.Beta != "") {
			return nil, errors.New("beta: which one?")
		}
		for n, hit := range models {
			for _, a := range in {
				if hit && slices.Contains(apis, a) {
					row.cells[n][a] = s
				}
			}
		}
	}
	return row, nil
}

// scope reads models (none: all), APIs (none: all) and a source.
func (c *Catalog) scope(f *fileFeatures, models, apis []string, source string) (hit []bool, in []API, src Source, err error) {
	s, ok := f.Sources[source]
	if !ok || s.URL == "" || s.Date == "" {
		return nil, nil, src, fmt.Errorf("source %q is missing or undated", source)
	}
	src = Source{source, s.Title, s.URL, s.Date}
	if in, err = parseAPIs(apis); err != nil {
		return nil, nil, src, err
	}
	if apis == nil {
		in = APIs()
	}
	hit = make([]bool, len(c.models))
	var names []string
	for _, n := range models {
		if g, ok := f.Groups[n]; ok {
			names = append(names, g...)
		} else {
			names = append(names, n)
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(c.models, func(m *Model) bool { return m.Stem() == n })
		if i < 0 {
			return nil, nil, src, fmt.Errorf("unknown model %q", n)
		}
		hit[i] = true
	}
	if models == nil {
		for i := range hit {
			hit[i] = true
		}
	}
	return hit, in, src, nil
}
