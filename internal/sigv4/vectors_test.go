package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestSuite(t *testing.T) {
	var suite struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Region          string
		Service         string
		Host            string
		Cases           []struct {
			Name, Method, Target, Signed, Signature, Body string
			Headers                                       [][2]string
		}
	}
	readJSON(t, "suite.json", &suite)
	if len(suite.Cases) < 15 {
		t.Fatalf("%d cases", len(suite.Cases))
	}
	for _, c := range suite.Cases {
		t.Run(c.Name, func(t *testing.T) {
			r := &http.Request{Method: c.Method, RequestURI: c.Target, Host: suite.Host, Header: http.Header{}}
			for _, h := range c.Headers {
				r.Header.Add(h[0], h[1])
			}
			auth := "AWS4-HMAC-SHA256 Credential=" + suite.AccessKeyID + "/20150830/" + suite.Region + "/" + suite.Service +
				"/aws4_request, SignedHeaders=" + c.Signed + ", Signature=" + c.Signature
			r.Header.Set("Authorization", auth)
			p, err := Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
			if err := p.CheckScope(nil, "service"); err != nil {
				t.Error(err)
			}
			if err := p.Verify(r, suite.SecretAccessKey, sha256.Sum256([]byte(c.Body)), now); err != nil {
				t.Error(err)
			}
			if c.Body != "" {
				return // we sign content-length as well, the suite does not
			}
			r.Header.Del("Authorization")
			creds := Credentials{suite.AccessKeyID, suite.SecretAccessKey, r.Header.Get("X-Amz-Security-Token")}
			if err := new(Signer).Sign(r, EmptySHA256, creds, suite.Region, suite.Service, now); err != nil {
				t.Fatal(err)
			}
			if got := r.Header.Get("Authorization"); got != auth {
				t.Errorf("signed\n%s\nwant\n%s", got, auth)
			}
		})
	}
}

func TestShortTermKeyVectors(t *testing.T) {
	var file struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Region, Date    string
		Expires         int
		Vectors         []struct {
			SessionToken            string `json:"session_token"`
			Signature, Decoded, Key string
		}
	}
	readJSON(t, "short_term_api_keys.json", &file)
	at, err := time.Parse(stampForm, file.Date)
	if err != nil || len(file.Vectors) != 2 {
		t.Fatal(err, len(file.Vectors))
	}
	life := time.Duration(file.Expires) * time.Second
	for _, v := range file.Vectors {
		creds := Credentials{file.AccessKeyID, file.SecretAccessKey, v.SessionToken}
		key, err := PresignAPIKey(creds, file.Region, at, life)
		if err != nil || key != v.Key {
			t.Errorf("presigned %s, %v\nwant %s", key, err, v.Key)
		}
		p, err := ParseAPIKey(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		if p.AccessKeyID != file.AccessKeyID || p.Region != file.Region || p.SessionToken != v.SessionToken || !p.Time.Equal(at) || p.Life != life || p.signature != v.Signature {
			t.Errorf("parsed %+v", p)
		}
		if err := p.Verify(file.SecretAccessKey, at); err != nil {
			t.Error(err)
		}

		// The JavaScript generator sorts its parameters, the Python one does not.
		query := strings.Split(strings.TrimPrefix(v.Decoded, "bedrock.amazonaws.com/?"), "&")
		for i, j := 0, len(query)-1; i < j; i, j = i+1, j-1 {
			query[i], query[j] = query[j], query[i]
		}
		p, err = ParseAPIKey(APIKeyPrefix + base64.StdEncoding.EncodeToString([]byte("bedrock.amazonaws.com/?"+strings.Join(query, "&"))))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Verify(file.SecretAccessKey, at); err != nil {
			t.Errorf("in another order: %v", err)
		}
	}
}
