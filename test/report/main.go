// Command report runs the module's tests and the official clients', and ends
// with what failed, what was skipped and why, the matrix of clients, and one
// line of totals.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

type totals struct {
	passed, failed, skipped int
	failures, skips         []string
}

func main() {
	long := flag.Bool("long", false, "run the long tests whole")
	flag.Parse()
	var t totals
	env := os.Environ()
	if *long {
		env = append(env, "OUTCROP_TEST_LONG=1")
	}
	started := time.Now()
	t.run("", env, "./...")
	// The parsers of strangers' bytes, and of what a loss of power leaves, always,
	// all of them in a long run: the seeds of each are among the tests anyway.
	budget, parsers := "1s", []string{"./internal/jsonspan", "./internal/eventstream", "./internal/sse", "./internal/sigv4", "./internal/messages",
		"./internal/http1", "./internal/activity/segment"}
	if *long {
		budget, parsers = "10s", []string{"./..."}
	}
	t.fuzz(env, budget, parsers)
	results, err := os.MkdirTemp("", "outcrop-clients")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer os.RemoveAll(results)
	bin, err := filepath.Abs("bin/outcrop")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	t.run("test/clients", append(env, "OUTCROP_BIN="+bin, "OUTCROP_CLIENT_RESULTS="+results), "./...")

	if matrix, err := os.ReadFile(filepath.Join(results, "clients.txt")); err == nil {
		fmt.Printf("\nclient x operation\n%s", matrix)
	} else {
		fmt.Printf("\nclient x operation: no matrix (%v)\n", err)
	}
	section("skipped", t.skips)
	section("failed", t.failures)
	fmt.Printf("\ntook %s\n", time.Since(started).Round(time.Second))
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		os.Exit(1)
	}
}

func section(title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Printf("\n%s\n", title)
	for _, l := range lines {
		fmt.Printf("  %s\n", l)
	}
}

// fuzz runs each fuzz target for its budget.
func (t *totals) fuzz(env []string, budget string, packages []string) {
	list := exec.Command("go", append([]string{"test", "-json", "-list", "^Fuzz"}, packages...)...)
	list.Env, list.Stderr = env, os.Stderr
	out, err := list.Output()
	if err != nil {
		t.failed++
		t.failures = append(t.failures, fmt.Sprintf("the list of fuzz targets: %v", err))
		return
	}
	for line := range strings.Lines(string(out)) {
		var e event
		if json.Unmarshal([]byte(line), &e) != nil || e.Action != "output" || !strings.HasPrefix(e.Output, "Fuzz") {
			continue
		}
		name := strings.TrimSpace(e.Output)
		began := time.Now()
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+name+"$", "-fuzztime", budget, e.Package)
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.failed++
			t.failures = append(t.failures, short(e.Package)+"."+name)
			fmt.Printf("FAIL  %s\n%s", short(e.Package)+" "+name, out)
			continue
		}
		t.passed++
		fmt.Printf("fuzz  %-60s %6.1fs\n", short(e.Package)+" "+name, time.Since(began).Seconds())
	}
}

// run is one go test; its passing output is not shown.
func (t *totals) run(dir string, env []string, args ...string) {
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1", "-timeout=30m"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.failed++
		t.failures = append(t.failures, fmt.Sprintf("%s: %v", dir, err))
		return
	}
	t.read(out)
	if err := cmd.Wait(); err != nil && len(t.failures) == 0 {
		t.failed++
		t.failures = append(t.failures, fmt.Sprintf("go test in %q: %v", dir, err))
	}
}

func (t *totals) read(r io.Reader) {
	said := map[string]*strings.Builder{}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Println(sc.Text())
			continue
		}
		name := e.Package + "." + e.Test
		switch e.Action {
		case "output", "build-output":
			if said[name] == nil {
				said[name] = new(strings.Builder)
			}
			said[name].WriteString(e.Output)
		case "pass":
			if e.Test != "" {
				t.passed++
				delete(said, name)
			} else {
				fmt.Printf("ok    %-60s %6.1fs\n", short(e.Package), e.Elapsed)
			}
		case "skip":
			if e.Test != "" {
				t.skipped++
				t.skips = append(t.skips, short(name)+": "+reason(said[name]))
			}
		case "fail", "build-fail":
			if e.Test == "" {
				fmt.Printf("FAIL  %-60s %6.1fs\n", short(e.Package), e.Elapsed)
				if b := said[name]; b != nil {
					fmt.Print(b.String())
				}
				t.failures = append(t.failures, short(e.Package))
				if t.failed == 0 {
					t.failed++ // a package that fails without a test, such as a build error
				}
				continue
			}
			t.failed++
			t.failures = append(t.failures, short(name))
			if b := said[name]; b != nil {
				fmt.Print(b.String())
			}
		}
	}
	if err := sc.Err(); err != nil {
		t.failed++
		t.failures = append(t.failures, err.Error())
	}
}

func short(s string) string { return strings.TrimPrefix(s, "github.com/outcrop-dev/outcrop/") }

// reason is what the test said when it skipped.
func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	var kept []string
	for line := range strings.Lines(b.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		kept = append(kept, line)
	}
	return strings.Join(kept, " ")
}
