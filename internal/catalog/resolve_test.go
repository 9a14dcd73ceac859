package catalog

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := "testdata/" + file
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		var g, w string
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			t.Fatalf("%s:%d:\n got %s\nwant %s\n(-update rewrites it)", path, i+1, g, w)
		}
	}
}

func on(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return t
}

// today is fixed, so that a golden file does not change by itself.
var today = on("2026-11-20")

var policies = []struct {
	name string
	Policy
}{
	{"default", Policy{Now: today}},
	{"strict", Policy{Now: today, Strict: true}},
}

// every id that means anything: each model bare and with each prefix there is.
func (c *Catalog) kinds(m *Model) []string {
	ids := []string{m.ID}
	for _, p := range c.prefixes {
		ids = append(ids, join(p, m.ID))
	}
	return ids
}

// TestResolveGolden pins model x kind x Region x policy: one line for each
// different answer, with the Regions that get it ("*": all the others). A kind
// that nobody may call has no line, nor has strict where it answers the same.
func TestResolveGolden(t *testing.T) {
	c := loaded(t)
	var out strings.Builder
	for _, m := range c.models {
		fmt.Fprintf(&out, "%s\n", m.ID)
		for _, id := range c.kinds(m) {
			var before string
			for _, p := range policies {
				got := c.answers(id, p.Policy)
				nobody := strings.HasPrefix(got, "\t\t\"The provided") && strings.Count(got, "\n") == 1
				if got == before || nobody && before == "" {
					continue
				}
				kind := strings.TrimSuffix(strings.TrimSuffix(id, m.ID), ".")
				fmt.Fprintf(&out, "\t%s %s\n%s", cmp.Or(kind, "no prefix,"), p.name, got)
				before = got
			}
		}
	}
	golden(t, "resolve.golden", out.String())
}

func (c *Catalog) answers(id string, p Policy) string {
	answers, from := []string{}, map[string][]string{}
	for _, region := range c.regions.names {
		a := answer(c.Resolve(id, region, p))
		if from[a] == nil {
			answers = append(answers, a)
		}
		from[a] = append(from[a], region)
	}
	most := slices.MaxFunc(answers, func(a, b string) int { return len(from[a]) - len(from[b]) })
	var out strings.Builder
	for _, a := range answers {
		regions := strings.Join(from[a], " ")
		if a == most {
			regions = "*"
		}
		fmt.Fprintf(&out, "\t\t%s <- %s\n", a, regions)
	}
	return out.String()
}

func answer(r *Resolution, err error) string {
	if err != nil {
		return fmt.Sprintf("%.40q", messages.AsError(err).Message)
	}
	k := r.Candidates[0]
	s := fmt.Sprintf("%s %s %s +%d -%d", cmp.Or(r.Profile, "in-Region"), k.Price.Input.USD(), k.Wall, len(r.Candidates)-1, len(r.RuledOut))
	for _, extra := range []string{r.Source, r.Confidence} {
		if extra != "aws" && extra != "high" {
			s += ", " + extra
		}
	}
	if r.Warning != "" {
		s += ", warned"
	}
	return s
}

// TestResolveLaws holds every spelling from every Region under every policy to
// the package's invariant and to what Source promises.
func TestResolveLaws(t *testing.T) {
	c := loaded(t)
	for ref := range c.refs {
		for _, region := range c.regions.names {
			for _, mantle := range []bool{false, true} {
				for _, now := range []time.Time{on("2026-02-10"), today, on("2028-01-01")} {
					def, defErr := c.Resolve(ref, region, Policy{Now: now, Mantle: mantle})
					strict, strictErr := c.Resolve(ref, region, Policy{Now: now, Mantle: mantle, Strict: true})
					paged, _ := c.Resolve(ref, region, Policy{Now: now, Mantle: mantle, PageOnly: true})
					where := fmt.Sprintf("%s from %s on %s, mantle %v", ref, region, now.Format(time.DateOnly), mantle)
					for _, r := range []*Resolution{def, strict, paged} {
						lawful(t, c, where, region, r)
					}
					if (strictErr == nil) != (defErr == nil && def.Source == "aws") {
						t.Errorf("%s: strict says %v, default says %v, source %v", where, strictErr, defErr, def)
					}
					if paged != nil && defErr != nil {
						t.Errorf("%s: the page allows what the default refuses", where)
					}
				}
			}
		}
	}
}

func lawful(t *testing.T, c *Catalog, where, region string, r *Resolution) {
	t.Helper()
	if r == nil {
		return
	}
	if len(r.Candidates) == 0 || r.Candidates[0].Region != region {
		t.Fatalf("%s: the caller's Region does not come first", where)
	}
	seen := map[string]bool{}
	wall := r.Candidates[0].Wall
	part, _ := c.Partition(region)
	for _, k := range r.Candidates {
		if !k.Reach.Within(k.Wall) || !k.Reach.Within(wall) {
			t.Errorf("%s: %s in %s reaches %s, outside %s", where, k.ID, k.Region, k.Reach, k.Wall)
		}
		if (k.Endpoint == Global) != k.Wall.Anywhere() || (k.Endpoint == InRegion) != (k.Wall.Len() == 1) {
			t.Errorf("%s: a %s endpoint with the wall %s", where, k.Endpoint, k.Wall)
		}
		if k.Price.Input <= 0 || k.Price.Output <= 0 || k.Reason == "" || seen[k.Region] {
			t.Errorf("%s: candidate %+v", where, k)
		}
		if p, _ := c.Partition(k.Region); p != part {
			t.Errorf("%s: %s is in another partition", where, k.Region)
		}
		seen[k.Region] = true
	}
	for _, o := range r.RuledOut {
		if o.Reason == "" || o.ID == "" {
			t.Errorf("%s: ruled out without reason: %+v", where, o)
		}
	}
	for _, b := range []byte(r.Warning) {
		if b < ' ' || b > '~' {
			t.Fatalf("%s: the warning does not fit a header: %q", where, r.Warning)
		}
	}
}

func TestResolve(t *testing.T) {
	const (
		invalidID = "The provided model identifier is invalid."
		ended     = "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
		idle      = "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model in the last 15 days. Please upgrade to an active model on Amazon Bedrock"
	)
	onDemand := func(id string) string {
		return "Invocation of model ID " + id + " with on-demand throughput isn’t supported. Retry your request with the ID or ARN of an inference profile that contains this model."
	}
	strict := Policy{Strict: true}
	tests := []struct {
		name, ref, region string
		p                 Policy
		id, wall          string // "" id: refused
		source            string
		err               string
	}{
		{"the page's first example", "global.anthropic.claude-opus-4-6-v1:0", "us-west-2", Policy{}, "global.anthropic.claude-opus-4-6-v1", "anywhere", "page", ""},
		{"as AWS spells it", "global.anthropic.claude-opus-4-6-v1", "us-west-2", Policy{}, "global.anthropic.claude-opus-4-6-v1", "anywhere", "aws", ""},
		{"AWS refuses the page's spelling", "global.anthropic.claude-opus-4-6-v1:0", "us-west-2", strict, "", "", "", invalidID},
		{"the page's second example, no prefix", "anthropic.claude-opus-4-6-v1:0", "us-west-2", Policy{}, "us.anthropic.claude-opus-4-6-v1", "us-east-1 us-east-2 us-west-2", "page", ""},
		{"the same at AWS", "anthropic.claude-opus-4-6-v1", "us-west-2", strict, "", "", "", onDemand("anthropic.claude-opus-4-6-v1")},
		{"no prefix, on demand", "anthropic.claude-opus-4-6-v1", "eu-west-2", strict, "anthropic.claude-opus-4-6-v1", "eu-west-2", "aws", ""},
		{"jp is narrower than apac", "anthropic.claude-opus-4-6-v1", "ap-northeast-1", Policy{}, "jp.anthropic.claude-opus-4-6-v1", "ap-northeast-1 ap-northeast-3", "page", ""},
		{"apac where there is no jp", "anthropic.claude-opus-4-6-v1", "ap-northeast-2", Policy{}, "apac.anthropic.claude-opus-4-6-v1", "ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-4", "page", ""},
		{"au is narrower than apac", "anthropic.claude-opus-4-6-v1", "ap-southeast-2", Policy{}, "au.anthropic.claude-opus-4-6-v1", "ap-southeast-2 ap-southeast-4", "page", ""},
		{"never global by itself", "anthropic.claude-opus-4-6-v1", "sa-east-1", Policy{}, "", "", "", onDemand("anthropic.claude-opus-4-6-v1")},
		{"Canada widens its own wall", "us.anthropic.claude-opus-5", "ca-central-1", strict, "us.anthropic.claude-opus-5", "us-east-1 us-east-2 us-west-2 ca-central-1", "aws", ""},
		{"Virginia's wall has no Canada", "us.anthropic.claude-opus-5", "us-east-1", strict, "us.anthropic.claude-opus-5", "us-east-1 us-east-2 us-west-2", "aws", ""},
		{"not a source Region", "eu.anthropic.claude-opus-5", "us-east-1", strict, "", "", "", invalidID},
		{"the page's jp cell is not AWS's", "jp.anthropic.claude-opus-4-6-v1", "ap-northeast-1", strict, "", "", "", invalidID},
		{"India", "in.anthropic.claude-haiku-4-5-20251001-v1:0", "ap-south-1", strict, "in.anthropic.claude-haiku-4-5-20251001-v1:0", "ap-south-1 ap-south-2", "aws", ""},
		{"GovCloud", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-gov-west-1", strict, "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-gov-east-1 us-gov-west-1", "aws", ""},
		{"no global from GovCloud", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-gov-west-1", Policy{}, "", "", "", invalidID},
		{"without :0", "us.anthropic.claude-sonnet-4-5-20250929-v1", "us-east-1", Policy{}, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-east-1 us-east-2 us-west-2", "page", ""},
		{"undated", "us.anthropic.claude-sonnet-4-5", "us-east-1", Policy{}, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us-east-1 us-east-2 us-west-2", "page", ""},
		{"first-party alias", "claude-sonnet-4-5", "eu-west-1", Policy{}, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "eu-central-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-3", "page", ""},
		{"first-party id at AWS", "claude-sonnet-4-5-20250929", "eu-west-1", strict, "", "", "", invalidID},
		{"no such model", "anthropic.claude-opus-9", "us-east-1", Policy{}, "", "", "", invalidID},
		{"no such profile", "apac.anthropic.claude-opus-5", "ap-northeast-1", Policy{}, "", "", "", invalidID},
		{"no such Region", "global.anthropic.claude-opus-5", "us-east-9", Policy{}, "", "", "", invalidID},
		{"a prefix before a first-party name", "us.claude-opus-4-6", "us-east-1", Policy{}, "", "", "", invalidID},

		{"retired, on the page", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "us-east-1", Policy{}, "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "us-east-1 us-east-2 us-west-2", "page", ""},
		{"retired, at AWS", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "us-east-1", strict, "", "", "", ended},
		{"before its end", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "us-east-1", Policy{Strict: true, Now: on("2026-02-10")}, "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "us-east-1 us-east-2 us-west-2", "aws", ""},
		{"the day before the end", "apac.anthropic.claude-sonnet-4-20250514-v1:0", "ap-south-1", Policy{Strict: true, Now: on("2026-10-13")}, "apac.anthropic.claude-sonnet-4-20250514-v1:0", "ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-4", "aws", ""},
		{"the day of the end", "apac.anthropic.claude-sonnet-4-20250514-v1:0", "ap-south-1", Policy{Strict: true, Now: on("2026-10-14")}, "", "", "", ended},
		{"legacy, in use", "us.anthropic.claude-opus-4-1-20250805-v1:0", "us-east-1", strict, "us.anthropic.claude-opus-4-1-20250805-v1:0", "us-east-1 us-east-2 us-west-2", "aws", ""},
		{"legacy, idle", "us.anthropic.claude-opus-4-1-20250805-v1:0", "us-east-1", Policy{Strict: true, Idle: true}, "", "", "", idle},

		{"mantle", "anthropic.claude-haiku-4-5", "us-east-1", Policy{Strict: true, Mantle: true}, "anthropic.claude-haiku-4-5", "us-east-1", "aws", ""},
		{"mantle has no dated ids", "anthropic.claude-haiku-4-5-20251001-v1:0", "us-east-1", Policy{Strict: true, Mantle: true}, "", "", "", "The model 'anthropic.claude-haiku-4-5-20251001-v1:0' does not exist"},
		{"mantle, not there", "anthropic.claude-opus-5-5", "eu-west-1", Policy{Strict: true, Mantle: true}, "", "", "", "The model 'anthropic.claude-opus-5-5' does not exist"},
		{"mantle, by the page's rule", "anthropic.claude-opus-5-5", "eu-west-1", Policy{Mantle: true}, "eu.anthropic.claude-opus-5-5", "eu-central-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-3", "page", ""},
		{"the mantle id on runtime", "anthropic.claude-haiku-4-5", "us-east-1", strict, "", "", "", invalidID},

		{"model ARN", "arn:aws:bedrock:eu-west-2::foundation-model/anthropic.claude-opus-4-6-v1", "eu-west-2", strict, "anthropic.claude-opus-4-6-v1", "eu-west-2", "aws", ""},
		{"model ARN, profile only", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-5", "us-east-1", strict, "", "", "", onDemand("anthropic.claude-opus-5")},
		{"profile ARN", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5", "us-east-1", strict, "us.anthropic.claude-opus-5", "us-east-1 us-east-2 us-west-2", "aws", ""},
		{"GovCloud ARN", "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.anthropic.claude-opus-5-5", "us-gov-west-1", strict, "us-gov.anthropic.claude-opus-5-5", "us-gov-east-1 us-gov-west-1", "aws", ""},
		{"another Region's ARN", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5", "us-east-2", Policy{}, "", "", "", invalidID},
		{"another partition", "arn:aws-cn:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5", "us-east-1", Policy{}, "", "", "", invalidID},
		{"a profile under foundation-model", "arn:aws:bedrock:us-east-1::foundation-model/us.anthropic.claude-opus-5", "us-east-1", Policy{}, "", "", "", invalidID},
		{"a model under inference-profile", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/anthropic.claude-opus-5", "us-east-1", Policy{}, "", "", "", invalidID},
		{"a profile ARN without account", "arn:aws:bedrock:us-east-1::inference-profile/us.anthropic.claude-opus-5", "us-east-1", Policy{}, "", "", "", invalidID},
		{"a first-party name in an ARN", "arn:aws:bedrock:eu-west-2::foundation-model/claude-opus-4-6", "eu-west-2", Policy{}, "", "", "", invalidID},
		{"the region-less ARN of global policies", "arn:aws:bedrock:::foundation-model/anthropic.claude-opus-5", "us-east-1", Policy{}, "", "", "", invalidID},
		{"another service's ARN", "arn:aws:s3:us-east-1:123456789012:bucket/x", "us-east-1", Policy{}, "", "", "", invalidID},
		{"no ARN at all", "arn:", "us-east-1", Policy{}, "", "", "", invalidID},
		{"another kind", "arn:aws:bedrock:us-east-1:123456789012:imported-model/abc", "us-east-1", Policy{}, "", "", "", invalidID},
		{"an application profile, nobody to ask", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl", "us-east-1", Policy{}, "", "", "", "Could not resolve the foundation model from the provided model identifier."},
		{"provisioned, nobody to ask", "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghijkl", "us-east-1", Policy{}, "", "", "", "Could not resolve the foundation model from the provided model identifier."},
	}
	c := loaded(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := c.Resolve(tt.ref, tt.region, tt.p)
			if tt.err != "" {
				var e *messages.Error
				if !errors.As(err, &e) || e.Message != tt.err {
					t.Fatalf("got %v, %v\nwant %s", r, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			k := r.Candidates[0]
			if k.ID != tt.id || k.Wall.String() != tt.wall || r.Source != tt.source || r.Ref != tt.ref {
				t.Errorf("got %s in %q, source %s, ref %s\nwant %s in %q, source %s", k.ID, k.Wall, r.Source, r.Ref, tt.id, tt.wall, tt.source)
			}
		})
	}
}

func TestResolveOrder(t *testing.T) {
	c := loaded(t)
	regions := func(r *Resolution) (out []string) {
		for _, k := range r.Candidates {
			out = append(out, k.Region)
		}
		return out
	}
	r, err := c.Resolve("global.anthropic.claude-opus-5", "eu-west-3", Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if got := regions(r); got[0] != "eu-west-3" || len(got) != 33 {
		t.Errorf("global: %v", got)
	}
	r, err = c.Resolve("us.anthropic.claude-opus-5", "us-west-1", Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(regions(r), " "); got != "us-west-1 us-east-1 us-east-2 us-west-2" {
		t.Errorf("us. from us-west-1: %s", got)
	}
	var out []string
	for _, o := range r.RuledOut {
		out = append(out, o.Region+": "+o.Reason)
	}
	want := "ca-central-1: from there the profile also reaches ca-central-1|ca-west-1: from there the profile also reaches ca-west-1"
	if got := strings.Join(out, "|"); got != want {
		t.Errorf("ruled out %s\nwant %s", got, want)
	}
}

// An account's own profile is called by its ARN, in its Region alone, inside
// the Wall of what it was made from.
func TestResolveOwn(t *testing.T) {
	c := loaded(t)
	const mine = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl"
	made := map[string]string{
		mine: "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5",
		"arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/loop": mine,
		"arn:aws:bedrock:us-east-1:123456789012:provisioned-model/units":            "us.anthropic.claude-opus-4-8",
	}
	p := Policy{Strict: true, Own: func(arn string) (string, bool) { s, ok := made[arn]; return s, ok }}
	r, err := c.Resolve(mine, "us-east-1", p)
	if err != nil {
		t.Fatal(err)
	}
	if k := r.Candidates[0]; len(r.Candidates) != 1 || k.ID != mine || k.Wall.String() != "us-east-1 us-east-2 us-west-2" || r.Account != "123456789012" || r.Model.ID != "anthropic.claude-opus-5" {
		t.Errorf("%+v", r)
	}
	if _, err := c.Resolve("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/units", "us-east-1", p); err != nil {
		t.Error(err)
	}
	if r, err := c.Resolve("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/loop", "us-east-1", p); err == nil {
		t.Errorf("a profile of a profile: %+v", r)
	}
	here := p
	here.OwnHere, here.OwnAccount = true, "123456789012"
	r, err = c.Resolve(mine, "us-east-1", here)
	if err != nil {
		t.Fatal(err)
	}
	if k := r.Candidates[0]; len(r.Candidates) < 2 || k.ID != "us.anthropic.claude-opus-5" || r.Ref != mine || r.Account != "" {
		t.Errorf("of this server: %+v", r)
	}
	here.OwnAccount = "999999999999"
	if r, err := c.Resolve(mine, "us-east-1", here); err == nil {
		t.Errorf("another account's profile: %+v", r)
	}
	// What stands in the operator's AWS accounts is called by its ARN, whoever calls.
	theirs := Policy{Own: func(string) (string, bool) { return "", false }, OwnHere: true, OwnAccount: "999999999999", Theirs: p.Own}
	r, err = c.Resolve(mine, "us-east-1", theirs)
	if err != nil {
		t.Fatal(err)
	}
	if k := r.Candidates[0]; len(r.Candidates) != 1 || k.ID != mine || k.Wall.String() != "us-east-1 us-east-2 us-west-2" || r.Account != "123456789012" {
		t.Errorf("of an AWS account: %+v", r)
	}
	made["arn:aws:bedrock:us-east-1:123456789012:provisioned-model/here"] = "anthropic.claude-opus-4-6-v1"
	r, err = c.Resolve("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/here", "us-east-1", theirs)
	if err != nil || r.Candidates[0].Wall.String() != "us-east-1" || r.Candidates[0].Reach.String() != "us-east-1" {
		t.Errorf("capacity in a Region: %+v, %v", r, err)
	}
	// The kept answer of the profile itself is not touched.
	if r, _ := c.Resolve("us.anthropic.claude-opus-5", "us-east-1", Policy{Strict: true}); r.Candidates[0].ID != "us.anthropic.claude-opus-5" {
		t.Errorf("%+v", r.Candidates[0])
	}
}

func TestAliases(t *testing.T) {
	c := loaded(t)
	owner := map[string]*Model{}
	for _, m := range c.Models() {
		for _, id := range append([]string{m.ID}, m.Aliases...) {
			if other := owner[id]; other != nil {
				t.Errorf("%s names %s and %s", id, other.ID, m.ID)
			}
			owner[id] = m
			if got, ok := c.Lookup(id); !ok || got != m {
				t.Errorf("Lookup(%s) = %v", id, got)
			}
		}
	}
	for _, id := range []string{
		"claude-opus-4-6", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "anthropic.claude-sonnet-4-5",
		"anthropic.claude-haiku-4-5", "anthropic.claude-3-haiku-20240307-v1", "claude-3-7-sonnet-latest", "claude-fable-5-1",
	} {
		if owner[id] == nil {
			t.Errorf("%s names no model", id)
		}
	}
}

// Answers are kept: the same pointer again, another one after a border of time.
func TestResolveKeeps(t *testing.T) {
	c := loaded(t)
	const id = "us.anthropic.claude-sonnet-5-5"
	old, _ := c.Resolve(id, "us-east-1", Policy{Now: on("2026-10-06")})
	now, _ := c.Resolve(id, "us-east-1", Policy{Now: today})
	again, _ := c.Resolve(id, "us-east-1", Policy{Now: today.Add(time.Hour)})
	back, _ := c.Resolve(id, "us-east-1", Policy{Now: on("2026-10-06")})
	if now != again || old == now || old.Candidates[0].Price == now.Candidates[0].Price || back.Candidates[0].Price != old.Candidates[0].Price {
		t.Errorf("%p %p %p %p", old, now, again, back)
	}
	for name, p := range map[string]Policy{"default": {Now: today}, "strict": {Now: today, Strict: true}, "mantle": {Now: today, Mantle: true}} {
		_, _ = c.Resolve(id, "us-east-1", p)
		if n := testing.AllocsPerRun(100, func() { _, _ = c.Resolve(id, "us-east-1", p) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestResolveConcurrently(t *testing.T) {
	c := loaded(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, m := range c.models {
				for _, id := range c.kinds(m) {
					for _, region := range []string{"us-east-1", "eu-west-2", "ap-northeast-1"} {
						_, _ = c.Resolve(id, region, Policy{Now: today})
					}
				}
			}
		})
	}
	wg.Wait()
}

func FuzzResolve(f *testing.F) {
	c := loaded(f)
	for _, s := range []string{"", ".", "arn:", "arn:aws:bedrock:us-east-1::foundation-model/", "us.", "global.anthropic.claude-opus-4-6-v1:0", "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"} {
		f.Add(s, "us-east-1")
	}
	f.Fuzz(func(t *testing.T, ref, region string) {
		r, err := c.Resolve(ref, region, Policy{Own: func(string) (string, bool) { return ref, true }})
		if (r == nil) == (err == nil) {
			t.Fatalf("%v, %v", r, err)
		}
		var e *messages.Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%T", err)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	c := loaded(b)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = c.Resolve("global.anthropic.claude-opus-4-6-v1:0", "us-west-2", Policy{Now: today})
	}
}
