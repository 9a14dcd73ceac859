package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	stampForm  = "20060102T150405Z"

	// EmptySHA256 is the digest of a request without a body, in hex.
	EmptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

// Credentials are an access key. They print without their secrets.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

func (c Credentials) String() string               { return "Credentials(" + c.AccessKeyID + ")" }
func (c Credentials) GoString() string             { return c.String() }
func (c Credentials) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Signer signs requests. It keeps derived keys; the zero value is ready, and
// it may be used by many goroutines.
type Signer struct{ keys derivedKeys }

type keyScope struct{ secret, day, region, service string }

// derivedKeys keeps what derive gives, which is the same for a day. It keeps no
// secret: an access key may be deleted long before its place here is needed.
type derivedKeys struct {
	mu   sync.Mutex
	keys map[keptScope][32]byte
}

// keptScope is a keyScope with the SHA-256 of its secret.
type keptScope struct {
	secret               [sha256.Size]byte
	day, region, service string
}

// maxKeys: a signer for one server needs a handful, a verifier one for each of its
// callers' keys.
const maxKeys = 4096

func (s *derivedKeys) of(k keyScope) [32]byte {
	var buf [128]byte
	kept := keptScope{sha256.Sum256(append(buf[:0], k.secret...)), k.day, k.region, k.service}
	s.mu.Lock()
	d, ok := s.keys[kept]
	s.mu.Unlock()
	if ok {
		return d
	}
	d = derive(k)
	// The names are parts of longer strings, of requests.
	kept.day, kept.region, kept.service = strings.Clone(k.day), strings.Clone(k.region), strings.Clone(k.service)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil || len(s.keys) >= maxKeys {
		s.keys = make(map[keptScope][32]byte)
	}
	s.keys[kept] = d
	return d
}

// Sign sets X-Amz-Date, X-Amz-Security-Token and Authorization on r. bodySHA256
// is the hex digest of the body that will be sent. Every header is signed but
// those that proxies and transports change on the way.
func (s *Signer) Sign(r *http.Request, bodySHA256 string, c Credentials, region, service string, at time.Time) error {
	switch {
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return errors.New("sigv4: sign: no credentials")
	case region == "" || service == "":
		return errors.New("sigv4: sign: no region or service")
	case len(bodySHA256) != 2*sha256.Size:
		return errors.New("sigv4: sign: the body digest is not SHA-256 in hex")
	}
	if r.Header == nil {
		r.Header = make(http.Header)
	}
	var sb [len(stampForm)]byte
	stamp := string(at.UTC().AppendFormat(sb[:0], stampForm))
	values := [...]string{stamp, ""} // the signature comes last
	r.Header["X-Amz-Date"] = values[:1:1]
	if c.SessionToken != "" {
		r.Header["X-Amz-Security-Token"] = []string{c.SessionToken}
	} else {
		delete(r.Header, "X-Amz-Security-Token")
	}
	if r.Header.Get("X-Amz-Content-Sha256") != "" {
		r.Header["X-Amz-Content-Sha256"] = []string{bodySHA256}
	}

	var fb [32]field
	fields, err := signable(fb[:0], r)
	if err != nil {
		return err
	}
	path, query := target(r)
	var cb [2048]byte
	canonical, err := appendCanonical(cb[:0], r.Method, path, query, fields, bodySHA256)
	if err != nil {
		return fmt.Errorf("sigv4: sign: %w", err)
	}
	k := keyScope{c.SecretAccessKey, stamp[:8], region, service}
	key := s.keys.of(k)
	sig := signature(&key, stamp, k, canonical)

	var ab [512]byte
	a := append(ab[:0], algorithm+" Credential="...)
	a = append(a, c.AccessKeyID...)
	a = append(a, '/')
	a = appendScope(a, k)
	a = append(a, ", SignedHeaders="...)
	a = appendNames(a, fields)
	a = append(a, ", Signature="...)
	a = append(a, sig[:]...)
	values[1] = string(a)
	r.Header["Authorization"] = values[1:]
	return nil
}

// signable appends the headers to sign, in order.
func signable(fields []field, r *http.Request) ([]field, error) {
	fields = append(fields, field{name: "host", one: host(r)})
	if r.ContentLength > 0 {
		fields = append(fields, field{name: "content-length", one: strconv.FormatInt(r.ContentLength, 10)})
	}
	for name, values := range r.Header {
		if !unsigned(name) && len(values) > 0 {
			fields = append(fields, field{name: name, many: values})
		}
	}
	slices.SortFunc(fields, func(a, b field) int { return compareFold(a.name, b.name) })
	for i := 1; i < len(fields); i++ {
		// net/http would send both, in an order that nobody chose.
		if compareFold(fields[i-1].name, fields[i].name) == 0 {
			return nil, fmt.Errorf("sigv4: sign: header %q stands twice, in different case", fields[i].name)
		}
	}
	return fields, nil
}

// unsigned are the headers that a proxy, a tracer or net/http itself may add,
// change or drop after signing, and those that net/http keeps elsewhere.
func unsigned(name string) bool {
	var buf [24]byte
	if len(name) > len(buf) {
		return false
	}
	switch string(appendLower(buf[:0], name)) {
	case "authorization", "host", "content-length",
		"user-agent", "expect", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
		"proxy-authorization", "proxy-connection",
		"x-amzn-trace-id", "traceparent", "tracestate", "baggage",
		"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via":
		return true
	default:
		return false
	}
}

func compareFold(a, b string) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		if d := int(lower(a[i])) - int(lower(b[i])); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}

func appendScope(dst []byte, k keyScope) []byte {
	dst = append(dst, k.day...)
	dst = append(dst, '/')
	dst = append(dst, k.region...)
	dst = append(dst, '/')
	dst = append(dst, k.service...)
	return append(dst, "/"+terminator...)
}

func signature(key *[32]byte, stamp string, k keyScope, canonical []byte) (sig [2 * sha256.Size]byte) {
	var buf [256]byte
	b := append(buf[:0], algorithm+"\n"...)
	b = append(b, stamp...)
	b = append(b, '\n')
	b = appendScope(b, k)
	b = append(b, '\n')
	sum := sha256.Sum256(canonical)
	b = hex.AppendEncode(b, sum[:])
	mac := mac256(key[:], b)
	hex.Encode(sig[:], mac[:])
	return sig
}

func derive(k keyScope) [32]byte {
	var buf [128]byte
	d := mac256(append(append(buf[:0], "AWS4"...), k.secret...), k.day)
	d = mac256(d[:], k.region)
	d = mac256(d[:], k.service)
	return mac256(d[:], terminator)
}

// mac256 is HMAC-SHA256 (RFC 2104). crypto/hmac allocates seven times for a
// key; a verification goes through five keys.
func mac256[T string | []byte](key []byte, data T) [32]byte {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	var buf [sha256.BlockSize + 256]byte
	b := buf[:sha256.BlockSize]
	copy(b, key)
	for i := range b {
		b[i] ^= 0x36
	}
	inner := sha256.Sum256(append(b, data...))
	b = buf[:sha256.BlockSize]
	for i := range b {
		b[i] ^= 0x36 ^ 0x5c
	}
	return sha256.Sum256(append(b, inner[:]...))
}

// equalSignature compares in constant time.
func equalSignature(want *[2 * sha256.Size]byte, got string) bool {
	var g [2 * sha256.Size]byte
	if len(got) != len(g) {
		return false
	}
	copy(g[:], got)
	return hmac.Equal(want[:], g[:])
}

// splitCredential reads id/day/region/service/terminator.
func splitCredential(s string) (id string, k keyScope, term string, ok bool) {
	if strings.Count(s, "/") != 4 {
		return "", k, "", false
	}
	id, s, _ = strings.Cut(s, "/")
	k.day, s, _ = strings.Cut(s, "/")
	k.region, s, _ = strings.Cut(s, "/")
	k.service, term, _ = strings.Cut(s, "/")
	return id, k, term, id != ""
}
