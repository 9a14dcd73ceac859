package http1

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// aside sends r by Transport.
func (c *Client) aside(ctx context.Context, r *Request) (*http.Response, bool, error) {
	u, err := url.Parse(r.Scheme + "://" + r.Host + r.Target)
	if err != nil {
		return nil, false, err
	}
	var begun atomic.Bool
	// It writes a request again, on another connection, if nothing of it was sent.
	req := (&http.Request{Method: r.Method, URL: u, Host: r.Host, Header: r.Header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}).
		WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GetConn:      func(string) { begun.Store(false) },
			WroteHeaders: func() { begun.Store(true) },
		}))
	if len(r.Body) > 0 {
		// It writes header and body in one go if it knows the body's type.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = int64(len(r.Body))
	}
	resp, err := c.Transport.RoundTrip(req)
	if err != nil {
		return nil, begun.Load(), cause(ctx, err)
	}
	return resp, true, nil
}
