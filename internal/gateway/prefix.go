package gateway

import (
	"bytes"
	"time"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// How long a prompt cache lives after its last use; spec: service.md 8.
const (
	cacheShort = 5 * time.Minute
	cacheLong  = time.Hour // ttl "1h"
)

// prefix names what a prompt cache may hold of the request, and how long: nothing,
// if nothing in it is marked. A conversation is known by what stays from turn to
// turn; its marks do not, they move on to the newest turn.
func (g *Gateway) prefix(req Request) (routing.Prefix, time.Duration) {
	b := req.Body
	if !bytes.Contains(b.data, []byte("cache_control")) && !bytes.Contains(b.data, []byte("cachePoint")) {
		return 0, 0
	}
	parts := append(make([][]byte, 0, 5), []byte(req.Head.Ref))
	for _, key := range []string{"tools", "toolConfig", "system"} {
		if v, ok := b.Get(key); ok {
			parts = append(parts, unmarked(v))
		}
	}
	if v, ok := b.Get("messages"); ok {
		if turns, err := jsonspan.ScanArray(nil, v); err == nil && len(turns) > 0 {
			parts = append(parts, unmarked(turns[0].Value(v)))
		}
	}
	ttl := cacheShort
	if hasHour(b.data) {
		ttl = cacheLong
	}
	return g.Health.PrefixOf(parts...), ttl
}

// unmarked is JSON without its cache marks, which are members
// ("cache_control":{...}) or blocks ({"cachePoint":{...}}), and without the comma
// that each brings. Inside a string their quotes would be escaped.
func unmarked(raw []byte) []byte {
	var out []byte
	for {
		start, end := mark(raw)
		if end == 0 {
			if out == nil {
				return raw
			}
			return append(out, raw...)
		}
		if out == nil {
			out = make([]byte, 0, len(raw))
		}
		before, rest := bytes.TrimRight(raw[:start], " \t\r\n"), bytes.TrimLeft(raw[end:], " \t\r\n")
		if n := len(before); n > 0 && before[n-1] == ',' {
			before = before[:n-1]
		} else {
			rest = bytes.TrimPrefix(rest, []byte(","))
		}
		out, raw = append(out, before...), rest
	}
}

// mark finds the first cache mark; end 0: there is none.
func mark(raw []byte) (start, end int) {
	member, block := bytes.Index(raw, []byte(`"cache_control"`)), bytes.Index(raw, []byte(`"cachePoint"`))
	start = member
	if member < 0 || block >= 0 && block < member {
		start = block
	}
	if start < 0 {
		return 0, 0
	}
	end = start + bytes.IndexByte(raw[start:], '}') + 1
	if end == start {
		return 0, 0
	}
	if start == block { // the object around it too
		close := bytes.IndexByte(raw[end:], '}')
		open := bytes.LastIndexByte(raw[:start], '{')
		if close >= 0 && open >= 0 {
			start, end = open, end+close+1
		}
	}
	return start, end
}

// hasHour reports a mark whose cache lives an hour.
func hasHour(raw []byte) bool {
	for {
		_, after, ok := bytes.Cut(raw, []byte(`"ttl"`))
		if !ok {
			return false
		}
		value := bytes.TrimLeft(after, " \t\r\n:")
		if bytes.HasPrefix(value, []byte(`"1h"`)) {
			return true
		}
		raw = after
	}
}
