package main

import (
	"os/exec"
	"slices"
	"testing"
)

// hard are values that a shell would read as something else.
var hard = []string{"", "plain", "two words", "it's", `"`, `\`, `\'`, "$HOME", "`id`", "$(id)", "a\nb", "!!", "~", "*", "‘’‚‛", "%PATH%", "-n"}

// Each shell gives back what was quoted for it.
func TestQuote(t *testing.T) {
	for _, sh := range []struct {
		name  string
		args  []string
		quote func(string) string
		print string
	}{
		{"sh", []string{"-c"}, quoteSh, "printf %s "},
		{"bash", []string{"-c"}, quoteSh, "printf %s "},
		{"fish", []string{"-c"}, quoteFish, "printf %s "},
		{"pwsh", []string{"-NoProfile", "-Command"}, quotePowerShell, "[Console]::Out.Write"},
	} {
		t.Run(sh.name, func(t *testing.T) {
			if _, err := exec.LookPath(sh.name); err != nil {
				t.Skipf("no %s on this machine", sh.name)
			}
			for _, v := range hard {
				word := sh.quote(v)
				if sh.name == "pwsh" {
					word = "(" + word + ")"
				}
				out, err := exec.Command(sh.name, append(slices.Clone(sh.args), sh.print+word)...).Output()
				if err != nil || string(out) != v {
					t.Errorf("%q came back as %q (%v)", v, out, err)
				}
			}
		})
	}
}

// What cannot be run here is held to what the languages say.
func TestQuoteText(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{quoteSh("it's"), `'it'\''s'`},
		{quoteFish(`it's \`), `'it\'s \\'`},
		{quotePowerShell("it's ’"), "'it''s ’’'"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s, want %s", tt.got, tt.want)
		}
	}
}
