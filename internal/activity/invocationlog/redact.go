package invocationlog

import "github.com/outcrop-dev/outcrop/internal/jsonspan"

// redact empties the bytes of images and documents, of both dialects. What they
// are and where they stand stays.
func redact(raw []byte, images, documents bool) ([]byte, error) {
	return redactor{map[string]bool{"image": images, "document": documents}}.value(raw)
}

type redactor struct{ kinds map[string]bool }

func (r redactor) value(raw []byte) ([]byte, error) {
	switch {
	case len(raw) > 0 && raw[0] == '{':
		return r.object(raw)
	case len(raw) > 0 && raw[0] == '[':
		spans, err := jsonspan.ScanArray(nil, raw)
		if err != nil {
			return nil, err
		}
		items := make([][]byte, len(spans))
		for i, s := range spans {
			if items[i], err = r.value(s.Value(raw)); err != nil {
				return nil, err
			}
		}
		return array(items), nil
	default:
		return raw, nil
	}
}

func (r redactor) object(raw []byte) ([]byte, error) {
	m, err := jsonspan.Scan(nil, raw, nil)
	if err != nil {
		return nil, err
	}
	// {"type":"image","source":{…}} is Messages, {"image":{"source":{…}}} Converse.
	kind, _ := jsonspan.String(nil, value(m, raw, "type")) // one that is no string is no kind
	var edits []jsonspan.Edit
	for _, member := range m {
		v := member.Value(raw)
		if len(v) == 0 || v[0] != '{' && v[0] != '[' {
			continue
		}
		key, next := string(member.Key), r.value
		switch {
		case key == "source" && r.kinds[string(kind)]:
			next = empty
		case r.kinds[key] && v[0] == '{':
			next = func(v []byte) ([]byte, error) { return emptySource(v) }
		}
		done, err := next(v)
		if err != nil {
			return nil, err
		}
		edits = append(edits, jsonspan.Edit{Key: key, Value: done})
	}
	return jsonspan.Splice(nil, raw, m, edits...), nil
}

func emptySource(raw []byte) ([]byte, error) {
	m, err := jsonspan.Scan(nil, raw, nil)
	if err != nil {
		return nil, err
	}
	source := value(m, raw, "source")
	if source == nil {
		return raw, nil
	}
	done, err := empty(source)
	if err != nil {
		return nil, err
	}
	return jsonspan.Splice(nil, raw, m, jsonspan.Edit{Key: "source", Value: done}), nil
}

// empty takes the content out of a source, and leaves references.
func empty(source []byte) ([]byte, error) {
	if len(source) == 0 || source[0] != '{' {
		return []byte("{}"), nil
	}
	m, err := jsonspan.Scan(nil, source, nil)
	if err != nil {
		return nil, err
	}
	var edits []jsonspan.Edit
	for _, member := range m {
		switch key := string(member.Key); key {
		case "data", "bytes", "text":
			edits = append(edits, jsonspan.Edit{Key: key, Value: []byte(`""`)})
		case "content":
			edits = append(edits, jsonspan.Edit{Key: key, Value: []byte("[]")})
		default: // a kind, a media type, a place
		}
	}
	return jsonspan.Splice(nil, source, m, edits...), nil
}
