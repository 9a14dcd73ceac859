package heap

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
)

func goal() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NextGC
}

// resident is the process's memory, where Linux tells.
func resident(t *testing.T) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(string(bytes.Fields(b)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestRaise(t *testing.T) {
	const asked = "OUTCROP_TEST_ASKED" // in a process that has what the operator asked for
	for _, ask := range []string{"GOGC=100", "GOMEMLIMIT=1GiB"} {
		if os.Getenv(asked) == ask {
			if Raise(); goal() > 2*Floor {
				t.Fatalf("%s: the floor is in", ask)
			}
			return
		}
	}
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		before := resident(t)
		Raise()
		Raise()
		if g := goal(); g < 2*Floor || g > 3*Floor {
			t.Errorf("the next collection is at %d bytes, want at some %d", g, 2*Floor)
		}
		if grown := resident(t) - before; grown > Floor/4 {
			t.Errorf("the floor takes %d bytes of memory", grown)
		}
	}
	for _, ask := range []string{"GOGC=100", "GOMEMLIMIT=1GiB"} {
		cmd := exec.Command(os.Args[0], "-test.run", "^TestRaise$")
		cmd.Env = append(os.Environ(), asked+"="+ask, ask)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", ask, err, out)
		}
	}
}
