package main

import (
	"errors"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// everyCommand visits the commands that help shows.
func everyCommand(t *testing.T, each func(*kong.Node)) {
	t.Helper()
	parser, err := newParser(new(cli), console{Out: io.Discard, Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(*kong.Node)
	walk = func(node *kong.Node) {
		for _, c := range node.Children {
			if c.Hidden {
				continue
			}
			n++
			each(c)
			walk(c)
		}
	}
	walk(parser.Model.Node)
	if n < 30 {
		t.Fatalf("%d commands", n)
	}
}

var (
	exampleLine = regexp.MustCompile(`(?m)^  (?:\S.*?(?:\| |\())?(outcrop .*)$`)
	exampleEnd  = regexp.MustCompile(`\)"?( .*)?$| \| .*| > .*|   .*`)
	substituted = regexp.MustCompile(`\$\([^)]*\)`)
	exampleWord = regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`)
)

// examplesIn are the command lines of a help text, without the program's name.
func examplesIn(detail string) (found [][]string) {
	for _, m := range exampleLine.FindAllStringSubmatch(detail, -1) {
		line := exampleEnd.ReplaceAllString(substituted.ReplaceAllString(m[1], "x"), "")
		var args []string
		for _, w := range exampleWord.FindAllString(line, -1)[1:] {
			args = append(args, strings.Trim(w, `'"`))
		}
		found = append(found, args)
	}
	return found
}

// TestExamples: the help of each command has an example of it, and each example
// is a command line that the program takes.
func TestExamples(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	everyCommand(t, func(node *kong.Node) {
		own := 0
		for _, args := range examplesIn(node.Detail) {
			parser, err := newParser(new(cli), console{Out: io.Discard, Err: io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			path := ""
			switch k, err := parser.Parse(args); {
			case err == nil:
				path = k.Selected().FullPath()
			case errors.Is(err, fs.ErrNotExist): // the reader's own file
				path = selected(err)
			default:
				t.Errorf("%s: outcrop %s: %v", node.FullPath(), strings.Join(args, " "), err)
			}
			if path == node.FullPath() || strings.HasPrefix(path, node.FullPath()+" ") {
				own++
			}
		}
		if own == 0 {
			t.Errorf("the help of %s has no example of it:\n%s", node.FullPath(), node.Detail)
		}
	})
}

// TestHelpOfFlags: what a flag says can be read alone, and names its default.
func TestHelpOfFlags(t *testing.T) {
	everyCommand(t, func(node *kong.Node) {
		for _, f := range node.Flags {
			if strings.HasPrefix(f.Help, "…") || strings.Contains(f.Help, "${") {
				t.Errorf("%s --%s: %s", node.FullPath(), f.Name, f.Help)
			}
			if f.HasDefault && f.Default != "" && !strings.Contains(f.Help, "Default: ") {
				t.Errorf("%s --%s does not say its default, %s: %s", node.FullPath(), f.Name, f.Default, f.Help)
			}
		}
	})
}
