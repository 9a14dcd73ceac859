package converse

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// walker reads one document and writes the other. It never stops at a fault:
// AWS reports all violated constraints of a request together, before any other
// fault but one of form.
type walker struct {
	out     []byte
	members jsonspan.Members // a stack: an object's stand above its parent's
	spans   []jsonspan.Span  // likewise for arrays
	path    []step
	text    []byte // scratch of str

	kind    messages.Kind // of refusals
	lossy   bool          // drop and name what cannot be carried
	lenient bool          // … members alone: an answer is paid for
	voice   voice
	dropped []string
	form    *messages.Error // the first fault of form: JSON, types
	broken  []string        // violated constraints, the first of them
	breaks  int             // all of them
	err     *messages.Error // the first other fault
}

// voice is whose words a refusal of an unknown member uses.
type voice uint8

const (
	aws voice = iota
	ours
)

type step struct {
	name  string
	key   []byte // where name is empty
	index int    // where both are
}

func (s step) String() string {
	switch {
	case s.name != "":
		return s.name
	case s.key != nil:
		return short(s.key)
	default:
		return strconv.Itoa(s.index)
	}
}

// short bounds what a hostile text can put into an answer or a log.
func short(text []byte) string {
	if len(text) <= 64 {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:61]), "") + "..."
}

// push and pop name the place of what is read outside an iteration.
func (w *walker) push(name string) { w.path = append(w.path, step{name: name}) }
func (w *walker) pop()             { w.path = w.path[:len(w.path)-1] }

// dotted is a place as AWS and Anthropic name it in prose: messages.0.content.1.
func (w *walker) dotted() string {
	var parts []string
	for _, s := range w.path {
		parts = append(parts, s.String())
	}
	return strings.Join(parts, ".")
}

// pointer is a place as AWS's schema check names it: #/messages/0/content.
func (w *walker) pointer() string {
	if len(w.path) == 0 {
		return "#"
	}
	return "#/" + strings.ReplaceAll(w.dotted(), ".", "/")
}

// shape is a place as AWS's constraint check names it: indices from one, behind
// them "member".
func (w *walker) shape() string {
	var parts []string
	for _, s := range w.path {
		if s.name == "" && s.key == nil {
			parts = append(parts, strconv.Itoa(s.index+1), "member")
			continue
		}
		parts = append(parts, s.String())
	}
	return strings.Join(parts, ".")
}

// object iterates over the members of an object. A member that is null counts
// as absent, as in AWS's protocols.
type object struct {
	w     *walker
	data  []byte
	known *jsonspan.Keys
}

func (w *walker) object(data []byte) object { return object{w, data, nil} }

func (o object) each(yield func(key, value []byte) bool) {
	w, first := o.w, len(o.w.members)
	all, err := jsonspan.Scan(w.members, o.data, o.known)
	if err != nil {
		w.malformed(err, "an object")
		return
	}
	w.members = all
	for _, m := range all[first:] {
		v := m.Value(o.data)
		if isNull(v) {
			continue
		}
		w.path = append(w.path, step{key: m.Key})
		more := yield(m.Key, v)
		w.pop()
		if !more {
			break
		}
	}
	w.members = w.members[:first]
}

// array iterates over the elements of an array.
type array struct {
	w    *walker
	data []byte
}

func (w *walker) array(data []byte) array { return array{w, data} }

func (a array) each(yield func(i int, value []byte) bool) {
	w, first := a.w, len(a.w.spans)
	all, err := jsonspan.ScanArray(w.spans, a.data)
	if err != nil {
		w.malformed(err, "an array")
		return
	}
	w.spans = all
	for i, s := range all[first:] {
		w.path = append(w.path, step{index: i})
		more := yield(i, s.Value(a.data))
		w.pop()
		if !more {
			break
		}
	}
	w.spans = w.spans[:first]
}

// union is an object that must have exactly one member.
type union struct {
	object
	of string
}

func (w *walker) union(data []byte, of string) union { return union{w.object(data), of} }

func (u union) each(yield func(key, value []byte) bool) {
	n := 0
	for k, v := range u.object.each {
		if n++; n == 1 && !yield(k, v) {
			return
		}
	}
	if n != 1 {
		u.w.wrong("exactly one member of " + u.of)
	}
}

func isNull(v []byte) bool { return len(v) == 4 && v[0] == 'n' }

// fail keeps the first fault.
func (w *walker) fail(format string, args ...any) {
	if w.err == nil {
		w.err = messages.Errorf(w.kind, format, args...)
	}
}

// reject is fail in the voice of the model, which AWS prefixes.
func (w *walker) reject(format string, args ...any) {
	if w.err == nil {
		w.err = messages.Errorf(messages.ModelRejected, format, args...)
	}
}

// hint adds advice to a fault just made.
func (w *walker) hint(format string, args ...any) {
	if w.err != nil && w.err.Hint == "" {
		w.err = w.err.WithHint(format, args...)
	}
}

func (w *walker) malformed(err error, want string) {
	var syntax *jsonspan.SyntaxError
	if !errors.As(err, &syntax) || strings.HasPrefix(syntax.Reason, "not a JSON ") {
		w.wrong(want)
		return
	}
	w.misformed(syntax.Reason, err)
}

func (w *walker) wrong(want string) { w.misformed("expected "+want, nil) }

func (w *walker) misformed(what string, cause error) {
	switch {
	case w.form != nil:
	case w.kind == messages.InvalidRequest:
		w.form = messages.Errorf(w.kind, "Malformed input request: %s: %s, please reformat your input and try again.", w.pointer(), what).WithCause(cause)
	default:
		w.form = messages.Errorf(w.kind, "The model sent an answer that cannot be read: %s: %s.", w.pointer(), what).WithCause(cause)
	}
}

// violated notes a constraint of AWS's model. Values inside messages are
// sensitive: AWS leaves them out.
func (w *walker) violated(value []byte, constraint string) {
	shown := "Value"
	if value != nil && (len(w.path) == 0 || w.path[0].String() != "messages") {
		shown = "Value '" + strings.Trim(short(value), `"`) + "'"
	}
	w.broke(shown, constraint)
}

// maxBroken is what a client can read.
const maxBroken = 20

func (w *walker) broke(shown, constraint string) {
	if w.breaks++; w.breaks <= maxBroken {
		w.broken = append(w.broken, shown+" at '"+w.shape()+"' failed to satisfy constraint: "+constraint)
	}
}

// missing is a required member that is not there.
func (w *walker) missing(name string) {
	if w.voice == ours {
		w.fail("%s.%s: Field required", w.dotted(), name)
		return
	}
	w.push(name)
	w.broke("Value null", "Member must not be null")
	w.pop()
}

// need is missing unless the member was found.
func (w *walker) need(found bool, name string) {
	if !found {
		w.missing(name)
	}
}

// enum checks a string against a closed set.
func (w *walker) enum(v []byte, of ...string) string {
	s := w.str(v)
	for _, e := range of {
		if string(s) == e {
			return e
		}
	}
	w.violated(v, "Member must satisfy enum value set: ["+strings.Join(of, ", ")+"]")
	return ""
}

// extra is a member that the other side has no place for. It is refused by
// name, or dropped and named.
func (w *walker) extra(key []byte) {
	switch {
	case w.lossy || w.lenient:
		w.drop("")
	case w.voice == ours:
		w.fail("%s: cannot be carried over to Converse", w.dotted())
	default:
		at := w.path
		w.path = at[:len(at)-1]
		w.fail("Malformed input request: %s: extraneous key [%s] is not permitted, please reformat your input and try again.", w.pointer(), key)
		w.path = at
	}
}

// cannot is what the other side has no place for.
func (w *walker) cannot(format string, args ...any) {
	if w.lossy {
		w.drop("")
		return
	}
	w.fail(format, args...)
}

// maxDropped bounds the names that one document can make us keep.
const maxDropped = 100

// drop names the current place as left out, once.
func (w *walker) drop(why string) {
	s := w.dotted()
	if why != "" {
		s += " (" + why + ")"
	}
	if len(w.dropped) < maxDropped && !slices.Contains(w.dropped, s) {
		w.dropped = append(w.dropped, s)
	}
}

// faulty says that the walk found something wrong already.
func (w *walker) faulty() bool { return w.form != nil || w.breaks > 0 || w.err != nil }

// fault is what the walk found wrong, nil if nothing.
func (w *walker) fault() error {
	e := w.form
	if e == nil && w.breaks > 0 {
		noun := "errors"
		if w.breaks == 1 {
			noun = "error"
		}
		e = messages.Errorf(w.kind, "%d validation %s detected: %s", w.breaks, noun, strings.Join(w.broken, "; "))
	}
	if e == nil {
		e = w.err
	}
	if e == nil {
		return nil
	}
	if !utf8.ValidString(e.Message) { // it quotes
		c := *e
		c.Message = strings.ToValidUTF8(c.Message, "?")
		e = &c
	}
	return e
}

// str is the text of a JSON string, valid until the next call. It is nil where v
// is no string, which is a fault.
func (w *walker) str(v []byte) []byte {
	if len(v) < 2 || v[0] != '"' {
		w.wrong("a string")
		return nil
	}
	plain := v[1 : len(v)-1]
	for _, c := range plain {
		if c == '\\' || c >= utf8.RuneSelf {
			var err error
			if w.text, err = jsonspan.String(w.text[:0], v); err != nil {
				w.malformed(err, "a string")
				return nil
			}
			return w.text
		}
	}
	return plain
}

// isString faults what is no string.
func (w *walker) isString(v []byte) bool {
	if len(v) >= 2 && v[0] == '"' {
		return true
	}
	w.wrong("a string")
	return false
}

// isObject says whether v is a JSON object.
func isObject(v []byte) bool { return len(v) > 1 && v[0] == '{' }

func (w *walker) boolean(v []byte) bool {
	b, ok := jsonspan.Bool(v)
	if !ok {
		w.wrong("a boolean")
	}
	return b
}

// blank says whether a JSON string is nothing but white space.
func (w *walker) blank(v []byte) bool {
	for _, c := range v[1 : len(v)-1] {
		switch {
		case c == '\\' || c >= utf8.RuneSelf:
			return strings.TrimSpace(string(w.str(v))) == ""
		case !unicode.IsSpace(rune(c)):
			return false
		}
	}
	return true
}

// name checks an identifier that is written through: its characters, its length.
func (w *walker) name(v []byte, pattern string, also string) {
	if !w.isString(v) || w.kind != messages.InvalidRequest { // a model's names are its own
		return
	}
	s := v[1 : len(v)-1] // an escape holds a backslash, which no pattern allows
	ok := len(s) > 0
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(also, c) >= 0) {
			ok = false
		}
	}
	if !ok {
		w.violated(v, "Member must satisfy regular expression pattern: "+pattern)
	}
	if len(s) == 0 {
		w.violated(v, "Member must have length greater than or equal to 1")
	}
	if len(s) > 64 {
		w.violated(v, "Member must have length less than or equal to 64")
	}
}

// Writing: members and elements put their own comma.

func (w *walker) comma() {
	if n := len(w.out); n > 0 && w.out[n-1] != '{' && w.out[n-1] != '[' {
		w.out = append(w.out, ',')
	}
}

func (w *walker) open(c byte) { w.out = append(w.out, c) }

// element begins an element of the array that is open.
func (w *walker) element(text string) {
	w.comma()
	w.out = append(w.out, text...)
}

// key begins a member of the object that is open.
func (w *walker) key(name string) {
	w.comma()
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, '"', ':')
}

// member writes a member whose value is JSON already.
func (w *walker) member(name string, raw []byte) {
	w.key(name)
	w.out = append(w.out, raw...)
}

// stringMember is member for a value that must be a string.
func (w *walker) stringMember(name string, raw []byte) {
	if w.isString(raw) {
		w.member(name, raw)
	}
}

// textMember writes a member whose value is a string that is not JSON yet.
func (w *walker) textMember(name, s string) {
	w.key(name)
	w.out = jsonspan.AppendString(w.out, s)
}

func (w *walker) intMember(name string, n int64) {
	w.key(name)
	w.out = strconv.AppendInt(w.out, n, 10)
}
