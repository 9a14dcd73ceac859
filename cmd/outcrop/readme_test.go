package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestReadmeTable holds the README's table to what the tour shows. To mend it,
// put the output of outcrop tour --markdown between the two marks.
func TestReadmeTable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- outcrop tour --markdown -->\n")
	table, _, ok := strings.Cut(rest, "<!-- end -->")
	if !ok {
		t.Fatal("README.md has no marks")
	}
	var out, talk bytes.Buffer
	if code := run(t.Context(), []string{"tour", "--markdown", "--upstream", "scripted"}, console{strings.NewReader(""), &out, &talk}); code != 0 {
		t.Fatalf("exit %d: %s", code, talk.String())
	}
	if out.String() != table {
		t.Errorf("the table is stale; it is now:\n%s", out.String())
	}
}
