package scripted

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/outcrop-dev/outcrop/internal/nearest"
)

// Open reads the scenario of a file. The recording that it names is beside it.
func Open(file string) (*Scenario, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if s.Recording != "" && !filepath.IsAbs(s.Recording) {
		s.Recording = filepath.Join(filepath.Dir(file), s.Recording)
	}
	return s, nil
}

// Read reads a scenario; an unknown member is an error that shows its place.
func Read(r io.Reader) (*Scenario, error) {
	s := new(Scenario)
	if err := Decode(r, s); err != nil {
		return nil, err
	}
	return s, s.check()
}

// Decode reads the YAML of a scenario into a value of another form, which has
// the members that it knows in its yaml tags.
func Decode(r io.Reader, into any) error {
	raw, err := io.ReadAll(io.LimitReader(r, 16<<20))
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	if err := dec.Decode(into); err != nil && err != io.EOF {
		text := strings.TrimSpace(yaml.FormatError(err, false, true))
		var unknown *yaml.UnknownFieldError
		if errors.As(err, &unknown) {
			text += hint(raw, reflect.TypeOf(into))
		}
		return fmt.Errorf("scenario: %s", text)
	}
	if err := dec.Decode(new(any)); err != io.EOF {
		return errors.New("scenario: more than one YAML document")
	}
	return nil
}

// hint says what the first unknown member of a document may have been meant to be.
func hint(raw []byte, into reflect.Type) string {
	file, err := parser.ParseBytes(raw, 0)
	if err != nil || len(file.Docs) == 0 {
		return ""
	}
	name, known := stranger(file.Docs[0].Body, into)
	if name == "" {
		return ""
	}
	return fmt.Sprintf("\n%s%s", name, didYouMean(name, known))
}

// stranger finds a member of n that t has not, and those that t has.
func stranger(n ast.Node, t reflect.Type) (name string, known []string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.AnchorNode:
		return stranger(n.Value, t)
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			return "", nil
		}
		for _, v := range n.Values {
			if name, known := stranger(v, t.Elem()); name != "" {
				return name, known
			}
		}
		return "", nil
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default: // a scalar, or an alias of what has been looked at
		return "", nil
	}
	if t.Kind() != reflect.Struct {
		return "", nil
	}
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		if tag := f.Tag.Get("yaml"); tag != "-" {
			fields[tag] = f.Type
			known = append(known, tag)
		}
	}
	for _, p := range pairs {
		key := p.Key.GetToken().Value
		if field, ok := fields[key]; ok {
			if name, known := stranger(p.Value, field); name != "" {
				return name, known
			}
		} else if key != "<<" {
			return key, known
		}
	}
	return "", nil
}

// didYouMean names the known word that is nearest, or all of them.
func didYouMean(name string, known []string) string {
	if best := nearest.Word(name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	known = slices.Sorted(slices.Values(known))
	return "; the members are " + strings.Join(known, ", ")
}
