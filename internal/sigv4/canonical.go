package sigv4

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// field is one header of the canonical request. A value that net/http keeps
// outside of Header (host, content-length) stands in one; the others are many.
type field struct {
	name string
	one  string
	many []string
}

// appendCanonical is the canonical request. Fields come in the order in which
// the signature names them; names are lowered here.
func appendCanonical(dst []byte, method, path, query string, fields []field, payload string) ([]byte, error) {
	dst = append(dst, method...)
	dst = append(dst, '\n')
	dst = appendPath(dst, path)
	dst = append(dst, '\n')
	dst, err := appendQuery(dst, query)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '\n')
	for i := range fields {
		f := &fields[i]
		dst = appendLower(dst, f.name)
		dst = append(dst, ':')
		if f.many == nil {
			dst = appendTrimmed(dst, f.one)
		}
		for j, v := range f.many {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendTrimmed(dst, v)
		}
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	dst = appendNames(dst, fields)
	dst = append(dst, '\n')
	return append(dst, payload...), nil
}

func appendNames(dst []byte, fields []field) []byte {
	for i := range fields {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = appendLower(dst, fields[i].name)
	}
	return dst
}

// target gives path and query as they stand on the wire. r.URL.Path is of no
// use: %2F and %3A are already decoded there.
func target(r *http.Request) (path, query string) {
	uri := r.RequestURI
	if uri == "" {
		uri = r.URL.RequestURI()
	}
	if !strings.HasPrefix(uri, "/") {
		// The absolute form, from a client that talks to a proxy.
		if _, rest, ok := strings.Cut(uri, "://"); ok {
			if i := strings.IndexAny(rest, "/?"); i >= 0 {
				uri = rest[i:]
			} else {
				uri = "/"
			}
		}
	}
	path, query, _ = strings.Cut(uri, "?")
	if path == "" {
		path = "/"
	}
	return path, query
}

// host is literal: some clients leave the port out and sign that.
func host(r *http.Request) string {
	if r.Host != "" || r.URL == nil {
		return r.Host
	}
	return r.URL.Host
}

const upperHex = "0123456789ABCDEF"

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

func appendPath(dst []byte, path string) []byte {
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '/' || unreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// pair is a query parameter, both halves in canonical encoding.
type pair struct{ key, value string }

// appendQuery sorts by encoded key, then by encoded value. ';' is no separator.
func appendQuery(dst []byte, query string) ([]byte, error) {
	var buf [8]pair
	pairs := buf[:0]
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if part == "" {
			continue
		}
		k, v, _ := strings.Cut(part, "=")
		k, err := recode(k)
		if err != nil {
			return dst, err
		}
		if v, err = recode(v); err != nil {
			return dst, err
		}
		pairs = append(pairs, pair{k, v})
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range pairs {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.key...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst, nil
}

// recode decodes a query component as a form does and encodes it as RFC 3986
// does. A broken escape is an error: dropping the parameter would leave it
// unsigned.
func recode(s string) (string, error) {
	i := 0
	for i < len(s) && unreserved(s[i]) {
		i++
	}
	if i == len(s) {
		return s, nil
	}
	b := make([]byte, i, len(s)+16)
	copy(b, s)
	for ; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", fmt.Errorf("query: broken escape in %q", s)
			}
			c = byte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		if unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b), nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		dst = append(dst, lower(s[i]))
	}
	return dst
}

// appendTrimmed cuts white space at both ends and makes runs of spaces one.
func appendTrimmed(dst []byte, s string) []byte {
	s = strings.Trim(s, " \t\r\n")
	if !strings.Contains(s, "  ") {
		return append(dst, s...)
	}
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' && s[i-1] == ' ' {
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}
