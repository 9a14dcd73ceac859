package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Skew is how far the clocks of client and server may differ.
const Skew = 5 * time.Minute

// maxSignedHeaders bounds the canonical request of a hostile client.
const maxSignedHeaders = 128

var (
	// ErrMissing: the request carries no Authorization header.
	ErrMissing = errors.New("Missing Authentication Token")
	// ErrSignature: another key, another request, or another way of signing.
	ErrSignature = errors.New("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	// ErrDigest: x-amz-content-sha256 is not the digest of the body.
	ErrDigest = errors.New("x-amz-content-sha256 is not the digest of the body")
)

// IncompleteError is an Authorization header that cannot be read; the text is
// AWS's where AWS has one.
type IncompleteError struct{ Message string }

func (e *IncompleteError) Error() string { return e.Message }

// InvalidError is a well-formed Authorization header that does not fit the
// request or the service; the text is AWS's.
type InvalidError struct{ Message string }

func (e *InvalidError) Error() string { return e.Message }

// SkewError is a signature from too long ago, or from the future.
type SkewError struct {
	Expired     bool
	Signed, Now time.Time
}

func (e *SkewError) Error() string {
	if e.Expired {
		return fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			e.Signed.Format(stampForm), e.Now.Add(-Skew).Format(stampForm), e.Now.Format(stampForm))
	}
	return fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
		e.Signed.Format(stampForm), e.Now.Add(Skew).Format(stampForm), e.Now.Format(stampForm))
}

// Presented is what a request says about its own signature; nothing in it is
// proven before Verify. It prints without signature and session token.
type Presented struct {
	AccessKeyID           string
	Date, Region, Service string // of the credential scope
	Terminator            string // of the credential scope
	SignedHeaders         []string
	Signature             string
	Time                  time.Time
	SessionToken          string // x-amz-security-token or ""
	PayloadHash           string // x-amz-content-sha256 or ""

	stamp string
}

func (p Presented) String() string {
	return fmt.Sprintf("Presented(%s/%s/%s/%s)", p.AccessKeyID, p.Date, p.Region, p.Service)
}
func (p Presented) GoString() string             { return p.String() }
func (p Presented) LogValue() slog.Value         { return slog.StringValue(p.String()) }
func (p Presented) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Parse reads the Authorization header and the x-amz-* headers beside it.
func Parse(r *http.Request) (*Presented, error) {
	auth := r.Header["Authorization"]
	if len(auth) == 0 || len(auth) == 1 && strings.TrimSpace(auth[0]) == "" {
		return nil, ErrMissing
	}
	if len(auth) > 1 {
		return nil, &IncompleteError{"The request has more than one Authorization header."}
	}
	alg, params, _ := strings.Cut(strings.TrimSpace(auth[0]), " ")
	if alg != algorithm {
		return nil, &IncompleteError{fmt.Sprintf("Unsupported AWS 'algorithm': '%s' (only AWS4-HMAC-SHA256 for now). ", algorithmName(alg))}
	}

	p := &Presented{}
	var credential, names string
	for params != "" {
		var part string
		part, params, _ = strings.Cut(params, ",")
		part = strings.TrimSpace(part)
		key, value, ok := strings.Cut(part, "=")
		var into *string
		switch key {
		case "Credential":
			into = &credential
		case "SignedHeaders":
			into = &names
		case "Signature":
			into = &p.Signature
		default:
			ok = false
		}
		if !ok {
			return nil, &IncompleteError{fmt.Sprintf("Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '%s'.", hashed(auth[0]))}
		}
		if *into != "" {
			return nil, &IncompleteError{fmt.Sprintf("The Authorization header has more than one '%s' parameter.", key)}
		}
		*into = value
	}

	var err error
	one := func(name string) (value string) {
		switch v := r.Header[name]; len(v) {
		case 0:
		case 1:
			value = v[0]
		default:
			if err == nil {
				err = &IncompleteError{fmt.Sprintf("The request has more than one %s header.", name)}
			}
		}
		return value
	}
	date, httpDate := one("X-Amz-Date"), one("Date")
	p.SessionToken, p.PayloadHash = one("X-Amz-Security-Token"), one("X-Amz-Content-Sha256")
	if err != nil {
		return nil, err
	}

	var missing strings.Builder
	for _, q := range [...]struct{ name, value string }{
		{"Credential", credential}, {"Signature", p.Signature}, {"SignedHeaders", names},
	} {
		if q.value == "" {
			missing.WriteString("Authorization header requires '" + q.name + "' parameter. ")
		}
	}
	if date == "" && httpDate == "" {
		missing.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
	}
	if missing.Len() > 0 {
		return nil, &IncompleteError{missing.String() + "(Hashed with SHA-256 and encoded with Base64) Authorization=" + hashed(auth[0])}
	}

	if date != "" {
		p.stamp = date
		p.Time, err = time.Parse(stampForm, date)
		if err != nil || len(date) != len(stampForm) {
			return nil, &IncompleteError{fmt.Sprintf("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", shorten(date))}
		}
	} else {
		if p.Time, err = http.ParseTime(httpDate); err != nil {
			return nil, &IncompleteError{fmt.Sprintf("Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", shorten(httpDate))}
		}
		p.Time = p.Time.UTC()
		p.stamp = p.Time.Format(stampForm)
	}

	id, scope, term, ok := splitCredential(credential)
	if !ok {
		return nil, &IncompleteError{fmt.Sprintf("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", credentialName(credential))}
	}
	p.AccessKeyID, p.Date, p.Region, p.Service, p.Terminator = id, scope.day, scope.region, scope.service, term

	if strings.Count(names, ";") >= maxSignedHeaders {
		return nil, &IncompleteError{"The Authorization header names too many SignedHeaders."}
	}
	p.SignedHeaders = strings.Split(names, ";")
	for i, n := range p.SignedHeaders {
		// A header named a thousand times would make a canonical request of gigabytes.
		for _, m := range p.SignedHeaders[:i] {
			if len(m) == len(n) && compareFold(m, n) == 0 {
				return nil, &IncompleteError{"The Authorization header names a SignedHeader twice."}
			}
		}
	}
	return p, nil
}

// day is the date that the scope must have.
func (p *Presented) day() string { return p.stamp[:min(8, len(p.stamp))] }

// Signed says whether the signature covers the header.
func (p *Presented) Signed(header string) bool {
	for _, n := range p.SignedHeaders {
		if len(n) == len(header) && compareFold(n, header) == 0 {
			return true
		}
	}
	return false
}

// CheckTime gives a *SkewError when the signature is not of now.
func (p *Presented) CheckTime(now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	if p.Time.Before(now.Add(-Skew)) {
		return &SkewError{Expired: true, Signed: p.Time, Now: now}
	}
	if p.Time.After(now.Add(Skew)) {
		return &SkewError{Signed: p.Time, Now: now}
	}
	return nil
}

// CheckScope gives an *InvalidError with all that is wrong with the scope, in
// AWS's words and order. The first service is the one that AWS would name.
func (p *Presented) CheckScope(region func(string) bool, services ...string) error {
	if !p.Signed("host") && !p.Signed(":authority") {
		return &InvalidError{"'Host' must be a 'SignedHeader' in the AWS Authorization."}
	}
	var wrong string
	if p.Region == "" || region != nil && !region(p.Region) {
		wrong += fmt.Sprintf("Credential should be scoped to a valid region, not '%s'. ", shorten(p.Region))
	}
	fits := false
	for _, s := range services {
		fits = fits || s == p.Service
	}
	if !fits && len(services) > 0 {
		wrong += fmt.Sprintf("Credential should be scoped to correct service: '%s'. ", services[0])
	}
	if p.Terminator != terminator {
		wrong += fmt.Sprintf("Credential should be scoped with a valid terminator: 'aws4_request', not '%s'. ", shorten(p.Terminator))
	}
	if p.Date != p.day() {
		wrong += fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'. ",
			shorten(p.Date), p.day(), p.stamp)
	}
	if wrong != "" {
		return &InvalidError{wrong}
	}
	return nil
}

// Verifier checks signatures. It keeps derived keys; the zero value is ready, and it
// may be used by many goroutines.
type Verifier struct{ keys derivedKeys }

// CheckSignature compares the signature with the one that secret gives for r
// and the digest. r must be as it came: RequestURI, Host and headers unchanged.
func (v *Verifier) CheckSignature(p *Presented, r *http.Request, secret, bodySHA256 string) error {
	return p.check(r, secret, bodySHA256, v.keys.of)
}

func (p *Presented) check(r *http.Request, secret, bodySHA256 string, derive func(keyScope) [32]byte) error {
	if secret == "" || p.Terminator != terminator || p.Date != p.day() ||
		!p.Signed("host") && !p.Signed(":authority") {
		return ErrSignature
	}
	var fb [32]field
	fields := fb[:0]
	for _, name := range p.SignedHeaders {
		f := field{name: name}
		var kb [64]byte
		switch key := appendHeaderKey(kb[:0], name); string(key) {
		case "Host", ":authority":
			f.one = r.Host
		case "Content-Length":
			f.one = strconv.FormatInt(r.ContentLength, 10)
		case "Transfer-Encoding": // net/http moves it
			f.many = r.TransferEncoding
		default:
			if f.many = r.Header[string(key)]; f.many == nil {
				return fmt.Errorf("%w (signed header %q is not there)", ErrSignature, shorten(name))
			}
		}
		fields = append(fields, f)
	}
	path, query := target(r)
	var cb [2048]byte
	canonical, err := appendCanonical(cb[:0], r.Method, path, query, fields, bodySHA256)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrSignature, err)
	}
	k := keyScope{secret, p.Date, p.Region, p.Service}
	key := derive(k)
	if sig := signature(&key, p.stamp, k, canonical); !equalSignature(&sig, p.Signature) {
		return ErrSignature
	}
	return nil
}

// Verify checks time, digest and signature. The scope's service and region are
// the caller's to judge, with CheckScope.
func (p *Presented) Verify(r *http.Request, secret string, bodySHA256 [32]byte, now time.Time) error {
	if err := p.CheckTime(now); err != nil {
		return err
	}
	var hb [2 * sha256.Size]byte
	hex.Encode(hb[:], bodySHA256[:])
	if p.PayloadHash != "" && p.PayloadHash != string(hb[:]) {
		return ErrDigest
	}
	return p.check(r, secret, string(hb[:]), derive)
}

// appendHeaderKey is http.CanonicalHeaderKey into a buffer. A name that it
// would leave alone (a pseudo header) stays as it is.
func appendHeaderKey(dst []byte, name string) []byte {
	up := true
	for i := 0; i < len(name); i++ {
		c := lower(name[i])
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = c == '-'
		dst = append(dst, c)
		if i == 0 && c == ':' {
			return append(dst, name[1:]...)
		}
	}
	return dst
}

// hashed is how AWS names an Authorization header without repeating it.
func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// algorithmName repeats a scheme, but not a key that stands in its place.
func algorithmName(s string) string {
	switch {
	case strings.HasPrefix(s, "AWS") && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "":
		return shorten(s)
	case strings.EqualFold(s, "Basic"), strings.EqualFold(s, "Digest"), strings.EqualFold(s, "Bearer"), strings.EqualFold(s, "Negotiate"):
		return s
	default:
		return "(SHA-256, Base64) " + hashed(s)
	}
}

// credentialName repeats a scope after an id, but not a secret in its place: ids
// are upper-case, and secrets may hold slashes.
func credentialName(s string) string {
	id, scope, _ := strings.Cut(s, "/")
	if strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "" && strings.HasSuffix(scope, "/aws4_request") {
		return shorten(s)
	}
	return "(SHA-256, Base64) " + hashed(s)
}

// shorten bounds what an error repeats of the request.
func shorten(s string) string {
	if len(s) > 128 {
		s = s[:128]
	}
	return strings.ToValidUTF8(s, "?")
}
