package http1

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// place is the name of a host.
type place struct{ scheme, host string }

// host is where requests go.
type host struct {
	tls   bool
	name  string // of its certificate
	addr  string // host:port
	aside bool   // its requests are Transport's to send

	idle []*conn // the pool's; the longest idle comes first
}

// host finds the host of r. Proxy is asked once for each.
func (c *Client) host(r *Request) (*host, error) {
	at := place{r.Scheme, r.Host}
	c.pool.mu.Lock()
	h := c.pool.hosts[at]
	c.pool.mu.Unlock()
	if h != nil {
		return h, nil
	}
	u, err := url.Parse(r.Scheme + "://" + r.Host)
	if err != nil {
		return nil, err
	}
	h = &host{tls: r.Scheme == "https", name: u.Hostname(), aside: !canGlance}
	port := u.Port()
	switch {
	case port == "" && h.tls:
		port = "443"
	case port == "":
		port = "80"
	}
	h.addr = net.JoinHostPort(h.name, port)
	if strings.ContainsFunc(r.Host, func(c rune) bool { return c >= 0x80 || c == '%' }) {
		h.aside = true // punycode, IPv6 zones
	}
	if c.Transport.Proxy != nil {
		proxy, err := c.Transport.Proxy(&http.Request{URL: u, Host: r.Host, Header: http.Header{}})
		if err != nil {
			return nil, err
		}
		h.aside = h.aside || proxy != nil
	}
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if c.pool.hosts == nil {
		c.pool.hosts = map[place]*host{}
	}
	if first := c.pool.hosts[at]; first != nil {
		return first, nil
	}
	c.pool.hosts[at] = h
	return h, nil
}
