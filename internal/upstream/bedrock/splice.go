package bedrock

import (
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// without gives the body without the fields, each a path such as a.b or a[].b.
func without(body *gateway.Body, fields []string) (*gateway.Body, error) {
	data, changed := body.Bytes(), false
	for _, f := range fields {
		if cut, ok := drop(data, f); ok {
			data, changed = cut, true
		}
	}
	if !changed {
		return body, nil
	}
	return gateway.NewBody(body.Dialect(), data)
}

// drop cuts the member at path out of an object, and an object that it leaves
// empty too. What cannot be read is left for AWS to judge.
func drop(object []byte, path string) (cut []byte, ok bool) {
	step, rest, deeper := strings.Cut(path, ".")
	name, each := strings.CutSuffix(step, "[]")
	members, err := jsonspan.Scan(nil, object, nil)
	if err != nil {
		return object, false
	}
	m, ok := members.Get(name)
	if !ok {
		return object, false
	}
	value := m.Value(object)
	switch {
	case !deeper:
		value = nil
	case each:
		if value, ok = dropEach(value, rest); !ok {
			return object, false
		}
	default:
		if value, ok = drop(value, rest); !ok {
			return object, false
		}
		if left, err := jsonspan.Scan(nil, value, nil); err == nil && len(left) == 0 {
			value = nil
		}
	}
	return jsonspan.Splice(nil, object, members, jsonspan.Edit{Key: name, Value: value}), true
}

func dropEach(array []byte, path string) (cut []byte, changed bool) {
	spans, err := jsonspan.ScanArray(nil, array)
	if err != nil {
		return array, false
	}
	at := 0
	for _, s := range spans {
		element, ok := drop(s.Value(array), path)
		if !ok {
			continue
		}
		cut = append(append(cut, array[at:s.Start]...), element...)
		at, changed = s.End, true
	}
	return append(cut, array[at:]...), changed
}

// says reports a member that is the string want.
func says(body *gateway.Body, key, want string) bool {
	raw, ok := body.Get(key)
	var room [64]byte
	b, err := jsonspan.String(room[:0], raw)
	return ok && err == nil && string(b) == want
}

// lists reports a raw list that holds want, in whatever order, and nothing else.
func lists(raw []byte, want []string) bool {
	if len(raw) == 0 {
		return len(want) == 0
	}
	have, ok := listOf(raw)
	if !ok || len(have) != len(want) {
		return false
	}
	for _, w := range want {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

func listOf(raw []byte) (list []string, ok bool) {
	spans, err := jsonspan.ScanArray(nil, raw)
	if err != nil {
		return nil, false
	}
	for _, s := range spans {
		b, err := jsonspan.String(nil, s.Value(raw))
		if err != nil {
			return nil, false
		}
		list = append(list, string(b))
	}
	return list, true
}

// appendList writes a JSON array; nil, which drops the member, for an empty one.
func appendList(list []string) []byte {
	if len(list) == 0 {
		return nil
	}
	out := []byte{'['}
	for i, s := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = messages.AppendString(out, s)
	}
	return append(out, ']')
}

// member and text read a value, empty where there is none or it cannot be read:
// then it is AWS's to judge.
func member(object []byte, key string) []byte {
	members, err := jsonspan.Scan(nil, object, nil)
	if err != nil {
		return nil
	}
	m, ok := members.Get(key)
	if !ok {
		return nil
	}
	return m.Value(object)
}

func text(raw []byte) string {
	var room [64]byte
	b, err := jsonspan.String(room[:0], raw)
	if err != nil {
		return ""
	}
	return string(b)
}
