package nearest

import "testing"

func TestWord(t *testing.T) {
	known := []string{"listen", "upstream", "deny_regions", "tls", "text", "Log"}
	for name, want := range map[string]string{
		"listn": "listen", "lisetn": "listen", "UPSTREAM": "upstream", "deny_region": "deny_regions", "tsl": "tls", "tl": "tls", "txet": "text", "txt": "text",
		"log": "Log", "": "", "x": "", "abc": "", "something": "", "upstream_": "upstream",
	} {
		if got := Word(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
