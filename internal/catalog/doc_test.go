package catalog

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// docs/features.md is made of features.json; -update writes it.
func TestDoc(t *testing.T) {
	const file = "../../docs/features.md"
	got := featureDoc(loaded(t))
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what features.json says; go test ./internal/catalog -run TestDoc -update writes it: %v", file, err)
	}
}

func featureDoc(c *Catalog) []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Features, by model and API")
	p("")
	p("<!-- Made by go test ./internal/catalog -run TestDoc -update from features.json. Do not edit. -->")
	p("")
	p("What Claude has on Amazon Bedrock, as far as it is known and since when. Where a cell says no, a request that shows the")
	p("feature is refused by its name before a model is called; \"beta\" names what `--strict` demands in `anthropic_beta`.")
	p("What an upstream of another kind cannot do is refused besides: [compat.md](compat.md). One model's row: `outcrop features MODEL`.")
	p("")
	p("APIs: **invoke** is InvokeModel, **messages** Anthropic Messages on bedrock-runtime, **mantle** the same on bedrock-mantle, **count** CountTokens.")
	var sources []Source
	cite := func(s Source) string {
		i := slices.Index(sources, s)
		if i < 0 {
			i = len(sources)
			sources = append(sources, s)
		}
		return fmt.Sprintf("[%d](#sources)", i+1)
	}
	for _, f := range c.Features() {
		p("\n## %s\n", f.Title)
		line := "`" + f.Name + "`"
		if len(f.Detect) > 0 {
			line += ", seen in a Messages body at `" + strings.Join(f.Detect, "`, `") + "`"
		}
		p("%s\n\n| models | invoke | converse | messages | mantle | count | source | |\n|---|---|---|---|---|---|---|---|", line)
		for _, g := range alike(c, f) {
			cells, notes, cited := "", []string{}, []string{}
			for _, a := range APIs() {
				s := g.models[0].Feature(f.Name, a)
				cells += " " + s.Level.String() + " |"
				if s.Beta != "" {
					notes = add(notes, "`"+s.Beta+"`")
				}
				if s.Level != No || slices.Contains(f.APIs, a) {
					notes = add(notes, s.Note)
				}
				cited = add(cited, cite(s.Source))
			}
			p("%s", strings.TrimRight("| "+g.names(c, "all others")+" |"+cells+" "+strings.Join(cited, " ")+" | "+strings.Join(notes, "; "), " ")+" |")
		}
	}
	p("\n## Betas\n\nWhat is known of an `anthropic_beta` in the body or the header. One that is refused there is let pass here with a warning, unless `--strict`. Of two rows that fit, the later one holds.\n")
	p("| beta | at AWS | models | APIs | source |\n|---|---|---|---|---|")
	for _, r := range c.betas {
		is := "refused"
		if r.Accepted {
			is = "accepted"
		}
		if r.Becomes != "" {
			is += ", as `" + r.Becomes + "`"
		}
		g := group{}
		for i, m := range c.Models() {
			if r.models[i] {
				g.models = append(g.models, m)
			}
		}
		var apis []string
		for _, a := range r.apis {
			apis = append(apis, a.String())
		}
		names := strings.Join(apis, ", ")
		if len(apis) == len(APIs()) {
			names = "all"
		}
		p("| `%s` | %s | %s | %s | %s |", r.name, is, g.names(c, ""), names, cite(r.Source))
	}
	p("\n## Sources\n")
	for i, s := range sources {
		p("%d. [%s](%s), %s", i+1, s.Title, s.URL, s.Date)
	}
	return b.Bytes()
}

// group is models that agree in every cell of a feature.
type group struct{ models []*Model }

func alike(c *Catalog, f Feature) (groups []group) {
	at := map[string]int{}
	for _, m := range c.Models() {
		key := ""
		for _, a := range APIs() {
			key += fmt.Sprintf("%+v\n", m.Feature(f.Name, a))
		}
		i, ok := at[key]
		if !ok {
			i = len(groups)
			at[key] = i
			groups = append(groups, group{})
		}
		groups[i].models = append(groups[i].models, m)
	}
	slices.SortStableFunc(groups, func(a, b group) int { return len(a.models) - len(b.models) })
	return groups
}

// names lists the models, or says others of more than half.
func (g group) names(c *Catalog, others string) string {
	switch {
	case len(g.models) == len(c.Models()):
		return "all"
	case others != "" && 2*len(g.models) > len(c.Models()):
		return others
	}
	var names []string
	for _, m := range g.models {
		names = append(names, m.Stem())
	}
	return strings.Join(names, ", ")
}

// add appends what is new and says something.
func add(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
