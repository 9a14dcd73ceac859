package clients

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/test/clients/install"
)

// block is one of docs/testing.md: in a language, with the file that its first line names.
type block struct{ lang, file, text string }

func testingDoc(t *testing.T) []block {
	t.Helper()
	doc, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`^(?:#|//) (\S+\.(?:yaml|py|ts|go))\n`)
	var blocks []block
	for _, m := range regexp.MustCompile("(?ms)^```([a-z]+)\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1) {
		b := block{lang: m[1], text: m[2]}
		if name := named.FindStringSubmatch(m[2]); name != nil {
			b.file = name[1]
		}
		blocks = append(blocks, b)
	}
	return blocks
}

// The snippets of docs/testing.md for Python and TypeScript run as they stand there, commands included.
func TestTestingDocument(t *testing.T) {
	blocks := testingDoc(t)
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		lang, tool   string
		client, runs install.Env
		commands     int
	}{
		{"python", "pytest", install.Env{Name: "anthropic-2"}, install.Env{Name: "pytest"}, 2},
		{"ts", "vitest", install.Env{Name: "js", Node: true}, install.Env{Name: "vitest", Node: true}, 1},
	} {
		t.Run(tt.tool, func(t *testing.T) {
			var dirs []string
			for _, e := range []install.Env{tt.client, tt.runs} {
				dir, err := e.Ensure(t.Context(), ".")
				if err != nil {
					t.Skipf("SKIPPED: %s cannot be installed: %v", e.Name, err)
				}
				dirs = append(dirs, dir)
			}
			work, tools := t.TempDir(), t.TempDir()
			files := 0
			for _, b := range blocks {
				if b.file != "" && (b.lang == tt.lang || b.lang == "yaml") {
					write(t, filepath.Join(work, b.file), b.text, 0o644)
					files++
				}
			}
			if files < 2 {
				t.Fatalf("%d files", files)
			}
			if tt.runs.Node { // Node finds packages from the program's folder up
				link(t, filepath.Join(dirs[0], "node_modules", "@anthropic-ai"), filepath.Join(work, "node_modules", "@anthropic-ai"))
				link(t, filepath.Join(dirs[1], "node_modules", "vitest"), filepath.Join(work, "node_modules", "vitest"))
				write(t, filepath.Join(tools, "vitest"), "#!/bin/sh\nexec node "+filepath.Join(dirs[1], "node_modules", "vitest", "vitest.mjs")+" \"$@\"\n", 0o755)
			} else { // pytest beside the client, which is in another environment
				site, err := filepath.Glob(filepath.Join(dirs[1], "lib", "python3*", "site-packages"))
				if err != nil || len(site) != 1 {
					t.Fatalf("%q, %v", site, err)
				}
				write(t, filepath.Join(tools, "pytest"), fmt.Sprintf("#!/bin/sh\nPYTHONPATH=%s exec %s -m pytest -p no:cacheprovider \"$@\"\n", site[0], filepath.Join(dirs[0], "bin", "python")), 0o755)
			}
			run := func(command string) {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "/bin/sh", "-e", "-c", command)
				cmd.Dir = work
				cmd.Env = append(cleanEnv(t.TempDir()), shared.tripwire.env()...)
				cmd.Env = append(cmd.Env, "PATH="+tools+":"+filepath.Dir(bin)+":"+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1", "CI=1")
				out, err := cmd.CombinedOutput()
				t.Logf("%s\n%s", strings.TrimSpace(command), out)
				if err != nil {
					t.Error(err)
				}
				if !regexp.MustCompile(`\d+ passed`).Match(out) {
					t.Error("no test ran")
				}
			}
			ran := 0
			for _, b := range blocks {
				if b.lang != "sh" || !strings.Contains(b.text, tt.tool) {
					continue
				}
				run(b.text)
				ran++
				// What answers once, answers for ever: throttled calls, broken streams and refusals too.
				if scripted := "outcrop exec --upstream scripted:greeting.yaml"; strings.Contains(b.text, scripted) {
					run(strings.Replace(b.text, scripted, "outcrop record --upstream scripted:greeting.yaml -o greeting.txtar", 1))
					run(strings.Replace(b.text, scripted, "outcrop exec --upstream replay:greeting.txtar", 1))
				}
			}
			if ran != tt.commands {
				t.Errorf("%d commands ran", ran)
			}
		})
	}
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(from, to); err != nil {
		t.Fatal(err)
	}
}
