package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// decode reads a request of the control plane. A member that is not known is
// refused, so that nothing which a caller asks for is left undone in silence.
func decode(body []byte, into any) error {
	refuse := func(what string) error {
		return messages.Errorf(messages.InvalidRequest, "Malformed input request: %s, please reformat your input and try again.", what)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := plain(body); err != nil {
		if syntax, ok := errors.AsType[*jsonspan.SyntaxError](err); ok {
			return refuse(syntax.Reason)
		}
		return refuse(err.Error())
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return refuse("#/" + memberPath(wrong.Field) + ": expected " + jsonKind(wrong.Type) + ", found " + wrong.Value)
	}
	return refuse(strings.TrimPrefix(err.Error(), "json: "))
}

// memberPath is a path of members. Go names embedded structs in it, which no
// document has.
func memberPath(field string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(field, "."), func(s string) bool { return s != "" && 'A' <= s[0] && s[0] <= 'Z' }), "/")
}

var textual = reflect.TypeFor[encoding.TextUnmarshaler]()

// jsonKind names what a member of that type is in JSON.
func jsonKind(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(textual) {
		return "string"
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "integer"
	case reflect.Pointer:
		return jsonKind(t.Elem())
	case reflect.Bool:
		return "boolean"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	default:
		return t.Kind().String()
	}
}

// plain checks that no object in a document has a key twice, in whatever case:
// parsers disagree on what that means.
func plain(value []byte) error {
	switch {
	case bytes.HasPrefix(bytes.TrimSpace(value), []byte("{")):
		members, err := jsonspan.Scan(nil, value, nil)
		if err != nil {
			return err
		}
		for _, m := range members {
			if err := nested(m.Value(value)); err != nil {
				return err
			}
		}
		return nil
	default:
		return errors.New("not a JSON object")
	}
}

func nested(value []byte) error {
	switch value[0] {
	case '{':
		return plain(value)
	case '[':
		elements, err := jsonspan.ScanArray(nil, value)
		if err != nil {
			return err
		}
		for _, e := range elements {
			if err := nested(e.Value(value)); err != nil {
				return err
			}
		}
		return nil
	default:
		return nil
	}
}
