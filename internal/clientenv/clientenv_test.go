package clientenv

import (
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

func TestEnviron(t *testing.T) {
	none := func(string) string { return "" }
	e, err := New("http://127.0.0.1:9", "us-east-1", sigv4.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}, "ca.pem", none)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Environ([]string{"PATH=/bin", "AWS_PROFILE=mine", "AWS_REGION=mars", "AWS_CONFIG_FILE=/c", "AWS_REGIONAL=x", "EMPTY="})
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
	for _, name := range e.Unset {
		if slices.ContainsFunc(e.Set, func(v Variable) bool { return v.Name == name }) {
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
		e, err := New("http://127.0.0.1:9", "", sigv4.Credentials{}, "", func(n string) string { return tt.env[n] })
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, v := range e.Set {
			if v.Name == "NO_PROXY" {
				got = v.Value
			}
		}
		if got != tt.want {
			t.Errorf("%v: NO_PROXY %q, want %q", tt.env, got, tt.want)
		}
	}
}
