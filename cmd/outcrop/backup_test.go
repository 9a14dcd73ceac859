package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/backup"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// members lists a backup's files.
func membersOf(t *testing.T, file string) (names []string) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(bytes.NewReader(gunzip(t, raw))); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
}

// TestBackup: under load, a backup has every call that was answered before it
// began; restored, its folder serves, its keys open the door, and what accounts
// have agreed to stands.
func TestBackup(t *testing.T) {
	s := scriptedServer(t, func(*serveOptions) {})
	data := s.Data.Path()
	o := &serveOptions{answerOptions: answerOptions{Region: pageRegion}}
	v, err := visitServer(s, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.post(t.Context(), pageRegion, "/delete-foundation-model-agreement", map[string]string{"modelId": pageModel}); err != nil {
		t.Fatal(err)
	}
	const model = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	var answered []string
	var callers sync.WaitGroup
	enough := make(chan struct{}, 1)
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				r, err := v.invoke(context.WithoutCancel(ctx), pageRegion, model, nil)
				if err != nil || r.status != http.StatusOK {
					t.Errorf("%v, %v", r, err)
					return
				}
				mu.Lock()
				if answered = append(answered, r.header.Get("X-Amzn-Requestid")); len(answered)%200 == 0 {
					select {
					case enough <- struct{}{}:
					default:
					}
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	mu.Lock()
	before := slices.Clone(answered)
	mu.Unlock()
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	_, talk := runs(t, &backupCmd{dataOption: dataOption{Data: data}, File: file, WithKeyFile: true})
	if !strings.Contains(talk, "WARNING: the age key is in the backup") {
		t.Errorf("%q", talk)
	}
	<-enough // the load went on
	stop()
	callers.Wait()

	without := filepath.Join(t.TempDir(), "without.tar.gz")
	if _, talk := runs(t, &backupCmd{dataOption: dataOption{Data: data}, File: without}); !strings.Contains(talk, "the age key is not in the backup") {
		t.Errorf("%q", talk)
	}
	if names := membersOf(t, without); slices.Contains(names, keyFileName) || !slices.Contains(names, "keys.age") || slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "lock") || n == stateFile }) {
		t.Errorf("%q", names)
	}
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}

	again := filepath.Join(t.TempDir(), "restored", "data")
	if _, talk := runs(t, &restoreCmd{dataOption: dataOption{Data: again}, File: file}); !strings.Contains(talk, again+" is as it was on ") || strings.Contains(talk, "age key") {
		t.Errorf("%q", talk)
	}
	err = filepath.WalkDir(again, func(path string, e fs.DirEntry, err error) error {
		if info, e := e.Info(); err == nil && e == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is for others to read: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	old := v.key
	s = scriptedServer(t, func(o *serveOptions) { o.Data = again })
	if cut, err := filepath.Glob(filepath.Join(activityDir(again), "*.cut")); err != nil || len(cut) > 0 {
		t.Errorf("cut at the start: %q, %v", cut, err)
	}
	if v, err = visitServer(s, o); err != nil {
		t.Fatal(err)
	}
	if v.key != old {
		t.Error("the first key is another")
	}
	if _, err := v.answers(t.Context(), pageRegion, model, nil); err != nil {
		t.Errorf("a key of before: %v", err)
	}
	if _, err := v.refuses(t.Context(), pageRegion, pageGlobal, nil, "You don't have access to the model"); err != nil {
		t.Errorf("an agreement that was given back: %v", err)
	}
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}
	ix, err := sqlstore.ReadIndex(t.Context(), activityFile(again))
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	a := activity.NewArchive(activityDir(again), ix)
	have, asked := map[string]int{}, int64(0)
	if err := a.Find(t.Context(), activity.Filter{}, func(_ activity.Ref, r *activity.Record) bool {
		have[r.RequestID]++
		if activity.ModelCall(r.Operation) {
			asked++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range before {
		if have[id] != 1 {
			t.Fatalf("the call %s was answered before the backup and is there %d times", id, have[id])
		}
	}
	sums, err := a.Usage(t.Context(), activity.UsageQuery{})
	if err != nil || len(sums) != 1 || sums[0].Calls != asked || asked == 0 {
		t.Errorf("%d calls of models, figures of %+v, %v", asked, sums, err)
	}
	if len(have) < len(before) || len(before) < 200 {
		t.Errorf("%d calls, %d of before", len(have), len(before))
	}
}

// TestRestoreRefused: a folder that has something, a file that is something else,
// and one that is cut short or changed; nothing is left behind.
func TestRestoreRefused(t *testing.T) {
	s := scriptedServer(t, func(*serveOptions) {})
	data := s.Data.Path()
	dir := t.TempDir()
	file := filepath.Join(dir, "b.tar.gz")
	runs(t, &backupCmd{dataOption: dataOption{Data: data}, File: file})
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	restore := func(name string, content []byte, into string) error {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return (&restoreCmd{dataOption: dataOption{Data: into}, File: path}).Run(t.Context(), console{nil, io.Discard, io.Discard})
	}
	if err := restore("again", raw, data); !errors.Is(err, backup.ErrNotEmpty) {
		t.Errorf("over a folder: %v", err)
	}
	archive := func(change func(*tar.Header, []byte) (*tar.Header, []byte)) []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		w := tar.NewWriter(z)
		for r := tar.NewReader(bytes.NewReader(gunzip(t, raw))); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			body, _ := io.ReadAll(r)
			if h, body = change(h, body); h == nil {
				continue
			}
			h.Size = int64(len(body))
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(body); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	into := filepath.Join(dir, "into")
	if err := os.Mkdir(into, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"empty":   {nil, backup.ErrNotBackup},
		"text":    {[]byte("a text\n"), backup.ErrNotBackup},
		"half":    {raw[:len(raw)/2], backup.ErrDamaged},
		"most":    {raw[:len(raw)-4], backup.ErrDamaged},
		"flipped": {append(append(slices.Clone(raw[:len(raw)/2]), raw[len(raw)/2]^1), raw[len(raw)/2+1:]...), backup.ErrDamaged},
		"a file less": {archive(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
			if h.Name == "keys.age" {
				return nil, nil
			}
			return h, b
		}), backup.ErrDamaged},
		"a file changed": {archive(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
			if h.Name == "keys.age" {
				b = append(b, 'x')
			}
			return h, b
		}), backup.ErrDamaged},
		"a way out": {archive(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
			if h.Name == "keys.age" {
				h.Name = "../keys.age"
			}
			return h, b
		}), backup.ErrDamaged},
		"a link": {archive(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
			if h.Name == "keys.age" {
				h.Typeflag, h.Linkname, b = tar.TypeSymlink, "/etc/passwd", nil
			}
			return h, b
		}), backup.ErrDamaged},
		"a later format": {archive(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
			return h, bytes.Replace(b, []byte("outcrop.backup/1"), []byte("outcrop.backup/2"), 1)
		}), backup.ErrNotBackup},
	} {
		if err := restore(name, c.content, into); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if list, _ := os.ReadDir(into); len(list) != 0 {
			t.Fatalf("%s: left %v", name, list)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".outcrop-*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
	huge := archive(func(h *tar.Header, b []byte) (*tar.Header, []byte) {
		return h, regexp.MustCompile(`"bytes":\d+`).ReplaceAll(b, []byte(`"bytes":9000000000000000000`))
	})
	if err := restore("huge", huge, into); !errors.Is(err, backup.ErrTooLarge) || !strings.Contains(err.Error(), "nine tenths of what is free at "+dir) {
		t.Errorf("more than the disk has: %v", err)
	}
	bound := &restoreCmd{dataOption: dataOption{Data: into}, File: file, MaxBytes: 1000}
	if err := bound.Run(t.Context(), console{nil, io.Discard, io.Discard}); !errors.Is(err, backup.ErrTooLarge) || !strings.Contains(err.Error(), "it may take 1000: --max-bytes") {
		t.Errorf("more than is said: %v", err)
	}
	bound.MaxBytes = -1
	if err := bound.Run(t.Context(), console{nil, io.Discard, io.Discard}); statusOfError(err) != exitUsage {
		t.Errorf("less than nothing: %v", err)
	}
	if err := restore("good", raw, into); err != nil {
		t.Error(err)
	}
	if err := (&backupCmd{dataOption: dataOption{Data: data}, File: filepath.Join(data, "b.tar.gz")}).Run(t.Context(), console{nil, io.Discard, io.Discard}); err == nil {
		t.Error("a backup in the folder that it is of")
	}
	if err := (&backupCmd{dataOption: dataOption{Data: t.TempDir()}, File: file}).Run(t.Context(), console{nil, io.Discard, io.Discard}); err == nil {
		t.Error("a backup of nothing")
	}
}

// A key file in the data folder goes into a backup only when that is said,
// whatever its name is.
func TestBackupKeyFileByAnotherName(t *testing.T) {
	s := scriptedServer(t, func(*serveOptions) {})
	data := s.Data.Path()
	if err := s.shutdown(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(data, "seal", "master.key")
	if err := errors.Join(os.Mkdir(filepath.Dir(key), 0o700), os.Rename(filepath.Join(data, keyFileName), key)); err != nil {
		t.Fatal(err)
	}
	for _, with := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "b.tar.gz")
		runs(t, &backupCmd{dataOption: dataOption{Data: data, KeyFile: key}, File: file, WithKeyFile: with})
		if names := membersOf(t, file); slices.Contains(names, "seal/master.key") || slices.Contains(names, keyFileName) != with {
			t.Errorf("with the key %t: %q", with, names)
		}
	}
}
