package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/document"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/heap"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/metrics"
	"github.com/outcrop-dev/outcrop/internal/routing"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// bodyBudget is the memory that request bodies may hold together.
const bodyBudget = 512 << 20

// documentBytes is what InvokeModel may carry as a document, 20 MB a request at
// AWS; Converse's own 4.5 MB are refused earlier. PDFium, compiled, is kept in
// the data folder, which nobody else can write.
const (
	documentBytes = 20 << 20
	documentCache = "pdfium"
)

// accessFile is in the data folder.
const accessFile = "access.db"

// ringSize is how many records stay in memory.
const ringSize = 1000

// server is a running front door.
type server struct {
	URL      string
	Upstream gateway.Upstream
	Note     string // why the upstream is not the one asked for
	Records  *activity.Ring
	Catalog  *catalog.Catalog
	Data     *datadir.Folder
	Journal  gateway.Journal             // nil: no calls are kept
	archive  *activity.Archive           // what Journal keeps
	store    *activity.Store             // behind Journal
	deliver  gateway.Deliver             // nil: to nowhere
	flush    func(context.Context) error // delivers what waits
	lanes    *routing.Health             // of real Bedrock
	fence    routing.Fence
	accounts []routing.Account
	theirs   func(arn string) (madeFrom string, ok bool) // of those accounts
	told     []httpapi.TheirProfile                      // … as the control plane lists them

	mantleHere bool // catalog.Policy's
	Account    string

	instance string      // tells this server from one that took its address later
	quiet    atomic.Bool // the access log pauses
	leaving  atomic.Bool // /readyz says no
	required bool        // no call without a record

	undelivered func() []string // buckets that fail; nil: there are none
	delay       time.Duration
	drain       time.Duration
	http        *http.Server
	served      chan error
	stateful    string // server.json, removed at the end
	closers     []func() error
}

// startServer listens first, so that a taken port is the first thing to be said.
func startServer(o *serveOptions, con console) (_ *server, err error) {
	s := &server{instance: rand.Text(), served: make(chan error, 1), Records: activity.NewRing(ringSize), delay: o.DrainDelay, drain: o.DrainTimeout, required: o.ActivityRequired}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	heap.Raise()
	ln, err := net.Listen("tcp", o.Listen)
	if err != nil {
		if _, wrong := net.ResolveTCPAddr("tcp", o.Listen); wrong != nil {
			return nil, misuse("cannot listen on %s: want an address and a port, such as %s: %v", o.Listen, defaultListen, wrong)
		}
		return nil, fmt.Errorf("cannot listen on %s: %w\n  another outcrop may be running there; --listen 127.0.0.1:0 takes a free port", o.Listen, err)
	}
	s.closers = append(s.closers, ln.Close)
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	if o.InsecureSkipAuth && !addr.Addr().Unmap().IsLoopback() {
		return nil, misuse("--insecure-skip-auth lets everyone in, so it serves a loopback address only, not %s", o.Listen)
	}
	if s.Data, err = datadir.Open(o.Data, datadir.Options{KeyFile: o.KeyFile, Now: time.Now}); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.Data.Close)
	if s.Account, err = s.Data.Account(); err != nil {
		return nil, err
	}
	if s.Catalog, err = catalog.Load(o.Prices...); err != nil {
		return nil, err
	}
	logger := newLogger(o.Log, con)
	hop := rand.Text()
	if err := s.openUpstream(o, addr, hop, logger, con); err != nil {
		return nil, err
	}
	logs := activity.Logs{s.Records}
	if o.Log != "off" {
		logs = append(logs, pausable{activity.AccessLog{Log: logger}, &s.quiet})
	}
	counted := metrics.New(s.lanes)
	logs = append(logs, counted)
	documents, err := document.New(document.Options{CacheDir: filepath.Join(o.Data, documentCache), Fonts: document.HostFonts(), Bytes: documentBytes})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, documents.Close)
	own, err := s.openAccess(o, logger)
	if err != nil {
		return nil, err
	}
	if err := s.openJournal(o, own, counted, logger); err != nil {
		return nil, err
	}
	counters, err := s.openLimits(&o.limitOptions, logger)
	if err != nil {
		return nil, err
	}
	policy := catalog.Policy{Strict: o.Strict, Own: own.MadeFrom, OwnHere: true, Theirs: s.theirs, MantleHere: s.mantleHere}
	handler := &httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: s.Catalog, Policy: policy, Region: o.Region, Upstream: s.Upstream, Access: own, Log: logs, Now: time.Now,
			Documents: documents, Lossy: o.Lossy == "warn", Health: s.lanes, Fence: s.fence, Accounts: s.accounts, Journal: s.Journal, Deliver: s.deliver,
			Limits: counters, KeyLimits: o.limits()},
		Auth: &identity.Authenticator{Keys: s.Data, Region: o.Region, Now: time.Now, SkipAuth: o.InsecureSkipAuth, Anonymous: anonymous(s.Account), ValidRegion: s.knows},
		Keys: s.Data, Archive: s.archive, Prices: func(model string) (any, error) { return bookOf(s.Catalog, model) },
		Access: own, Account: s.Account, Theirs: s.told, Version: version, Hop: hop, Bodies: httpapi.NewBudget(bodyBudget), MaxBody: o.MaxBody,
		Log: logger, Now: time.Now, Health: s.health, Ready: s.ready,
		Metrics: counted, Outside: o.Metrics == "all", Leaving: &s.leaving,
	}
	if o.Metrics == "off" {
		handler.Metrics = nil
	}
	var front http.Handler = handler
	if o.tape != nil {
		front = o.tape.Handler(handler)
	}
	s.http = httpapi.NewHTTPServer(front, logger)
	ln = httpapi.Gather(ln)
	scheme := "http"
	if o.Tls {
		cfg, err := tlsConfig(s.Data, addr.Addr().Unmap().String())
		if err != nil {
			return nil, err
		}
		ln = httpapi.SniffTLS(ln, cfg)
		scheme = "https"
	}
	s.URL = fmt.Sprintf("%s://%s", scheme, reachable(addr))
	s.stateful = filepath.Join(o.Data, stateFile)
	if err := writeState(s.stateful, s.state(o)); err != nil {
		return nil, err
	}
	go func() { s.served <- s.http.Serve(ln) }()
	return s, nil
}

// openAccess opens what accounts have agreed to, set and made.
func (s *server) openAccess(o *serveOptions, logger *slog.Logger) (*access.Service, error) {
	store, err := sqlstore.OpenAccess(context.Background(), filepath.Join(o.Data, accessFile))
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, store.Close)
	return &access.Service{Store: store, Catalog: s.Catalog, Manual: o.Access == "manual", Strict: o.Strict, Now: time.Now, Log: logger,
		Administrator: administrates}, nil
}

// administrates: who need not prove who it is may do what AWS's own operations do.
func administrates(c identity.Caller) bool {
	return c.Administrator() || c.Method == identity.Anonymous
}

// knows says that AWS has a Region.
func (s *server) knows(region string) bool { _, ok := s.Catalog.Partition(region); return ok }

// anonymous owns the calls of --insecure-skip-auth.
func anonymous(account string) identity.Owner {
	return identity.Owner{Account: account, Partition: "aws", ARN: "arn:aws:iam::" + account + ":user/anonymous", UserID: "anonymous"}
}

// pausable leaves records out while quiet is set.
type pausable struct {
	activity.Log
	quiet *atomic.Bool
}

func (p pausable) Record(r activity.Record) {
	if !p.quiet.Load() {
		p.Log.Record(r)
	}
}

func (s *server) health() []httpapi.HealthRow {
	rows := []httpapi.HealthRow{{Name: "instance", Value: s.instance}, {Name: "activity_log", Value: s.logHealth()}}
	rows = append(rows, s.deliveryHealth()...)
	if s.Note != "" {
		rows = append(rows, httpapi.HealthRow{Name: "note", Value: s.Note})
	}
	return rows
}

// wait serves until ctx ends. Then /readyz says no, for so long that a load
// balancer sees it; then nobody is let in, and calls finish.
func (s *server) wait(ctx context.Context) error {
	select {
	case err := <-s.served:
		s.close()
		return err
	case <-ctx.Done():
	}
	s.leaving.Store(true)
	select {
	case err := <-s.served:
		s.close()
		return err
	case <-time.After(s.delay):
	}
	return s.shutdown()
}

// defaultDrain is how long a stop waits for calls that are under way.
const defaultDrain = 10 * time.Second

func (s *server) shutdown() error {
	s.leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(s.drain, defaultDrain))
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.close()
	return err
}

func (s *server) close() {
	if s.stateful != "" {
		os.Remove(s.stateful)
	}
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// reachable is the address as a client on this machine writes it.
func reachable(a netip.AddrPort) string {
	ip := a.Addr().Unmap()
	if ip.IsUnspecified() {
		ip = netip.MustParseAddr("127.0.0.1")
	}
	return netip.AddrPortFrom(ip, a.Port()).String()
}

func newLogger(format string, con console) *slog.Logger {
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(con.Err, nil))
	case "off":
		return slog.New(slog.NewTextHandler(con.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	default:
		return slog.New(slog.NewTextHandler(con.Err, nil))
	}
}

// state is what a running server leaves in its data folder for the other
// commands; it holds no secret.
type state struct {
	URL      string `json:"url"`
	Instance string `json:"instance"`
	PID      int    `json:"pid"`
	Region   string `json:"region"`
	Upstream string `json:"upstream"`
	// Temporary: it ends with the command that started it, so that no other
	// command may lean on it.
	Temporary bool `json:"temporary,omitempty"`
}

const stateFile = "server.json"

func (s *server) state(o *serveOptions) state {
	return state{URL: s.URL, Instance: s.instance, PID: os.Getpid(), Region: o.Region, Upstream: s.Upstream.Name(), Temporary: o.temporary}
}

func writeState(path string, st state) error {
	raw, err := json.Marshal(st)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// running reads the state of the server on a data folder and asks its healthz;
// ok is false where none answers.
func running(ctx context.Context, dir string) (st state, ok bool) {
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if err != nil || json.Unmarshal(raw, &st) != nil {
		return st, false
	}
	u, err := url.Parse(st.URL)
	if err != nil {
		return st, false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+u.Host+"/healthz", nil)
	if err != nil {
		return st, false
	}
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return st, false
	}
	defer resp.Body.Close()
	var health struct{ Instance string }
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&health)
	return st, err == nil && resp.StatusCode == http.StatusOK && health.Instance == st.Instance
}
