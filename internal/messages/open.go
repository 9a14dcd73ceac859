package messages

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// Rest holds the members of an object that this version does not know, so that
// they are written back as they came.
type Rest map[string]json.RawMessage

// knownMembers caches the JSON names of a struct type.
var knownMembers sync.Map // reflect.Type -> []string

func membersOf(t reflect.Type) []string {
	if v, ok := knownMembers.Load(t); ok {
		return v.([]string)
	}
	var names []string
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	knownMembers.Store(t, names)
	return names
}

// decodeOpen decodes raw into the struct that v points to and returns the
// members that the struct has no field for.
func decodeOpen(raw []byte, v any) (Rest, error) {
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, err
	}
	var all Rest
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	for _, name := range membersOf(reflect.TypeOf(v).Elem()) {
		delete(all, name)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// encodeOpen writes v, a struct, and the members of rest behind it.
func encodeOpen(v any, rest Rest) ([]byte, error) {
	b, err := Marshal(v)
	if err != nil || len(rest) == 0 {
		return b, err
	}
	names := make([]string, 0, len(rest))
	for name := range rest {
		names = append(names, name)
	}
	slices.Sort(names)
	b = b[:len(b)-1]
	for _, name := range names {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = AppendString(b, name)
		b = append(b, ':')
		b = append(b, rest[name]...)
	}
	return append(b, '}'), nil
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

func typeOf(raw []byte) (string, error) {
	var t struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return "", err
	}
	return t.Type, nil
}
