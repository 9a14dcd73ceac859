package bedrock_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// No id leaves its wall: every Region fails, and what was asked shows where the
// call would have gone.
func TestWalls(t *testing.T) {
	all := []string{"us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "eu-west-2", "ca-central-1", "ap-northeast-1"}
	const system = "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.anthropic.claude-opus-4-6-v1"
	const own = "arn:aws:bedrock:us-west-2:123456789012:application-inference-profile/abc"
	for _, tc := range []struct {
		model string
		home  []string // the first Regions of WithRegions
		asked string
	}{
		// After a fault of the service, another part of the world comes first.
		{bedrock.Global(bedrock.ClaudeOpus4_6), []string{"us-east-1"}, "us-east-1 eu-west-1 ap-northeast-1 us-west-2 eu-central-1 eu-west-2 ca-central-1"},
		{bedrock.Geo("us", bedrock.ClaudeOpus4_6), []string{"us-east-1"}, "us-east-1 us-west-2"}, // from Canada, Canada would see it
		{bedrock.Geo("us", bedrock.ClaudeOpus4_6), []string{"ca-central-1"}, "ca-central-1 us-east-1 us-west-2"},
		{bedrock.Geo("eu", bedrock.ClaudeOpus4_6), []string{"eu-west-1"}, "eu-west-1 eu-central-1"}, // London is outside
		{bedrock.Geo("eu", bedrock.ClaudeOpus4_6), []string{"eu-west-2"}, "eu-west-2 eu-west-1 eu-central-1"},
		{bedrock.ClaudeOpus4_6, []string{"eu-west-2"}, "eu-west-2"},
		{bedrock.Claude3Haiku, []string{"us-east-1"}, "us-east-1"}, // offered in most of the others too
		{bedrock.ClaudeOpus4_6, []string{"us-east-1"}, "us-east-1"},
		{"global.anthropic.claude-of-tomorrow", []string{"us-east-1"}, "us-east-1"},
		{system, []string{"us-east-1"}, "us-west-2 us-east-1"},
		{own, []string{"us-east-1"}, "us-west-2"},
		{own, []string{"us-west-2"}, "us-west-2"},
	} {
		t.Run(fmt.Sprintf("%s from %s", tc.model, tc.home[0]), func(t *testing.T) {
			replies := map[string]reply{}
			order := slices.Clone(tc.home)
			for _, region := range all {
				replies[region] = down
				if !slices.Contains(order, region) {
					order = append(order, region)
				}
			}
			w := regions(t, replies)
			_, err := w.client(bedrock.WithRegions(order...)).Messages.New(t.Context(), hello(tc.model))
			if !errors.Is(err, bedrock.ErrServiceUnavailable) || w.asked() != tc.asked {
				t.Errorf("asked %s, want %s; %v", w.asked(), tc.asked, err)
			}
			var e *bedrock.Error
			if n := strings.Count(tc.asked, " "); n > 0 && (!errors.As(err, &e) || e.Hint != "tried "+strings.ReplaceAll(tc.asked, " ", ", ")) {
				t.Errorf("%v", err)
			}
		})
	}
	// An ARN is its Region's; elsewhere the same profile has the plain id.
	w := regions(t, map[string]reply{"us-east-1": answers, "us-west-2": down})
	if _, err := w.client(bedrock.WithRegions("us-east-1", "us-west-2")).Messages.New(t.Context(), hello(system)); err != nil {
		t.Fatal(err)
	}
	if s := w.at["us-east-1"].one(t); s.Path != "/prefix/model/us.anthropic.claude-opus-4-6-v1/invoke" {
		t.Errorf("sent %s", s.Path)
	}
}

// Residency: what could leave is refused, and the rest moves within.
func TestResidency(t *testing.T) {
	eu := []string{"eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"}
	const arn = "arn:aws:bedrock:eu-central-1:123456789012:"
	for _, tc := range []struct {
		model, asked, hint string // asked "": refused
	}{
		{bedrock.Geo("eu", bedrock.ClaudeOpus4_6), strings.Join(eu, " "), ""},
		{"eu.anthropic.claude-of-tomorrow", "eu-central-1", ""},
		{"anthropic.claude-of-tomorrow", "eu-central-1", ""},
		{bedrock.Claude3Haiku, "eu-central-1", ""},
		{bedrock.ClaudeOpus4_6, "eu-central-1", ""}, // AWS refuses; an Outcrop keeps it within
		{arn + "inference-profile/eu.anthropic.claude-opus-4-6-v1", strings.Join(eu, " "), ""},
		{arn + "provisioned-model/abc", "eu-central-1", ""},
		{arn + "application-inference-profile/abc", "", ""},
		{arn + "custom-model/abc", "", ""},
		{bedrock.Global(bedrock.ClaudeOpus4_6), "", "call eu.anthropic.claude-opus-4-6-v1"},
		{bedrock.Geo("us", bedrock.ClaudeOpus4_6), "", "call eu.anthropic.claude-opus-4-6-v1"},
		{bedrock.Global(bedrock.ClaudeOpus4_1), "", ""},
		{"global.anthropic.claude-of-tomorrow", "", ""},
		{"mx.anthropic.claude-of-tomorrow", "", ""},
		{"claude-opus-4-6", "eu-central-1", ""}, // no id of AWS's: an Outcrop's own, which it keeps within
		{"claude-of-tomorrow", "", ""},
	} {
		t.Run(tc.model, func(t *testing.T) {
			replies := map[string]reply{}
			for _, region := range eu {
				replies[region] = down
			}
			w := regions(t, replies)
			c := w.client(bedrock.WithResidency("eu"))
			_, err := c.Messages.New(t.Context(), hello(tc.model))
			if c.Region() != eu[0] || w.asked() != tc.asked {
				t.Errorf("from %s, asked %s, want %s: %v", c.Region(), w.asked(), tc.asked, err)
			}
			var e *bedrock.Error
			if tc.asked == "" && (!errors.Is(err, bedrock.ErrResidency) || !errors.As(err, &e) || e.Hint != tc.hint) {
				t.Errorf("error %v", err)
			}
		})
	}
	w := regions(t, map[string]reply{"eu-west-1": down, "eu-west-3": answers})
	c := w.client(bedrock.WithResidency("eu"), bedrock.WithRegions("eu-west-1", "eu-west-3"))
	if _, err := c.Messages.New(t.Context(), hello(bedrock.Geo("eu", bedrock.ClaudeOpus4_6))); err != nil || w.asked() != "eu-west-1 eu-west-3" {
		t.Errorf("asked %s: %v", w.asked(), err)
	}
	if err := c.Post(t.Context(), "model/global.anthropic.claude-opus-4-6-v1/converse", nil, nil); !errors.Is(err, bedrock.ErrResidency) {
		t.Errorf("a path of Bedrock's own: %v", err)
	}
}

// An endpoint of one Region takes the calls of a residency too: they are refused as
// elsewhere, and go nowhere else.
func TestResidencyAtOneEndpoint(t *testing.T) {
	f := serve(t, down)
	for name, opts := range map[string][]bedrock.ClientOption{
		"a gateway that signs":       {bedrock.WithSkipAuth(), bedrock.WithBaseURL(f.URL)},
		"a VPC endpoint":             {bedrock.WithAccessKey(keyID, secret), bedrock.WithRegion("eu-west-1"), bedrock.WithBaseURL("https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com"), bedrock.WithHTTPClient(to{f})},
		"a gateway, signed for each": {bedrock.WithAccessKey(keyID, secret), bedrock.WithBaseURL(f.URL)},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			before := len(f.all())
			c, err := bedrock.New(t.Context(), append(opts, bedrock.WithResidency("eu"), bedrock.WithMaxRetries(0))...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Messages.New(t.Context(), hello(opus46)); !errors.Is(err, bedrock.ErrResidency) {
				t.Errorf("a global id: %v", err)
			}
			if _, err := c.Messages.New(t.Context(), hello(bedrock.Geo("eu", bedrock.ClaudeOpus4_6))); !errors.Is(err, bedrock.ErrServiceUnavailable) {
				t.Errorf("an id of the geography: %v", err)
			}
			want := 1
			if name == "a gateway, signed for each" {
				want = 6
			}
			if n := len(f.all()) - before; n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
		})
	}
}

// to sends everything to a fake, whatever its host.
type to struct{ *fake }

func (d to) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.RequestURI = r.URL.RequestURI()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestRegionsAreChecked(t *testing.T) {
	with := func(o ...bedrock.ClientOption) []bedrock.ClientOption { return o }
	for _, tc := range []struct {
		name string
		env  environment
		opts []bedrock.ClientOption
		says string
	}{
		{"none", nil, with(bedrock.WithRegions()), "no Region is given"},
		{"an empty one", nil, with(bedrock.WithRegions("us-east-1", "")), "the Region is empty"},
		{"one twice", nil, with(bedrock.WithRegions("us-east-1", "us-east-1")), "twice"},
		{"no name", nil, with(bedrock.WithRegions("us-east-1", "a.b")), `"a.b" is not the name of a Region`},
		{"beside WithRegion", nil, with(bedrock.WithRegions("us-east-1", "us-west-2"), bedrock.WithRegion("us-west-2")), "its first (us-east-1): leave WithRegion"},
		{"beside AWS's chain", nil, with(bedrock.WithRegions("us-east-1"), bedrock.WithAWSRegionChain()), "leave WithRegion"},
		{"one that nobody knows", nil, with(bedrock.WithRegions("us-east-1", "us-north-9")), `knows no Region "us-north-9"`},
		{"two partitions", nil, with(bedrock.WithRegions("us-east-1", "us-gov-west-1")), "no credentials are of both"},
		{"a geography that is none", nil, with(bedrock.WithResidency("moon")), "they are apac, au, eu, in, jp, us, us-gov"},
		{"global is no geography", nil, with(bedrock.WithResidency("global")), "is no geography"},
		{"a Region outside", nil, with(bedrock.WithResidency("eu"), bedrock.WithRegion("eu-west-2")), "eu-west-2 (from WithRegion) is not in eu"},
		{"a Region outside, of the environment", environment{"AWS_REGION": "us-east-1"}, with(bedrock.WithResidency("eu")), "us-east-1 (from AWS_REGION) is not in eu"},
		{"one of several outside", nil, with(bedrock.WithResidency("us"), bedrock.WithRegions("us-east-1", "ca-central-1")), "ca-central-1 (from WithRegions) is not in us"},
		{"one endpoint for all, and no signature", nil, with(bedrock.WithRegions("us-east-1", "us-west-2"), bedrock.WithBaseURL("https://gw.example"), bedrock.WithBearerToken("k")), "put {region} into it"},
		{"AWS's endpoint of one", nil, with(bedrock.WithRegions("us-east-1", "us-west-2"), bedrock.WithBaseURL("https://bedrock-runtime.us-east-1.amazonaws.com"), bedrock.WithAccessKey(keyID, secret)), "names us-east-1, but calls would be signed for us-west-2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.env.set(t)
			if _, err := bedrock.New(t.Context(), tc.opts...); !errors.Is(err, bedrock.ErrConfiguration) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want one that says %q", err, tc.says)
			}
		})
	}
	environment{"AWS_REGION": "eu-west-3"}.set(t)
	c, err := bedrock.New(t.Context(), bedrock.WithResidency("eu"), bedrock.WithAccessKey(keyID, secret))
	if err != nil || c.Region() != "eu-west-3" || c.BaseURL() != "https://bedrock-runtime.eu-west-3.amazonaws.com" {
		t.Errorf("%v", err)
	}
}
