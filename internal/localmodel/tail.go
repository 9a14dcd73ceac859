package localmodel

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// tail logs what the child writes to its standard error and keeps the end of it:
// C code says there why it aborts.
type tail struct {
	log *slog.Logger

	mu    sync.Mutex
	part  []byte
	lines []string
}

const tailLines = 8

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part = append(t.part, b...)
	for {
		line, rest, found := bytes.Cut(t.part, []byte("\n"))
		if !found {
			break
		}
		t.part = rest
		if s := strings.TrimSpace(string(line)); s != "" {
			t.log.Debug("engine", "line", s)
			t.lines = append(t.lines, s)
			t.lines = t.lines[max(0, len(t.lines)-tailLines):]
		}
	}
	if len(t.part) > 64<<10 {
		t.part = nil
	}
	return len(b), nil
}

// explain puts the exit status and the last words together.
func (t *tail) explain(status error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if status == nil {
		status = errors.New("exit status 0")
	}
	if len(t.lines) == 0 {
		return fmt.Errorf("the engine's process ended (%w)", status)
	}
	return fmt.Errorf("the engine's process ended (%w): %s", status, strings.Join(t.lines, " | "))
}
