package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// FoundationModel is a model as the control plane lists it in one Region.
type FoundationModel struct {
	Model          *Model
	ID             string   // the page's spelling for its ten; strict: AWS's
	InferenceTypes []string // ON_DEMAND, INFERENCE_PROFILE
	Stage          Stage
	Deprecated     bool // the page's mark
	region         string
}

// ARN of the model in its Region.
func (f FoundationModel) ARN() string { return f.Model.arn(f.region, f.ID) }

func (m *Model) arn(region, id string) string {
	part := "aws"
	if p, ok := m.cat.Partition(region); ok {
		part = p
	}
	return "arn:" + part + ":bedrock:" + region + "::foundation-model/" + id
}

// ModelFilter holds the filters of ListFoundationModels; "" does not filter.
type ModelFilter struct{ Provider, Customization, OutputModality, InferenceType string }

// Provider of every model here.
const Provider = "Anthropic"

func (f ModelFilter) keeps(m FoundationModel) bool {
	return (f.Provider == "" || strings.EqualFold(f.Provider, Provider)) &&
		f.Customization == "" && // no Claude model here can be customized
		(f.OutputModality == "" || slices.Contains(m.Model.OutputModalities, f.OutputModality)) &&
		(f.InferenceType == "" || slices.Contains(m.InferenceTypes, f.InferenceType))
}

// FoundationModels lists the models that can be called from region, or that a
// profile brings there: the page's ten in its order, then the later ones.
func (c *Catalog) FoundationModels(region string, f ModelFilter, p Policy) []FoundationModel {
	var out []FoundationModel
	for _, m := range c.models {
		if fm, ok := c.listed(m, region, p); ok && f.keeps(fm) {
			out = append(out, fm)
		}
	}
	return out
}

// FoundationModel is one of FoundationModels, by id or ARN.
func (c *Catalog) FoundationModel(ref, region string, p Policy) (FoundationModel, error) {
	id := ref
	if a, ok := parseARN(ref); ok && a.kind == "foundation-model" && a.region == region {
		id = a.name
	}
	if e, ok := c.refs[id]; ok && e.prefix == "" && (e.aws || !p.strict()) {
		if fm, ok := c.listed(e.model, region, p); ok {
			return fm, nil
		}
	}
	return FoundationModel{}, messages.Errorf(messages.NotFound, "Could not resolve the foundation model from the provided model identifier.")
}

func (c *Catalog) listed(m *Model, region string, p Policy) (FoundationModel, bool) {
	f := FoundationModel{Model: m, ID: c.listID(m, p), Stage: m.Lifecycle.Stage(c.at(p)), region: region}
	if f.Stage == Retired && (p.strict() || m.Page == nil) || p.PageOnly && m.Page == nil {
		return f, false
	}
	f.Deprecated = m.Page != nil && m.Page.Deprecated
	there := m.inRegion.Contains(region)
	if there {
		f.InferenceTypes = append(f.InferenceTypes, "ON_DEMAND")
	}
	callable := false
	for _, pr := range m.Profiles {
		if !p.allowed(m, pr) {
			continue
		}
		if _, ok := pr.Destinations(region); ok {
			callable = true
		}
		for _, w := range pr.route.wallOf {
			there = there || !w.anywhere && w.Contains(region)
		}
	}
	if callable || there && len(f.InferenceTypes) == 0 {
		f.InferenceTypes = append(f.InferenceTypes, "INFERENCE_PROFILE")
	}
	return f, callable || there
}

func (c *Catalog) listID(m *Model, p Policy) string {
	if m.Page != nil && !p.strict() {
		return m.Page.ID
	}
	return m.ID
}

// InferenceProfile is a system-defined profile as the control plane lists it in
// one source Region.
type InferenceProfile struct {
	Model       *Model
	ID          string
	Prefix      string
	Name        string
	Description string
	ModelARNs   []string
	Created     time.Time // zero: not known
	Source      string    // "aws", or "page" where AWS has none today
	Confidence  string
	region      string
}

// ARN of the profile, in the account that looks.
func (i InferenceProfile) ARN(account string) string {
	part, _ := i.Model.cat.Partition(i.region)
	return "arn:" + part + ":bedrock:" + i.region + ":" + account + ":inference-profile/" + i.ID
}

// InferenceProfiles lists the profiles that can be called from region, in the
// order of FoundationModels and of the page's columns.
func (c *Catalog) InferenceProfiles(region string, p Policy) []InferenceProfile {
	var out []InferenceProfile
	for _, m := range c.models {
		for _, pr := range m.Profiles {
			if ip, ok := c.listedProfile(m, pr, region, p); ok {
				out = append(out, ip)
			}
		}
	}
	return out
}

// InferenceProfile is one of InferenceProfiles, by id or ARN.
func (c *Catalog) InferenceProfile(ref, region string, p Policy) (InferenceProfile, error) {
	id := ref
	if a, ok := parseARN(ref); ok && a.kind == "inference-profile" && a.region == region {
		id = a.name
	}
	if e, ok := c.refs[id]; ok && e.prefix != "" && (e.aws || !p.strict()) {
		pr, _ := e.model.Profile(e.prefix)
		if ip, ok := c.listedProfile(e.model, pr, region, p); ok {
			return ip, nil
		}
	}
	return InferenceProfile{}, messages.Errorf(messages.NotFound, "Could not find the inference profile %s.", ref)
}

func (c *Catalog) listedProfile(m *Model, pr Profile, region string, p Policy) (InferenceProfile, bool) {
	to, ok := pr.Destinations(region)
	retired := m.Lifecycle.Stage(c.at(p)) == Retired
	if !ok || !p.allowed(m, pr) || retired && (p.strict() || !m.Page.Has(pr.Prefix)) {
		return InferenceProfile{}, false
	}
	id := c.listID(m, p)
	i := InferenceProfile{
		Model: m, ID: join(pr.Prefix, id), Prefix: pr.Prefix, Created: m.Lifecycle.Start,
		Source: "aws", Confidence: pr.Confidence, region: region,
	}
	if pr.PageOnly || retired {
		i.Source = "page"
	}
	if to.Anywhere() {
		i.Name = "Global Anthropic " + m.Name
		i.Description = fmt.Sprintf("Routes requests to Anthropic %s globally across all supported AWS Regions.", m.Name)
		i.ModelARNs = []string{m.arn(region, id), m.arn("", id)}
		return i, true
	}
	i.Name = strings.ToUpper(pr.Prefix) + " Anthropic " + m.Name
	regions := to.Regions()
	for _, r := range regions {
		i.ModelARNs = append(i.ModelARNs, m.arn(r, id))
	}
	last := len(regions) - 1
	i.Description = fmt.Sprintf("Routes requests to Anthropic %s in %s and %s.", m.Name, strings.Join(regions[:last], ", "), regions[last])
	return i, true
}
