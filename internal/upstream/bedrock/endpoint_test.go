package bedrock

import (
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

func TestEndpoints(t *testing.T) {
	const vpce = "https://vpce-0abc-xyz.bedrock-runtime.eu-west-1.vpce.amazonaws.com"
	tests := []struct {
		name   string
		opts   Endpoints
		region string
		api    catalog.API
		want   string // base URL and service; "!" an error with that word
	}{
		{"public", Endpoints{}, "us-east-1", catalog.Invoke, "https://bedrock-runtime.us-east-1.amazonaws.com bedrock"},
		{"Messages on runtime", Endpoints{}, "us-east-1", catalog.Messages, "https://bedrock-runtime.us-east-1.amazonaws.com bedrock"},
		{"mantle", Endpoints{}, "us-east-1", catalog.Mantle, "https://bedrock-mantle.us-east-1.api.aws bedrock-mantle"},
		{"FIPS", Endpoints{FIPS: true}, "us-east-1", catalog.Converse, "https://bedrock-runtime-fips.us-east-1.amazonaws.com bedrock"},
		{"dual stack", Endpoints{DualStack: true}, "us-east-1", catalog.Invoke, "https://bedrock-runtime.us-east-1.api.aws bedrock"},
		{"both", Endpoints{FIPS: true, DualStack: true}, "ca-central-1", catalog.Invoke, "https://bedrock-runtime-fips.ca-central-1.api.aws bedrock"},
		{"GovCloud", Endpoints{}, "us-gov-west-1", catalog.Invoke, "https://bedrock-runtime.us-gov-west-1.amazonaws.com bedrock"},
		{"GovCloud, FIPS", Endpoints{FIPS: true}, "us-gov-east-1", catalog.Invoke, "https://bedrock-runtime-fips.us-gov-east-1.amazonaws.com bedrock"},
		{"mantle has no FIPS", Endpoints{FIPS: true}, "us-east-1", catalog.Mantle, "!no FIPS"},
		{"a template", Endpoints{Runtime: "https://proxy.example/aws/{region}/"}, "eu-west-1", catalog.Invoke, "https://proxy.example/aws/eu-west-1 bedrock"},
		{"in the host", Endpoints{Runtime: "https://{region}.proxy.example:8443"}, "eu-west-1", catalog.Invoke, "https://eu-west-1.proxy.example:8443 bedrock"},
		{"mantle's own", Endpoints{Mantle: "http://127.0.0.1:9000/m"}, "eu-west-1", catalog.Mantle, "http://127.0.0.1:9000/m bedrock-mantle"},
		{"one for all", Endpoints{Runtime: "http://127.0.0.1:9000"}, "eu-west-1", catalog.Invoke, "http://127.0.0.1:9000 bedrock"},
		{"a VPC endpoint", Endpoints{Runtime: vpce}, "eu-west-1", catalog.Invoke, vpce + " bedrock"},
		{"a VPC endpoint of another Region", Endpoints{Runtime: vpce}, "us-east-1", catalog.Invoke, "!eu-west-1"},
		{"VPC endpoints", Endpoints{Runtime: "https://vpce-1.bedrock-runtime.{region}.vpce.amazonaws.com"}, "us-east-1", catalog.Invoke, "https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com bedrock"},
		{"no Region at all", Endpoints{}, "evil.example/", catalog.Invoke, "!not the name"},
		{"no scheme", Endpoints{Runtime: "proxy.example"}, "us-east-1", catalog.Invoke, "!http"},
		{"a password", Endpoints{Runtime: "https://u:secret@proxy.example"}, "us-east-1", catalog.Invoke, "!more than"},
		{"a password, and no such port", Endpoints{Runtime: "https://u:secret@proxy.example:70000"}, "us-east-1", catalog.Invoke, "!more than"},
		{"no such port", Endpoints{Runtime: "https://proxy.example:70000"}, "us-east-1", catalog.Invoke, "!port"},
		{"no host", Endpoints{Runtime: "https://:443"}, "us-east-1", catalog.Invoke, "!no host"},
		{"another brace", Endpoints{Runtime: "https://proxy.example/{REGION}"}, "us-east-1", catalog.Invoke, "!brace"},
		{"a query", Endpoints{Runtime: "https://proxy.example/?a=1"}, "us-east-1", catalog.Invoke, "!more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var e endpoints
			got := ""
			err := e.set(tt.opts)
			if err == nil {
				var p *endpoint
				if p, err = e.at(tt.region, tt.api); err == nil {
					got = p.base.String() + " " + p.service
				}
			}
			if word, bad := strings.CutPrefix(tt.want, "!"); bad {
				if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "secret") {
					t.Errorf("got %q, %v; want an error with %q", got, err, word)
				}
			} else if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}
