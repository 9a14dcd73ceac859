package delivery

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

// Dead letters go when the day of each ended as many days ago as calls are kept,
// and not before; how many is said, and nothing else in the folder goes.
func TestDeadLettersPastTheirTime(t *testing.T) {
	w := newWorld(t, nil)
	w.queue.o.Retention = 10
	root := filepath.Join(w.dir, "delivery", "dead")
	letter := func(name string, at time.Time) {
		t.Helper()
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("12345"), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	letter("logs/2026/11/01/a.gz", noon)
	letter("logs/2026/11/01/b.gz", noon.Add(11*time.Hour))
	letter("logs/2026/11/02/c.gz", noon.AddDate(0, 0, 1))
	letter("gone/d.gz", noon.AddDate(0, 0, -40))
	left := func() (all []string) {
		if err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			name, _ := filepath.Rel(root, path)
			all = append(all, filepath.ToSlash(name))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return all
	}
	month := noon.Truncate(24 * time.Hour)
	for _, step := range []struct {
		now  time.Time
		dead int64
		left []string
		said []string
	}{
		{month.AddDate(0, 0, 11).Add(-time.Second), 3, []string{".", "logs", "logs/2026", "logs/2026/11", "logs/2026/11/01", "logs/2026/11/01/a.gz", "logs/2026/11/01/b.gz", "logs/2026/11/02", "logs/2026/11/02/c.gz"},
			[]string{"bucket=gone objects=1 bytes=5 retention_days=10"}},
		{month.AddDate(0, 0, 11), 1, []string{".", "logs", "logs/2026", "logs/2026/11", "logs/2026/11/02", "logs/2026/11/02/c.gz"},
			[]string{"bucket=logs objects=2 bytes=10 retention_days=10"}},
		{month.AddDate(0, 0, 12), 0, []string{"."}, []string{"bucket=logs objects=1 bytes=5 retention_days=10"}},
		{month.AddDate(0, 0, 13), 0, []string{"."}, nil},
	} {
		w.at(step.now)
		w.said.Reset()
		if err := w.queue.dropDead(); err != nil {
			t.Fatal(err)
		}
		if got := left(); !slices.Equal(got, step.left) || w.queue.Dead() != step.dead {
			t.Errorf("%s: %d, %q", step.now, w.queue.Dead(), got)
		}
		if lines := strings.Count(w.said.String(), "\n"); lines != len(step.said) {
			t.Errorf("%s: said %s", step.now, &w.said)
		}
		for _, want := range step.said {
			if !strings.Contains(w.said.String(), want) {
				t.Errorf("%s: said %s, not %s", step.now, &w.said, want)
			}
		}
	}
}

// Run looks at its start and each hour, buckets or not.
func TestRunDropsDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		if err := w.queue.bury("gone", []object{{"a.gz", []byte("x")}, {"b.gz", []byte("y")}}, errDown); err != nil || w.queue.Dead() != 2 {
			t.Fatalf("%d, %v", w.queue.Dead(), err)
		}
		path := func(name string) string { return filepath.Join(w.dir, "delivery", "dead", "gone", name) }
		old := func(name string) {
			if err := os.Chtimes(path(name), noon, noon); err != nil {
				t.Fatal(err)
			}
		}
		fresh := activity.DayOf(noon) + 32
		w.at(fresh.Time())
		if err := os.Chtimes(path("b.gz"), w.clock(), w.clock()); err != nil {
			t.Fatal(err)
		}
		old("a.gz")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.queue.Run(ctx); close(done) }()
		synctest.Wait()
		if _, err := os.Stat(path("a.gz")); !errors.Is(err, fs.ErrNotExist) || w.queue.Dead() != 1 {
			t.Errorf("at the start: %d, %v", w.queue.Dead(), err)
		}
		old("b.gz")
		time.Sleep(tidyEvery)
		synctest.Wait()
		if _, err := os.Stat(path("b.gz")); !errors.Is(err, fs.ErrNotExist) || w.queue.Dead() != 0 {
			t.Errorf("an hour later: %d, %v", w.queue.Dead(), err)
		}
		cancel()
		<-done
		w.store.Close()
	})
}
