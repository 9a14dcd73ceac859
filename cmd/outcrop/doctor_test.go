package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// TestDoctorClock: signatures live for five minutes, and a Date has whole seconds.
func TestDoctorClock(t *testing.T) {
	there := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	const half = 500 * time.Millisecond // of the second that a Date names
	for _, test := range []struct {
		here time.Duration
		want verdict
		text string
	}{
		{time.Millisecond, well, "as the endpoint's"},
		{999 * time.Millisecond, well, "as the endpoint's"},
		{30*time.Second + half, well, "30s fast"},
		{half - 2*time.Minute, advice, "2m0s slow"},
		{half + 6*time.Minute, ill, "6m0s fast: signatures are refused"},
		{half - 6*time.Minute, ill, "6m0s slow: signatures are refused"},
	} {
		d := &doctor{each: func(finding) {}}
		d.clock(there.Format(http.TimeFormat), there.Add(test.here))
		if f := d.findings[0]; f.Result != test.want || f.Found != test.text {
			t.Errorf("%v: %+v", test.here, f)
		}
	}
	d := &doctor{each: func(finding) {}}
	d.clock("", there)
	if d.findings[0].Result != unseen {
		t.Errorf("%+v", d.findings)
	}
}

func TestDoctorConnections(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Name: "bedrock-runtime.mars-1.amazonaws.com"}, "is the Region right"},
		{x509.UnknownAuthorityError{}, "AWS_CA_BUNDLE"},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), "firewall"},
		{errors.New("dial tcp 127.0.0.1:1: connect: connection refused"), "nothing listens there"},
		{errors.New("anything"), "is the network up?"},
	} {
		if got := whatToDo(test.err); !strings.Contains(got, test.want) {
			t.Errorf("%v: %q", test.err, got)
		}
	}
}

// TestDoctorHealth: what an outcrop says of itself is passed on where it is not well.
func TestDoctorHealth(t *testing.T) {
	for _, test := range []struct {
		body string
		want []finding
	}{
		{`{"activity_log":"ok","delivery":"ok"}`, nil},
		{`{"activity_log":"off"}`, nil},
		{`no JSON`, nil},
		{`{"activity_log":"cannot be written: no space left on device","delivery":"failing, tried again: a","note":"no local engine"}`,
			[]finding{{What: "log of calls", Result: ill}, {What: "log delivery", Result: ill}, {What: "upstream", Result: advice}}},
	} {
		d := &doctor{each: func(finding) {}}
		d.health([]byte(test.body))
		if len(d.findings) != len(test.want) {
			t.Fatalf("%s: %+v", test.body, d.findings)
		}
		for i, f := range d.findings {
			if f.What != test.want[i].What || f.Result != test.want[i].Result || f.Do == "" {
				t.Errorf("%s: %+v", test.body, f)
			}
		}
	}
}

func TestQuotaNames(t *testing.T) {
	for _, test := range []struct {
		quota, model string
		want         bool
	}{
		{"Cross-region model inference tokens per minute for Anthropic Claude Opus 4.6 V1", "Claude Opus 4.6", true},
		{"Global cross-region model inference requests per minute for Anthropic Claude Opus 4.6", "Claude Opus 4.6", true},
		{"On-demand model inference tokens per minute for Anthropic Claude Opus 4.6", "Claude Opus 4", false},
		{"Batch inference job size", "Claude Opus 4.6", false},
	} {
		if got := namesModel(test.quota, test.model); got != test.want {
			t.Errorf("%q names %q: %v", test.quota, test.model, got)
		}
	}
}

// fakeAWS answers as AWS does, by host and path.
type fakeAWS struct {
	t         *testing.T
	agreement string
	quota     float64
	quotas    int // status of Service Quotas
	denied    bool
}

func (a fakeAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Path != "/healthz" && r.Header.Get("Authorization") == "" {
		a.t.Errorf("%s %s is not signed, or not over TLS", r.Method, r.URL)
	}
	status, body := http.StatusOK, ""
	switch host, path := r.URL.Host, r.URL.Path; {
	case host == "bedrock-runtime.eu-west-1.amazonaws.com" && path == "/healthz":
		status, body = http.StatusNotFound, "<UnknownOperationException/>"
	case host == "sts.eu-west-1.amazonaws.com":
		body = `<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/me</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`
	case host == "bedrock.eu-west-1.amazonaws.com" && a.denied:
		status, body = http.StatusForbidden, `{"message":"User: arn:aws:iam::111122223333:user/me is not authorized"}`
	case host == "bedrock.eu-west-1.amazonaws.com" && strings.HasPrefix(path, "/inference-profiles/eu."):
		body = `{"inferenceProfileId":"eu.anthropic.claude-opus-4-6-v1"}`
	case host == "bedrock.eu-west-1.amazonaws.com" && strings.HasPrefix(path, "/inference-profiles/"):
		status, body = http.StatusNotFound, `{"message":"The requested inference profile doesn't exist."}`
	case host == "bedrock.eu-west-1.amazonaws.com" && strings.HasPrefix(path, "/foundation-model-availability/"):
		body = fmt.Sprintf(`{"modelId":"x","agreementAvailability":{"status":%q},"authorizationStatus":"AUTHORIZED","entitlementAvailability":"AVAILABLE","regionAvailability":"AVAILABLE"}`, a.agreement)
	case host == "servicequotas.eu-west-1.amazonaws.com":
		var in struct{ NextToken string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			a.t.Error(err)
		}
		status = a.quotas
		body = `{"Quotas":[{"QuotaName":"Batch inference job size","Value":5}],"NextToken":"2"}`
		if in.NextToken == "2" {
			body = fmt.Sprintf(`{"Quotas":[{"QuotaName":"Cross-region model inference tokens per minute for Anthropic Claude Opus 4.6 V1","Value":%g}]}`, a.quota)
		}
	default:
		a.t.Errorf("%s %s was called", r.Method, r.URL)
		status = http.StatusTeapot
	}
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	switch status {
	case http.StatusForbidden:
		h.Set("X-Amzn-Errortype", "AccessDeniedException")
	case http.StatusNotFound:
		h.Set("X-Amzn-Errortype", "ResourceNotFoundException")
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// TestDoctorAWS: what AWS itself says becomes what to do.
func TestDoctorAWS(t *testing.T) {
	for _, test := range []struct {
		name, model string
		aws         fakeAWS
		want        map[string]verdict
		do          string
	}{
		{"well", "eu.anthropic.claude-opus-4-6-v1", fakeAWS{agreement: "AVAILABLE", quota: 2e6, quotas: 200},
			map[string]verdict{"endpoint": well, "clock": well, "identity": well, "profile": well, "model access": well, "quota": well}, ""},
		{"a profile of elsewhere", "us.anthropic.claude-opus-4-6-v1", fakeAWS{agreement: "AVAILABLE", quota: 2e6, quotas: 200},
			map[string]verdict{"profile": ill, "model access": well}, "from eu-west-1 it is global.anthropic.claude-opus-4-6-v1 or eu.anthropic.claude-opus-4-6-v1"},
		{"no on-demand throughput", "anthropic.claude-opus-4-6-v1", fakeAWS{agreement: "AVAILABLE", quota: 2e6, quotas: 200},
			map[string]verdict{"profile": ill}, "call it by global.anthropic"},
		{"no agreement", "eu.anthropic.claude-opus-4-6-v1", fakeAWS{agreement: "NOT_AVAILABLE", quota: 2e6, quotas: 200},
			map[string]verdict{"model access": ill}, "access request anthropic.claude-opus-4-6-v1 --aws"},
		{"a new account", "eu.anthropic.claude-opus-4-6-v1", fakeAWS{agreement: "AVAILABLE", quota: 0, quotas: 200},
			map[string]verdict{"quota": ill}, "new accounts begin so"},
		{"quotas that may not be asked", "eu.anthropic.claude-opus-4-6-v1", fakeAWS{agreement: "AVAILABLE", quotas: 403},
			map[string]verdict{"quota": unseen, "model access": well}, "servicequotas:ListServiceQuotas"},
		{"one who may not look", "eu.anthropic.claude-opus-4-6-v1", fakeAWS{denied: true, quotas: 403},
			map[string]verdict{"identity": well, "profile": advice, "model access": advice, "quota": unseen}, "allow bedrock:GetFoundationModelAvailability"},
		{"an unknown model", "eu.anthropic.claude-opus-99", fakeAWS{agreement: "AVAILABLE", quotas: 200},
			map[string]verdict{"model": advice, "quota": unseen}, "models lists what there is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"AWS_BEARER_TOKEN_BEDROCK", "ANTHROPIC_BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL_STS"} {
				t.Setenv(name, "")
			}
			test.aws.t = t
			cat, err := catalog.Load()
			if err != nil {
				t.Fatal(err)
			}
			to := &target{catalog: cat, aws: true, heard: &listener{base: test.aws}}
			to.Client, err = bedrock.New(t.Context(), bedrock.WithRegion("eu-west-1"), bedrock.WithAccessKey("AKIAMINE", "mine"), bedrock.WithHTTPClient(&http.Client{Transport: to.heard}))
			if err != nil {
				t.Fatal(err)
			}
			d := &doctor{doctorCmd: doctorCmd{ModelID: test.model, targetOption: targetOption{AWS: true}}, each: func(finding) {}}
			d.ask(t.Context(), to)
			got, do := map[string]verdict{}, ""
			for _, f := range d.findings {
				got[f.What] = f.Result
				do += f.Do + "\n"
			}
			for what, v := range test.want {
				if got[what] != v {
					t.Errorf("%s: %q, want %q\n%+v", what, got[what], v, d.findings)
				}
			}
			if !strings.Contains(do, test.do) {
				t.Errorf("nobody says %q: %s", test.do, do)
			}
		})
	}
}
