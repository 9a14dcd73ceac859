package sigv4

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A short-term Bedrock API key is a presigned POST https://bedrock.amazonaws.com/
// ?Action=CallWithBearerToken without its scheme, in base64. Version=1 is
// added after signing. Source: aws/aws-bedrock-token-generator-python and -js.
const (
	// APIKeyPrefix begins every short-term key.
	APIKeyPrefix = "bedrock-api-key-"
	// MaxAPIKeyLife is AWS's bound, and so is ours.
	MaxAPIKeyLife = 12 * time.Hour

	apiKeyHost    = "bedrock.amazonaws.com"
	apiKeyService = "bedrock"
)

var (
	// ErrAPIKeyFormat: not a short-term key, or a broken one.
	ErrAPIKeyFormat = errors.New("not a short-term Bedrock API key")
	// ErrAPIKeyTime: expired, or from the future.
	ErrAPIKeyTime = errors.New("the short-term API key is not valid at this time")
)

// PresignAPIKey makes a short-term API key that Bedrock takes in region.
func PresignAPIKey(c Credentials, region string, at time.Time, life time.Duration) (string, error) {
	seconds := int64(life / time.Second)
	switch {
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return "", errors.New("sigv4: API key: no credentials")
	case region == "":
		return "", errors.New("sigv4: API key: no region")
	case seconds < 1 || life > MaxAPIKeyLife:
		return "", fmt.Errorf("sigv4: API key: a life of %v is not between 1s and %v", life, MaxAPIKeyLife)
	}
	stamp := at.UTC().Format(stampForm)
	k := keyScope{c.SecretAccessKey, stamp[:8], region, apiKeyService}
	q := "Action=CallWithBearerToken&X-Amz-Algorithm=" + algorithm +
		"&X-Amz-Credential=" + encode(c.AccessKeyID+"/"+string(appendScope(nil, k))) +
		"&X-Amz-Date=" + stamp + "&X-Amz-Expires=" + strconv.FormatInt(seconds, 10)
	if c.SessionToken != "" {
		q += "&X-Amz-Security-Token=" + encode(c.SessionToken)
	}
	q += "&X-Amz-SignedHeaders=host"
	sig, err := apiKeySignature(k, stamp, q)
	if err != nil {
		return "", err
	}
	plain := apiKeyHost + "/?" + q + "&X-Amz-Signature=" + string(sig[:]) + "&Version=1"
	return APIKeyPrefix + base64.StdEncoding.EncodeToString([]byte(plain)), nil
}

func encode(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func apiKeySignature(k keyScope, stamp, query string) (sig [64]byte, err error) {
	fields := [...]field{{name: "host", one: apiKeyHost}}
	canonical, err := appendCanonical(nil, "POST", "/", query, fields[:], EmptySHA256)
	if err != nil {
		return sig, err
	}
	key := derive(k)
	return signature(&key, stamp, k, canonical), nil
}

// PresentedKey is what a short-term key says about itself; nothing in it is
// proven before Verify. It prints without signature and session token.
type PresentedKey struct {
	AccessKeyID  string
	Region       string
	SessionToken string
	Time         time.Time
	Life         time.Duration

	scope            keyScope // without the secret
	stamp, signature string
	query            string // what was signed, in the order it came
}

func (k PresentedKey) String() string {
	return fmt.Sprintf("PresentedKey(%s, %s, until %s)", k.AccessKeyID, k.Region, k.Expires().Format(time.RFC3339))
}
func (k PresentedKey) GoString() string             { return k.String() }
func (k PresentedKey) LogValue() slog.Value         { return slog.StringValue(k.String()) }
func (k PresentedKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Expires is the end of the key's life.
func (k *PresentedKey) Expires() time.Time { return k.Time.Add(k.Life) }

// ParseAPIKey reads a short-term key. The order of its parameters is free: the
// generators differ. Errors never repeat the key.
func ParseAPIKey(key string) (*PresentedKey, error) {
	raw, ok := strings.CutPrefix(key, APIKeyPrefix)
	if !ok {
		return nil, fmt.Errorf("%w: no %s prefix", ErrAPIKeyFormat, APIKeyPrefix)
	}
	plain, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrAPIKeyFormat)
	}
	query, ok := strings.CutPrefix(string(plain), apiKeyHost+"/?")
	if !ok {
		return nil, fmt.Errorf("%w: not of %s", ErrAPIKeyFormat, apiKeyHost)
	}

	k := &PresentedKey{}
	var action, alg, credential, expires, names, version string
	known := map[string]*string{
		"Action": &action, "X-Amz-Algorithm": &alg, "X-Amz-Credential": &credential,
		"X-Amz-Date": &k.stamp, "X-Amz-Expires": &expires, "X-Amz-Security-Token": &k.SessionToken,
		"X-Amz-SignedHeaders": &names, "X-Amz-Signature": &k.signature, "Version": &version,
	}
	seen := make(map[string]bool, len(known))
	var signed []string
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		into := known[name]
		if into == nil {
			return nil, fmt.Errorf("%w: an unknown parameter", ErrAPIKeyFormat)
		}
		if seen[name] {
			return nil, fmt.Errorf("%w: %s stands twice", ErrAPIKeyFormat, name)
		}
		seen[name] = true
		if *into, err = url.QueryUnescape(value); err != nil {
			return nil, fmt.Errorf("%w: a broken escape in %s", ErrAPIKeyFormat, name)
		}
		if name != "X-Amz-Signature" && name != "Version" {
			signed = append(signed, part)
		}
	}
	k.query = strings.Join(signed, "&")

	id, scope, term, ok := splitCredential(credential)
	k.Time, err = time.Parse(stampForm, k.stamp)
	seconds, lifeErr := strconv.ParseUint(expires, 10, 32)
	switch {
	case action != "CallWithBearerToken", alg != algorithm, names != "host", seen["Version"] && version != "1":
		return nil, fmt.Errorf("%w: not a key for CallWithBearerToken", ErrAPIKeyFormat)
	case !ok || term != terminator || scope.region == "" || scope.service != apiKeyService:
		return nil, fmt.Errorf("%w: its credential is not one for %s", ErrAPIKeyFormat, apiKeyService)
	case err != nil || len(k.stamp) != len(stampForm) || scope.day != k.stamp[:8]:
		return nil, fmt.Errorf("%w: its dates do not fit", ErrAPIKeyFormat)
	case lifeErr != nil || seconds < 1 || time.Duration(seconds)*time.Second > MaxAPIKeyLife:
		return nil, fmt.Errorf("%w: its life is not between 1 second and 12 hours", ErrAPIKeyFormat)
	}
	k.AccessKeyID, k.Region, k.scope, k.Life = id, scope.region, scope, time.Duration(seconds)*time.Second
	return k, nil
}

// CheckTime allows Skew before the key's first second, for a generator whose
// clock is ahead, and nothing after its last.
func (k *PresentedKey) CheckTime(now time.Time) error {
	if now.Before(k.Time.Add(-Skew)) {
		return fmt.Errorf("%w: it begins at %s", ErrAPIKeyTime, k.Time.Format(time.RFC3339))
	}
	if now.After(k.Expires()) {
		return fmt.Errorf("%w: it ended at %s", ErrAPIKeyTime, k.Expires().Format(time.RFC3339))
	}
	return nil
}

// Verify checks time and signature. Whether the session token is the one that
// belongs to the access key is the caller's to check.
func (k *PresentedKey) Verify(secret string, now time.Time) error {
	if err := k.CheckTime(now); err != nil {
		return err
	}
	if secret == "" {
		return ErrSignature
	}
	scope := k.scope
	scope.secret = secret
	sig, err := apiKeySignature(scope, k.stamp, k.query)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrSignature, err)
	}
	if !equalSignature(&sig, k.signature) {
		return ErrSignature
	}
	return nil
}
