package httpapi

import (
	"bufio"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// NewHTTPServer bounds what a hostile client can hold: headers in 10 s and
// 64 KB, idle connections for 120 s. Bodies and answers have their own limits.
// HTTP/2 is spoken in clear with prior knowledge, which the AWS SDK for
// JavaScript does, and over TLS.
func NewHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: h, Protocols: &protocols,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 120 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// SniffTLS serves TLS and clear text on one port: a TLS connection begins with
// the byte 0x16, which no HTTP request does.
func SniffTLS(ln net.Listener, cfg *tls.Config) net.Listener {
	s := &sniffer{Listener: ln, cfg: cfg, conns: make(chan net.Conn), done: make(chan struct{})}
	go s.accept()
	return s
}

type sniffer struct {
	net.Listener
	cfg   *tls.Config
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	err   error
}

func (s *sniffer) accept() {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			s.err = err
			s.once.Do(func() { close(s.done) })
			return
		}
		go s.sniff(c)
	}
}

// sniff waits for the first byte as long as for a header.
func (s *sniffer) sniff(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReaderSize(c, 512)
	first, err := r.Peek(1)
	if err != nil {
		c.Close()
		return
	}
	_ = c.SetReadDeadline(time.Time{})
	var conn net.Conn = &peeked{Conn: c, r: r}
	if first[0] == 0x16 {
		conn = tls.Server(conn, s.cfg)
	}
	select {
	case s.conns <- conn:
	case <-s.done:
		c.Close()
	}
}

func (s *sniffer) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, s.err
	}
}

type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.r.Buffered() > 0 {
		return p.r.Read(b)
	}
	return p.Conn.Read(b)
}
