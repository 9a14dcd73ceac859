package main

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// tableRows are the cells of the rows that begin with a number.
func tableRows(text string) (rows [][]string) {
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if _, err := strconv.Atoi(strings.TrimSpace(cells[0])); err == nil && len(cells) == 5 {
			rows = append(rows, cells)
		}
	}
	return rows
}

// TestReadmesInStep: the Chinese README has the same sections, and the same rows
// with the same commands.
func TestReadmesInStep(t *testing.T) {
	read := func(name string) string {
		raw, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	english, chinese := read("README.md"), read("README.zh-TW.md")
	if a, b := strings.Count(english, "\n## "), strings.Count(chinese, "\n## "); a != b {
		t.Errorf("%d sections in English, %d in Chinese", a, b)
	}
	a, b := tableRows(english), tableRows(chinese)
	if len(a) < 15 || len(a) != len(b) {
		t.Fatalf("%d rows in English, %d in Chinese", len(a), len(b))
	}
	for i := range a {
		for _, same := range []int{0, 3, 4} {
			if a[i][same] != b[i][same] {
				t.Errorf("row %d: %q in English, %q in Chinese", i+1, a[i][same], b[i][same])
			}
		}
	}
	link := regexp.MustCompile(`\]\((docs/[^)#]+)`)
	for _, m := range link.FindAllStringSubmatch(english, -1) {
		if !strings.Contains(chinese, "]("+m[1]) {
			t.Errorf("the Chinese README does not name %s", m[1])
		}
	}
}

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
