package datadir

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/outcrop-dev/outcrop/internal/identity"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// clock is a hand-moved clock.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t *testing.T, path string, o Options) *Folder {
	t.Helper()
	f, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func attach(t *testing.T, path string, o Options) *Folder {
	t.Helper()
	f, err := Attach(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func createAccess(f *Folder, user, region string) (sigv4.Credentials, identity.Key, error) {
	k, secret, err := f.Create(identity.NewKey{Kind: identity.AccessKeyKind, Name: user, Region: region})
	return sigv4.Credentials{AccessKeyID: k.ID, SecretAccessKey: secret.Reveal()}, k, err
}

func createAPI(f *Folder, name, region string, expires time.Time) (identity.Secret, identity.Key, error) {
	k, secret, err := f.Create(identity.NewKey{Kind: identity.APIKeyKind, Name: name, Region: region, Expires: expires})
	return secret, k, err
}

func has(f *Folder, id string) bool {
	_, err := f.AccessKey(context.Background(), id)
	if err != nil && !errors.Is(err, identity.ErrNoKey) {
		panic(err)
	}
	return err == nil
}

func TestFirstStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "share", "outcrop")
	f := open(t, path, Options{Region: "eu-west-1"})
	account, err := f.Account()
	if err != nil || len(account) != 12 {
		t.Fatal(account, err)
	}
	creds, key, err := f.FirstKey()
	if err != nil {
		t.Fatal(err)
	}
	if key.Name != "admin" || key.ARN != "arn:aws:iam::"+account+":user/admin" || key.Region != "eu-west-1" || key.ID != creds.AccessKeyID || creds.SessionToken != "" {
		t.Errorf("%+v", key)
	}
	stored, err := f.AccessKey(t.Context(), creds.AccessKeyID)
	if err != nil || stored.Secret != creds.SecretAccessKey || stored.Account != account || stored.DefaultRegion != "eu-west-1" || stored.UserID == "" {
		t.Errorf("%v, %v", stored, err)
	}
	if hasModes {
		for name, want := range map[string]os.FileMode{".": 0o700, "key.txt": 0o600, "keys.age": 0o600, "lock": 0o600, "keys.lock": 0o600} {
			info, err := os.Stat(filepath.Join(path, name))
			if err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
	}
	// No secret lies about in clear.
	err = filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if bytes.Contains(b, []byte(creds.SecretAccessKey)) || bytes.Contains(b, []byte("secret\"")) {
			t.Errorf("%s holds the secret in clear", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	// The second start finds what the first one made.
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again, _, err := open(t, path, Options{}).FirstKey()
	if err != nil || again != creds {
		t.Errorf("%v, want %v; %v", again, creds, err)
	}
}

func TestServerLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	f := open(t, path, Options{})
	_, err := Open(path, Options{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path, Options{})
}

// A server in another process, which then dies without a word.
func TestServerLockOfAnotherProcess(t *testing.T) {
	if path := os.Getenv("DATADIR_TEST_HOLD"); path != "" {
		if _, err := Open(path, Options{}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		io.ReadAll(os.Stdin)
		return
	}
	path := filepath.Join(t.TempDir(), "d")
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerLockOfAnotherProcess$")
	cmd.Env = append(os.Environ(), "DATADIR_TEST_HOLD="+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(out, buf); err != nil || string(buf) != "held\n" {
		t.Fatalf("%q, %v", buf, err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", cmd.Process.Pid)) {
		t.Errorf("%v", err)
	}
	attach(t, path, Options{}) // reading needs no lock
	cmd.Process.Kill()
	cmd.Wait()
	open(t, path, Options{})
}

func TestAttach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	if _, err := Attach(path, Options{}); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("Attach made the folder")
	}
	c := newClock()
	server := open(t, path, Options{Now: c.now})
	before, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	beside := attach(t, path, Options{Now: c.now})
	a, _, _ := server.FirstKey()
	if b, _, err := beside.FirstKey(); err != nil || a != b {
		t.Errorf("%v, %v", b, err)
	}
	if after, _ := os.ReadDir(path); len(after) != len(before) {
		t.Errorf("reading left %v, was %v", after, before)
	}

	// A key made beside the server opens the server's door at once.
	made, key, err := createAccess(beside, "ci", "us-west-2")
	if err != nil || key.Kind != identity.AccessKeyKind || key.Name != "ci" {
		t.Fatal(key, err)
	}
	if !has(beside, made.AccessKeyID) {
		t.Error("its maker does not see it at once")
	}
	if !has(server, made.AccessKeyID) {
		t.Error("the server refuses a key that was just made")
	}

	// And one revoked beside it is shut out within a second.
	if err := beside.Revoke(made.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if !has(server, made.AccessKeyID) {
		t.Error("the server looks at the disk for every request")
	}
	c.advance(time.Second)
	if has(server, made.AccessKeyID) {
		t.Error("a revoked key opens the door after a second")
	}
	if err := beside.Revoke(made.AccessKeyID); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("revoked twice: %v", err)
	}

	// A list is of now, and not of a second ago.
	_, listed, err := createAccess(beside, "late", "")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := server.List(); err != nil || !slices.ContainsFunc(keys, func(k identity.Key) bool { return k.ID == listed.ID }) {
		t.Errorf("the server lists %v, without a key that was just made: %v", keys, err)
	}
	if err := server.Revoke(listed.ID); err != nil {
		t.Fatal(err)
	}

	// The server's own changes count at once.
	if err := server.Revoke(a.AccessKeyID); err != nil {
		t.Fatal(err)
	}
	if has(server, a.AccessKeyID) {
		t.Error("a key that the server revoked opens the door")
	}
	if _, _, err := server.FirstKey(); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("no key is left: %v", err)
	}
}

func TestAPIKeys(t *testing.T) {
	c := newClock()
	f := open(t, filepath.Join(t.TempDir(), "d"), Options{Now: c.now})
	account, _ := f.Account()
	secret, key, err := createAPI(f, "laptop", "eu-central-1", c.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if key.Kind != identity.APIKeyKind || key.Name != "laptop" || !strings.HasPrefix(key.ARN, "arn:aws:iam::"+account+":user/BedrockAPIKey-") || !strings.HasPrefix(secret.Reveal(), "ABSK") {
		t.Errorf("%+v", key)
	}
	stored, err := f.APIKey(t.Context(), sha256.Sum256([]byte(secret.Reveal())))
	if err != nil || stored.ID != key.ID || stored.ARN != key.ARN || stored.DefaultRegion != "eu-central-1" || !stored.Expires.Equal(c.now().Add(time.Hour)) {
		t.Errorf("%+v, %v", stored, err)
	}
	if _, err := f.APIKey(t.Context(), sha256.Sum256([]byte("ABSKother"))); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("%v", err)
	}
	// Not even who opens keys.age has the key.
	sealed, err := os.Open(f.file("keys.age"))
	if err != nil {
		t.Fatal(err)
	}
	defer sealed.Close()
	plain, err := f.sealer.open(sealed)
	if err != nil || bytes.Contains(plain, []byte(secret.Reveal())) || !bytes.Contains(plain, []byte(key.ID)) {
		t.Errorf("%v: the key itself is stored", err)
	}

	_, forever, err := createAPI(f, "ci", "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	list, err := f.List()
	if err != nil || len(list) != 3 || list[0].Name != "admin" || !reflect.DeepEqual(list[1:], []identity.Key{key, forever}) || !forever.Expires.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	if err := f.Revoke(key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.APIKey(t.Context(), stored.Sum); !errors.Is(err, identity.ErrNoKey) {
		t.Errorf("revoked: %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	c := newClock()
	f := open(t, filepath.Join(t.TempDir(), "d"), Options{Now: c.now})
	for _, name := range []string{"", "a b", "a/b", "a\n", strings.Repeat("a", 65), "é"} {
		if _, _, err := createAccess(f, name, ""); err == nil {
			t.Errorf("user %q", name)
		}
		if _, _, err := createAPI(f, name, "", time.Time{}); err == nil {
			t.Errorf("API key %q", name)
		}
	}
	if _, _, err := createAccess(f, "a", "nowhere"); err == nil {
		t.Error("no Region")
	}
	if _, _, err := createAPI(f, "a", "", c.now()); err == nil {
		t.Error("a key that has ended")
	}
	if list, err := f.List(); err != nil || len(list) != 1 {
		t.Errorf("something was made: %v, %v", list, err)
	}
	if _, err := Open("", Options{}); err == nil {
		t.Error("no path")
	}
	if _, err := Open(t.TempDir(), Options{Region: "x"}); err == nil {
		t.Error("no Region's name")
	}
	// Two keys of one user are of one user.
	_, _, err := createAccess(f, "admin", "")
	first, _, _ := f.FirstKey()
	a, _ := f.AccessKey(t.Context(), first.AccessKeyID)
	list, _ := f.List()
	b, _ := f.AccessKey(t.Context(), list[1].ID)
	if err != nil || a.UserID != b.UserID || a.ID == b.ID {
		t.Errorf("%v and %v, %v", a, b, err)
	}
}

func TestConcurrentChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	server := open(t, path, Options{})
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 4 {
		f := server
		if i > 0 {
			f = attach(t, path, Options{}) // flock sees every open of the file as another process
		}
		wg.Go(func() {
			for range 5 {
				_, k, err := createAccess(f, "u", "")
				errs <- err
				errs <- f.Revoke(k.ID)
				if _, _, err = createAccess(f, fmt.Sprint("keep", i), ""); err != nil {
					errs <- err
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	list, err := attach(t, path, Options{}).List()
	if err != nil || len(list) != 1+4*5 {
		t.Errorf("%d keys are left, want 21: a change was lost (%v)", len(list), err)
	}
}

func TestModes(t *testing.T) {
	if !hasModes {
		t.Skip("no modes on this system")
	}
	// Empty: nothing can have been read yet.
	empty := t.TempDir()
	os.Chmod(empty, 0o755)
	open(t, empty, Options{}).Close()
	if info, _ := os.Stat(empty); info.Mode().Perm() != 0o700 {
		t.Errorf("%v", info.Mode())
	}
	for _, c := range []struct {
		file string
		mode os.FileMode
		fix  string
	}{{".", 0o750, "chmod 700 "}, {".", 0o701, "chmod 700 "}, {"key.txt", 0o640, "chmod 600 "}, {"key.txt", 0o604, "chmod 600 "}} {
		path := filepath.Join(t.TempDir(), "d")
		open(t, path, Options{}).Close()
		wide := filepath.Join(path, c.file)
		os.Chmod(wide, c.mode)
		for name, f := range map[string]func(string, Options) (*Folder, error){"Open": Open, "Attach": Attach} {
			if _, err := f(path, Options{}); err == nil || !strings.Contains(err.Error(), c.fix+wide) {
				t.Errorf("%s, %s %v: %v", name, c.file, c.mode, err)
			}
		}
		if info, _ := os.Stat(wide); info.Mode().Perm() != c.mode {
			t.Errorf("%s was changed to %v", c.file, info.Mode())
		}
	}
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	x, _ := age.GenerateX25519Identity()
	y, _ := age.GenerateX25519Identity()
	pq, _ := age.GenerateHybridIdentity()
	write := func(name string, lines ...fmt.Stringer) string {
		p := filepath.Join(dir, name)
		b := "# a comment\n"
		for _, l := range lines {
			b += l.String() + "\n"
		}
		if err := os.WriteFile(p, []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	path := filepath.Join(dir, "d")
	if _, err := Open(path, Options{KeyFile: filepath.Join(dir, "none")}); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a key file that is not there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, "keys.age")); err == nil {
		t.Error("keys.age was made without its key")
	}
	f := open(t, path, Options{KeyFile: write("x", x)})
	creds, _, err := f.FirstKey()
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := os.Stat(filepath.Join(path, "key.txt")); err == nil {
		t.Error("a key file was made inside, though one is kept outside")
	}
	for name, want := range map[string]struct{ file, text string }{
		"another key":  {write("y", y), "sealed for another key than that of "},
		"no key":       {"", "the key file that opens keys.age is not there"},
		"not a key":    {write("z", bytes.NewBufferString("AGE-SECRET-KEY-1SECRET")), "not a file of age identities"},
		"a folder":     {dir, "key file"},
		"an empty key": {write("e"), "not a file of age identities"},
	} {
		for _, open := range []func(string, Options) (*Folder, error){Open, Attach} {
			_, err := open(path, Options{KeyFile: want.file})
			if err == nil || !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(path, "key.txt")); err == nil {
		t.Error("a new key was made for an old keys.age")
	}
	// Rotation: the new key on top, the old one below until the next change.
	f = open(t, path, Options{KeyFile: write("yx", y, x)})
	if _, _, err := createAccess(f, "next", ""); err != nil {
		t.Fatal(err)
	}
	f.Close()
	f = open(t, path, Options{KeyFile: write("y", y)})
	if got, _, err := f.FirstKey(); err != nil || got != creds {
		t.Errorf("after the rotation: %v, %v", got, err)
	}
	open(t, filepath.Join(dir, "post-quantum"), Options{KeyFile: write("pq", pq)})
}

func TestDamage(t *testing.T) {
	c := newClock()
	path := filepath.Join(t.TempDir(), "d")
	f := open(t, path, Options{Now: c.now})
	creds, _, _ := f.FirstKey()
	good, err := os.ReadFile(f.file("keys.age"))
	if err != nil {
		t.Fatal(err)
	}
	seal := func(plain string) []byte {
		b, err := f.sealer.seal([]byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	for name, content := range map[string][]byte{
		"empty":         {},
		"cut":           good[:len(good)-1],
		"altered":       flipped,
		"not JSON":      seal("TOPSECRET"),
		"newer":         seal(`{"version":3,"vault":"TOPSECRET"}`),
		"unknown field": seal(`{"version":1,"TOPSECRET":1}`),
		"no version":    seal(`{}`),
		"no hash":       seal(`{"version":1,"api_keys":[{"id":"ACCA1","sha256":"TOPSECRET"}]}`),
	} {
		if err := writeFile(f.file("keys.age"), content); err != nil {
			t.Fatal(err)
		}
		c.advance(time.Second)
		// The running server shuts the door; it neither serves the old keys nor
		// takes them for unknown.
		for range 2 {
			_, err := f.AccessKey(t.Context(), creds.AccessKeyID)
			if err == nil || errors.Is(err, identity.ErrNoKey) || strings.Contains(err.Error(), "TOPSECRET") || !strings.Contains(err.Error(), "keys.age") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := Attach(path, Options{}); err == nil {
			t.Errorf("%s: attached", name)
		}
		if _, _, err := createAccess(f, "a", ""); err == nil {
			t.Errorf("%s: a key was made over it", name)
		}
		if now, _ := os.ReadFile(f.file("keys.age")); !bytes.Equal(now, content) {
			t.Errorf("%s: it was overwritten", name)
		}
	}
	os.Remove(f.file("keys.age"))
	c.advance(time.Second)
	if _, err := f.AccessKey(t.Context(), creds.AccessKeyID); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("gone: %v", err)
	}
	// Restored, and with the leftover of a crash beside it.
	if err := writeFile(f.file("keys.age"), good); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(f.file("keys.age.tmp"), []byte("half"), 0o600)
	c.advance(time.Second)
	if !has(f, creds.AccessKeyID) {
		t.Error("restored, and still shut")
	}
	if _, _, err := createAccess(f, "a", ""); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(f.file("keys.age.tmp")); err == nil {
		t.Error("the leftover is still there")
	}
}

func TestSealedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	f := open(t, path, Options{})
	if _, err := f.ReadSealed("other.age"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"TOPSECRET", "ANOTHER"} {
		if err := f.WriteSealed("other.age", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := attach(t, path, Options{}).ReadSealed("other.age"); err != nil || string(got) != want {
			t.Errorf("%q, %v", got, err)
		}
		raw, err := os.ReadFile(f.file("other.age"))
		if err != nil || bytes.Contains(raw, []byte(want)) {
			t.Errorf("in clear, %v", err)
		}
	}
	if err := os.WriteFile(f.file("other.age"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadSealed("other.age"); err == nil || !strings.Contains(err.Error(), "other.age") {
		t.Errorf("damaged: %v", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	f := open(t, filepath.Join(t.TempDir(), "d"), Options{})
	creds, key, err := createAccess(f, "a", "")
	if err != nil {
		t.Fatal(err)
	}
	secret, apiKey, err := createAPI(f, "b", "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	ageKey, err := os.ReadFile(f.file("key.txt"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(ageKey))
	s, err := f.current()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.AccessKey(t.Context(), creds.AccessKeyID)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{creds, secret, key, apiKey, stored, s.doc, *s.doc, s.doc.AccessKeys, f.sealer,
		struct{ A, B any }{creds, secret}, []any{stored, secret}, map[string]any{"s": secret}} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		switch v.(type) {
		case *document, document, []accessEntry:
			log.Reset() // their JSON is the sealed file; they do not leave the package
		default:
			b, _ := json.Marshal(v)
			log.Write(b)
		}
		out := fmt.Sprintf("%v %+v %#v %s", v, v, v, v) + log.String()
		for _, hidden := range []string{creds.SecretAccessKey, secret.Reveal(), secret.Reveal()[10:30], lines[len(lines)-1]} {
			if strings.Contains(out, hidden) {
				t.Errorf("%T prints a secret: %s", v, out)
			}
		}
	}
}

func TestDefault(t *testing.T) {
	abs := func(s string) string { return filepath.FromSlash(s) }
	for _, c := range []struct {
		goos string
		env  map[string]string
		want string
	}{
		{"linux", map[string]string{"HOME": "/home/a"}, "/home/a/.local/share/outcrop"},
		{"linux", map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/outcrop"},
		{"linux", map[string]string{"HOME": "/home/a", "XDG_DATA_HOME": "data"}, "/home/a/.local/share/outcrop"},
		{"linux", nil, ""},
		{"darwin", map[string]string{"HOME": "/Users/a"}, "/Users/a/Library/Application Support/outcrop"},
		{"windows", map[string]string{"LocalAppData": "/c/Users/a/AppData/Local"}, "/c/Users/a/AppData/Local/outcrop"},
		{"windows", map[string]string{"HOME": "/home/a"}, ""},
	} {
		got, err := defaultFor(c.goos, func(k string) string { return c.env[k] })
		if got != abs(c.want) || (err == nil) != (c.want != "") {
			t.Errorf("%s %v: %q, %v", c.goos, c.env, got, err)
		}
	}
}

func BenchmarkAccessKey(b *testing.B) {
	f, err := Open(filepath.Join(b.TempDir(), "d"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	c, _, _ := f.FirstKey()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.AccessKey(b.Context(), c.AccessKeyID); err != nil {
			b.Fatal(err)
		}
	}
}
