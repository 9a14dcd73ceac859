package httpapi_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// channel is a log that a test waits for: a record may follow its answer.
type channel chan activity.Record

func (c channel) Record(r activity.Record) { c <- r }

// What an answer says it costs is its record's amount, to the nanodollar: in the
// header of a whole answer, in a trailer of a stream that was declared before it.
func TestCostOnTheAnswer(t *testing.T) {
	const (
		model    = "us.anthropic.claude-opus-4-6-v1%3A0"
		messages = `{"model":"us.anthropic.claude-opus-4-6-v1:0","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]`
		converse = `{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}`
	)
	calls := []struct {
		path, body string
		stream     bool
	}{
		{"/model/" + model + "/invoke", invokeBody, false},
		{"/model/" + model + "/invoke-with-response-stream", invokeBody, true},
		{"/model/" + model + "/converse", converse, false},
		{"/model/" + model + "/converse-stream", converse, true},
		{"/anthropic/v1/messages", messages + "}", false},
		{"/anthropic/v1/messages", messages + `,"stream":true}`, true},
	}
	for _, bills := range []bool{false, true} {
		s := newSetup(t, scripted.Scenario{})
		can := s.Gateway.Upstream.Capabilities()
		can.Bills = bills
		s.Gateway.Upstream = &keeping{Upstream: s.Gateway.Upstream, can: &can}
		recorded := make(channel, 1)
		s.Gateway.Log = recorded
		base := serveHTTP2(t, s)
		h2 := priorKnowledge(nil)
		defer h2.CloseIdleConnections()
		h1 := new(http.Transport)
		defer h1.CloseIdleConnections()
		for _, c := range calls {
			for _, tr := range []*http.Transport{h1, h2} {
				name := fmt.Sprintf("bills %v, %s, HTTP/2 %v", bills, c.path, tr == h2)
				req, err := http.NewRequest("POST", base+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Anthropic-Version", "2023-06-01")
				s.sign(t, req, []byte(c.body))
				resp, err := tr.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				_, declared := resp.Trailer["X-Outcrop-Cost-Usd"]
				raw, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != 200 {
					t.Fatalf("%s: %d %v %s", name, resp.StatusCode, err, raw)
				}
				where := resp.Header
				if c.stream {
					where = resp.Trailer
				}
				if declared != c.stream || c.stream && resp.Header.Get("X-Outcrop-Cost-Usd") != "" {
					t.Errorf("%s: trailer declared: %v, header %v", name, declared, resp.Header)
				}
				r := <-recorded
				cost, would := where.Get("X-Outcrop-Cost-Usd"), where.Get("X-Outcrop-Would-Cost-Usd")
				switch {
				case bills && (r.Billed <= 0 || r.WouldCost != 0 || cost != r.Billed.USD() || would != ""):
					t.Errorf("%s: says %q and %q, recorded $%s", name, cost, would, r.Billed.USD())
				case !bills && (r.WouldCost <= 0 || r.Billed != 0 || cost != "0" || would != r.WouldCost.USD()):
					t.Errorf("%s: says %q and %q, recorded $%s", name, cost, would, r.WouldCost.USD())
				}
			}
		}
	}
}
