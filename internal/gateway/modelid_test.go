package gateway

import "testing"

// What plainID lets past, both patterns take.
func TestPlainID(t *testing.T) {
	for _, test := range []struct {
		id    string
		plain bool
	}{
		{"global.anthropic.claude-opus-4-6-v1:0", true}, {"us.anthropic.claude-opus-4-6-v1", true}, {"A-:.9", true},
		{"", false}, {"a b", false}, {"a/b", false}, {"ä", false}, {"a\n", false}, {"a_b", false},
	} {
		if got := plainID(test.id); got != test.plain {
			t.Errorf("%q: plain %t", test.id, got)
		}
		if test.plain && (!modelIDs.MatchString(test.id) || !countIDs.MatchString(test.id)) {
			t.Errorf("%q is plain, and a pattern refuses it", test.id)
		}
	}
}
