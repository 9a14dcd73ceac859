package outcroptest

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// TestOneGrammar: a scenario file means the same here and to outcrop serve.
func TestOneGrammar(t *testing.T) {
	var members func(at string, a, b reflect.Type)
	members = func(at string, a, b reflect.Type) {
		for a.Kind() == reflect.Pointer || a.Kind() == reflect.Slice {
			if b.Kind() != a.Kind() {
				t.Fatalf("%s: %s and %s", at, a, b)
			}
			a, b = a.Elem(), b.Elem()
		}
		if a.Kind() != reflect.Struct || a == b {
			if a != b {
				t.Errorf("%s: %s and %s", at, a, b)
			}
			return
		}
		theirs := map[string]reflect.Type{}
		for f := range b.Fields() {
			theirs[f.Tag.Get("yaml")] = f.Type
		}
		for f := range a.Fields() {
			tag := f.Tag.Get("yaml")
			if theirs[tag] == nil {
				t.Errorf("%s.%s is here alone", at, tag)
				continue
			}
			members(at+"."+tag, f.Type, theirs[tag])
			delete(theirs, tag)
		}
		for tag := range theirs {
			t.Errorf("%s.%s is not here", at, tag)
		}
	}
	if Echo != scripted.Echo || Refuse != scripted.Refuse {
		t.Error(Echo, Refuse)
	}
	members("scenario", reflect.TypeFor[Scenario](), reflect.TypeFor[scripted.Scenario]())
}

// TestWholeTranslation: no member is lost on the way to the script.
func TestWholeTranslation(t *testing.T) {
	var s Scenario
	fill(reflect.ValueOf(&s).Elem(), 0)
	got := s.script()
	var blank func(at string, v reflect.Value)
	blank = func(at string, v reflect.Value) {
		if v.IsZero() {
			t.Errorf("%s is lost", at)
			return
		}
		switch v.Kind() {
		case reflect.Pointer:
			blank(at, v.Elem())
		case reflect.Slice:
			blank(at, v.Index(0))
		case reflect.Struct:
			for f, value := range v.Fields() {
				blank(at+"."+f.Name, value)
			}
		default: // set
		}
	}
	blank("scenario", reflect.ValueOf(got))
}

// fill sets every member of v to something.
func fill(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth)
	case reflect.Struct:
		for _, f := range v.Fields() {
			fill(f, depth)
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Func:
		v.Set(reflect.ValueOf(func(int) error { return nil }))
	case reflect.Interface:
		v.Set(reflect.ValueOf("x"))
	default:
		panic(v.Kind().String())
	}
}

func TestLoadScenario(t *testing.T) {
	for name, tt := range map[string]struct{ yaml, want string }{
		"misspelt":  {"rules:\n  - match: {tetx: a}\n", `did you mean "text"?`},
		"invalid":   {"rules: [{answer: {error: {exception: Nope}}}]", "Nope"},
		"two":       {"name: a\n---\nname: b\n", "more than one YAML document"},
		"exclusive": {"otherwise: echo\nrecording: a", "exclude each other"},
	} {
		file := filepath.Join(t.TempDir(), name+".yaml")
		if err := os.WriteFile(file, []byte(tt.yaml), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadScenario(file); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadScenario(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(file, []byte("recording: talks/one.txtar\nrules: [{match: {text: a}, times: 2, answer: {delay: 5ms, content: [{text: b}]}}]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := LoadScenario(file)
	if err != nil || s.Recording != filepath.Join(filepath.Dir(file), "talks", "one.txtar") || s.Rules[0].Times != 2 || *s.Rules[0].Answer.Content[0].Text != "b" {
		t.Errorf("%+v, %v", s, err)
	}
}
