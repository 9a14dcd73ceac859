package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/localmodel"
	"github.com/outcrop-dev/outcrop/internal/modelfiles"
	"github.com/outcrop-dev/outcrop/internal/routing"
	messagesup "github.com/outcrop-dev/outcrop/internal/upstream/messages"
	"github.com/outcrop-dev/outcrop/internal/upstream/replay"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// openUpstream makes the upstream that o names. Only "local" has a fallback, and
// it says so everywhere.
func (s *server) openUpstream(o *serveOptions, self netip.AddrPort, hop string, log *slog.Logger, con console) error {
	kind, file, err := upstreamKind(o.Upstream)
	if err != nil {
		return err
	}
	switch kind {
	case "scripted":
		return s.openScripted(file)
	case "replay":
		return s.openReplay(file)
	case "bedrock":
		return s.openBedrock(context.Background(), o, self, hop, log)
	case "local":
		err := s.openLocal(o, log)
		if err == nil {
			return nil
		}
		if o.Model != "" || o.EngineDir != "" { // somebody wants that one
			return misuse("--model, --engine-dir: %v", err)
		}
		s.Note = noLocal(err, o.Cache) + "; the scripted upstream echoes instead"
		return s.openScripted("")
	default:
		return s.openURL(o, self, hop)
	}
}

// noLocal says what the local model lacks, and what gets it.
func noLocal(err error, cache string) string {
	lacks, ok := errors.AsType[*modelfiles.MissingError](err)
	if !ok {
		return fmt.Sprintf("no local engine (%v)", err)
	}
	fetch := self() + " fetch"
	if cache != "" {
		fetch += " --cache " + cache
	}
	if len(lacks.What) == 1 {
		return fmt.Sprintf("%s is missing: `%s` gets it", lacks.What[0], fetch)
	}
	return fmt.Sprintf("%s are missing: `%s` gets both", strings.Join(lacks.What, " and "), fetch)
}

// upstreamKind reads --upstream: a word, and the file behind it, or a URL.
func upstreamKind(upstream string) (kind, file string, err error) {
	kind, file, _ = strings.Cut(upstream, ":")
	switch {
	case upstream == "local", upstream == "bedrock", upstream == "scripted", file != "" && (kind == "scripted" || kind == "replay"):
		return kind, file, nil
	case kind == "http", kind == "https":
		if u, err := url.Parse(upstream); err == nil && u.Host != "" {
			return "url", "", nil
		}
		return "", "", misuse("--upstream %q is not a URL", upstream)
	default:
		return "", "", misuse("--upstream %q: want local, bedrock, scripted, scripted:FILE, replay:FILE, or an http(s) URL%s", upstream,
			near(upstream, []string{"local", "bedrock", "scripted"}))
	}
}

// openScripted plays a scenario, or ("") echoes.
func (s *server) openScripted(file string) error {
	scenario := &scripted.Scenario{}
	if file != "" {
		var err error
		if scenario, err = scripted.Open(file); err != nil {
			return misuse("--upstream scripted:FILE: %v%s", err, missing(err, "name a scenario, or leave :FILE out for an echo"))
		}
	}
	up, err := scripted.New(*scenario)
	if err != nil {
		return misuse("--upstream scripted:%s: %v", file, err)
	}
	if scenario.Recording != "" {
		recorded, err := replay.Open(scenario.Recording)
		if err != nil {
			return misuse("--upstream scripted:%s: recording: %v", file, err)
		}
		up.Over(recorded)
	}
	s.Upstream = up
	return nil
}

func (s *server) openReplay(file string) error {
	up, err := replay.Open(file)
	if err != nil {
		return misuse("--upstream replay:FILE: %v%s", err, missing(err, "outcrop record -- CMD makes one"))
	}
	s.Upstream = up
	return nil
}

// missing is what to do where a file is not there.
func missing(err error, do string) string {
	if errors.Is(err, fs.ErrNotExist) {
		return below(do)
	}
	return ""
}

func (s *server) openLocal(o *serveOptions, log *slog.Logger) error {
	files, err := modelfiles.Find(o.modelFiles())
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	engine, err := localmodel.New(localmodel.Options{EngineDir: files.EngineDir, Weights: files.Weights,
		Self: []string{exe, localmodel.ChildCommand}, Log: log})
	if err != nil {
		return err
	}
	s.closers = append(s.closers, engine.Close)
	name := strings.ToLower(strings.TrimSuffix(filepath.Base(files.Weights), filepath.Ext(files.Weights)))
	if o.Model == "" {
		name = modelfiles.ModelName
	}
	s.Upstream, err = messagesup.New(messagesup.Options{Name: "local/" + name, URL: engine.BaseURL(), Client: engine.Client(),
		Capabilities: gateway.Capabilities{Place: routing.Here(), Tools: true}}) // the engine says itself which tools it takes
	return err
}

func (s *server) openURL(o *serveOptions, self netip.AddrPort, hop string) error {
	u, err := url.Parse(o.Upstream)
	if err != nil {
		return err
	}
	here := isHere(u.Hostname())
	if here && u.Port() == fmt.Sprint(self.Port()) {
		return misuse("--upstream %s is this server itself", u.Redacted())
	}
	place := routing.Unknown()
	switch {
	case len(o.UpstreamRegions) > 0:
		wall, err := s.Catalog.Wall(o.UpstreamRegions...)
		if err != nil {
			return misuse("--upstream-regions: %v", err)
		}
		place = routing.In(wall)
	case here:
		place = routing.Here()
	}
	transport := &http.Transport{
		// The environment's proxy is for this server's own calls, as for any program.
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second,
		DisableCompression: true,
	}
	s.Upstream, err = messagesup.New(messagesup.Options{Name: u.Scheme + "://" + u.Host, URL: o.Upstream, APIKey: strings.TrimPrefix(o.UpstreamKey, "Bearer "),
		Bearer: strings.HasPrefix(o.UpstreamKey, "Bearer "), Model: o.UpstreamModel, Hop: hop,
		Client:       &http.Client{Transport: transport},
		Capabilities: gateway.Capabilities{Place: place, Images: o.can("images"), Documents: o.can("documents"), Tools: o.can("tools"), Thinking: o.can("thinking")}})
	return err
}

// can says whether --upstream-can names a thing.
func (o *answerOptions) can(what string) bool { return slices.Contains(o.UpstreamCan, what) }

// isHere says whether a host name is this machine by its own words.
func isHere(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
