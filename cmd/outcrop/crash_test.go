//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is the program itself, serving a data folder.
type process struct {
	*exec.Cmd
	url   string
	ended chan struct{}
}

func startProcess(t *testing.T, data string, args ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "outcrop") // TestMain goes by the name
	if err := os.Symlink(exe, program); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0", "--insecure-skip-auth", "--log", "off", "--data", data}, args...)...), ended: make(chan struct{})}
	p.Stdout, p.Stderr = io.Discard, io.Discard
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = p.Wait() }()
	t.Cleanup(func() { _ = p.Process.Kill(); <-p.ended })
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		if st, ok := running(t.Context(), data); ok && st.PID == p.Process.Pid {
			p.url = st.URL
			return p
		}
		select {
		case <-tick.C:
		case <-p.ended:
			t.Fatalf("the server has ended: %v", p.ProcessState)
		case <-deadline:
			t.Fatal("the server does not answer")
		}
	}
}

func (p *process) end(s syscall.Signal) {
	_ = p.Process.Signal(s)
	<-p.ended
}

// ask makes one call of some kind, and gives its id if the answer came whole.
func ask(client *http.Client, url string, n int64) (id string) {
	path, body := "invoke", `{"anthropic_version":"bedrock-2023-05-31","max_tokens":200,"messages":[{"role":"user","content":"Call %d. %s"}]}`
	switch n % 4 {
	case 0:
		path = "invoke-with-response-stream"
	case 1:
		path, body = "converse", `{"messages":[{"role":"user","content":[{"text":"Call %d. %s"}]}]}`
	default:
	}
	body = fmt.Sprintf(body, n, strings.Repeat("More. ", rand.IntN(300)))
	resp, err := client.Post(url+"/model/global.anthropic.claude-opus-4-6-v1:0/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	if raw, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(raw), fmt.Sprintf("Call %d", n)) && path != "invoke-with-response-stream" {
		return ""
	}
	return resp.Header.Get("X-Outcrop-Request-Id")
}

// TestKilled: the program dies in the middle of calls, again and again. Each
// answer that a client has whole has one record.
func TestKilled(t *testing.T) {
	calls, deaths := int64(5000), 5
	if testing.Short() {
		calls, deaths = 500, 2
	}
	data := filepath.Join(t.TempDir(), "data")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	var mu sync.Mutex
	answered := map[string]bool{}
	var sent atomic.Int64
	for death := range deaths {
		p := startProcess(t, data, "--upstream", "scripted")
		until := calls * int64(death+1) / int64(deaths)
		killAt := until - rand.Int64N(calls/int64(deaths)/2)
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for {
					n := sent.Add(1)
					if n == killAt {
						_ = p.Process.Signal(syscall.SIGKILL)
					}
					if n > until {
						return
					}
					if id := ask(client, p.url, n); id != "" {
						mu.Lock()
						answered[id] = true
						mu.Unlock()
					} else if n > killAt { // it is dead
						return
					}
				}
			})
		}
		callers.Wait()
		sent.Store(until)
		p.end(syscall.SIGKILL)
		client.CloseIdleConnections()
	}
	p := startProcess(t, data, "--upstream", "scripted")
	p.end(syscall.SIGTERM)

	out, talk := runs(t, &logsListCmd{logOption: logOption{Data: data}, JSON: true})
	if talk != "" {
		t.Errorf("logs says %s", talk)
	}
	seen, interrupted := map[string]int{}, 0
	for line := range strings.Lines(out) {
		var l struct {
			RequestID string
			Outcrop   struct{ Interrupted bool }
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		seen[l.RequestID]++
		if l.Outcrop.Interrupted {
			interrupted++
		}
		if seen[l.RequestID] > 1 {
			t.Errorf("%s has %d records", l.RequestID, seen[l.RequestID])
		}
	}
	lost := 0
	for id := range answered {
		if seen[id] == 0 {
			lost++
		}
	}
	t.Logf("%d answers, %d records, %d of them of interrupted calls", len(answered), len(seen), interrupted)
	if lost > 0 || len(answered) < int(calls)/4 {
		t.Errorf("%d of %d answers have no record", lost, len(answered))
	}
}
