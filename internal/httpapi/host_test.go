package httpapi

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/gateway"
)

// net/http looks for it, to end an answer while the client still sends.
var _ interface{ CloseWrite() error } = (*peeked)(nil)

func TestHostRegion(t *testing.T) {
	for host, want := range map[string]string{
		"bedrock-runtime.eu-west-1.amazonaws.com":                       "eu-west-1",
		"bedrock-runtime.eu-west-1.amazonaws.com:8443":                  "eu-west-1",
		"BEDROCK-RUNTIME.EU-WEST-1.AMAZONAWS.COM":                       "eu-west-1",
		"bedrock.us-east-2.amazonaws.com":                               "us-east-2",
		"bedrock-runtime-fips.us-gov-west-1.amazonaws.com":              "us-gov-west-1",
		"bedrock-runtime.us-east-1.api.aws":                             "us-east-1",
		"bedrock-mantle.us-east-1.api.aws":                              "us-east-1",
		"bedrock-runtime.cn-north-1.amazonaws.com.cn":                   "cn-north-1",
		"sts.us-west-2.amazonaws.com":                                   "us-west-2",
		"sts.amazonaws.com":                                             "",
		"bedrock-runtime.eu-west-1.amazonaws.com.evil.example":          "",
		"bedrock-runtime.eu-west-1.example.com":                         "",
		"s3.eu-west-1.amazonaws.com":                                    "",
		"bedrock-runtime.amazonaws.com":                                 "",
		"bedrock-runtime..amazonaws.com":                                "",
		"bedrock-runtime.eu\nwest.amazonaws.com":                        "",
		"bedrock-runtime." + strings.Repeat("a", 99) + ".amazonaws.com": "",
		"127.0.0.1:4141":                                                "",
		"localhost":                                                     "",
		"":                                                              "",
		":":                                                             "",
	} {
		if got := hostRegion(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
}

func TestAppendMetrics(t *testing.T) {
	m := new(gateway.Meter)
	m.Usage.InputTokens, m.Usage.OutputTokens = 1, 2
	theirs := `{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9}}`
	if got := string(appendMetrics(nil, []byte(theirs), m)); got != theirs {
		t.Errorf("%s", got)
	}
}

func FuzzHostRegion(f *testing.F) {
	f.Add("bedrock-runtime.eu-west-1.amazonaws.com:1")
	f.Fuzz(func(t *testing.T, host string) {
		if r := hostRegion(host); r != "" && !strings.Contains(strings.ToLower(host), r) {
			t.Fatalf("%q: %q", host, r)
		}
	})
}
