package bedrock_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The packages that the guide's snippets use, by the names that they use.
var guideImports = map[string]string{
	"anthropic":      "github.com/anthropics/anthropic-sdk-go/v2",
	"option":         "github.com/anthropics/anthropic-sdk-go/v2/option",
	"aws":            "github.com/aws/aws-sdk-go-v2/aws",
	"bedrockruntime": "github.com/aws/aws-sdk-go-v2/service/bedrockruntime",
	"bedrock":        module + "/bedrock",
	"errors":         "errors",
	"fmt":            "fmt",
	"http":           "net/http",
}

const officialPackage = "github.com/anthropics/anthropic-sdk-go/v2/bedrock" // of the snippets marked "before"

// Every snippet of docs/client.md is a part of a program that compiles, between
// these and a return.
func TestGuideCompiles(t *testing.T) {
	guide, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", officialPackage}, paths()...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[path] = file
	}
	fset := token.NewFileSet()
	importer := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	snippets := regexp.MustCompile("(?ms)^```go( before)?\n(.*?)^```").FindAllStringSubmatch(string(guide), -1)
	for i, s := range snippets {
		source := program(s[2], s[1] != "")
		f, err := parser.ParseFile(fset, fmt.Sprintf("snippet %d", i+1), source, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v\n%s", err, s[2])
			continue
		}
		config := types.Config{Importer: importer, Error: func(err error) {
			if !strings.Contains(err.Error(), "declared and not used") { // it shows a part
				t.Errorf("%v\n%s", err, s[2])
			}
		}}
		_, _ = config.Check("guide", fset, []*ast.File{f}, nil) // Error has told
	}
	if len(snippets) < 9 {
		t.Errorf("%d snippets", len(snippets))
	}
}

func paths() (all []string) {
	for _, path := range guideImports {
		all = append(all, path)
	}
	return all
}

func program(snippet string, before bool) string {
	frame := "func snippet(ctx context.Context, cfg aws.Config, client *bedrock.Client, params anthropic.MessageNewParams, data []byte) error {\n{\n" + snippet + "\n}\nreturn nil\n}\n"
	if before {
		frame = strings.Replace(frame, "client *bedrock.Client, ", "", 1)
	}
	head := "package guide\nimport \"context\"\n"
	for name, path := range guideImports {
		if name == "bedrock" && before {
			path = officialPackage
		}
		if regexp.MustCompile(`\b` + name + `\.`).MatchString(frame) {
			head += fmt.Sprintf("import %s %q\n", name, path)
		}
	}
	return head + frame
}
