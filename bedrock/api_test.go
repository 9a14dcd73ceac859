package bedrock_test

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/outcrop-dev/outcrop"

// The API is of public types alone: what stands in an exported signature can be
// named by who uses it.
func TestNoInternalTypeInTheAPI(t *testing.T) {
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", module+"/bedrock").Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[path] = file
	}
	pkg, err := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	}).Import(module + "/bedrock")
	if err != nil {
		t.Fatal(err)
	}
	scope, seen := pkg.Scope(), 0
	for _, name := range scope.Names() {
		if obj := scope.Lookup(name); obj.Exported() {
			seen++
			for _, bad := range internals(obj.Type(), pkg, map[types.Type]bool{}) {
				t.Errorf("%s shows %s", name, bad)
			}
		}
	}
	if seen < 50 {
		t.Fatalf("%d exported names were found", seen)
	}
}

// internals walks what a user of the package can reach through typ.
func internals(typ types.Type, pkg *types.Package, done map[types.Type]bool) (bad []string) {
	if done[typ] {
		return nil
	}
	done[typ] = true
	walk := func(t types.Type) { bad = append(bad, internals(t, pkg, done)...) }
	switch typ := typ.(type) {
	case *types.Named:
		obj := typ.Obj()
		if p := obj.Pkg(); p == nil || p != pkg {
			if p != nil && strings.HasPrefix(p.Path(), module+"/internal/") {
				bad = append(bad, fmt.Sprint(typ))
			}
			return bad
		}
		for i := range typ.NumMethods() {
			if m := typ.Method(i); m.Exported() {
				walk(m.Type())
			}
		}
		walk(typ.Underlying())
	case *types.Alias:
		walk(types.Unalias(typ))
	case *types.Struct:
		for i := range typ.NumFields() {
			if f := typ.Field(i); f.Exported() || f.Embedded() {
				walk(f.Type())
			}
		}
	case *types.Interface:
		for i := range typ.NumMethods() {
			if m := typ.Method(i); m.Exported() {
				walk(m.Type())
			}
		}
	case *types.Signature:
		walk(typ.Params())
		walk(typ.Results())
	case *types.Tuple:
		for i := range typ.Len() {
			walk(typ.At(i).Type())
		}
	case interface{ Elem() types.Type }: // pointer, slice, array, channel, map
		if m, ok := typ.(*types.Map); ok {
			walk(m.Key())
		}
		walk(typ.Elem())
	case *types.Basic, *types.TypeParam:
	default:
		bad = append(bad, fmt.Sprintf("%T, which this test does not know", typ))
	}
	return bad
}

// Who imports the client gets a client: no server, no store, no engine.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"/bedrock").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	for _, p := range []string{"jsonspan", "eventstream", "sse", "sigv4", "bedrockapi", "catalog", "messages", "routing"} {
		allowed[module+"/internal/"+p] = true
	}
	allowed[module+"/bedrock"] = true
	n := 0
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		n++
		if strings.HasPrefix(path, module) && !allowed[path] {
			t.Errorf("imports %s", path)
		}
		for _, heavy := range []string{"database/sql", "modernc.org/", "github.com/jackc/", "github.com/pressly/", "github.com/tetratelabs/", "github.com/ebitengine/",
			"github.com/alecthomas/", "filippo.io/", "github.com/prometheus/", "github.com/schollz/", "go.uber.org/", "testing"} {
			if strings.HasPrefix(path, heavy) {
				t.Errorf("imports %s", path)
			}
		}
	}
	if n < 50 {
		t.Fatalf("%d packages", n)
	}
}

// Every exported name says what it is: functions, methods, types, fields, values.
func TestDocumented(t *testing.T) {
	fset := token.NewFileSet()
	out, err := exec.Command("go", "list", "-f", "{{range .GoFiles}}{{.}} {{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	check := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if !name.IsExported() {
			return
		}
		seen++
		for _, d := range docs {
			if strings.TrimSpace(d.Text()) != "" {
				return
			}
		}
		t.Errorf("%s: %s has no comment", fset.Position(name.Pos()), name.Name)
	}
	for name := range strings.FieldsSeq(string(out)) {
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					recv := d.Recv.List[0].Type
					if star, ok := recv.(*ast.StarExpr); ok {
						recv = star.X
					}
					if id, ok := recv.(*ast.Ident); !ok || !id.IsExported() {
						continue
					}
				}
				check(d.Name, d.Doc)
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						check(spec.Name, d.Doc, spec.Doc)
						s, ok := spec.Type.(*ast.StructType)
						if !ok || !spec.Name.IsExported() {
							continue
						}
						for _, field := range s.Fields.List {
							for _, name := range field.Names {
								check(name, field.Doc, field.Comment)
							}
						}
					case *ast.ValueSpec: // of a group: the group's comment, or its own
						for _, name := range spec.Names {
							check(name, d.Doc, spec.Doc, spec.Comment)
						}
					}
				}
			}
		}
	}
	if seen < 90 {
		t.Fatalf("%d exported names were found", seen)
	}
}

// Each function that makes or sends something has an example that runs.
func TestExamples(t *testing.T) {
	have := map[string]bool{}
	var files []*ast.File
	for _, name := range []string{"example_test.go", "example_more_test.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for _, e := range doc.Examples(files...) {
		if e.Output == "" {
			t.Errorf("Example%s has no Output, and so does not run", e.Name)
		}
		name, _, _ := strings.Cut(e.Name, "_")
		have[name] = true
		have[e.Name] = true
	}
	for _, want := range []string{"New", "New_streaming", "Option", "WithRegions", "WithResidency", "WithBearerToken", "WithSkipAuth", "WithAWSConfig", "WithIdleTimeout",
		"Client_CountTokens", "Client_Runtime", "Client_ControlPlane", "Client_STS", "Error", "Global", "ParseModelID", "PDF", "Image", "CachePoint", "Context1M",
		"ServiceTier", "Guardrail", "RequestMetadata", "ResponseMetrics", "StreamMetrics", "ResponseRegion"} {
		if !have[want] {
			t.Errorf("no Example%s", want)
		}
	}
}
