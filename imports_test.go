package outcrop_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/outcrop-dev/outcrop/"

// TestImports holds the packages to the import block of ARCHITECTURE.md.
func TestImports(t *testing.T) {
	doc, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```imports\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatal("ARCHITECTURE.md has no import block")
	}
	allowed := map[string][]string{}
	for line := range strings.Lines(string(block[1])) {
		from, to, ok := strings.Cut(strings.TrimSpace(line), "->")
		if !ok {
			t.Fatalf("not a rule: %q", line)
		}
		allowed[strings.TrimSpace(from)] = strings.Fields(to)
	}
	list := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == p.ImportPath {
			continue // the root, which holds this test alone
		}
		rule, ok := ruleOf(allowed, name, seen)
		if !ok {
			t.Errorf("%s has no rule in ARCHITECTURE.md", name)
			continue
		}
		for _, imp := range p.Imports {
			if imp, ours := strings.CutPrefix(imp, module); ours && !permits(rule, imp) {
				t.Errorf("%s imports %s, which its rule does not allow", name, imp)
			}
		}
	}
	for from := range allowed {
		if !seen[from] {
			t.Errorf("the rule of %s is for no package", from)
		}
	}
}

func ruleOf(allowed map[string][]string, name string, seen map[string]bool) ([]string, bool) {
	if r, ok := allowed[name]; ok {
		seen[name] = true
		return r, true
	}
	for from, r := range allowed {
		if under, ok := strings.CutSuffix(from, "..."); ok && strings.HasPrefix(name, under) {
			seen[from] = true
			return r, true
		}
	}
	return nil, false
}

func permits(rule []string, imp string) bool {
	for _, r := range rule {
		if r == "*" || r == imp {
			return true
		}
		if under, ok := strings.CutSuffix(r, "..."); ok && strings.HasPrefix(imp, under) {
			return true
		}
	}
	return false
}
