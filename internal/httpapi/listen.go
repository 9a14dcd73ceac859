package httpapi

import (
	"bufio"
	"crypto/tls"
	"errors"
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
		ConnContext: withGathering,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// SniffTLS serves TLS and clear text on one port: a TLS connection begins with
// the byte 0x16, which no HTTP request does.
func SniffTLS(ln net.Listener, cfg *tls.Config) net.Listener {
	s := &sniffer{Listener: ln, cfg: cfg, accepted: make(chan accepted), done: make(chan struct{})}
	go s.accept()
	return s
}

type sniffer struct {
	net.Listener
	cfg      *tls.Config
	accepted chan accepted
	done     chan struct{}
	once     sync.Once
}

type accepted struct {
	conn net.Conn
	err  error
}

// accept hands errors on: http.Server waits after one that will pass, such as
// too many open files.
func (s *sniffer) accept() {
	for {
		c, err := s.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			s.end()
			return
		case err != nil:
			if !s.give(accepted{err: err}) {
				return
			}
		default:
			go s.sniff(c)
		}
	}
}

func (s *sniffer) give(a accepted) bool {
	select {
	case s.accepted <- a:
		return true
	case <-s.done:
		return false
	}
}

func (s *sniffer) end() { s.once.Do(func() { close(s.done) }) }

// sniffTimeout is how long the first byte may take: as long as a header.
const sniffTimeout = 10 * time.Second

func (s *sniffer) sniff(c net.Conn) {
	_ = c.SetReadDeadline(time.Now().Add(sniffTimeout))
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
	if !s.give(accepted{conn: conn}) {
		c.Close()
	}
}

func (s *sniffer) Accept() (net.Conn, error) {
	select {
	case a := <-s.accepted:
		return a.conn, a.err
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *sniffer) Close() error {
	s.end()
	return s.Listener.Close()
}

// peeked gives the bytes that were looked at first.
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

// CloseWrite lets net/http end an answer before it closes, so that a client that
// is still sending can read the refusal.
func (p *peeked) CloseWrite() error { return closeWrite(p.Conn) }

func (p *peeked) NetConn() net.Conn { return p.Conn }

func closeWrite(c net.Conn) error {
	if c, ok := c.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}
