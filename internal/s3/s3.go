// Package s3 puts objects into a bucket of Amazon S3, or of a store that speaks
// its API.
//
// Invariant: an object is there once Put has returned.
//
// Not a goal: the rest of the API, nor retries: whoever puts has a queue.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Bucket is one bucket.
type Bucket struct {
	Name        string
	Region      string
	Endpoint    string // of another store, http or https; "" is Amazon's
	VirtualHost bool   // the bucket stands before the endpoint's host name, and not in the path
	Credentials aws.CredentialsProvider
	Client      *http.Client     // nil: one that follows no redirection
	Now         func() time.Time // nil: time.Now
}

// putTimeout bounds one attempt.
const putTimeout = 2 * time.Minute

// direct follows no redirection: a signature is good for one host, and objects
// are for nobody else.
func direct() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Error is an answer of the store.
type Error struct {
	Status  int
	Code    string
	Message string
}

func (e *Error) Error() string {
	return fmt.Sprintf("the store answers %d %s: %s", e.Status, e.Code, e.Message)
}

// Put makes an object.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, contentType string) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	req, err := b.request(ctx, http.MethodPut, key, body, contentType)
	if err != nil {
		return fmt.Errorf("s3://%s/%s: %w", b.Name, key, err)
	}
	c := b.Client
	if c == nil {
		c = direct()
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) // so that the connection is used again
		return err
	}
	return fmt.Errorf("s3://%s/%s: %w", b.Name, key, readError(resp))
}

func readError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, Code: http.StatusText(resp.StatusCode)}
	var answer struct {
		Code     string
		Message  string
		Endpoint string
	}
	if raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); err == nil && xml.Unmarshal(raw, &answer) == nil && answer.Code != "" {
		e.Code, e.Message = answer.Code, answer.Message
		if answer.Endpoint != "" {
			e.Message += " (" + answer.Endpoint + ")"
		}
	}
	if region := resp.Header.Get("X-Amz-Bucket-Region"); region != "" && resp.StatusCode >= 300 && resp.StatusCode < 500 {
		e.Message += " (the bucket is in " + region + ")"
	}
	return e
}

func (b *Bucket) request(ctx context.Context, method, key string, body []byte, contentType string) (*http.Request, error) {
	u, err := b.url(key)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	sum := sha256.Sum256(body)
	digest := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", digest)
	if b.Credentials == nil {
		return nil, errors.New("no credentials are set")
	}
	creds, err := b.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now
	if b.Now != nil {
		now = b.Now
	}
	// S3 alone signs the path as it stands, not encoded once more.
	err = v4.NewSigner().SignHTTP(ctx, creds, req, digest, "s3", b.Region, now(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	return req, err
}

func (b *Bucket) url(key string) (*url.URL, error) {
	if !fs.ValidPath(key) { // who makes paths short on the way would put it into another bucket
		return nil, errors.New("the key is no plain path")
	}
	path := "/" + escape(key)
	if b.Endpoint == "" {
		suffix := "amazonaws.com"
		if strings.HasPrefix(b.Region, "cn-") {
			suffix += ".cn"
		}
		host := fmt.Sprintf("%s.s3.%s.%s", b.Name, b.Region, suffix)
		if strings.Contains(b.Name, ".") { // its TLS certificate covers one label
			host, path = fmt.Sprintf("s3.%s.%s", b.Region, suffix), "/"+escape(b.Name)+path
		}
		return url.Parse("https://" + host + path)
	}
	u, err := url.Parse(b.Endpoint)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is not the address of a store", b.Endpoint)
	}
	if b.VirtualHost {
		return url.Parse(u.Scheme + "://" + b.Name + "." + u.Host + strings.TrimSuffix(u.EscapedPath(), "/") + path)
	}
	return url.Parse(strings.TrimSuffix(b.Endpoint, "/") + "/" + escape(b.Name) + path)
}

// escape encodes a key for a path as the signature's canonical form has it:
// everything but letters, digits and "-._~/".
func escape(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
