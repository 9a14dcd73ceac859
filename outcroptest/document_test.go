package outcroptest_test

import (
	"os"
	"regexp"
	"testing"
)

// The Go snippet of docs/testing.md is greeting_test.go, which runs here.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile("../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	snippet := regexp.MustCompile("(?ms)^```go\n// greeting_test.go\npackage greeting\n(.*?)^```$").FindSubmatch(doc)
	if snippet == nil {
		t.Fatal("docs/testing.md has no greeting_test.go")
	}
	file, err := os.ReadFile("greeting_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := "package outcroptest_test\n" + string(snippet[1]); string(file) != want {
		t.Errorf("greeting_test.go is not what docs/testing.md shows:\n%s", file)
	}
}
