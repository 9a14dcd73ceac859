package converse

import (
	"strconv"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// isPointer says whether p is a JSON pointer (RFC 6901) to a member.
func isPointer(p string) bool {
	if !strings.HasPrefix(p, "/") {
		return false
	}
	for rest := p; ; {
		i := strings.IndexByte(rest, '~')
		if i < 0 {
			return true
		}
		if rest = rest[i+1:]; rest == "" || rest[0] != '0' && rest[0] != '1' {
			return false
		}
	}
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// leaf is an object in the making: the values that pointers found, under the
// names that led to them.
type leaf struct {
	name  string
	value []byte
	under []*leaf
}

// selectFields gives the object of what the pointers find in docs, the first
// doc first; nil if nothing. The names on the way to a value are kept, as AWS
// keeps them: /delta/stop_sequence gives {"delta":{"stop_sequence":…}}
// (measured: vercel/ai#11410). A pointer to nothing is ignored.
func selectFields(pointers []string, docs ...[]byte) []byte {
	root := &leaf{}
	for _, p := range pointers {
		names := strings.Split(p[1:], "/")
		for _, doc := range docs {
			value := lookUp(doc, names)
			if value == nil {
				continue
			}
			at := root
			for _, n := range names {
				at = at.child(unescape.Replace(n))
			}
			at.value = value
			break
		}
	}
	if len(root.under) == 0 {
		return nil
	}
	return root.append(nil)
}

func (l *leaf) child(name string) *leaf {
	for _, c := range l.under {
		if c.name == name {
			return c
		}
	}
	c := &leaf{name: name}
	l.under = append(l.under, c)
	return c
}

func (l *leaf) append(dst []byte) []byte {
	if l.value != nil { // a pointer into this value adds nothing
		return append(dst, l.value...)
	}
	dst = append(dst, '{')
	for i, c := range l.under {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(jsonspan.AppendString(dst, c.name), ':')
		dst = c.append(dst)
	}
	return append(dst, '}')
}

// lookUp follows a pointer's names into a document; nil if it leads nowhere.
func lookUp(doc []byte, names []string) []byte {
	for _, n := range names {
		switch {
		case isObject(doc):
			members, err := jsonspan.Scan(nil, doc, nil)
			m, ok := members.Get(unescape.Replace(n))
			if err != nil || !ok {
				return nil
			}
			doc = m.Value(doc)
		case len(doc) > 1 && doc[0] == '[':
			spans, err := jsonspan.ScanArray(nil, doc)
			i, notNumber := strconv.Atoi(n)
			if err != nil || notNumber != nil || i < 0 || i >= len(spans) {
				return nil
			}
			doc = spans[i].Value(doc)
		default:
			return nil
		}
	}
	return doc
}
