package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

var creds = credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "")

func TestURL(t *testing.T) {
	for _, c := range []struct {
		b    Bucket
		key  string
		want string
	}{
		{Bucket{Name: "examplebucket", Region: "us-east-1"}, "test$file.text", "https://examplebucket.s3.us-east-1.amazonaws.com/test%24file.text"},
		{Bucket{Name: "b", Region: "cn-north-1"}, "a/b c+é", "https://b.s3.cn-north-1.amazonaws.com.cn/a/b%20c%2B%C3%A9"},
		{Bucket{Name: "with.dots", Region: "eu-west-1"}, "k", "https://s3.eu-west-1.amazonaws.com/with.dots/k"},
		{Bucket{Name: "b", Endpoint: "http://127.0.0.1:9000"}, "x/y", "http://127.0.0.1:9000/b/x/y"},
		{Bucket{Name: "b", Endpoint: "https://store.example/s3/"}, "x", "https://store.example/s3/b/x"},
		{Bucket{Name: "b", Endpoint: "https://store.example:9000/s3/", VirtualHost: true}, "x/y z", "https://b.store.example:9000/s3/x/y%20z"},
		{Bucket{Name: "b", Endpoint: "store.example"}, "x", ""},
		{Bucket{Name: "b", Endpoint: "file:///tmp"}, "x", ""},
		{Bucket{Name: "b", Endpoint: "https://store.example"}, "../other/x", ""},
		{Bucket{Name: "b", Region: "eu-west-1"}, "a/../../other/x", ""},
		{Bucket{Name: "b", Region: "eu-west-1"}, "a//x", ""},
	} {
		u, err := c.b.url(c.key)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s, %s is an address: %s", c.b.Endpoint, c.key, u)
			}
			continue
		}
		if err != nil || u.String() != c.want {
			t.Errorf("%s: %v, %v", c.want, u, err)
		}
	}
}

func TestPut(t *testing.T) {
	var got *http.Request
	var body []byte
	answer := func(w http.ResponseWriter) {}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		answer(w)
	}))
	defer server.Close()
	b := &Bucket{Name: "bucket", Region: "eu-west-1", Endpoint: server.URL, Credentials: creds, Now: func() time.Time { return time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC) }}
	if err := b.Put(t.Context(), "a/b c", []byte("hello"), "application/gzip"); err != nil {
		t.Fatal(err)
	}
	auth := got.Header.Get("Authorization")
	if got.Method != "PUT" || got.RequestURI != "/bucket/a/b%20c" || string(body) != "hello" || got.ContentLength != 5 ||
		got.Header.Get("X-Amz-Content-Sha256") != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" ||
		!strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261122/eu-west-1/s3/aws4_request, SignedHeaders=content-length;content-type;host;x-amz-content-sha256;x-amz-date,") {
		t.Errorf("%s %s %q\n%v", got.Method, got.RequestURI, body, got.Header)
	}

	answer = func(w http.ResponseWriter) {
		w.Header().Set("X-Amz-Bucket-Region", "us-west-2")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
	}
	var e *Error
	if err := b.Put(t.Context(), "k", nil, "x"); !errors.As(err, &e) || e.Status != 403 || e.Code != "AccessDenied" || !strings.Contains(err.Error(), "us-west-2") || !strings.Contains(err.Error(), "s3://bucket/k") {
		t.Errorf("%v", err)
	}
	answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway); fmt.Fprint(w, "<html>") }
	if err := b.Put(t.Context(), "k", nil, "x"); !errors.As(err, &e) || e.Status != 502 {
		t.Errorf("%v", err)
	}
	answer = func(w http.ResponseWriter) {
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
	if err := b.Put(t.Context(), "k", []byte("for us alone"), "x"); !errors.As(err, &e) || e.Status != 307 {
		t.Errorf("a redirection: %v", err)
	}
	b.Credentials = aws.AnonymousCredentials{}
	if err := b.Put(t.Context(), "k", nil, "x"); err == nil {
		t.Error("an object without credentials")
	}
	b.Credentials = nil
	if err := b.Put(t.Context(), "k", nil, "x"); err == nil {
		t.Error("an object without a provider of credentials")
	}
}

// Against moto's server, an implementation of S3 that is not ours.
func TestMoto(t *testing.T) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		t.Skip("SKIPPED: moto_server is not installed (pip install 'moto[server]')")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, path, "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Skipf("SKIPPED: moto_server does not start: %v", err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	create := func() error {
		req, err := http.NewRequest(http.MethodPut, "http://"+addr+"/logs", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	deadline := time.Now().Add(30 * time.Second)
	for create() != nil {
		select {
		case <-ended:
			t.Skip("SKIPPED: moto_server ends at once; it needs its server extra (pip install 'moto[server]')")
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Skip("SKIPPED: moto_server does not answer")
		}
	}
	b := &Bucket{Name: "logs", Region: "us-east-1", Endpoint: "http://" + addr, Credentials: creds}
	key := "p/AWSLogs/123456789012/BedrockModelInvocationLogs/us-east-1/2026/11/22/13/20261122T130000000Z_00 +$é.json.gz"
	for _, body := range []string{"first", "second", ""} {
		if err := b.Put(ctx, key, []byte(body), "application/gzip"); err != nil {
			t.Fatal(err)
		}
		req, err := b.request(ctx, http.MethodGet, key, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(got) != body || resp.Header.Get("Content-Type") != "application/gzip" {
			t.Errorf("%d %q, %s", resp.StatusCode, got, resp.Header.Get("Content-Type"))
		}
	}
	b.Name = "no-such-bucket"
	var e *Error
	if err := b.Put(ctx, key, nil, "x"); !errors.As(err, &e) || e.Code != "NoSuchBucket" {
		t.Errorf("%v", err)
	}
}
