package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	client "github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// AWS takes signatures of five minutes before and after its own clock.
const (
	clockLimit  = 5 * time.Minute
	clockAdvice = time.Minute
)

// reach opens a connection and reads the other side's clock. Without a key
// nothing is said to it but hello.
func (d *doctor) reach(ctx context.Context, t *target) bool {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.BaseURL()+"/healthz", nil)
	if err != nil {
		d.say("endpoint", ill, "", "%v", err)
		return false
	}
	sent := time.Now()
	resp, err := (&http.Client{Transport: t.heard}).Do(req)
	if err != nil {
		do := whatToDo(err)
		if d.proxied {
			do = "it goes through the proxy above: does that let " + t.BaseURL() + " through? NO_PROXY names hosts that go without it"
		}
		d.say("endpoint", ill, do, "%v", err)
		return false
	}
	defer resp.Body.Close()
	took := time.Since(sent)
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16)) // what is missing of it is said nothing about
	text := fmt.Sprintf("%s answers after %v", t.BaseURL(), took.Round(time.Millisecond))
	if s := resp.TLS; s != nil && len(s.PeerCertificates) > 0 {
		text += fmt.Sprintf(", %s, certificate of %s", tls.VersionName(s.Version), issuer(s.PeerCertificates[0]))
	}
	upstream := t.heard.says("X-Outcrop-Upstream")
	if upstream != "" {
		text += "; an outcrop, and " + upstream + " answers there"
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		d.say("endpoint", ill, "put the proxy's user and password into HTTPS_PROXY", "the proxy wants to know who asks")
		return false
	case d.AWS || upstream != "" || resp.StatusCode < http.StatusInternalServerError:
		d.well("endpoint", "%s", text)
	default:
		d.say("endpoint", advice, "", "%s, with %s", text, resp.Status)
	}
	d.clock(resp.Header.Get("Date"), sent.Add(took/2))
	if upstream != "" {
		d.health(body)
	}
	return true
}

// health is what an outcrop says of itself, where it is not well.
func (d *doctor) health(body []byte) {
	var h struct {
		Log      string `json:"activity_log"`
		Delivery string `json:"delivery"`
		Note     string `json:"note"`
	}
	if json.Unmarshal(body, &h) != nil {
		return
	}
	if h.Log != "" && h.Log != "ok" && h.Log != "off" {
		d.say("log of calls", ill, "make room on the server's disk, or see its own log; it recovers by itself", "the server says: %s", h.Log)
	}
	if h.Delivery != "" && h.Delivery != "ok" {
		d.say("log delivery", ill, "see the server's own log; it tries again by itself", "the server says: %s", h.Delivery)
	}
	if h.Note != "" {
		d.say("upstream", advice, self()+" fetch, and a new start, if it is to be the local model", "the server says: %s", h.Note)
	}
}

// clock compares whole seconds, which is what a Date has.
func (d *doctor) clock(header string, now time.Time) {
	there, err := http.ParseTime(header)
	if err != nil {
		d.skip("clock", "the endpoint does not say its time")
		return
	}
	skew := now.Sub(there.Add(500 * time.Millisecond)).Round(time.Second)
	text := "as the endpoint's"
	if skew != 0 {
		text = fmt.Sprintf("%v %s", skew.Abs(), map[bool]string{true: "fast", false: "slow"}[skew > 0])
	}
	const do = "set this machine's clock; signatures are taken within five minutes of AWS's (timedatectl set-ntp true, w32tm /resync)"
	switch {
	case skew.Abs() >= clockLimit:
		d.say("clock", ill, do, "%s: signatures are refused", text)
	case skew.Abs() >= clockAdvice:
		d.say("clock", advice, do, "%s", text)
	default:
		d.well("clock", "%s", text)
	}
}

func issuer(c *x509.Certificate) string {
	for _, name := range append([]string{c.Issuer.CommonName}, c.Issuer.Organization...) {
		if name != "" {
			return name
		}
	}
	return "an unnamed authority"
}

// whatToDo is about a connection that did not come to be.
func whatToDo(err error) string {
	var dns *net.DNSError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return "no such host: is the Region right, and does the network resolve " + dns.Name + "? Behind a proxy set HTTPS_PROXY"
	case errors.As(err, &unknown):
		return "a proxy or gateway shows a certificate of its own: export AWS_CA_BUNDLE and SSL_CERT_FILE with the file of its CA"
	case errors.As(err, &host):
		return "the certificate is another host's: is the endpoint's name right?"
	case errors.As(err, &record):
		return "the endpoint does not speak TLS: write http:// instead of https://"
	case errors.Is(err, context.DeadlineExceeded):
		return "nothing comes back: a firewall, or a VPC endpoint that this network does not reach"
	case strings.Contains(err.Error(), "connection refused"):
		return "nothing listens there: is the address right, and does the server run?"
	default:
		return "is the endpoint's address right, and is the network up?"
	}
}

// identity asks STS.
func (d *doctor) identity(ctx context.Context, t *target) bool {
	if t.AWSConfig().BearerAuthTokenProvider != nil {
		return d.key(ctx, t)
	}
	got, err := t.STS().GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		d.refused("identity", t, err, "the keys are wrong, have ended, or are not of this endpoint: "+self()+" whoami, aws configure, aws sso login")
		return false
	}
	d.well("identity", "%s", aws.ToString(got.Arn))
	return true
}

// key is STS's part for API keys, which it does not know: a count costs nothing,
// and is refused to a wrong one.
func (d *doctor) key(ctx context.Context, t *target) bool {
	_, err := t.CountTokens(ctx, greeting(t.modelID(d.ModelID), 1))
	switch statusOfError(err) {
	case 0, exitInvalid, exitLimit: // let in, if not to this model
		d.well("identity", "the API key is let in; whose it is only its maker knows")
		return true
	default:
		d.refused("identity", t, err, "allow bedrock:CountTokens to look")
		return false
	}
}

// refused tells a service's no from a network's. Who is known and may not look may
// still call.
func (d *doctor) refused(what string, t *target, err error, do string) {
	v := ill
	switch status := statusOfError(err); {
	case status == exitUnavailable:
		do = whatToDo(err)
	case strings.Contains(err.Error(), "Authentication failed"):
		do = "the API key is wrong or has ended: make a new one, and copy all of it"
	case status == exitAccess && what != "identity":
		v = advice
	}
	d.say(what, v, do, "%v", flush(t.explain(err)))
}

// flush is an error whose lines the doctor indents itself.
func flush(err error) string { return strings.ReplaceAll(err.Error(), "\n  ", "\n") }

// model says whether it can be called: by what id, and whether the account may.
func (d *doctor) model(ctx context.Context, t *target) {
	id := t.modelID(d.ModelID)
	m, ok := t.catalog.Lookup(id)
	outcrop := t.heard.says("X-Outcrop-Upstream") != ""
	if !ok {
		v := advice
		if outcrop {
			v = ill
		}
		d.say("model", v, self()+" models lists what there is", "%s is not in the catalog", id)
		return
	}
	if t.clear() {
		d.skip("model access", "%s; AWS's clients send an API key over https alone, so that nobody can be asked", m.Name)
		return
	}
	d.profile(ctx, t, id, m, outcrop)
	got, err := t.ControlPlane().GetFoundationModelAvailability(ctx, &bedrock.GetFoundationModelAvailabilityInput{ModelId: &m.ID})
	if err != nil {
		d.refused("model access", t, err, "allow bedrock:GetFoundationModelAvailability to look, and aws-marketplace:Subscribe for a first call")
		return
	}
	var row modelAccess
	row.fill(got)
	where := t.Client.Region()
	switch {
	case got.RegionAvailability == types.RegionAvailabilityNotAvailable:
		d.say("model access", ill, self()+" explain "+m.ID+" --region "+where+" says where it is", "%s is not offered in %s", m.Name, where)
	case got.AuthorizationStatus == types.AuthorizationStatusNotAuthorized:
		d.say("model access", ill, "a policy denies it: ask whoever manages the account", "%s is not authorised", m.Name)
	case row.Agreement != string(types.AgreementStatusAvailable):
		do := self() + " access request " + m.ID
		if d.AWS {
			do += " --aws; the first call subscribes too, if the caller may aws-marketplace:Subscribe"
		}
		d.say("model access", ill, do, "the account has no agreement for %s (%s)", m.Name, strings.ToLower(row.Agreement))
	default:
		d.well("model access", "%s, in %s", m.Name, where)
	}
}

// profile says whether the id is one that the Region takes.
func (d *doctor) profile(ctx context.Context, t *target, id string, m *catalog.Model, outcrop bool) {
	parsed, err := client.ParseModelID(id)
	switch {
	case err != nil:
		d.say("profile", ill, "", "%v", err)
	case parsed.Kind != "" && parsed.Kind != "inference-profile":
		d.skip("profile", "%s is looked up when it is called", parsed.Kind)
	case parsed.Prefix == "" && outcrop:
		d.well("profile", "%s; %s explain says where it goes", id, self())
	case parsed.Prefix == "":
		if _, err := t.catalog.Resolve(id, t.Client.Region(), catalog.Policy{Strict: true, Now: time.Now()}); err != nil {
			d.say("profile", ill, "call it by "+strings.Join(callableAs(m, t.Client.Region()), " or "), "%s has no on-demand throughput in %s", id, t.Client.Region())
			return
		}
		d.well("profile", "none is needed: %s is on demand in %s", id, t.Client.Region())
	default:
		_, err := t.ControlPlane().GetInferenceProfile(ctx, &bedrock.GetInferenceProfileInput{InferenceProfileIdentifier: &id})
		if err != nil {
			d.refused("profile", t, err, "from "+t.Client.Region()+" it is "+strings.Join(callableAs(m, t.Client.Region()), " or "))
			return
		}
		d.well("profile", "%s", id)
	}
}

// callableAs lists the ids of a model that AWS takes in a Region.
func callableAs(m *catalog.Model, region string) []string {
	var ids []string
	for _, p := range m.Profiles {
		if _, ok := p.Destinations(region); ok && !p.PageOnly {
			ids = append(ids, p.Prefix+"."+m.ID)
		}
	}
	if len(ids) == 0 {
		return []string{"no id at all"}
	}
	return ids
}

// quota asks Service Quotas, which a new account should: its quotas may be 0.
func (d *doctor) quota(ctx context.Context, t *target) {
	const console = "Service Quotas in the AWS console, Amazon Bedrock, the quotas per minute of the model"
	if !d.AWS {
		d.skip("quota", "AWS's quotas are asked of AWS alone: --aws")
		return
	}
	cfg := t.AWSConfig()
	if cfg.BearerAuthTokenProvider != nil {
		d.say("quota", unseen, "look at "+console, "an API key cannot ask for them")
		return
	}
	m, ok := t.catalog.Lookup(t.modelID(d.ModelID))
	if !ok {
		d.skip("quota", "the model is not in the catalog")
		return
	}
	creds, err := cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return // said above
	}
	lines, zero, err := modelQuotas(ctx, t.heard, creds, t.Client.Region(), m.Name)
	switch {
	case err != nil:
		d.say("quota", unseen, "look at "+console+", or allow servicequotas:ListServiceQuotas", "%v", err)
	case len(lines) == 0:
		d.say("quota", unseen, "look at "+console, "none names %s", m.Name)
	case zero:
		d.say("quota", ill, "ask AWS support to raise what is 0: new accounts begin so", "%s", strings.Join(lines, "\n"))
	default:
		d.well("quota", "%s", strings.Join(lines, "\n"))
	}
}

// modelQuotas reads the quotas per minute and day whose names hold the model's.
func modelQuotas(ctx context.Context, via http.RoundTripper, creds aws.Credentials, region, name string) (lines []string, zero bool, err error) {
	next := ""
	for range 40 { // pages of 100; Bedrock has some 1,500
		body, err := json.Marshal(map[string]any{"ServiceCode": "bedrock", "MaxResults": 100, "NextToken": orNil(next)})
		if err != nil {
			return nil, false, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://servicequotas."+region+".amazonaws.com/", bytes.NewReader(body))
		if err != nil {
			return nil, false, err
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "ServiceQuotasV20190624.ListServiceQuotas")
		if err := sign(req, body, keyOf(creds), region, "servicequotas"); err != nil {
			return nil, false, err
		}
		resp, err := (&http.Client{Transport: via}).Do(req)
		if err != nil {
			return nil, false, err
		}
		raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
		resp.Body.Close()
		if err != nil {
			return nil, false, err
		}
		if resp.StatusCode != http.StatusOK {
			return nil, false, fmt.Errorf("Service Quotas answers %s", resp.Status)
		}
		var page struct {
			NextToken string
			Quotas    []struct {
				QuotaName string
				Value     float64
			}
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return nil, false, fmt.Errorf("Service Quotas: %w", err)
		}
		for _, q := range page.Quotas {
			if namesModel(q.QuotaName, name) && (strings.Contains(q.QuotaName, "per minute") || strings.Contains(q.QuotaName, "per day")) {
				lines = append(lines, fmt.Sprintf("%.0f %s", q.Value, q.QuotaName))
				zero = zero || q.Value == 0
			}
		}
		if next = page.NextToken; next == "" {
			break
		}
	}
	return lines, zero, nil
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// namesModel: "… tokens per minute for Anthropic Claude Opus 4.6 V1" names Claude
// Opus 4.6, and not Claude Opus 4.
func namesModel(quota, model string) bool {
	_, rest, ok := strings.Cut(quota, model)
	return ok && (rest == "" || rest[0] == ' ')
}
