package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// Texts of Amazon Bedrock; spec: service.md 2.2, clients.md 1.2.
const (
	textInvalidToken = "The security token included in the request is invalid."
	textExpiredToken = "The security token included in the request is expired"
	textAPIKey       = "Authentication failed: Please make sure your API Key is valid."
	textAPIKeyFormat = "Invalid API Key format: Must start with pre-defined prefix"
)

// metadataHeader must be signed: the record and the bill are told apart by it.
const metadataHeader = "X-Amzn-Bedrock-Request-Metadata"

// Authenticator proves callers against a store of keys.
type Authenticator struct {
	Keys        Keys
	Region      string                   // the server's default
	ValidRegion func(region string) bool // of a credential's scope; nil: RegionName
	Now         func() time.Time         // nil: time.Now

	// SkipAuth lets everyone in as Anonymous. The listener must then be on
	// loopback; that is for who sets it to see to.
	SkipAuth  bool
	Anonymous Owner

	verifier sigv4.Verifier
}

// Pending is a credential that fits as far as can be told without the body.
type Pending struct {
	caller    Caller
	verifier  *sigv4.Verifier
	r         *http.Request
	presented *sigv4.Presented // nil: nothing is left to prove
	secret    string
}

func (p *Pending) String() string   { return "Pending(" + p.caller.KeyID + ")" }
func (p *Pending) GoString() string { return p.String() }

// Begin checks everything that can be checked before the body is read: form,
// dates, scope and key; and the signature too where the request states its
// body's digest, so that a stranger cannot make us read a body. Errors are
// *messages.Error. r must stay as it is until Finish.
func (a *Authenticator) Begin(r *http.Request, s Surface) (*Pending, error) {
	if a.SkipAuth {
		return &Pending{caller: a.caller(a.Anonymous, Anonymous, "", a.claimedRegion(r))}, nil
	}
	if presignedQuery(r) {
		return nil, messages.Errorf(messages.IncompleteToken, "Presigned requests (X-Amz-Signature in the query string) are not supported. Sign the request in the Authorization header.")
	}
	auth := r.Header["Authorization"]
	if len(auth) > 1 {
		return nil, messages.Errorf(messages.IncompleteToken, "The request has more than one Authorization header.")
	}
	var headerKey string
	if s.headerKey() {
		switch v := r.Header["X-Api-Key"]; len(v) {
		case 0:
		case 1:
			headerKey = strings.TrimSpace(v[0])
		default:
			return nil, messages.Errorf(messages.IncompleteToken, "The request has more than one x-api-key header.")
		}
	}

	var scheme, token string
	if len(auth) == 1 {
		scheme, token, _ = strings.Cut(strings.TrimSpace(auth[0]), " ")
		token = strings.TrimSpace(token)
	}
	bearer := strings.EqualFold(scheme, "Bearer")
	switch {
	case scheme == "" && headerKey == "":
		return nil, missing(r, s)
	case scheme == "":
		return a.beginAPIKey(r, headerKey)
	case bedrockKey(headerKey) && !(bearer && token == headerKey):
		// Two identities: whichever we took, something in front of us may have
		// taken the other. A key that is none of Bedrock's is no identity here;
		// clients leak ANTHROPIC_API_KEY into x-api-key beside a signature.
		return nil, messages.Errorf(messages.IncompleteToken, "The request has more than one credential: Authorization and x-api-key. Send one of them.")
	case bearer && s.apiKeys():
		return a.beginAPIKey(r, token)
	case bearer:
		return nil, missing(r, s)
	default:
		return a.beginSignature(r, s)
	}
}

func (a *Authenticator) beginSignature(r *http.Request, s Surface) (*Pending, error) {
	p, err := sigv4.Parse(r)
	if err != nil {
		return nil, refused(err)
	}
	if err := p.CheckTime(a.now()); err != nil {
		return nil, refused(err)
	}
	if err := p.CheckScope(a.validRegion, s.services()...); err != nil {
		return nil, refused(err)
	}
	if err := checkPayloadHash(p.PayloadHash); err != nil {
		return nil, err
	}
	if r.Header[metadataHeader] != nil && !p.Signed(metadataHeader) {
		return nil, refused(sigv4.ErrSignature).WithHint("%s must be among the SignedHeaders.", metadataHeader)
	}
	key, err := a.Keys.AccessKey(r.Context(), p.AccessKeyID)
	if err != nil {
		return nil, lookup(err, messages.UnknownKey, textInvalidToken)
	}
	// Both ways: temporary credentials need their token, and a long-term key
	// with a token is somebody else's token.
	if !equal(key.SessionToken, p.SessionToken) {
		return nil, messages.Errorf(messages.UnknownKey, textInvalidToken).
			WithHint("The session token does not belong to this access key; unset AWS_SESSION_TOKEN if the key has none.")
	}
	if a.expired(key.Expires) {
		return nil, messages.Errorf(messages.ExpiredToken, textExpiredToken)
	}
	if p.PayloadHash != "" {
		if err := a.verifier.CheckSignature(p, r, key.Secret, p.PayloadHash); err != nil {
			return nil, refused(err)
		}
	}
	caller := a.caller(key.Owner, SigV4, key.ID, p.Region)
	caller.Service, caller.Set = p.Service, key.Settings
	return &Pending{caller: caller, verifier: &a.verifier, r: r, presented: p, secret: key.Secret}, nil
}

func (a *Authenticator) beginAPIKey(r *http.Request, token string) (*Pending, error) {
	switch {
	case strings.HasPrefix(token, LongTermPrefix):
		sum := sha256.Sum256([]byte(token))
		key, err := a.Keys.APIKey(r.Context(), sum)
		if err != nil {
			return nil, lookup(err, messages.InvalidAPIKey, textAPIKey)
		}
		if subtle.ConstantTimeCompare(sum[:], key.Sum[:]) != 1 || a.expired(key.Expires) {
			return nil, messages.Errorf(messages.InvalidAPIKey, textAPIKey)
		}
		caller := a.caller(key.Owner, LongTermKey, key.ID, "")
		caller.Set = key.Settings
		return &Pending{caller: caller}, nil

	case strings.HasPrefix(token, sigv4.APIKeyPrefix):
		refuse := func(cause error) (*Pending, error) {
			return nil, messages.Errorf(messages.InvalidAPIKey, textAPIKey).WithCause(cause)
		}
		k, err := sigv4.ParseAPIKey(token)
		if err != nil {
			return refuse(err)
		}
		if !a.validRegion(k.Region) {
			return refuse(errors.New("the key's Region is not one"))
		}
		key, err := a.Keys.AccessKey(r.Context(), k.AccessKeyID)
		if err != nil {
			return nil, lookup(err, messages.InvalidAPIKey, textAPIKey)
		}
		if !equal(key.SessionToken, k.SessionToken) {
			return refuse(errors.New("the key's session token is not the access key's"))
		}
		if a.expired(key.Expires) {
			return refuse(errors.New("the access key behind the key is expired"))
		}
		if err := k.Verify(key.Secret, a.now()); err != nil {
			return refuse(err)
		}
		caller := a.caller(key.Owner, ShortTermKey, key.ID, k.Region)
		caller.Service, caller.Set = "bedrock", key.Settings
		return &Pending{caller: caller}, nil

	default:
		return nil, messages.Errorf(messages.InvalidAPIKey, textAPIKeyFormat)
	}
}

// Finish proves the signature over the body's digest. Time is not looked at
// again: a body may take longer to come than a signature lives.
func (p *Pending) Finish(bodySHA256 [sha256.Size]byte) (Caller, error) {
	if p.presented == nil {
		return p.caller, nil
	}
	var room [2 * sha256.Size]byte
	hex.Encode(room[:], bodySHA256[:])
	digest := string(room[:])
	if claimed := p.presented.PayloadHash; claimed != "" {
		if claimed != digest {
			return Caller{}, refused(sigv4.ErrDigest)
		}
		return p.caller, nil // Begin has proven the signature over the claim
	}
	if err := p.verifier.CheckSignature(p.presented, p.r, p.secret, digest); err != nil {
		return Caller{}, refused(err)
	}
	return p.caller, nil
}

func (a *Authenticator) caller(o Owner, m Method, keyID, region string) Caller {
	c := Caller{Account: o.Account, Partition: o.Partition, ARN: o.ARN, UserID: o.UserID,
		KeyID: keyID, Region: region, DefaultRegion: o.DefaultRegion, Method: m}
	if c.DefaultRegion == "" {
		c.DefaultRegion = a.Region
	}
	return c
}

// claimedRegion is the Region of a credential that nobody checks.
func (a *Authenticator) claimedRegion(r *http.Request) string {
	region := ""
	if p, err := sigv4.Parse(r); err == nil {
		region = p.Region
	} else {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		for _, key := range []string{token, r.Header.Get("X-Api-Key")} {
			if k, err := sigv4.ParseAPIKey(strings.TrimSpace(key)); err == nil {
				region = k.Region
				break
			}
		}
	}
	if !a.validRegion(region) {
		return ""
	}
	return region
}

func (a *Authenticator) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

func (a *Authenticator) validRegion(region string) bool {
	return RegionName(region) && (a.ValidRegion == nil || a.ValidRegion(region))
}

func (a *Authenticator) expired(at time.Time) bool { return !at.IsZero() && !a.now().Before(at) }

// bedrockKey says whether an x-api-key claims to be a key of Bedrock's.
func bedrockKey(key string) bool {
	return strings.HasPrefix(key, LongTermPrefix) || strings.HasPrefix(key, sigv4.APIKeyPrefix)
}

// presignedQuery finds the parameters of a presigned URL, in whatever escapes.
func presignedQuery(r *http.Request) bool {
	_, query, _ := strings.Cut(r.RequestURI, "?")
	if query == "" && r.URL != nil {
		query = r.URL.RawQuery
	}
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if u, err := url.QueryUnescape(name); err == nil {
			name = u
		}
		if strings.EqualFold(name, "X-Amz-Signature") || strings.EqualFold(name, "X-Amz-Algorithm") {
			return true
		}
	}
	return false
}

// checkPayloadHash refuses S3's ways of not signing the body, by name.
func checkPayloadHash(hash string) error {
	if hash == "" || len(hash) == 2*sha256.Size && strings.Trim(hash, "0123456789abcdef") == "" {
		return nil
	}
	if hash == "UNSIGNED-PAYLOAD" || strings.HasPrefix(hash, "STREAMING-") {
		if len(hash) > 64 {
			hash = hash[:64]
		}
		return messages.Errorf(messages.InvalidSignature, "The x-amz-content-sha256 value %q is not supported. Sign the SHA-256 of the request body.", hash)
	}
	return messages.Errorf(messages.InvalidSignature, "The x-amz-content-sha256 header is not a SHA-256 digest in lower-case hex.")
}

func missing(r *http.Request, s Surface) *messages.Error {
	e := messages.Errorf(messages.MissingToken, "%s", sigv4.ErrMissing.Error())
	switch {
	case !s.apiKeys() && r.Header["Authorization"] != nil:
		return e.WithHint("STS takes signed requests only, no API keys.")
	case !s.headerKey() && r.Header["X-Api-Key"] != nil:
		return e.WithHint("x-api-key is taken on the Messages API only; send the key as Authorization: Bearer.")
	default:
		return e
	}
}

// refused gives sigv4's errors their kinds.
func refused(err error) *messages.Error {
	var incomplete *sigv4.IncompleteError
	var invalid *sigv4.InvalidError
	var skew *sigv4.SkewError
	switch {
	case errors.Is(err, sigv4.ErrMissing):
		return messages.Errorf(messages.MissingToken, "%s", sigv4.ErrMissing.Error())
	case errors.As(err, &incomplete):
		return messages.Errorf(messages.IncompleteToken, "%s", incomplete.Message)
	case errors.As(err, &invalid):
		return messages.Errorf(messages.InvalidSignature, "%s", invalid.Message)
	case errors.As(err, &skew):
		return messages.Errorf(messages.InvalidSignature, "%s", skew.Error())
	case errors.Is(err, sigv4.ErrDigest):
		return messages.Errorf(messages.InvalidSignature, "%s", sigv4.ErrSignature.Error()).
			WithCause(err).WithHint("The body is not the one that x-amz-content-sha256 was made of.")
	case errors.Is(err, sigv4.ErrSignature):
		e := messages.Errorf(messages.InvalidSignature, "%s", sigv4.ErrSignature.Error())
		if err != sigv4.ErrSignature {
			e.Cause = err
		}
		return e
	default:
		return messages.AsError(err)
	}
}

// lookup tells an unknown key from a store that failed.
func lookup(err error, unknown messages.Kind, text string) *messages.Error {
	if errors.Is(err, ErrNoKey) {
		return messages.Errorf(unknown, "%s", text)
	}
	return messages.AsError(err)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
