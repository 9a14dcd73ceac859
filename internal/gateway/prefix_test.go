package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

func TestUnmarked(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":1}`: `{"a":1}`,
		`{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}`:                        `{"type":"text","text":"x"}`,
		`{"cache_control": {"type":"ephemeral","ttl":"1h"}, "text":"x"}`:                         `{ "text":"x"}`,
		`{"cache_control":{"type":"ephemeral"}}`:                                                 `{}`,
		`[{"a":1 , "cache_control":{"type":"ephemeral"} },{"b":2,"cache_control":{"type":"x"}}]`: `[{"a":1 },{"b":2}]`,
		`[{"text":"x"},{"cachePoint":{"type":"default"}}]`:                                       `[{"text":"x"}]`,
		`[{"text":"x"}, { "cachePoint" : { "type":"default" } } ,{"text":"y"}]`:                  `[{"text":"x"},{"text":"y"}]`,
		`{"text":"say \"cache_control\":{} and \"cachePoint\""}`:                                 `{"text":"say \"cache_control\":{} and \"cachePoint\""}`,
		`{"cache_control":null`: `{"cache_control":null`,
	} {
		if got := string(unmarked([]byte(in))); got != want {
			t.Errorf("%s\ngives %s\nwant  %s", in, got, want)
		}
	}
}

// A conversation has one prefix, wherever its marks stand; another has another.
func TestPrefix(t *testing.T) {
	g := &Gateway{Health: routing.NewHealth(routing.Options{})}
	of := func(d Dialect, body string) (routing.Prefix, time.Duration) {
		b, err := NewBody(d, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return g.prefix(Request{Body: b, Head: &Head{Ref: opus}})
	}
	first, ttl := of(Messages, `{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`)
	if first == 0 || ttl != 5*time.Minute {
		t.Fatalf("%v %v", first, ttl)
	}
	for body, same := range map[string]bool{
		`{"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"q"}]},{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"r","cache_control":{"type":"ephemeral"}}]}]}`: true,
		`{"system":[{"type":"text","text":"t"}],"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`:                                                                                                                                false,
		`{"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"p","cache_control":{"type":"ephemeral"}}]}]}`:                                                                                                                                false,
		`{"tools":[{"name":"t"}],"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral"}}]}]}`:                                                                                                         false,
	} {
		if got, _ := of(Messages, body); (got == first) != same {
			t.Errorf("%s: the same prefix: %t, want %t", body, got == first, same)
		}
	}
	if p, _ := of(Messages, `{"messages":[{"role":"user","content":"q"}]}`); p != 0 {
		t.Error("nothing is marked, and it has a prefix")
	}
	if _, ttl := of(Messages, `{"messages":[{"role":"user","content":[{"type":"text","text":"q","cache_control":{"type":"ephemeral", "ttl" : "1h"}}]}]}`); ttl != time.Hour {
		t.Errorf("ttl 1h: %v", ttl)
	}
	one, _ := of(Converse, `{"system":[{"text":"s"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"q"}]}]}`)
	two, ttl := of(Converse, `{"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"q"},{"cachePoint":{"type":"default","ttl":"1h"}}]}]}`)
	if one == 0 || one != two || ttl != time.Hour {
		t.Errorf("Converse: %v, %v, %v", one, two, ttl)
	}
}

// regional is an Upstream at AWS that fails in the Regions of down.
type regional struct {
	canned
	down map[string]error
	went []string
}

func (r *regional) Capabilities() Capabilities {
	return Capabilities{Place: routing.Amazon(), Bills: true, Converse: true}
}

func (r *regional) Send(ctx context.Context, route routing.Route, req Request) (Stream, error) {
	r.went = append(r.went, route.Region())
	if err := r.down[route.Region()]; err != nil {
		return nil, err
	}
	return r.canned.Send(ctx, route, req)
}

// TestStickyConversation: a conversation goes back to the Region that holds its
// cached prefix while the cache lives, unless that Region's health or quota says
// otherwise; then it stays where it went.
func TestStickyConversation(t *testing.T) {
	throttled := messages.Errorf(messages.Throttled, "Too many tokens, please wait before trying again.")
	broken := messages.Errorf(messages.Internal, "Oh.")
	body := func(turn int, ttl string) string {
		const mark = `,"cache_control":{"type":"ephemeral"%s}`
		text, later := fmt.Sprintf(`{"type":"text","text":"q"`+mark+`}`, ttl), ""
		if turn > 1 {
			text = `{"type":"text","text":"q"}`
			later = fmt.Sprintf(`,{"role":"assistant","content":"a"},{"role":"user","content":[{"type":"text","text":"turn %d"`+mark+`}]}`, turn, ttl)
		}
		return `{"anthropic_version":"bedrock-2023-05-31","max_tokens":64,"system":"s","messages":[{"role":"user","content":[` + text + `]}` + later + `]}`
	}
	for _, tt := range []struct {
		name  string
		ttl   string
		after time.Duration    // from the first turn to the second
		down  map[string]error // at the second
		quota int64            // tokens a minute of each lane; 0: no matter
		want  string           // Regions of the second turn and the third
	}{
		{"at once", "", time.Second, nil, 0, "us-east-1, us-east-1"},
		{"within its five minutes", "", 299 * time.Second, nil, 0, "us-east-1, us-east-1"},
		{"after them", "", 301 * time.Second, nil, 0, "us-west-2, us-west-2"},
		{"within its hour", `,"ttl":"1h"`, 59 * time.Minute, nil, 0, "us-east-1, us-east-1"},
		{"throttled there", "", time.Second, map[string]error{"us-east-1": throttled}, 0, "us-east-1 us-west-2, us-west-2"},
		{"broken there", "", time.Second, map[string]error{"us-east-1": broken}, 0, "us-east-1 eu-central-1, eu-central-1"},
		{"its quota is spent", "", time.Second, nil, 1500, "us-west-2, us-west-2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := &regional{canned: canned{frames: whole()}, down: map[string]error{"us-west-2": throttled}}
				g, _ := newGateway(t, up)
				g.Now = time.Now
				g.Health = routing.NewHealth(routing.Options{Rand: func() float64 { return 0.5 }, Quota: func(k routing.Key) routing.Quota {
					if tt.quota == 0 || k.Region != "us-east-1" {
						return routing.Quota{}
					}
					return routing.Quota{TPM: tt.quota}
				}})
				ask := func(turn int) string {
					up.went = nil
					call := newCall(bedrockapi.InvokeModel, opus, body(turn, tt.ttl))
					if err := g.Do(t.Context(), call, &paper{}); err != nil {
						t.Fatal(err)
					}
					return strings.Join(up.went, " ")
				}
				if got := ask(1); got != "us-west-2 us-east-1" {
					t.Fatalf("the first turn went %s", got)
				}
				time.Sleep(tt.after)
				up.down = tt.down
				got := ask(2)
				time.Sleep(time.Second)
				up.down = nil
				if got += ", " + ask(3); got != tt.want {
					t.Errorf("went %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// What the operator's fence shuts is denied as an organisation's policy would, with
// the reason in the hint.
func TestOperatorsFence(t *testing.T) {
	g, _ := newGateway(t, &regional{canned: canned{frames: whole()}})
	var err error
	if g.Fence, err = routing.NewFence(g.Catalog, nil, nil, true); err != nil {
		t.Fatal(err)
	}
	e := refused(t, g, newCall(bedrockapi.InvokeModel, opus, hello))
	if e.Kind != messages.AccessDenied || !strings.Contains(e.Message, "bedrock:InvokeModel on resource: "+opus+" with an explicit deny in a service control policy") || !strings.Contains(e.Hint, "does not permit global ids") {
		t.Errorf("%+v", e)
	}
}
