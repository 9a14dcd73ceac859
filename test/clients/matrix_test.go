package clients

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// result is one cell of the matrix.
type result struct {
	Client    string  `json:"client"`
	Version   string  `json:"version"`
	Operation string  `json:"operation"`
	Status    string  `json:"status"` // pass, fail, skip
	Reason    string  `json:"reason,omitempty"`
	Seconds   float64 `json:"seconds,omitempty"`
}

// results is what all subtests of one run leave behind.
type results struct {
	mu   sync.Mutex
	rows []result
}

func (r *results) add(c result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, c)
}

// watch notes how the subtest ends.
func (r *results) watch(t *testing.T, c result) {
	start := time.Now()
	t.Cleanup(func() {
		c.Seconds = time.Since(start).Round(time.Millisecond).Seconds()
		c.Status = "pass"
		if t.Failed() {
			c.Status = "fail"
		}
		r.add(c)
	})
}

var marks = map[string]string{"pass": "✓", "fail": "FAIL", "skip": "skip"}

// print writes the matrix, then every skip with its reason, then the count of each.
func (r *results) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return
	}
	var names []string
	cells := map[string]map[string]string{}
	count := map[string]int{}
	for _, c := range r.rows {
		name := c.Client + " " + c.Version
		if cells[name] == nil {
			cells[name] = map[string]string{}
			names = append(names, name)
		}
		cells[name][c.Operation] = marks[c.Status]
		count[c.Status]++
	}
	rank := func(name string) int {
		return slices.IndexFunc(clients, func(c client) bool { return strings.HasPrefix(name, c.name+" ") })
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	for _, operations := range columns {
		rows := []string{"client\t" + strings.Join(operations, "\t")}
		for _, name := range names {
			row, any := name, false
			for _, op := range operations {
				mark, ok := cells[name][op]
				if !ok {
					mark = "·"
				}
				row, any = row+"\t"+mark, any || ok
			}
			if any {
				rows = append(rows, row)
			}
		}
		if len(rows) > 1 {
			tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			fmt.Fprintf(tw, "%s\n\n", strings.Join(rows, "\n"))
			tw.Flush()
		}
	}
	fmt.Fprintln(w, "·: the client has no such operation, or it was not asked for")
	r.list(w, "skipped", "skip")
	r.list(w, "failed", "fail")
	fmt.Fprintf(w, "clients: %d passed, %d failed, %d skipped\n", count["pass"], count["fail"], count["skip"])
}

func (r *results) list(w io.Writer, title, status string) {
	reasons := map[string][]string{}
	for _, c := range r.rows {
		if c.Status == status {
			key := strings.TrimSuffix(c.Client+": "+c.Reason, ": ")
			reasons[key] = append(reasons[key], c.Operation)
		}
	}
	keys := make([]string, 0, len(reasons))
	for k := range reasons {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		slices.Sort(reasons[k])
		fmt.Fprintf(w, "%s: %s (%s)\n", title, k, strings.Join(reasons[k], ", "))
	}
}

// write leaves the results where a report over all tests can read them: OUTCROP_CLIENT_RESULTS, a folder.
func (r *results) write() error {
	dir := os.Getenv("OUTCROP_CLIENT_RESULTS")
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r.rows, "", "  ")
	if err != nil {
		return err
	}
	var table strings.Builder
	r.print(&table)
	if err := os.WriteFile(filepath.Join(dir, "clients.txt"), []byte(table.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "clients.json"), append(b, '\n'), 0o644)
}
