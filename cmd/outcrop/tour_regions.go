package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	bedrockup "github.com/outcrop-dev/outcrop/internal/upstream/bedrock"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// world is Amazon Bedrock played in this process, an Outcrop for each Region that
// can be throttled, and a front door with --upstream bedrock before it. What AWS
// itself would do cannot be had on order. Every hop is signed and checked.
type world struct {
	door    *visit
	catalog *catalog.Catalog
	servers []*http.Server
	up      *bedrockup.Upstream

	key     sigv4.Credentials // of the front door, at the doubles
	mu      sync.Mutex
	doubles map[string]http.Handler
	down    map[string]bool
	reached []string
}

// tourAccount owns all that the doubles see.
const tourAccount = "123456789012"

func newWorld(ctx context.Context, c *catalog.Catalog, p catalog.Policy) (w *world, err error) {
	w = &world{catalog: c, key: tourKey(), doubles: map[string]http.Handler{}, down: map[string]bool{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	aws, err := w.listen(w)
	if err != nil {
		return nil, err
	}
	w.up, err = bedrockup.New(ctx, bedrockup.Options{
		Endpoints: bedrockup.Endpoints{Runtime: aws + "/{region}"}, Region: pageRegion,
		Accounts:     []bedrockup.Account{{Credentials: credentials.NewStaticCredentialsProvider(w.key.AccessKeyID, w.key.SecretAccessKey, "")}},
		FirstContent: time.Minute, Idle: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	mine := tourKey()
	front := w.server(&gateway.Gateway{Catalog: c, Policy: p, Region: pageRegion, Upstream: w.up, Log: activity.NewRing(1), Now: time.Now,
		Health: routing.NewHealth(routing.Options{}), Accounts: w.up.Accounts()}, mine)
	url, err := w.listen(front)
	if err != nil {
		return nil, err
	}
	w.door = &visit{url: url, region: pageRegion, key: mine, http: &http.Client{Transport: &http.Transport{}}, catalog: c}
	return w, nil
}

func tourKey() sigv4.Credentials {
	return sigv4.Credentials{AccessKeyID: "OCTOUR" + rand.Text()[:10], SecretAccessKey: rand.Text() + rand.Text()}
}

func (w *world) listen(h http.Handler) (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := httpapi.NewHTTPServer(h, slog.New(slog.DiscardHandler))
	w.servers = append(w.servers, s)
	go s.Serve(ln)
	return "http://" + ln.Addr().String(), nil
}

func (w *world) server(g *gateway.Gateway, key sigv4.Credentials) *httpapi.Server {
	owner := identity.Owner{Account: tourAccount, Partition: "aws", ARN: "arn:aws:iam::" + tourAccount + ":user/tour", UserID: "tour"}
	keys := identity.NewRing([]identity.AccessKey{{Owner: owner, ID: key.AccessKeyID, Secret: key.SecretAccessKey}}, nil)
	return &httpapi.Server{Gateway: g, Auth: &identity.Authenticator{Keys: keys, Region: g.Region, Now: time.Now},
		Account: tourAccount, Version: version, Hop: rand.Text(), Bodies: httpapi.NewBudget(16 << 20), Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

// ServeHTTP is AWS: the first segment of the path is the Region.
func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	region, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	h, err := w.double(region)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadGateway)
		return
	}
	h.ServeHTTP(rw, r)
}

func (w *world) double(region string) (http.Handler, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reached = append(w.reached, region)
	scenario := scripted.Scenario{Name: region}
	if w.down[region] {
		scenario = scripted.Scenario{Name: region + "-throttled", Rules: []scripted.Rule{{Answer: scripted.Answer{
			Error: &scripted.Fault{Exception: "ThrottlingException", Message: "Too many requests, please wait before trying again."}}}}}
	}
	if h, ok := w.doubles[scenario.Name]; ok {
		return h, nil
	}
	up, err := scripted.New(scenario)
	if err != nil {
		return nil, err
	}
	h := http.StripPrefix("/"+region, w.server(&gateway.Gateway{Catalog: w.catalog, Region: region, Upstream: up, Log: activity.NewRing(1), Now: time.Now}, w.key))
	w.doubles[scenario.Name] = h
	return h, nil
}

// throttle has every Region refuse whose name begins so.
func (w *world) throttle(prefixes ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, region := range w.catalog.Regions() {
		for _, p := range prefixes {
			w.down[region] = w.down[region] || strings.HasPrefix(region, p)
		}
	}
}

// ask calls a model and gives the Region that served, and all that were reached.
func (w *world) ask(ctx context.Context, region, model string) (served string, reached []string, r *reply, err error) {
	w.mu.Lock()
	w.reached = nil
	w.mu.Unlock()
	if r, err = w.door.invoke(ctx, region, model, nil); err != nil {
		return "", nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.status == http.StatusOK {
		served = r.header.Get("X-Outcrop-Region")
	}
	return served, slices.Clone(w.reached), r, nil
}

// survives holds a call to an answer from another Region, inside where says.
func (w *world) survives(ctx context.Context, region, model, inside string) (string, error) {
	served, reached, r, err := w.ask(ctx, region, model)
	if err != nil {
		return "", err
	}
	switch {
	case r.status != http.StatusOK:
		return "", fmt.Errorf("%s from %s with that Region throttled: %s", model, region, r.refusal())
	case served == region || !slices.Contains(reached, served):
		return "", fmt.Errorf("%s from %s: %s is said to have served, and %v were reached", model, region, served, reached)
	}
	return served, within(reached, inside)
}

// stays holds a call to a refusal with nobody asked outside.
func (w *world) stays(ctx context.Context, region, model, inside string) (string, error) {
	_, reached, r, err := w.ask(ctx, region, model)
	if err != nil {
		return "", err
	}
	if r.status != http.StatusTooManyRequests || len(reached) == 0 {
		return "", fmt.Errorf("%s from %s with all of %s throttled: %s, reached %v", model, region, inside, r.refusal(), reached)
	}
	return r.refusal(), within(reached, inside)
}

func within(reached []string, prefix string) error {
	for _, region := range reached {
		if !strings.HasPrefix(region, prefix) {
			return fmt.Errorf("the call has left %s for %s", prefix, region)
		}
	}
	return nil
}

func (w *world) close() {
	var errs []error
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	if w.up != nil {
		errs = append(errs, w.up.Close())
	}
	if w.door != nil {
		w.door.http.CloseIdleConnections()
	}
	_ = errors.Join(errs...) // nothing is left to lose
}

// meetGlobal: a Region is throttled, then the one that has served instead, and
// global. answers.
func meetGlobal(ctx context.Context, v *visit) (string, error) {
	if _, err := v.answers(ctx, pageRegion, pageGlobal, nil); err != nil {
		return "", err
	}
	w, err := newWorld(ctx, v.catalog, catalog.Policy{})
	if err != nil {
		return "", err
	}
	defer w.close()
	w.throttle(pageRegion)
	first, err := w.survives(ctx, pageRegion, pageGlobal, "")
	if err != nil {
		return "", err
	}
	w.throttle(first)
	second, err := w.survives(ctx, pageRegion, pageGlobal, "")
	if err != nil {
		return "", err
	}
	if second == first {
		return "", fmt.Errorf("%s has served while it was throttled", first)
	}
	r, err := v.catalog.Resolve(pageGlobal, pageRegion, catalog.Policy{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("played: %s throttled, %s serves; %s throttled too, %s serves; %d source Regions, one price", pageRegion, first, first, second, len(r.Candidates)), nil
}

// meetWalls: the doors of a geography, and what becomes of a call when its Region
// is throttled, and when all of them are.
func meetWalls(ctx context.Context, v *visit) (string, error) {
	if _, err := v.answers(ctx, "eu-west-1", "eu."+pageModel, nil); err != nil {
		return "", err
	}
	if _, err := v.refuses(ctx, "us-east-1", "eu."+pageModel, nil, "ValidationException"); err != nil {
		return "", err
	}
	if _, err := v.refuses(ctx, "eu-west-1", "us."+pageModel, nil, "ValidationException"); err != nil {
		return "", err
	}
	w, err := newWorld(ctx, v.catalog, catalog.Policy{})
	if err != nil {
		return "", err
	}
	defer w.close()
	w.throttle("eu-west-1")
	served, err := w.survives(ctx, "eu-west-1", "eu."+pageModel, "eu-")
	if err != nil {
		return "", err
	}
	w.throttle("eu-")
	if _, err := w.stays(ctx, "eu-west-1", "eu."+pageModel, "eu-"); err != nil {
		return "", err
	}
	return fmt.Sprintf("eu. is refused in us-east-1; played: eu-west-1 throttled, %s serves; all of Europe throttled, a 429 rather than a call outside", served), nil
}

// meetNoPrefix: the bare id, here, with its Region throttled, and under strict.
func meetNoPrefix(ctx context.Context, v *visit) (string, error) {
	m, err := v.answers(ctx, pageRegion, pageModel, nil)
	if err != nil {
		return "", err
	}
	w, err := newWorld(ctx, v.catalog, catalog.Policy{})
	if err != nil {
		return "", err
	}
	defer w.close()
	w.throttle("us-")
	if _, err := w.stays(ctx, pageRegion, pageModel, "us-"); err != nil {
		return "", err
	}
	strict, err := newWorld(ctx, v.catalog, catalog.Policy{Strict: true})
	if err != nil {
		return "", err
	}
	defer strict.close()
	if _, err := strict.door.refuses(ctx, pageRegion, strings.TrimSuffix(pageModel, ":0"), nil, "on-demand throughput"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answers in %s as %s; played: the US throttled, a 429; --strict: on-demand throughput isn't supported", pageModel, pageRegion, m.Model), nil
}
