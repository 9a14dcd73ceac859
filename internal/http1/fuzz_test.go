//go:build unix

package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
)

// pair is a connection without a network.
func pair() (ours, far net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(file); err != nil {
			return nil, nil, err
		}
		file.Close()
	}
	return ends[0], ends[1], nil
}

// FuzzAnswer: whatever a far end says, a call gets what net/http reads in it, and
// the connection is used again only where that was all and well.
func FuzzAnswer(f *testing.F) {
	for _, a := range answers {
		if len(a.bytes) < 4<<10 {
			f.Add([]byte(a.bytes))
			f.Add([]byte(a.bytes + a.bytes))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, rest, again := parse(data)
		var far net.Conn
		dials := 0
		c := &Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, other, err := pair()
			if err != nil {
				return nil, err
			}
			if dials++; dials == 1 {
				far = other
				go func() {
					http.ReadRequest(bufio.NewReader(other))
					other.Write(data)
					if !again {
						other.(*net.UnixConn).CloseWrite()
					}
				}()
				return ours, nil
			}
			go func() {
				defer other.Close()
				http.ReadRequest(bufio.NewReader(other))
				io.WriteString(other, answered)
			}()
			return ours, nil
		}}}
		defer c.CloseIdleConnections()
		ask := func() got {
			resp, sent, err := c.Do(context.Background(), &Request{Method: "GET", Scheme: "http", Host: "bedrock.example", Target: "/"})
			if !sent {
				t.Fatalf("not sent: %v", err)
			}
			return read(resp, err)
		}
		g := ask()
		defer far.Close()
		if g.headErr != want.headErr || g.bodyErr != want.bodyErr || g.status != want.status || g.body != want.body {
			t.Fatalf("got %.300v, want %.300v", g, want)
		}
		if !again {
			if g = ask(); g.body != "ok" || dials != 2 {
				t.Fatalf("after %q, with %q behind it, on connection %d: %v", data, rest, dials, g)
			}
			return
		}
		go func() {
			http.ReadRequest(bufio.NewReader(far))
			io.WriteString(far, answered)
		}()
		if g = ask(); g.body != "ok" || dials != 1 {
			t.Fatalf("after %q, on connection %d: %v", data, dials, g)
		}
	})
}

// parse is what net/http reads, what is behind it, and whether a request may follow.
func parse(data []byte) (g got, rest []byte, again bool) {
	in := bufio.NewReaderSize(bytes.NewReader(data), readSize)
	for range maxInterim + 1 {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return got{headErr: true}, nil, false
		}
		if resp.StatusCode >= 100 && resp.StatusCode < 200 && resp.StatusCode != 101 {
			continue
		}
		b, err := io.ReadAll(resp.Body)
		g = got{status: resp.StatusCode, body: string(b), bodyErr: err != nil}
		rest, _ = io.ReadAll(in)
		return g, rest, err == nil && len(rest) == 0 && !resp.Close && resp.ProtoMajor == 1 && resp.StatusCode > 199
	}
	return got{headErr: true}, nil, false
}

func TestParse(t *testing.T) {
	for _, a := range answers {
		if _, rest, again := parse(bytes.Clone([]byte(a.bytes))); again != a.again || again && len(rest) > 0 {
			t.Errorf("%s: %t", a.name, again)
		}
	}
}
