package http1

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/net/http/httpguts"
)

// Request is what is sent.
type Request struct {
	Method string // not HEAD or CONNECT, whose answers are read by other rules
	Scheme string // http or https
	Host   string // host or host:port
	Target string // path and query as they stand on the wire, from "/" on

	// Header is without what frames the message: that is refused.
	Header http.Header

	// Body is sent with its length. It is read until Do has failed, or the
	// answer's Body has ended or is closed; by Transport perhaps longer, so that
	// its memory is not used again.
	Body []byte
}

// check refuses what would be read as another request than the one that was meant.
func (r *Request) check() error {
	switch {
	case !httpguts.ValidHeaderFieldName(r.Method) || r.Method == http.MethodHead || r.Method == http.MethodConnect:
		return fmt.Errorf("http1: method %q cannot be sent", r.Method)
	case r.Scheme != "http" && r.Scheme != "https":
		return fmt.Errorf("http1: scheme %q is not http or https", r.Scheme)
	case r.Host == "" || !httpguts.ValidHostHeader(r.Host):
		return fmt.Errorf("http1: %q is not a host", r.Host)
	case r.Target == "" || r.Target[0] != '/':
		return errors.New("http1: a target begins with a slash")
	}
	for i := range len(r.Target) {
		if c := r.Target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return fmt.Errorf("http1: %q in a target", c)
		}
	}
	all := 0
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) || framing(name) {
			return &HeaderError{name, "it may not be in a request"}
		}
		for _, v := range values {
			all += len(name) + len(v)
			switch {
			case !httpguts.ValidHeaderFieldValue(v):
				return &HeaderError{name, "its value has a character that may not be there"}
			case len(name)+len(v) > maxHeader:
				return &HeaderError{name, fmt.Sprintf("it is larger than %d bytes", maxHeader)}
			case all > maxHeaders:
				return &HeaderError{name, fmt.Sprintf("with it the headers are larger than %d bytes", maxHeaders)}
			}
		}
	}
	return nil
}

// What is larger, servers refuse, or hang up on.
// Source: Elastic Load Balancing User Guide, quotas of Application Load Balancers.
const (
	maxHeader  = 16 << 10
	maxHeaders = 64 << 10
)

// HeaderError is a header that cannot be sent. It says nothing of its value, which
// may be a secret.
type HeaderError struct{ Name, Why string }

func (e *HeaderError) Error() string { return fmt.Sprintf("http1: header %q: %s", e.Name, e.Why) }

// framing are the headers that say where a message ends and what becomes of its
// connection.
func framing(name string) bool {
	switch len(name) {
	case len("Te"), len("Host"), len("Expect"), len("Trailer"), len("Connection"), len("Content-Length"), len("Transfer-Encoding"):
		switch http.CanonicalHeaderKey(name) {
		case "Te", "Host", "Expect", "Trailer", "Upgrade", "Connection", "Keep-Alive", "Content-Length", "Transfer-Encoding":
			return true
		}
	}
	return false
}

// appendHead writes all before the body.
func (r *Request) appendHead(b []byte) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	for name, values := range r.Header {
		for _, v := range values {
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, v...)
			b = append(b, "\r\n"...)
		}
	}
	if len(r.Body) > 0 || r.Method != http.MethodGet {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.Body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...)
}
