package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
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

func TestEnviron(t *testing.T) {
	none := func(string) string { return "" }
	e, err := newClientEnv(state{URL: "http://127.0.0.1:9", Region: "us-east-1"}, sigv4.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}, "ca.pem", none)
	if err != nil {
		t.Fatal(err)
	}
	got := e.environ([]string{"PATH=/bin", "AWS_PROFILE=mine", "AWS_REGION=mars", "AWS_CONFIG_FILE=/c", "AWS_REGIONAL=x", "EMPTY="})
	for _, want := range []string{"PATH=/bin", "AWS_REGION=us-east-1", "AWS_CONFIG_FILE=/c", "AWS_REGIONAL=x", "EMPTY=", "AWS_ACCESS_KEY_ID=AKIA"} {
		if !slices.Contains(got, want) {
			t.Errorf("no %s in %q", want, got)
		}
	}
	for _, pair := range got {
		if name, _, _ := strings.Cut(pair, "="); name == "AWS_PROFILE" || pair == "AWS_REGION=mars" {
			t.Errorf("%s is there", pair)
		}
	}
	for _, name := range e.unset {
		if slices.ContainsFunc(e.set, func(v variable) bool { return v.name == name }) {
			t.Errorf("%s is set and unset", name)
		}
	}
}

// A proxy is bypassed for the server, beside what it is bypassed for already.
func TestBypass(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{}, ""},
		{map[string]string{"https_proxy": "http://p"}, "127.0.0.1"},
		{map[string]string{"HTTP_PROXY": "http://p", "NO_PROXY": "a.example, b.example"}, "a.example,b.example,127.0.0.1"},
		{map[string]string{"ALL_PROXY": "http://p", "no_proxy": "127.0.0.1", "NO_PROXY": "other"}, "127.0.0.1"},
		{map[string]string{"NO_PROXY": "a"}, ""},
	} {
		e, err := newClientEnv(state{URL: "http://127.0.0.1:9"}, sigv4.Credentials{}, "", func(n string) string { return tt.env[n] })
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, v := range e.set {
			if v.name == "NO_PROXY" {
				got = v.value
			}
		}
		if got != tt.want {
			t.Errorf("%v: NO_PROXY %q, want %q", tt.env, got, tt.want)
		}
	}
}
