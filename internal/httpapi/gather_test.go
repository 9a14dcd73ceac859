package httpapi_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/upstream/scripted"
)

// counting counts the writes on its connections.
type counting struct {
	net.Listener
	writes *atomic.Int64
}

type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return counted{c, l.writes}, nil
}

func (c counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// TestGather: an answer of 20 KB, whole or as a burst of a stream, leaves in one
// write, under TLS too, and a stream's end in one more; one that is larger, and one
// to HTTP/1.0, arrives as ever.
func TestGather(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	cfg, trusting := certified.TLS.Clone(), certified.Client().Transport.(*http.Transport).TLSClientConfig
	certified.Close()

	for _, test := range []struct {
		name, path, proto string
		tls               bool
		size, most        int64 // of the text; writes of each answer but the first
	}{
		{"whole", invokePath, "HTTP/1.1", false, 20 << 10, 1},
		{"whole, TLS", invokePath, "HTTP/1.1", true, 20 << 10, 1},
		{"whole, large", invokePath, "HTTP/1.1", false, 1 << 20, 3},
		{"whole, HTTP/1.0", invokePath, "HTTP/1.0", false, 20 << 10, 1},
		{"stream", invokePath + "-with-response-stream", "HTTP/1.1", false, 20 << 10, 2},
		{"stream, TLS", invokePath + "-with-response-stream", "HTTP/1.1", true, 20 << 10, 2},
		{"stream, large", invokePath + "-with-response-stream", "HTTP/1.1", false, 1 << 20, 4},
		{"stream, HTTP/1.0", invokePath + "-with-response-stream", "HTTP/1.0", false, 20 << 10, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Repeat("x", int(test.size))
			s := newSetup(t, scripted.Scenario{Rules: []scripted.Rule{{Answer: scripted.Answer{Content: []scripted.Block{{Text: &text}}, Chunk: 4 << 10}}}})
			tcp, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var writes atomic.Int64
			ln := httpapi.Gather(counting{tcp, &writes})
			if test.tls {
				ln = httpapi.SniffTLS(ln, cfg)
			}
			srv := httpapi.NewHTTPServer(s.Server, s.Log)
			go srv.Serve(ln)
			defer srv.Close()
			c, err := net.Dial("tcp", tcp.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if test.tls {
				trusting := trusting.Clone()
				trusting.ServerName = "example.com" // of httptest's certificate
				c = tls.Client(c, trusting)
			}
			defer c.Close()
			r := bufio.NewReader(c)
			for i := range 3 {
				before := writes.Load()
				req, err := http.NewRequest("POST", "http://"+tcp.Addr().String()+test.path, strings.NewReader(invokeBody))
				if err != nil {
					t.Fatal(err)
				}
				s.sign(t, req, []byte(invokeBody))
				var head strings.Builder
				fmt.Fprintf(&head, "POST %s %s\r\nHost: %s\r\nContent-Length: %d\r\nConnection: keep-alive\r\n", req.URL.RequestURI(), test.proto, req.URL.Host, len(invokeBody))
				req.Header.Write(&head)
				io.WriteString(c, head.String()+"\r\n"+invokeBody)
				resp, err := http.ReadResponse(r, req)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 || int64(len(raw)) < test.size {
					t.Fatalf("%s, %d bytes, %v", resp.Status, len(raw), err)
				}
				if n := writes.Load() - before; n > test.most && (i > 0 || !test.tls) { // the first has the handshake
					t.Errorf("%d writes", n)
				}
				if resp.Close {
					break
				}
			}
		})
	}
}
