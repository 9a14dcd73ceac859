package main

import (
	"context"
	"fmt"
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
	switch {
	case o.Upstream == "scripted":
		return s.openScripted(scripted.Scenario{})
	case strings.HasPrefix(o.Upstream, "scripted:"):
		scenario, err := scripted.Open(strings.TrimPrefix(o.Upstream, "scripted:"))
		if err != nil {
			return err
		}
		return s.openScripted(*scenario)
	case strings.HasPrefix(o.Upstream, "replay:"):
		return s.openReplay(strings.TrimPrefix(o.Upstream, "replay:"))
	case o.Upstream == "local":
		err := s.openLocal(o, log)
		if err == nil {
			return nil
		}
		if o.Model != "" || o.EngineDir != "" { // somebody wants that one
			return fmt.Errorf("--model, --engine-dir: %w", err)
		}
		s.Note = fmt.Sprintf("no local engine (%v); the scripted upstream echoes instead", err)
		return s.openScripted(scripted.Scenario{})
	case o.Upstream == "bedrock":
		return s.openBedrock(context.Background(), o, self, hop, log)
	case strings.HasPrefix(o.Upstream, "http://"), strings.HasPrefix(o.Upstream, "https://"):
		return s.openURL(o, self, hop)
	default:
		return fmt.Errorf("--upstream %q: want local, bedrock, scripted, scripted:FILE, replay:FILE, or an http(s) URL", o.Upstream)
	}
}

func (s *server) openScripted(scenario scripted.Scenario) error {
	up, err := scripted.New(scenario)
	if err != nil {
		return err
	}
	if scenario.Recording != "" {
		recorded, err := replay.Open(scenario.Recording)
		if err != nil {
			return err
		}
		up.Over(recorded)
	}
	s.Upstream = up
	return nil
}

func (s *server) openReplay(file string) error {
	up, err := replay.Open(file)
	if err != nil {
		return err
	}
	s.Upstream = up
	return nil
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
	if err != nil || u.Host == "" {
		return fmt.Errorf("--upstream %q is not a URL", o.Upstream)
	}
	here := isHere(u.Hostname())
	if here && u.Port() == fmt.Sprint(self.Port()) {
		return fmt.Errorf("--upstream %s is this server itself", u.Redacted())
	}
	place := routing.Unknown()
	switch {
	case len(o.UpstreamRegions) > 0:
		wall, err := s.Catalog.Wall(o.UpstreamRegions...)
		if err != nil {
			return fmt.Errorf("--upstream-regions: %w", err)
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
