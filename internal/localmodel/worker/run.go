package worker

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/outcrop-dev/outcrop/internal/localmodel/llama"
)

// Config is the first line of the child's standard input.
type Config struct {
	EngineDir string `json:"engine_dir"`
	Weights   string `json:"weights"`
	Slots     int    `json:"slots"`
	Queue     int    `json:"queue"`
	Context   int    `json:"context"` // 0: the model's own
	Threads   int    `json:"threads"` // of one slot; 0: by the number of processors
	Network   string `json:"network"` // unix or tcp
	Address   string `json:"address"`
	Token     string `json:"token,omitempty"`
}

// Ready is the first line of its standard output.
type Ready struct {
	Error   string `json:"error,omitempty"`
	Address string `json:"address,omitempty"`
	Model   string `json:"model,omitempty"`
	Context int    `json:"context,omitempty"`
	Engine  string `json:"engine,omitempty"`
}

// Run serves until in closes: the parent holds its other end, so it closes with
// the parent however that dies.
func Run(in io.Reader, out, logs io.Writer) int {
	lines := bufio.NewReader(in)
	var c Config
	line, err := lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c)
	}
	if err != nil {
		fmt.Fprintln(logs, "engine-child is started by `outcrop serve`, which sends its settings on standard input.")
		return 2
	}
	// A Ctrl-C goes to the whole terminal; the parent decides when answers end.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	listener, err := net.Listen(c.Network, c.Address)
	if err != nil {
		return refuse(out, err)
	}
	bye := func() {
		if c.Network == "unix" {
			_ = os.RemoveAll(filepath.Dir(c.Address)) // the parent does it too, if it can
		}
		os.Exit(0)
	}
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		bye()
	}()
	s, ready, err := load(c, logs)
	if err != nil {
		return refuse(out, err)
	}
	ready.Address = listener.Addr().String()
	if err := json.NewEncoder(out).Encode(ready); err != nil {
		return 1
	}
	srv := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(logs, "", 0)}
	fmt.Fprintln(logs, srv.Serve(listener))
	return 1
}

func refuse(out io.Writer, err error) int {
	_ = json.NewEncoder(out).Encode(Ready{Error: err.Error()})
	return 1
}

func load(c Config, logs io.Writer) (*server, Ready, error) {
	var mu sync.Mutex
	lib, err := llama.Open(c.EngineDir, func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(logs, line)
	})
	if err != nil {
		return nil, Ready{}, err
	}
	model, err := lib.LoadModel(c.Weights)
	if err != nil {
		return nil, Ready{}, err
	}
	window := model.ContextTrain()
	if c.Context > 0 {
		window = min(window, c.Context)
	}
	name := model.Name()
	if name == "" {
		name = filepath.Base(c.Weights)
	}
	s := &server{name: name, window: window, token: c.Token, prompter: newPrompter(model)}
	for range c.Slots {
		s.slots = append(s.slots, &slot{model: model, window: window, threads: threads(c), stop: llama.NewStop()})
	}
	s.queue = newQueue(append([]*slot(nil), s.slots...), c.Queue)
	return s, Ready{Model: name, Context: window, Engine: lib.Version()}, nil
}

// threads stays at one until there are cores to spare for every slot: threads of
// one context spin while they wait for each other, and collapse when they share
// a core (2 tokens a second instead of 60 on a busy two-core machine).
func threads(c Config) int {
	if c.Threads > 0 {
		return c.Threads
	}
	return max(1, min(4, (runtime.GOMAXPROCS(0)-1)/c.Slots))
}
