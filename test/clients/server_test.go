package clients

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is a started outcrop with a data folder of its own.
type server struct {
	bin, data string
	set       map[string]string // what `outcrop env` exports
	unset     []string          // and what it removes
	cmd       *exec.Cmd
	log       *logBuffer
	exited    chan struct{}
}

// binary is the product under test: OUTCROP_BIN, else what make builds.
func binary() (string, error) {
	bin := os.Getenv("OUTCROP_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin", "outcrop")
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(bin); err != nil {
		return "", fmt.Errorf("no outcrop to test: build it (make) or name it with OUTCROP_BIN: %w", err)
	}
	return bin, nil
}

func startServer(bin, data string, args ...string) (*server, error) {
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{bin: bin, data: data, log: new(logBuffer), exited: make(chan struct{})}
	s.cmd = exec.Command(bin, append([]string{"serve", "--listen", listen, "--data", data}, args...)...)
	s.cmd.Env = cleanEnv(data)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.exited)
		s.cmd.Wait()
	}()
	if err := s.healthy("http://" + listen + "/healthz"); err != nil {
		s.stop()
		return nil, fmt.Errorf("outcrop %v: %w\n%s", args, err, s.log)
	}
	if err := s.readEnv(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// freeAddress asks the kernel for a port; the server takes it a moment later.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (s *server) healthy(url string) error {
	deadline := time.After(20 * time.Second)
	for {
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.exited:
			return fmt.Errorf("the server ended before it served: %v", s.cmd.ProcessState)
		case <-deadline:
			return fmt.Errorf("%s did not answer in 20 s", url)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *server) readEnv() error {
	cmd := exec.Command(s.bin, "env", "--data", s.data, "--format", "json")
	cmd.Env = cleanEnv(s.data)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("outcrop env: %w: %s", err, &stderr)
	}
	var env struct {
		Set   map[string]string
		Unset []string
	}
	if err := json.Unmarshal(out, &env); err != nil || len(env.Set) == 0 {
		return fmt.Errorf("outcrop env --format json says %s: %v", out, err)
	}
	s.set, s.unset = env.Set, env.Unset
	return nil
}

// key makes an API key, as its owner does.
func (s *server) key(kind string) (string, error) {
	cmd := exec.Command(s.bin, "key", "create", "--data", s.data, kind, "--json")
	cmd.Env = cleanEnv(s.data)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w", cmd.Args, err)
	}
	var made struct{ Key string }
	if err := json.Unmarshal(out, &made); err != nil || made.Key == "" {
		return "", fmt.Errorf("%v says %s: %v", cmd.Args, out, err)
	}
	return made.Key, nil
}

func (s *server) stop() {
	if s.cmd.Process.Signal(syscall.SIGTERM) != nil {
		return
	}
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		s.cmd.Process.Kill()
		<-s.exited
	}
}

// cleanEnv is the environment that everything here starts from: nothing of the user's but where tools are.
func cleanEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8",
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// env is cleanEnv with what `outcrop env` says, and more on top.
func (s *server) env(home string, more ...string) []string {
	env := cleanEnv(home)
	for k, v := range s.set {
		env = append(env, k+"="+v)
	}
	return append(env, more...)
}

// without takes variables out of an environment.
func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(names, name)
	})
}

// logBuffer keeps what a process says, for when a test fails.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// line is what a client's program says.
type line struct {
	Event        string
	ID           string
	Model        string
	Text         string
	Stop         string
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`

	TotalTokens int `json:"total_tokens"`
	Latency     int
	Order       []string // of a stream's events
	Page        int      // that is cited
	Quoted      string

	Tool      string
	ToolID    string          `json:"tool_id"`
	ToolInput json.RawMessage `json:"tool_input"`
	ToolStop  string          `json:"tool_stop"`

	Models, Profiles   []string
	Same               bool
	Account, ARN, User string
	Metrics            map[string]int64
	Facts              map[string]string
	HeaderInput        int `json:"header_input_tokens"`
	HeaderOutput       int `json:"header_output_tokens"`

	Type, Code, Message string
	Status              int
	RequestID           string `json:"request_id"`

	answer map[string]any // the message itself, where it goes back
}

// run starts a client's program and gives its last line; first is called when the program says that the first
// piece of a stream has come, while the program goes on.
func run(cmd *exec.Cmd, first func(line)) (line, error) {
	var last line
	var stderr logBuffer
	cmd.Stderr = &stderr
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return last, err
	}
	if err := cmd.Start(); err != nil {
		return last, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return last, fmt.Errorf("the program said %q: %w", lines.Bytes(), err)
		}
		if l.Event == "first" {
			if first != nil {
				first(l)
			}
			continue
		}
		last = l
	}
	if err := cmd.Wait(); err != nil {
		return last, fmt.Errorf("%v: %w\n%s", cmd.Args, err, &stderr)
	}
	if last.Event == "" {
		return last, fmt.Errorf("%v said nothing\n%s", cmd.Args, &stderr)
	}
	return last, nil
}

// tripwire is a proxy that lets nothing through and remembers who wanted out.
type tripwire struct {
	l    net.Listener
	mu   sync.Mutex
	seen []string
}

func newTripwire() (*tripwire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &tripwire{l: l}
	go http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		if !slices.Contains(w.seen, r.Host) {
			w.seen = append(w.seen, r.Host)
		}
		w.mu.Unlock()
		rw.WriteHeader(http.StatusForbidden)
	}))
	return w, nil
}

func (w *tripwire) env() []string {
	proxy := "http://" + w.l.Addr().String()
	return []string{
		"HTTP_PROXY=" + proxy, "HTTPS_PROXY=" + proxy, "http_proxy=" + proxy, "https_proxy=" + proxy,
		"NO_PROXY=127.0.0.1,localhost", "no_proxy=127.0.0.1,localhost",
	}
}

func (w *tripwire) close() []string {
	w.l.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}
