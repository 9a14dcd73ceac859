package messages

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// Rest is what the fields of a typed view do not show of its object, so that the
// object is written back as it came. Each open type has a field Rest.
type Rest struct {
	// Members are those that this version does not know.
	Members map[string]json.RawMessage
	// bare says how a known member stood whose field is zero: "", null, [], or
	// not at all (nil).
	bare map[string]json.RawMessage
}

// field is one member that a struct type knows.
type field struct {
	name  string
	index int
	omit  bool // not written when zero
}

func (f field) zero(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}

type fields struct {
	known []field
	rest  int
}

// fieldsOf caches the fields of a struct type.
var fieldsOf = func() func(reflect.Type) fields {
	var cache sync.Map // reflect.Type -> fields
	return func(t reflect.Type) fields {
		if v, ok := cache.Load(t); ok {
			return v.(fields)
		}
		var fs fields
		for i := range t.NumField() {
			if t.Field(i).Type == reflect.TypeFor[Rest]() {
				fs.rest = i
				continue
			}
			name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			fs.known = append(fs.known, field{name, i, strings.HasPrefix(opts, "omit")})
		}
		cache.Store(t, fs)
		return fs
	}
}()

func membersOf(raw []byte) (map[string]json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	if all == nil {
		return nil, errors.New("null, where an object must stand")
	}
	return all, nil
}

// decodeOpen decodes raw into the open struct that v points to. Names are exact:
// encoding/json would take a case variant for the member itself.
func decodeOpen(raw []byte, v any) error {
	all, err := membersOf(raw)
	if err != nil {
		return err
	}
	return fill(v, all)
}

// fill empties all.
func fill(v any, all map[string]json.RawMessage) error {
	s := reflect.ValueOf(v).Elem()
	fs := fieldsOf(s.Type())
	var rest Rest
	for _, f := range fs.known {
		raw, there := all[f.name]
		if there && string(raw) != "null" {
			if err := json.Unmarshal(raw, s.Field(f.index).Addr().Interface()); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
		}
		delete(all, f.name)
		if f.zero(s.Field(f.index)) && (there || !f.omit) {
			if rest.bare == nil {
				rest.bare = map[string]json.RawMessage{}
			}
			rest.bare[f.name] = raw
		}
	}
	if len(all) > 0 {
		rest.Members = all
	}
	s.Field(fs.rest).Set(reflect.ValueOf(rest))
	return nil
}

// encodeOpen writes the open struct v: its kind first, if it has one, and the
// members that nobody knows last.
func encodeOpen(kind string, v any) ([]byte, error) {
	s := reflect.ValueOf(v)
	fs := fieldsOf(s.Type())
	rest := s.Field(fs.rest).Interface().(Rest)
	out := []byte{'{'}
	member := func(name string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(AppendString(out, name), ':'), value...)
	}
	if kind != "" {
		member("type", AppendString(nil, kind))
	}
	for _, f := range fs.known {
		if f.zero(s.Field(f.index)) {
			if raw, ok := rest.bare[f.name]; ok {
				if raw != nil {
					member(f.name, raw)
				}
				continue
			}
			if f.omit {
				continue
			}
		}
		value, err := Marshal(s.Field(f.index).Interface())
		if err != nil {
			return nil, err
		}
		member(f.name, value)
	}
	names := make([]string, 0, len(rest.Members))
	for name := range rest.Members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		member(name, rest.Members[name])
	}
	return append(out, '}'), nil
}

// Strings is an array of strings. encoding/json would read null in it as "".
type Strings []string

func (s *Strings) UnmarshalJSON(raw []byte) error {
	var all []*string
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return err
	}
	*s = make(Strings, len(all))
	for i, v := range all {
		if v == nil {
			return errors.New("null among strings")
		}
		(*s)[i] = *v
	}
	return nil
}

// Marshal is json.Marshal without HTML escapes: what a model wrote stays as it
// wrote it.
func Marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// AppendString appends s as a JSON string.
func AppendString(dst []byte, s string) []byte { return jsonspan.AppendString(dst, s) }
