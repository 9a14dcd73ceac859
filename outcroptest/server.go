package outcroptest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/bedrock"
	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/catalog"
	"github.com/outcrop-dev/outcrop/internal/clientenv"
	"github.com/outcrop-dev/outcrop/internal/document/docform"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
	"github.com/outcrop-dev/outcrop/internal/upstream/replay"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// Server is an Outcrop on a loopback port, with an account of its own. It takes
// requests that are signed with its access key or carry its API key, and refuses
// others as AWS does.
type Server struct {
	// URL is where it serves, such as http://127.0.0.1:40123: the base URL of
	// Anthropic's clients, and the endpoint of AWS's for bedrock, bedrock-runtime
	// and sts.
	URL string
	// Region is the one of its clients, us-east-1 unless [WithRegion] says
	// otherwise; calls to every other Region are answered too.
	Region string
	// Account is its AWS account, 12 digits.
	Account string
	// AccessKeyID and SecretAccessKey are new for each server.
	AccessKeyID, SecretAccessKey string
	// APIKey is a long-term Amazon Bedrock API key of the account.
	APIKey string

	t       testing.TB
	running sync.WaitGroup

	mu       sync.Mutex
	requests []Request
	closing  bool // no request is begun any more
	over     bool // the test is: nothing may be said in its name any more
}

// Option is an argument of [NewServer].
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

type options struct {
	region string
	strict bool
}

// WithRegion names the Region of the clients that the server makes, and of calls
// that name none.
func WithRegion(region string) Option {
	return optionFunc(func(o *options) { o.region = region })
}

// WithStrict answers as AWS does today, as "outcrop serve --strict" does: models
// past their end are refused.
func WithStrict() Option { return optionFunc(func(o *options) { o.strict = true }) }

// NewServer serves a scenario until the test ends. A scenario that is not valid
// ends the test.
func NewServer(t testing.TB, scenario Scenario, opts ...Option) *Server {
	t.Helper()
	o := options{region: "us-east-1"}
	for _, opt := range opts {
		opt.apply(&o)
	}
	if !identity.RegionName(o.region) {
		t.Fatalf("outcroptest: WithRegion: %q is not the name of a Region, such as us-east-1", o.region)
	}
	s := &Server{Region: o.region, Account: identity.NewAccountID(), t: t}
	handler, err := s.handler(scenario, o)
	if err != nil {
		t.Fatalf("outcroptest: %v", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("outcroptest: %v", err)
	}
	s.URL = "http://" + ln.Addr().String()
	server := httpapi.NewHTTPServer(s.watch(handler), handler.Log)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("outcroptest: the server ended: %v", err)
		}
		s.settle()
	})
	return s
}

// handler is the whole front door over the scenario.
func (s *Server) handler(scenario Scenario, o options) (*httpapi.Server, error) {
	models, err := catalog.Load()
	if err != nil {
		return nil, err
	}
	up, err := s.upstream(scenario)
	if err != nil {
		return nil, err
	}
	user := identity.NewUser(s.Account, "test")
	key := identity.NewAccessKey(user)
	s.AccessKeyID, s.SecretAccessKey = key.ID, key.Secret
	apiKey, stored := identity.NewAPIKey(s.Account, time.Time{})
	s.APIKey = apiKey
	log := slog.New(slog.DiscardHandler)
	own := &access.Service{Store: access.NewMemory(), Catalog: models, Strict: o.strict, Now: time.Now, Log: log}
	return &httpapi.Server{
		Gateway: &gateway.Gateway{Catalog: models, Policy: catalog.Policy{Strict: o.strict, Own: own.MadeFrom, OwnHere: true}, Region: o.region,
			Upstream: up, Access: own, Log: activity.Logs{}, Now: time.Now, Documents: plainly{}},
		Auth: &identity.Authenticator{Keys: identity.NewRing([]identity.AccessKey{key}, []identity.APIKey{stored}), Region: o.region, Now: time.Now,
			ValidRegion: func(region string) bool { _, ok := models.Partition(region); return ok }},
		Access: own, Account: s.Account, Version: "outcroptest", Bodies: httpapi.NewBudget(1 << 30), Log: log, Now: time.Now,
	}, nil
}

func (s *Server) upstream(scenario Scenario) (gateway.Upstream, error) {
	script := scenario.script()
	if script.Otherwise == "" && script.Recording == "" {
		script.Otherwise = Refuse
	}
	up, err := scripted.New(script)
	if err != nil {
		return nil, err
	}
	if script.Recording != "" {
		recorded, err := replay.Open(script.Recording)
		if err != nil {
			return nil, err
		}
		recorded.Watch(func(m *replay.Missing) {
			s.fault("%s has no recording of %s", script.Recording, m)
		})
		if len(script.Rules) == 0 {
			return recorded, nil
		}
		return up.Over(recorded), nil
	}
	up.Watch(func(u *scripted.Unmatched) {
		s.fault("no rule of the scenario answers %s\n\t%s", u.Asked, strings.Join(u.Rules, "\n\t"))
	})
	return up, nil
}

// fault fails the test, if it is not over.
func (s *Server) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.t.Errorf("outcroptest: "+format, args...)
	}
}

// watch keeps the requests, and counts what is under way.
func (s *Server) watch(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.begin() {
			panic(http.ErrAbortHandler)
		}
		defer s.running.Done()
		switch r.URL.Path {
		case "/healthz", "/readyz", "/metrics":
		default:
			s.note(r)
		}
		h.ServeHTTP(w, r)
	})
}

// begin counts a request, unless the server is to end.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.running.Add(1)
	}
	return !s.closing
}

// settleTime is how long answers may take to notice that their client is gone.
const settleTime = 10 * time.Second

func (s *Server) settle() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(settleTime):
		s.fault("an answer is still under way: does an OnFrame wait for what never comes?")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// Client is our own client of Bedrock (Anthropic's, with its calls and types),
// with the server's key, Region and address; opts come on top.
func (s *Server) Client(opts ...bedrock.ClientOption) *bedrock.Client {
	s.t.Helper()
	all := []bedrock.ClientOption{bedrock.WithAccessKey(s.AccessKeyID, s.SecretAccessKey), bedrock.WithRegion(s.Region), bedrock.WithBaseURL(s.URL)}
	client, err := bedrock.New(context.Background(), append(all, opts...)...)
	if err != nil {
		s.t.Fatalf("outcroptest: %v", err)
	}
	return client
}

// AWSConfig is for AWS's own clients: bedrockruntime.NewFromConfig(s.AWSConfig()),
// bedrock and sts as well.
func (s *Server) AWSConfig() aws.Config {
	s.t.Helper()
	return s.Client().AWSConfig()
}

func (s *Server) env() *clientenv.Env {
	s.t.Helper()
	env, err := clientenv.New(s.URL, s.Region, sigv4.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}, "", os.Getenv)
	if err != nil {
		s.t.Fatalf("outcroptest: %v", err)
	}
	return env
}

// Environ is base, such as os.Environ(), as "outcrop env" changes it: clients of
// any language that are started with it come to the server, and to nothing else.
func (s *Server) Environ(base []string) []string { return s.env().Environ(base) }

// Setenv does the same to the process of the test, until t ends. Like t.Setenv, it
// is not for parallel tests.
func (s *Server) Setenv(t testing.TB) {
	t.Helper()
	env := s.env()
	for _, name := range env.Unset {
		t.Setenv(name, "") // so that it comes back
		if err := os.Unsetenv(name); err != nil {
			t.Fatalf("outcroptest: %v", err)
		}
	}
	for _, v := range env.Set {
		t.Setenv(v.Name, v.Value)
	}
}

// plainly stands for the reader of documents, which needs a PDF engine: text
// documents of Converse are their text, others a line that says what they are.
type plainly struct{}

func (plainly) Text(_ context.Context, format docform.Format, data []byte) ([]string, error) {
	return []string{textOf(string(format), data)}, nil
}

func (plainly) Render(context.Context, []byte, int) (*docform.Pictures, error) {
	return nil, errors.New("no PDF engine in a test") // scripted takes documents as they are
}

func textOf(format string, data []byte) string {
	switch docform.Format(format) {
	case docform.Txt, docform.MD, docform.CSV, docform.HTML:
		return string(data)
	default:
		return fmt.Sprintf("(%s document of %d bytes)", format, len(data))
	}
}
