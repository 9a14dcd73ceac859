package clients

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/sends.txt")

// TestSends holds testdata/sends.txt to what each pinned client really puts on the wire: a fact that the server
// is built on changes here first, when a lock file moves.
func TestSends(t *testing.T) {
	file := filepath.Join("testdata", "sends.txt")
	old, err := os.ReadFile(file)
	if err != nil && !*update {
		t.Fatal(err)
	}
	sections := strings.SplitAfter(string(old), "\n\n")
	var all []string
	t.Run("sends", func(t *testing.T) {
		for _, c := range clients {
			for _, op := range []string{"plain", "stream", "beta", "mantle", "converse", "converse-stream"} {
				if !c.sends(op) {
					continue
				}
				i := len(all)
				all = append(all, "")
				t.Run(c.name+"/"+op, func(t *testing.T) {
					t.Parallel()
					s := shared.subject(t, c, func(string) {})
					title := "# " + c.name + " " + op + "\n"
					all[i] = title + capture(t, s, op) + "\n"
					want := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, title) })
					switch {
					case *update:
					case want < 0:
						t.Errorf("%s has no section %q", file, title)
					case sections[want] != all[i]:
						t.Errorf("it sends\n%s\nwant (-update, when that is right)\n%s", all[i], sections[want])
					}
				})
			}
		}
	})
	if *update {
		if err := os.WriteFile(file, []byte(strings.Join(all, "")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (c client) sends(op string) bool {
	column := op
	if op == "beta" {
		column = "1m"
	}
	return c.program != "" && c.own[column] == nil && slices.Contains(c.operations, column)
}

var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/(\S+), SignedHeaders=([^,]+), Signature=[0-9a-f]{64}$`)

// capture runs the operation against a listener that writes down the request and refuses it for good.
func capture(t *testing.T, s *subject, op string) string {
	var mu sync.Mutex
	var seen []string
	server := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, describe(r))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"message":"seen"}`)
	})}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	defer server.Close()
	base := "http://" + l.Addr().String()
	cmd := s.call(t, shared.outcrop, []string{
		"AWS_ENDPOINT_URL_BEDROCK_RUNTIME=" + base, "ANTHROPIC_BEDROCK_BASE_URL=" + base,
		"ANTHROPIC_BEDROCK_MANTLE_BASE_URL=" + base + "/anthropic",
	}, op, hello)
	if l, err := run(cmd, nil); err != nil || l.Event != "error" {
		t.Errorf("a refused call gives %+v: %v", l, err)
	}
	if len(seen) != 1 {
		t.Fatalf("it sent %d requests: %s", len(seen), seen)
	}
	return seen[0]
}

// describe writes down what a server must know of a request: not what differs from machine to machine.
func describe(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.RequestURI, r.Proto)
	for _, name := range []string{"Accept", "Content-Type", "Anthropic-Version", "Anthropic-Beta", "X-Amz-Content-Sha256", "X-Stainless-Timeout"} {
		if v := r.Header.Get(name); v != "" {
			if name == "X-Amz-Content-Sha256" {
				v = fmt.Sprintf("(%d hex digits)", len(v))
			}
			fmt.Fprintf(&b, "%s: %s\n", strings.ToLower(name), v)
		}
	}
	if m := signature.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		fmt.Fprintf(&b, "scope: %s\nsigned: %s\n", m[1], m[2])
	} else {
		fmt.Fprintf(&b, "authorization: %s\n", r.Header.Get("Authorization"))
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fmt.Fprintf(&b, "body: %v\n", err)
	}
	fmt.Fprintf(&b, "%s\n", body)
	return b.String()
}
