package access

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// faults gathers what a request breaks of its shape's constraints, in the words
// of AWS's validation.
type faults []string

func (f *faults) add(name, format string, args ...any) {
	*f = append(*f, fmt.Sprintf("%s failed to satisfy constraint: Member must %s", name, fmt.Sprintf(format, args...)))
}

func valueAt(value, name string) string { return fmt.Sprintf("Value '%s' at '%s'", value, name) }

func (f *faults) required(name string) { f.add("Value null at '"+name+"'", "not be null") }

// length counts characters, as Smithy's trait does.
func (f *faults) length(name, value string, least, most int) {
	switch n := utf8.RuneCountInString(value); {
	case n < least:
		f.add(valueAt(value, name), "have length greater than or equal to %d", least)
	case n > most:
		f.add("Value at '"+name+"'", "have length less than or equal to %d", most)
	}
}

func (f *faults) match(name, value string, form *regexp.Regexp, pattern string) {
	if !form.MatchString(value) {
		f.add(valueAt(shown(value), name), "satisfy regular expression pattern: %s", pattern)
	}
}

func (f *faults) enum(name, value string, values []string) {
	if !slices.Contains(values, value) {
		f.add(valueAt(shown(value), name), "satisfy enum value set: [%s]", strings.Join(values, ", "))
	}
}

// shown keeps a long value out of an answer.
func shown(value string) string {
	const most = 2048
	if len(value) <= most {
		return value
	}
	return strings.ToValidUTF8(value[:most], "") + "..."
}

func (f faults) err() error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return messages.Errorf(messages.InvalidRequest, "1 validation error detected: %s", f[0])
	default:
		return messages.Errorf(messages.InvalidRequest, "%d validation errors detected: %s", len(f), strings.Join(f, "; "))
	}
}
