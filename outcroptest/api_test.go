package outcroptest_test

import (
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

const module = "github.com/outcrop-dev/outcrop/"

func list(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// Who imports the test kit gets no store and no engine.
func TestDependencies(t *testing.T) {
	heavy := []string{
		"database/sql", "modernc.org/", "github.com/jackc/", "github.com/tetratelabs/wazero", "github.com/ebitengine/purego", "github.com/pressly/goose",
		"github.com/alecthomas/kong", "filippo.io/age", "github.com/prometheus/", "github.com/schollz/progressbar",
		module + "internal/sqlstore", module + "internal/localmodel", module + "internal/datadir", module + "internal/modelfiles", module + "cmd/",
	}
	deps := list(t, "-deps", module+"outcroptest")
	if len(deps) < 100 {
		t.Fatalf("%d packages", len(deps))
	}
	for _, path := range deps {
		for _, h := range heavy {
			if strings.HasPrefix(path, h) {
				t.Errorf("imports %s", path)
			}
		}
		if path == module+"internal/document" { // the reader; docform beside it is names alone
			t.Errorf("imports %s", path)
		}
	}
}

// What stands in an exported signature can be named by who uses it.
func TestNoInternalTypeInTheAPI(t *testing.T) {
	exports := map[string]string{}
	for _, line := range list(t, "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}", module+"outcroptest") {
		path, file, _ := strings.Cut(line, "=")
		exports[path] = file
	}
	pkg, err := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }).Import(module + "outcroptest")
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, shape string) {
		if strings.Contains(shape, "/internal/") {
			t.Errorf("%s shows %s", name, shape)
		}
	}
	seen := 0
	for _, name := range pkg.Scope().Names() {
		obj := pkg.Scope().Lookup(name)
		if !obj.Exported() {
			continue
		}
		seen++
		named, ok := obj.Type().(*types.Named)
		if _, isType := obj.(*types.TypeName); !ok || !isType {
			check(name, obj.Type().String())
			continue
		}
		for m := range named.Methods() {
			if m.Exported() {
				check(name+"."+m.Name(), m.Type().String())
			}
		}
		switch shape := named.Underlying().(type) {
		case *types.Struct:
			for f := range shape.Fields() {
				if f.Exported() {
					check(name+"."+f.Name(), f.Type().String())
				}
			}
		case *types.Interface: // sealed: its method is not exported
			for m := range shape.Methods() {
				if m.Exported() {
					check(name+"."+m.Name(), m.Type().String())
				}
			}
		default:
			check(name, shape.String())
		}
	}
	if seen < 20 {
		t.Fatalf("%d exported names were found", seen)
	}
}

// Every exported name says what it is, every field too.
func TestDocumented(t *testing.T) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range list(t, "-f", `{{range .GoFiles}}{{.}} {{end}}`, ".") {
		for name := range strings.FieldsSeq(name) {
			f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	p, err := doc.NewFromFiles(fset, files, module+"outcroptest")
	if err != nil {
		t.Fatal(err)
	}
	need := func(name, text string) {
		if text == "" {
			t.Errorf("%s is not documented", name)
		}
	}
	need("the package", p.Doc)
	funcs := p.Funcs
	for _, typ := range p.Types {
		need(typ.Name, typ.Doc)
		funcs = append(append(funcs, typ.Funcs...), typ.Methods...)
		for _, spec := range typ.Decl.Specs {
			s, ok := spec.(*ast.TypeSpec).Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, f := range s.Fields.List {
				for _, n := range f.Names {
					if n.IsExported() {
						need(typ.Name+"."+n.Name, f.Doc.Text())
					}
				}
			}
		}
	}
	for _, f := range funcs {
		need(f.Name, f.Doc)
	}
	for _, c := range p.Consts {
		need(strings.Join(c.Names, ", "), c.Doc)
	}
	if len(funcs) < 20 {
		t.Fatalf("%d functions", len(funcs))
	}
}
