package bedrock

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// answerWithin is AWS's own limit for an answer that is not streamed.
// Source: Amazon Bedrock User Guide, inference calls to Claude (60 minutes).
const answerWithin = time.Hour

// errSelf: the address is one that this server listens on.
var errSelf = errors.New("the endpoint is this server itself")

// newTransport keeps connections to each Region apart and warm. A stream's cost is
// per read and flush: reads of 32 KiB take a quarter of the CPU off.
func newTransport(config *tls.Config, self []netip.AddrPort) *http.Transport {
	// A far end that is gone is noticed within two minutes, also while it is waited for.
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 15 * time.Second, Count: 5}}
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err == nil && isSelf(c, self) {
				c.Close()
				return nil, errSelf
			}
			return c, err
		},
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: answerWithin,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        32 << 10,
		WriteBufferSize:       8 << 10,
		DisableCompression:    true,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	return t
}

// isSelf compares the far end with where this server listens. A connection to
// one's own machine has one address at both ends, whatever it was called.
func isSelf(c net.Conn, self []netip.AddrPort) bool {
	remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return false
	}
	local, _ := netip.ParseAddrPort(c.LocalAddr().String())
	for _, s := range self {
		if s.Port() != remote.Port() {
			continue
		}
		if ip := s.Addr().Unmap(); ip == remote.Addr().Unmap() || ip.IsUnspecified() && local.Addr() == remote.Addr() {
			return true
		}
	}
	return false
}
