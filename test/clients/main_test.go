// Package clients runs the official clients, unmodified and pinned, against the real outcrop binary: each as a user's
// program, in an environment that `outcrop env` makes. It ends with a matrix client x operation. It holds no
// knowledge of the server but its command line, and it never calls anything outside this machine.
package clients

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// bench is what all subtests share; TestMain fills it.
type bench struct {
	outcrop  *server // on the scripted upstream
	gated    *server // on the gate
	tls      *server // on the scripted upstream, over TLS
	gate     *gate
	tripwire *tripwire
	tmp      string   // data folders, built programs
	ready    sync.Map // client name -> func() (*subject, error)
	results  results
}

var shared bench

func TestMain(m *testing.M) {
	code, err := shared.run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test/clients:", err)
		code = 1
	}
	os.Exit(code)
}

func (b *bench) run(m *testing.M) (code int, err error) {
	bin, err := binary()
	if err != nil {
		return 1, err
	}
	tmp, err := os.MkdirTemp("", "outcrop-clients-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(tmp)
	b.tmp = tmp
	if b.tripwire, err = newTripwire(); err != nil {
		return 1, err
	}
	if b.gate, err = newGate(); err != nil {
		return 1, err
	}
	if b.outcrop, err = startServer(bin, tmp+"/scripted", "--upstream", "scripted:testdata/scenario.yaml",
		"--destinations", `{"team-logs":{"folder":"`+tmp+`/team-logs"}}`); err != nil {
		return 1, err
	}
	defer b.outcrop.stop()
	if b.gated, err = startServer(bin, tmp+"/gated", "--upstream", b.gate.url); err != nil {
		return 1, err
	}
	defer b.gated.stop()
	if b.tls, err = startServer(bin, tmp+"/tls", "--tls", "--upstream", "scripted:testdata/scenario.yaml"); err != nil {
		return 1, err
	}
	defer b.tls.stop()
	code = m.Run()
	if seen := b.tripwire.close(); len(seen) > 0 {
		return 1, fmt.Errorf("a client wanted to leave this machine: %v", seen)
	}
	b.results.print(os.Stdout)
	if err := b.results.write(); err != nil {
		return 1, err
	}
	return code, nil
}
