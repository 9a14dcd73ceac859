package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCompleted(t *testing.T) {
	for _, test := range []struct {
		line string
		all  []string
		want string
	}{
		{"/m", []string{"/model "}, "/model "},
		{"/c", []string{"/clear", "/cost"}, "/c"},
		{"/model us.anthropic.claude-o", []string{"/model us.anthropic.claude-opus-4", "/model us.anthropic.claude-opus-5"}, "/model us.anthropic.claude-opus-"},
		{"hello", nil, "hello"},
	} {
		got, pos, ok := completed(test.line, test.all)
		if got != test.want || pos != len(got) || !ok {
			t.Errorf("%q: %q at %d", test.line, got, pos)
		}
	}
}

func TestChatFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a[1].pdf", "a[2].pdf"} {
		if err := os.WriteFile(filepath.Join(dir, name), tourPDF, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &conversation{}
	if got := c.complete("/file " + dir + "/a[1"); len(got) != 1 || got[0] != "/file "+dir+"/a[1].pdf" {
		t.Errorf("%q", got)
	}
	if got := c.complete("/file " + filepath.Dir(dir) + "/" + filepath.Base(dir)); len(got) != 1 || got[0] != "/file "+dir+"/" {
		t.Errorf("%q", got)
	}
	if got := c.complete("hello"); got != nil {
		t.Errorf("%q", got)
	}
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), historyFile)
	h := readHistory(path)
	for _, line := range []string{"one", "two", "two", "", "  secret", "three"} {
		h.Add(line)
	}
	again := readHistory(path)
	if again.Len() != 3 || again.At(0) != "three" || again.At(2) != "one" {
		t.Errorf("%q", again.lines)
	}
	for range 2 * historyLines {
		again.Add("x")
		again.Add("y")
	}
	if n := readHistory(path).Len(); n != historyLines {
		t.Errorf("%d lines are kept", n)
	}
	if none := readHistory(filepath.Join(t.TempDir(), "no", "folder")); none.path != "" {
		t.Error("a folder that is not there is written to")
	}
}
