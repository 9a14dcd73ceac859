package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

type featuresCmd struct {
	Ref  string `arg:"" optional:"" name:"model" help:"One model, as a client names it; without it, what all models have."`
	JSON bool   `name:"json" help:"Print JSON: every feature, model and API, with source and date."`
}

func (featuresCmd) Help() string {
	return `Examples:

  outcrop features
  outcrop features anthropic.claude-opus-4-6-v1:0
  outcrop features --json | jq '.[] | select(.feature=="citations")'

What works on Amazon Bedrock, by feature, model and API; the server refuses from the
same rows.`
}

func (c *featuresCmd) Run(con console) error {
	cat, err := catalog.Load()
	if err != nil {
		return err
	}
	models := cat.Models()
	if c.Ref != "" {
		m, ok := cat.Lookup(c.Ref)
		if !ok {
			return tell(bedrock.ErrNotFound, "no Claude model on Amazon Bedrock is named %q: %s models lists them", c.Ref, self())
		}
		models = []*catalog.Model{m}
	}
	if c.JSON {
		return con.writeJSON(featureRows(cat, models))
	}
	if c.Ref != "" {
		fmt.Fprintf(con.Out, "%s (%s)\n\n", models[0].Name, models[0].ID)
	}
	w := table(con.Out)
	heads := []string{"FEATURE"}
	for _, a := range catalog.APIs() {
		heads = append(heads, strings.ToUpper(a.String()))
	}
	if c.Ref != "" {
		heads = append(heads, "BETA")
	}
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	for _, f := range cat.Features() {
		cells := []string{f.Title}
		for _, a := range catalog.APIs() {
			cells = append(cells, summary(models, f.Name, a))
		}
		if names := betas(models[0], f.Name); c.Ref != "" && len(names) > 0 {
			cells = append(cells, strings.Join(names, " "))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if c.Ref == "" {
		fmt.Fprintf(con.Out, "\n\"3 of %d\": so many models have it. One model's own row: %s features MODEL\n", len(models), self())
	}
	return nil
}

// summary is one cell: a level where all models agree, otherwise how many have
// the feature.
func summary(models []*catalog.Model, name string, a catalog.API) string {
	first, have, agree := models[0].Feature(name, a).Level, 0, true
	for _, m := range models {
		level := m.Feature(name, a).Level
		agree = agree && level == first
		if level == catalog.Yes || level == catalog.Beta {
			have++
		}
	}
	if agree {
		return first.String()
	}
	return fmt.Sprintf("%d of %d", have, len(models))
}

// betas are what a model wants for the feature, on any of its APIs.
func betas(m *catalog.Model, name string) []string {
	var out []string
	for _, a := range catalog.APIs() {
		if s := m.Feature(name, a); s.Level == catalog.Beta && s.Beta != "" && !slices.Contains(out, s.Beta) {
			out = append(out, s.Beta)
		}
	}
	return out
}

type featureRow struct {
	Feature string `json:"feature"`
	Title   string `json:"title"`
	Model   string `json:"model"`
	API     string `json:"api"`
	Level   string `json:"level"`
	Beta    string `json:"beta,omitempty"`
	Note    string `json:"note,omitempty"`
	Source  string `json:"source"`
	URL     string `json:"url"`
	Date    string `json:"date"`
}

func featureRows(cat *catalog.Catalog, models []*catalog.Model) []featureRow {
	rows := []featureRow{}
	for _, f := range cat.Features() {
		for _, m := range models {
			for _, a := range catalog.APIs() {
				s := m.Feature(f.Name, a)
				rows = append(rows, featureRow{f.Name, f.Title, m.ID, a.String(), s.Level.String(), s.Beta, s.Note, s.Source.Title, s.Source.URL, s.Source.Date})
			}
		}
	}
	return rows
}
