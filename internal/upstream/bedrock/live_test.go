package bedrock

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// TestLive calls AWS itself, every operation once, with the default chain: a few
// cents at most. OUTCROP_TEST_AWS_REGION, OUTCROP_TEST_AWS_MODEL and
// OUTCROP_TEST_AWS_MANTLE_MODEL choose where and what.
func TestLive(t *testing.T) {
	if os.Getenv("OUTCROP_TEST_AWS") != "1" {
		t.Skip("SKIPPED: no call to real AWS was made; set OUTCROP_TEST_AWS=1 to spend a few cents on it")
	}
	everyOperation(t, Options{})
}

// TestLiveOnTheDouble holds the live test to the double, so that it is known to
// run before it costs anything.
func TestLiveOnTheDouble(t *testing.T) {
	d := playAWS(t, nil)
	everyOperation(t, Options{Endpoints: Endpoints{Runtime: d.URL + "/{region}", Mantle: d.URL + "/{region}"},
		Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}})
}

func everyOperation(t *testing.T, o Options) {
	o.FirstContent, o.Idle = time.Minute, time.Minute
	region, model := "us-east-1", "us.anthropic.claude-haiku-4-5-20251001-v1:0"
	if v := os.Getenv("OUTCROP_TEST_AWS_REGION"); v != "" {
		region = v
	}
	if v := os.Getenv("OUTCROP_TEST_AWS_MODEL"); v != "" {
		model = v
	}
	u, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := u.Warm(t.Context(), region); err != nil {
		t.Fatal(err)
	}
	r := routes(t, model, region, false)[0]
	const hello = `{"anthropic_version":"bedrock-2023-05-31","max_tokens":20,"messages":[{"role":"user","content":"Say hello."}]}`
	const converse = `{"messages":[{"role":"user","content":[{"text":"Say hello."}]}],"inferenceConfig":{"maxTokens":20}}`
	for name, req := range map[string]gateway.Request{
		"InvokeModel": request(t, hello, false), "InvokeModelWithResponseStream": request(t, hello, true),
		"Converse": requestIn(t, gateway.Converse, converse, false), "ConverseStream": requestIn(t, gateway.Converse, converse, true),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := u.Send(t.Context(), r, req)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			events, data, wire, err := pull(s)
			if err != nil || s.UpstreamRequestID() == "" || !bytes.Contains(bytes.ToLower(bytes.Join(data, nil)), []byte("hello")) || req.Stream != (len(wire) > 0) {
				t.Errorf("%v %s %v", events, data, err)
			}
		})
	}
	for name, req := range map[string]gateway.Request{
		"CountTokens": request(t, hello, false), "CountTokens of Converse": requestIn(t, gateway.Converse, converse, false),
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := u.CountTokens(t.Context(), r, req); err != nil || c.Tokens < 2 || c.Tokens > 50 || c.Estimate {
				t.Errorf("%+v %v", c, err)
			}
		})
	}
	said := func(t *testing.T, u *Upstream, r routing.Route, stream bool) {
		s, err := u.Send(t.Context(), r, request(t, hello, stream))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		last := gateway.EventMessage
		if stream {
			last = messages.EventMessageStop
		}
		if events, _, _, err := pull(s); err != nil || events[len(events)-1] != last || s.UpstreamRequestID() == "" {
			t.Errorf("%v %v", events, err)
		}
	}
	o.NativeMessages = true
	native, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer native.Close()
	mantle, err := mantleRoute(region)
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("Messages on bedrock-runtime, stream %t", stream), func(t *testing.T) { said(t, native, r, stream) })
		t.Run(fmt.Sprintf("Messages on bedrock-mantle, stream %t", stream), func(t *testing.T) { said(t, u, mantle, stream) })
	}
	t.Run("count_tokens on bedrock-mantle", func(t *testing.T) {
		if c, err := u.CountTokens(t.Context(), mantle, request(t, hello, false)); err != nil || c.Tokens < 2 || c.Tokens > 50 || c.Estimate {
			t.Errorf("%+v %v", c, err)
		}
	})
	t.Run("what AWS refuses", func(t *testing.T) {
		_, err := u.Send(t.Context(), r, request(t, strings.Replace(hello, `"max_tokens":20`, `"max_tokens":0`, 1), false))
		if e := asError(t, err); e.Kind != messages.InvalidRequest && e.Kind != messages.ModelRejected || e.RequestID == "" {
			t.Errorf("%v", err)
		}
	})
}

// mantleModel is on bedrock-mantle in most of its Regions, and cheap.
const mantleModel = "anthropic.claude-haiku-4-5"

func mantleRoute(region string) (routing.Route, error) {
	model := mantleModel
	if v := os.Getenv("OUTCROP_TEST_AWS_MANTLE_MODEL"); v != "" {
		model = v
	}
	c, err := theCatalog()
	if err != nil {
		return routing.Route{}, err
	}
	res, err := c.Resolve(model, region, catalog.Policy{Mantle: true})
	if err != nil {
		return routing.Route{}, err
	}
	all, _ := routing.Routes(res, routing.Amazon(), routing.Fence{}, nil)
	if len(all) == 0 || !all[0].Mantle() {
		return routing.Route{}, fmt.Errorf("%s is not on bedrock-mantle in %s", model, region)
	}
	return all[0], nil
}
