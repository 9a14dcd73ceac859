package bedrock

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/eventstream"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// The client's own key: AWS does not know it.
var clientKey = sigv4.Credentials{AccessKeyID: "OCAAEXAMPLECLIENT", SecretAccessKey: "client secret, not the gateway's"}

// front is a whole Outcrop with --upstream bedrock before the doubles of AWS.
type front struct {
	*httptest.Server
	aws     *double
	records *activity.Ring
	signer  sigv4.Signer

	mu      sync.Mutex
	reached map[string][]string // the Regions that saw a call, by its traceparent
}

func openFront(t testing.TB, d *double, change ...func(*Options)) *front {
	t.Helper()
	f := &front{aws: d, records: activity.NewRing(20000), reached: map[string][]string{}}
	play := d.Config.Handler
	d.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		region, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		f.mu.Lock()
		id := r.Header.Get("Traceparent")
		f.reached[id] = append(f.reached[id], region)
		f.mu.Unlock()
		if r.Header.Get("Cookie") != "" || strings.Contains(r.Header.Get("Authorization"), clientKey.AccessKeyID) {
			t.Errorf("%s: a cookie or the client's own key has reached AWS: %v", r.URL.Path, r.Header)
		}
		play.ServeHTTP(w, r)
	})
	u := d.connect(t, change...)
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	owner := identity.Owner{Account: "999999999999", Partition: "aws", ARN: "arn:aws:iam::999999999999:user/client", UserID: "AIDACLIENT"}
	f.Server = httptest.NewServer(&httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: c, Region: "us-east-1", Upstream: u, Log: f.records, Now: time.Now,
			Health: routing.NewHealth(routing.Options{Patience: 2 * time.Second}), Accounts: u.Accounts()},
		Auth: &identity.Authenticator{Keys: identity.NewRing([]identity.AccessKey{{Owner: owner, ID: clientKey.AccessKeyID, Secret: clientKey.SecretAccessKey}}, nil), Region: "us-east-1", Now: time.Now},
		Hop:  "front", Account: owner.Account, Bodies: httpapi.NewBudget(1 << 30), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	t.Cleanup(f.Close)
	return f
}

// tell is an operation as a client calls it. count: it has no cost.
type tell struct {
	name  string
	count bool
	path  string // %s: the model
	body  string // %s: the text; %m: the model
}

var tells = []tell{
	{name: "invoke", path: "/model/%s/invoke", body: `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"%s"}]}`},
	{name: "invoke stream", path: "/model/%s/invoke-with-response-stream", body: `{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[{"role":"user","content":"%s"}]}`},
	{name: "converse", path: "/model/%s/converse", body: `{"messages":[{"role":"user","content":[{"text":"%s"}]}]}`},
	{name: "converse stream", path: "/model/%s/converse-stream", body: `{"messages":[{"role":"user","content":[{"text":"%s"}]}]}`},
	{name: "messages", path: "/anthropic/v1/messages", body: `{"model":"%m","max_tokens":100,"messages":[{"role":"user","content":"%s"}]}`},
	{name: "messages stream", path: "/anthropic/v1/messages", body: `{"model":"%m","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"%s"}]}`},
	{name: "count", count: true, path: "/model/%s/count-tokens"},
}

// said is an answer as the client has it.
type said struct {
	id       string // ours
	region   string
	status   int
	body     []byte
	estimate bool
	warnings []string
	cut      error  // the connection was
	failed   string // a stream's own words for its failure
	header   http.Header
}

// ask sends a call from region and reads the answer to its end.
func (f *front) ask(op tell, model, region, trace, text string, header ...string) (said, error) {
	path := strings.ReplaceAll(op.path, "%s", model)
	body := strings.NewReplacer("%s", text, "%m", model).Replace(op.body)
	if op.count {
		inner := strings.ReplaceAll(tells[0].body, "%s", text)
		body = `{"input":{"invokeModel":{"body":"` + base64.StdEncoding.EncodeToString([]byte(inner)) + `"}}}`
	}
	req, err := http.NewRequest(http.MethodPost, f.URL+path, strings.NewReader(body))
	if err != nil {
		return said{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Traceparent", trace)
	req.Header.Set("Cookie", "session=private")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	sum := sha256.Sum256([]byte(body))
	if err := f.signer.Sign(req, hex.EncodeToString(sum[:]), clientKey, region, "bedrock", time.Now()); err != nil {
		return said{}, err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return said{}, err
	}
	defer resp.Body.Close()
	s := said{id: resp.Header.Get("X-Outcrop-Request-Id"), region: resp.Header.Get("X-Outcrop-Region"), status: resp.StatusCode, header: resp.Header,
		estimate: resp.Header.Get("X-Outcrop-Estimate") == "true", warnings: resp.Header["X-Outcrop-Warning"]}
	s.body, s.cut = io.ReadAll(resp.Body)
	if strings.Contains(resp.Header.Get("Content-Type"), "eventstream") {
		s.failed = lastException(s.body)
	} else if i := bytes.Index(s.body, []byte("event: error")); i >= 0 {
		s.failed = string(s.body[i:])
	}
	return s, nil
}

func lastException(stream []byte) string {
	for r := eventstream.NewReader(bytes.NewReader(stream)); ; {
		m, err := r.Next()
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return err.Error()
		}
		if name, ok := m.Header(":exception-type"); ok {
			return name
		}
	}
}

func (f *front) seen(trace string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.reached[trace])
}

// byID are the records when all calls are over, one each.
func (f *front) byID(t *testing.T) map[string]activity.Record {
	t.Helper()
	all := map[string]activity.Record{}
	for _, rec := range f.records.Records() {
		if _, twice := all[rec.RequestID]; twice {
			t.Errorf("%s has two records", rec.RequestID)
		}
		all[rec.RequestID] = rec
	}
	return all
}

// failures are the ways in which a Region fails before its first content; nil: it
// is dead.
var failures = []*scripted.Scenario{
	ways(fault("ThrottlingException", "Too many requests, please wait before trying again.", 0)),
	ways(fault("ThrottlingException", "Too many tokens, please wait before trying again.", 1)),
	ways(fault("InternalServerException", "Oh.", 0)),
	ways(fault("ServiceUnavailableException", "No capacity.", 1)),
	ways(fault("ModelNotReadyException", "Loading.", 0)),
	ways(fault("ModelStreamErrorException", "Broken.", 2)),
	ways(scripted.Scenario{Rules: []scripted.Rule{ // what is not a stream cannot be cut in it
		{Match: scripted.Match{Stream: yes()}, Answer: scripted.Answer{CutAtFrame: 1}},
		{Answer: scripted.Answer{Error: &scripted.Fault{Exception: "ModelTimeoutException", Message: "Slow."}}}}}),
	ways(scripted.Scenario{Rules: []scripted.Rule{ // its first token never comes
		{Match: scripted.Match{Stream: yes()}, Answer: scripted.Answer{Delay: time.Hour}},
		{Answer: scripted.Answer{Error: &scripted.Fault{Exception: "ModelTimeoutException", Message: "Slow."}}}}}),
	nil,
}

func ways(s scripted.Scenario) *scripted.Scenario { return &s }
func yes() *bool                                  { b := true; return &b }

// TestFrontFailover: a whole Outcrop before one Outcrop for each Region, calls of
// every operation from everywhere, in rounds; in each, another third of the
// Regions fails. No call is lost that had a healthy Region inside its wall, none
// leaves its wall, none is answered or charged twice.
// OUTCROP_TEST_LONG=1 makes the 10,000 calls whole.
func TestFrontFailover(t *testing.T) {
	calls := 1000
	if os.Getenv("OUTCROP_TEST_LONG") != "" {
		calls = 10_000
	}
	const rounds = 4
	var sum tally
	for round := range rounds {
		failRound(t, uint64(round), calls/rounds, &sum)
	}
	t.Logf("%d calls: %d served, %d of them after another Region had failed; %d had no healthy Region; %d lost",
		calls, sum.served.Load(), sum.moved.Load(), sum.refused.Load(), sum.lost.Load())
	if sum.served.Load() == 0 || sum.moved.Load() == 0 || sum.refused.Load() == 0 {
		t.Error("the test has not met what it is for")
	}
}

type tally struct{ served, moved, refused, lost atomic.Int64 }

// planned is a call with what may come of it.
type planned struct {
	op            tell
	model, region string
	res           *catalog.Resolution
	healthy       bool
	said          said
}

func failRound(t *testing.T, seed uint64, calls int, sum *tally) {
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2026, seed))
	regions := c.Regions()
	rng.Shuffle(len(regions), func(i, j int) { regions[i], regions[j] = regions[j], regions[i] })
	d := playAWS(t, map[string]scripted.Scenario{})
	failing := map[string]bool{}
	for i, region := range regions[:len(regions)/3] {
		failing[region] = true
		if way := failures[(i+int(seed))%len(failures)]; way != nil {
			d.scripts[region] = *way
		} else {
			d.dead[region] = true
		}
	}
	f := openFront(t, d, func(o *Options) { o.FirstContent = 2 * time.Second })
	models := []string{"global.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
		"anthropic.claude-3-haiku-20240307-v1:0", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", "jp.anthropic.claude-haiku-4-5-20251001-v1:0"}
	plan := make([]planned, calls)
	for i := range plan {
		p := &plan[i]
		for p.res == nil {
			p.op, p.model, p.region = tells[rng.IntN(len(tells))], models[rng.IntN(len(models))], regions[rng.IntN(len(regions))]
			p.res, _ = c.Resolve(p.model, p.region, catalog.Policy{Now: time.Now()})
		}
		all, _ := routing.Routes(p.res, routing.Amazon(), routing.Fence{}, nil)
		p.healthy = slices.ContainsFunc(all, func(r routing.Route) bool { return !failing[r.Region()] })
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := range next {
				p := &plan[i]
				s, err := f.ask(p.op, p.model, p.region, fmt.Sprint("call-", i), fmt.Sprint("text of call ", i))
				if err != nil {
					t.Errorf("call %d: %v", i, err)
				}
				p.said = s
			}
		})
	}
	for i := range plan {
		next <- i
	}
	close(next)
	wg.Wait()
	f.Close()
	d.Close() // both wait for the last records
	records := f.byID(t)
	if len(records) != calls {
		t.Errorf("%d records of %d calls", len(records), calls)
	}
	var answered int64
	for i := range plan {
		p := &plan[i]
		if f.judge(t, i, p, records[p.said.id], sum) {
			answered++
		}
	}
	var whole int64
	for _, rec := range d.records.Records() {
		if rec.Status == http.StatusOK && rec.ErrorCode == "" {
			whole++
		}
	}
	if whole != answered {
		t.Errorf("AWS has answered %d times for %d calls that were served", whole, answered)
	}
}

// judge says whether a call was served, and holds it to the wall and the bill.
func (f *front) judge(t *testing.T, i int, p *planned, rec activity.Record, sum *tally) bool {
	t.Helper()
	who := fmt.Sprintf("call %d, %s of %s from %s", i, p.op.name, p.model, p.region)
	wall, reached := p.res.Candidates[0].Wall, f.seen(fmt.Sprint("call-", i))
	for k, region := range reached {
		// The source Region itself may stand outside: the caller has chosen it.
		if !wall.Contains(region) && region != p.res.Candidates[0].Region {
			t.Errorf("%s: left %s for %s", who, wall, region)
		}
		// A Region may come again, but what was answered is not asked again.
		if k < len(reached)-1 && p.said.status == http.StatusOK && region == p.said.region {
			t.Errorf("%s: %s served it and is not the last of %v", who, region, reached)
		}
	}
	if rec.Wall != wall.String() {
		t.Errorf("%s: the record's wall is %q, want %q", who, rec.Wall, wall)
	}
	cost := catalog.Cost(rec.Usage, p.res.Candidates[0].Price)
	if p.said.status != http.StatusOK || p.said.failed != "" || p.said.cut != nil {
		sum.refused.Add(1)
		if p.healthy {
			sum.refused.Add(-1)
			if sum.lost.Add(1) <= 5 {
				t.Errorf("%s: lost: %d %s %s %v, reached %v, record %+v", who, p.said.status, p.said.body, p.said.failed, p.said.cut, reached, rec)
			}
		}
		if rec.Billed != 0 || rec.ErrorCode == "" || len(rec.Tried) < len(reached) {
			t.Errorf("%s: refused after %v, and recorded %+v", who, reached, rec)
		}
		return false
	}
	sum.served.Add(1)
	if len(rec.Tried) > 0 {
		sum.moved.Add(1)
	}
	switch {
	case p.op.count:
		if rec.Billed != 0 || !bytes.Contains(p.said.body, []byte("inputTokens")) {
			t.Errorf("%s: %s, billed %d", who, p.said.body, rec.Billed)
		}
	case rec.Billed != cost || cost <= 0 || rec.ErrorCode != "" || rec.Partial:
		t.Errorf("%s: billed %s for %+v, want %s once", who, rec.Billed.USD(), rec.Usage, cost.USD())
	}
	if served := rec.Served; served != p.said.region && (served != "" || p.said.region != p.region) && !p.op.count {
		t.Errorf("%s: %s answered, and the record says %q", who, p.said.region, served)
	}
	if rec.Status != http.StatusOK || len(reached) == 0 || reached[len(reached)-1] != p.said.region {
		t.Errorf("%s: answered by %s, reached %v, recorded %+v", who, p.said.region, reached, rec)
	}
	return true
}

// TestFrontAtEveryFrame: a Region that fails before its first content is
// answered by another one; after it the client is told, and nobody else is asked.
func TestFrontAtEveryFrame(t *testing.T) {
	const frames, content = 8, 3 // of what is asked; message_start, content_block_start, then deltas
	for _, cut := range []bool{false, true} {
		for at := 0; at < frames; at++ {
			for _, op := range []tell{tells[1], tells[3], tells[5]} {
				if cut && at == 0 {
					continue // that is a Region without an answer
				}
				home := fault("ServiceUnavailableException", "No capacity.", at)
				if cut {
					home = scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{CutAtFrame: at}}}}
				}
				name := fmt.Sprintf("%s, cut %t at %d", op.name, cut, at)
				f := openFront(t, playAWS(t, map[string]scripted.Scenario{"us-east-1": home}))
				s, err := f.ask(op, "global.anthropic.claude-opus-4-6-v1", "us-east-1", "one", strings.Repeat("sixteen letters ", 3))
				if err != nil {
					t.Fatal(err)
				}
				f.Close()
				rec, reached := f.byID(t)[s.id], f.seen("one")
				if at < content {
					if s.status != 200 || s.failed != "" || len(reached) != 2 || len(rec.Tried) != 1 || rec.Tried[0].Region != "us-east-1" || s.region == "us-east-1" || rec.ErrorCode != "" {
						t.Errorf("%s: %d %q by %s, reached %v, tried %v", name, s.status, s.failed, s.region, reached, rec.Tried)
					}
					continue
				}
				if s.status != 200 || s.failed == "" || len(reached) != 1 || !rec.Partial || rec.ErrorCode == "" {
					t.Errorf("%s: %d %q, reached %v, recorded %+v", name, s.status, s.failed, reached, rec)
				}
				// ConverseStream tells its usage at the end alone: what was written is
				// estimated.
				if rec.Billed == 0 || op.name == "converse stream" && !rec.Estimated {
					t.Errorf("%s: billed %s for %+v", name, rec.Billed.USD(), rec.Usage)
				}
			}
		}
	}
}

// TestFrontEstimate: where AWS does not count, the count says what it is, to the
// client and in the record.
func TestFrontEstimate(t *testing.T) {
	for _, tt := range []struct {
		model, region string
		estimate      bool
	}{
		{"us.anthropic.claude-opus-4-6-v1", "us-west-2", false},
		{"global.anthropic.claude-opus-4-6-v1", "sa-east-1", false},
		{"anthropic.claude-opus-4-6-v1", "sa-east-1", false}, // which has the global profile alone
		{opus5, "us-west-2", true},
		{"anthropic.claude-opus-5", "me-south-1", true},
	} {
		for _, op := range []tell{tells[len(tells)-1], {path: "/anthropic/v1/messages/count_tokens", body: `{"model":"%m","messages":[{"role":"user","content":"%s"}]}`}} {
			f := openFront(t, playAWS(t, nil))
			s, err := f.ask(op, tt.model, tt.region, "count", "How many?")
			if err != nil {
				t.Fatal(err)
			}
			if s.status != 200 || s.estimate != tt.estimate || !bytes.Contains(bytes.ToLower(s.body), []byte("tokens")) {
				t.Errorf("%s of %s: %d estimate %t %s", op.path, tt.model, s.status, s.estimate, s.body)
			}
			f.Close() // waits for the record
			recs := f.records.Records()
			if rec := recs[len(recs)-1]; rec.Estimated != tt.estimate || tt.estimate != (len(rec.Warnings) > 0) {
				t.Errorf("%s of %s: recorded %+v", op.path, tt.model, rec)
			}
			for _, region := range f.seen("count") {
				if region != tt.region {
					t.Errorf("%s of %s in %s was counted in %s", op.path, tt.model, tt.region, region)
				}
			}
		}
	}
}
