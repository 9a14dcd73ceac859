package bedrock

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// double is AWS played by Outcrops, one for each Region, each over a script of its
// own. They check signatures as the server does.
type double struct {
	*httptest.Server
	mu      sync.Mutex
	scripts map[string]scripted.Scenario
	servers map[string]http.Handler
	served  map[string]int // answers that were whole, by the text asked
	records *activity.Ring
	dead    map[string]bool
}

func playAWS(t testing.TB, scripts map[string]scripted.Scenario) *double {
	t.Helper()
	d := &double{scripts: scripts, servers: map[string]http.Handler{}, records: activity.NewRing(20000), dead: map[string]bool{}}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	region, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	d.mu.Lock()
	h := d.servers[region]
	if h == nil {
		h = http.StripPrefix("/"+region, d.outcrop(region))
		d.servers[region] = h
	}
	dead := d.dead[region]
	d.mu.Unlock()
	if dead {
		panic(http.ErrAbortHandler)
	}
	h.ServeHTTP(w, r)
}

func (d *double) outcrop(region string) http.Handler {
	up, err := scripted.New(d.scripts[region])
	if err != nil {
		panic(err)
	}
	c, err := theCatalog()
	if err != nil {
		panic(err)
	}
	owner := identity.Owner{Account: "123456789012", Partition: "aws", ARN: "arn:aws:iam::123456789012:user/gateway", UserID: "AIDAEXAMPLE"}
	keys := identity.NewRing([]identity.AccessKey{{Owner: owner, ID: keyID, Secret: keySecret}}, nil)
	return &httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: c, Region: region, Upstream: up, Log: d.records, Now: time.Now},
		Auth:    &identity.Authenticator{Keys: keys, Region: region, Now: time.Now},
		Account: owner.Account, Hop: "double-" + region, Bodies: httpapi.NewBudget(1 << 30),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now,
	}
}

func (d *double) connect(t testing.TB, change ...func(*Options)) *Upstream {
	t.Helper()
	o := Options{Endpoints: Endpoints{Runtime: d.URL + "/{region}", Mantle: d.URL + "/{region}"}, Hop: "gateway",
		Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}}
	for _, c := range change {
		c(&o)
	}
	u, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u
}

func fault(exception, text string, at int) scripted.Scenario {
	return scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Error: &scripted.Fault{Exception: exception, Message: text, AtFrame: at}}}}}
}

// Every operation, through an Outcrop that stands for AWS.
func TestThroughOutcrop(t *testing.T) {
	d := playAWS(t, nil)
	u := d.connect(t)
	r := route(t, "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
	t.Run("invoke", func(t *testing.T) {
		s, err := u.Send(t.Context(), r, request(t, helloBody, false))
		if err != nil {
			t.Fatal(err)
		}
		_, data, _, err := pull(s)
		if err != nil || !bytes.Contains(data[0], []byte(`"text":"Hello"`)) || s.UpstreamRequestID() == "" {
			t.Errorf("%s %v", data, err)
		}
	})
	t.Run("stream", func(t *testing.T) {
		s, err := u.Send(t.Context(), r, request(t, helloBody, true))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		events, _, wire, err := pull(s)
		if err != nil || events[0] != messages.EventMessageStart || events[len(events)-1] != messages.EventMessageStop || len(wire) == 0 {
			t.Errorf("%v %v", events, err)
		}
	})
	t.Run("converse", func(t *testing.T) {
		for _, stream := range []bool{false, true} {
			s, err := u.Send(t.Context(), r, requestIn(t, gateway.Converse, `{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}`, stream))
			if err != nil {
				t.Fatal(err)
			}
			events, data, wire, err := pull(s)
			if err != nil || !bytes.Contains(bytes.Join(data, nil), []byte(`"Hello"`)) || stream != (len(wire) > 0) {
				t.Errorf("stream %t: %v %s %v", stream, events, data, err)
			}
			s.Close()
		}
	})
	t.Run("count", func(t *testing.T) {
		c, err := u.CountTokens(t.Context(), r, request(t, helloBody, false))
		if err != nil || c.Tokens < 1 || c.Estimate {
			t.Errorf("%+v %v", c, err)
		}
	})
	t.Run("mantle", func(t *testing.T) {
		for _, stream := range []bool{false, true} {
			s, err := u.Send(t.Context(), routes(t, "anthropic.claude-opus-5", "us-east-1", true)[0], request(t, helloBody, stream))
			if err != nil {
				t.Fatal(err)
			}
			if _, data, _, err := pull(s); err != nil || !bytes.Contains(bytes.Join(data, nil), []byte(`"Hello"`)) {
				t.Errorf("stream %t: %s %v", stream, data, err)
			}
			s.Close()
		}
	})
	t.Run("wrong key", func(t *testing.T) {
		u := d.connect(t, func(o *Options) { o.Accounts = []Account{{Credentials: static{keyID, "not the secret", ""}}} })
		_, err := u.Send(t.Context(), r, request(t, helloBody, false))
		if e := asError(t, err); e.Kind != messages.Unavailable || !strings.Contains(err.Error(), "signature we calculated does not match") {
			t.Errorf("%v", err)
		}
	})
}

// lead is the loop that a gateway runs.
func lead(ctx context.Context, u *Upstream, h *routing.Health, c routing.Call, req gateway.Request) (*routing.Plan, gateway.Stream, error) {
	p := h.Plan(c)
	for {
		r, wait, err := p.Next()
		if err != nil {
			return p, nil, err
		}
		if wait > 0 {
			time.Sleep(wait)
			continue
		}
		s, err := u.Send(ctx, r, req)
		if err == nil {
			p.Began()
			return p, s, nil
		}
		p.Failed(err)
	}
}

// TestAThirdOfRegionsFails: mixed calls from everywhere while a third of the
// Regions fails, each in its own way. No call is lost that had a healthy Region
// inside its wall, none leaves its wall, and none is answered twice.
func TestAThirdOfRegionsFails(t *testing.T) {
	c, err := theCatalog()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2026, 11))
	regions := c.Regions()
	r.Shuffle(len(regions), func(i, j int) { regions[i], regions[j] = regions[j], regions[i] })
	ways := []scripted.Scenario{
		fault("ThrottlingException", "Too many requests, please wait before trying again.", 0),
		fault("InternalServerException", "Oh.", 0),
		fault("ServiceUnavailableException", "No capacity.", 1),
		fault("ModelNotReadyException", "Loading.", 0),
		fault("ThrottlingException", "Too many tokens, please wait before trying again.", 1),
		{Rules: []scripted.Rule{{Answer: scripted.Answer{CutAtFrame: 1}}}},
	}
	scripts, failing := map[string]scripted.Scenario{}, map[string]bool{}
	d := playAWS(t, scripts)
	for i, region := range regions[:len(regions)/3] {
		failing[region] = true
		if w := i % (len(ways) + 1); w < len(ways) {
			scripts[region] = ways[w]
		} else {
			d.dead[region] = true
		}
	}
	u := d.connect(t)
	h := routing.NewHealth(routing.Options{Patience: 2 * time.Second})
	ids := []string{"global.anthropic.claude-opus-4-6-v1", "us.anthropic.claude-opus-4-6-v1", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "global.anthropic.claude-opus-5", "jp.anthropic.claude-haiku-4-5-20251001-v1:0"}
	calls := 10_000
	if testing.Short() {
		calls = 1000
	}
	var lost, served, refused, moved atomic.Int64
	next := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range next {
				r := rand.New(rand.NewPCG(uint64(i), 3))
				var all []routing.Route
				for len(all) == 0 {
					res, err := c.Resolve(ids[r.IntN(len(ids))], regions[r.IntN(len(regions))], catalog.Policy{})
					if err == nil {
						all, _ = routing.Routes(res, routing.Amazon(), routing.Fence{}, nil)
					}
				}
				healthy := false
				for _, x := range all {
					healthy = healthy || !failing[x.Region()]
				}
				text := fmt.Sprintf("call %d", i)
				stream := r.IntN(2) == 0
				// A cut at frame 1 is a fault of streams alone.
				req := request(t, strings.Replace(helloBody, "Hello", text, 1), stream)
				p, s, err := lead(t.Context(), u, h, routing.Call{Routes: all, Input: 20, MaxTokens: 100}, req)
				for _, try := range p.Tries() {
					if w := all[0].Wall(); !w.Anywhere() && !w.Contains(try.Route.Region()) && try.Route.Region() != all[0].Region() {
						t.Errorf("%s from %s left its wall for %s", all[0].ID(), all[0].Region(), try.Route.Region())
					}
				}
				if len(p.Tries()) > 1 {
					moved.Add(1)
				}
				if err != nil {
					refused.Add(1)
					if healthy {
						if lost.Add(1) <= 3 {
							t.Errorf("%s from %s was lost: %v (tried %v)", all[0].ID(), all[0].Region(), err, path(p))
						}
					}
					continue
				}
				_, data, _, err := pull(s)
				s.Close()
				p.Done(messages.Usage{InputTokens: 20, OutputTokens: 5})
				if err != nil || !strings.Contains(joined(data), "call") {
					t.Errorf("%s: %v %s", text, err, data)
				}
				served.Add(1)
			}
		})
	}
	for i := range calls {
		next <- i
	}
	close(next)
	wg.Wait()
	u.Close()
	d.Close() // waits for the last records
	answered := int64(0)
	for _, rec := range d.records.Records() {
		if rec.Status == 200 && rec.ErrorCode == "" {
			answered++
		}
	}
	if answered != served.Load() {
		t.Errorf("AWS answered %d times for %d calls", answered, served.Load())
	}
	t.Logf("%d calls: %d served, %d after another Region failed, %d had no healthy Region, %d lost", calls, served.Load(), moved.Load(), refused.Load()-lost.Load(), lost.Load())
}

func joined(data [][]byte) string { return string(bytes.Join(data, nil)) }

func path(p *routing.Plan) (regions []string) {
	for _, t := range p.Tries() {
		regions = append(regions, t.Route.Region())
	}
	return regions
}

// BenchmarkRelay is one call through to a fake AWS that does not check: signed,
// sent, relayed.
func BenchmarkRelay(b *testing.B) {
	whole := []byte(answer1)
	const frames = 50
	var stream []byte
	stream = append(append(stream, chunk(events1[0])...), chunk(events1[1])...)
	for range frames {
		stream = append(stream, chunk(events1[2])...)
	}
	stream = append(stream, chunk(events1[6])...)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.URL.Path, "stream") {
			w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
			w.Write(stream)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(whole)
	}))
	b.Cleanup(srv.Close)
	u, err := New(b.Context(), Options{Endpoints: Endpoints{Runtime: srv.URL}, Accounts: []Account{{Credentials: static{keyID, keySecret, ""}}}, Idle: time.Minute, FirstContent: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { u.Close() })
	r := route(b, opus46)
	for _, streamed := range []bool{false, true} {
		req := request(b, strings.Replace(helloBody, "Hello", strings.Repeat("Hello ", 300), 1), streamed)
		b.Run(map[bool]string{false: "invoke", true: "stream of 50"}[streamed], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := u.Send(b.Context(), r, req)
				if err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := s.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				s.Close()
			}
		})
	}
}

// BenchmarkFrames is the reading of a stream's frames alone.
func BenchmarkFrames(b *testing.B) {
	const n = 1000
	var data []byte
	for range n {
		data = append(data, chunk(events1[2])...)
	}
	data = append(data, chunk(events1[6])...)
	var pool sync.Pool
	b.ReportAllocs()
	for b.Loop() {
		resp := &http.Response{Header: http.Header{"Content-Type": {"application/vnd.amazon.eventstream"}}, Body: io.NopCloser(bytes.NewReader(data))}
		_, w := newWatch(b.Context(), Options{Idle: time.Minute})
		s, err := newStream(resp, catalog.Invoke, w, answer{}, &pool)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := s.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/frame")
}
