package converse_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/schemas"
	"github.com/aws/smithy-go"
)

// The roots of AWS's shapes that a Converse call is made of.
var roots = map[string]*smithy.Schema{
	"ConverseRequest": schemas.ConverseRequest, "ConverseStreamRequest": schemas.ConverseStreamRequest,
	"ConverseTokensRequest": schemas.ConverseTokensRequest,
	"ConverseResponse":      schemas.ConverseResponse, "ConverseStreamOutput": schemas.ConverseStreamOutput,
}

// item finds the structure or union that a shape is, or is a list or a map of.
func item(s *smithy.Schema, name string) (*smithy.Schema, string) {
	for {
		switch s.Type() {
		case smithy.ShapeTypeList:
			s = s.ListMember()
		case smithy.ShapeTypeMap:
			s = s.MapValue()
		case smithy.ShapeTypeStructure, smithy.ShapeTypeUnion:
			return s, name
		default:
			return nil, ""
		}
		name = s.TargetID().Name
	}
}

// everyMember lists Shape.member of all that the roots reach.
func everyMember() map[string]bool {
	all := map[string]bool{}
	var walk func(s *smithy.Schema, name string)
	walk = func(s *smithy.Schema, name string) {
		s, name = item(s, name)
		if s == nil || whole[name] != "" || all[name] {
			return
		}
		all[name] = true
		for k, m := range s.Members() {
			all[rowName(name, k)] = true
			walk(m, m.TargetID().Name)
		}
	}
	for name, s := range roots {
		walk(s, name)
	}
	maps.DeleteFunc(all, func(k string, _ bool) bool { return !strings.Contains(k, ".") })
	return all
}

// rowName is the row of a member: its own, or that of the shape's twin.
func rowName(shape, member string) string {
	name := shape + "." + member
	if _, own := members[name]; own {
		return name
	}
	if shape == "GuardrailStreamConfiguration" {
		shape = "GuardrailConfiguration"
	}
	if t := twins[shape]; t != "" {
		shape = t
	}
	return shape + "." + member
}

// Every member of AWS's shapes has a row, and every row is such a member or one
// that was seen in a recording.
func TestEveryMemberHasARow(t *testing.T) {
	all := everyMember()
	if len(all) < 200 {
		t.Fatalf("only %d members", len(all))
	}
	for m := range all {
		if _, ok := members[m]; !ok {
			t.Errorf("%s has no row in member_test.go: say what becomes of it", m)
		}
	}
	seen := seenMembers(t)
	for m := range members {
		if !all[m] && !seen[m] {
			t.Errorf("the row %s is of no member", m)
		}
	}
	for m := range seen {
		if _, ok := members[m]; !ok {
			t.Errorf("%s was seen in a recording and has no row", m)
		}
	}
}

// at is one member that stands in a document.
type at struct {
	row  string
	path []any // keys and indices
}

// find lists the members of doc that the shape knows or names, nulls aside.
func find(shape *smithy.Schema, name string, doc any) (found []at) {
	var walk func(s *smithy.Schema, name string, v any, path []any)
	walk = func(s *smithy.Schema, name string, v any, path []any) {
		switch s.Type() {
		case smithy.ShapeTypeList:
			list, _ := v.([]any)
			for i, v := range list {
				walk(s.ListMember(), s.ListMember().TargetID().Name, v, append(slices.Clone(path), i))
			}
		case smithy.ShapeTypeMap:
			m, _ := v.(map[string]any)
			for k, v := range m {
				walk(s.MapValue(), s.MapValue().TargetID().Name, v, append(slices.Clone(path), k))
			}
		case smithy.ShapeTypeStructure, smithy.ShapeTypeUnion:
			m, _ := v.(map[string]any)
			for k, v := range m {
				if v == nil || k == "p" { // padding
					continue
				}
				here := append(slices.Clone(path), k)
				found = append(found, at{rowName(name, k), here})
				if member := s.Member(k); member != nil && whole[member.TargetID().Name] == "" {
					walk(member, member.TargetID().Name, v, here)
				}
			}
		}
	}
	walk(shape, name, doc, nil)
	return found
}

func parse(t *testing.T, doc []byte) any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(string(doc)))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %.200s", err, doc)
	}
	return v
}

// drop gives doc without the member at path; all of it where path is nil.
func drop(t *testing.T, doc any, path []any) []byte {
	t.Helper()
	raw := mustJSON(t, doc)
	if path == nil {
		return raw
	}
	copied := parse(t, raw)
	v := copied
	for _, p := range path[:len(path)-1] {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	delete(v.(map[string]any), fmt.Sprint(path[len(path)-1]))
	return mustJSON(t, copied)
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The request that has every member of all three.
var rootShape, rootName = schemas.ConverseStreamRequest, "ConverseStreamRequest"

// objects lists where doc has an object that the shape describes.
func objects(shape *smithy.Schema, name string, doc any) (paths [][]any) {
	paths = append(paths, []any{})
	for _, m := range find(shape, name, doc) {
		s, path := shape, []any{}
		v := doc
		for _, p := range m.path {
			path = append(path, p)
			switch p := p.(type) {
			case string:
				if s.Type() == smithy.ShapeTypeMap {
					s = s.MapValue()
				} else {
					s = s.Member(p)
				}
				v = v.(map[string]any)[p]
			case int:
				s = s.ListMember()
				v = v.([]any)[p]
			}
		}
		if _, ok := v.(map[string]any); ok && s != nil && (s.Type() == smithy.ShapeTypeStructure || s.Type() == smithy.ShapeTypeUnion) {
			paths = append(paths, path)
		}
	}
	return paths
}

// plainObjects lists the objects of a Messages conversation but tools' inputs
// and whose absence means the same.
func plainObjects(v any, path []any) (paths [][]any) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			paths = append(paths, plainObjects(e, append(slices.Clone(path), i))...)
		}
	case map[string]any:
		paths = append(paths, path)
		for k, e := range v {
			if k != "input" && k != "caller" {
				paths = append(paths, plainObjects(e, append(slices.Clone(path), k))...)
			}
		}
	}
	return paths
}

// put gives doc with value at path.
func put(t *testing.T, doc any, path []any, value any) []byte {
	t.Helper()
	copied := parse(t, mustJSON(t, doc))
	v := copied
	for _, p := range path[:len(path)-1] {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	v.(map[string]any)[path[len(path)-1].(string)] = value
	return mustJSON(t, copied)
}

func valueAt(doc any, path []any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			doc = doc.(map[string]any)[p]
		case int:
			doc = doc.([]any)[p]
		}
	}
	return doc
}

// same says whether two values have the same JSON type.
func same(a, b any) bool {
	kind := func(v any) string {
		switch v.(type) {
		case string:
			return "string"
		case bool:
			return "bool"
		case []any:
			return "array"
		case map[string]any:
			return "object"
		default:
			return "number"
		}
	}
	return kind(a) == kind(b)
}
