package bedrock_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"
	official "github.com/anthropics/anthropic-sdk-go/v2/bedrock"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsstream "github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"

	"github.com/outcrop-dev/outcrop/bedrock"
)

func manyFrames(n int) []byte {
	events := append([]string(nil), helloEvents[:2]...)
	for i := range n - 5 {
		events = append(events, fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"word %d "}}`, i))
	}
	return framed(append(events, helloEvents[4:]...)...)
}

// canned answers without a network, so that the clients alone are measured.
func canned(contentType string, body []byte) option.HTTPClient {
	return doer(func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	})
}

type maker func(b testing.TB, h option.HTTPClient) anthropic.Client

func makers() map[string]maker {
	return map[string]maker{
		"outcrop": func(b testing.TB, h option.HTTPClient) anthropic.Client {
			c, err := bedrock.New(b.Context(), bedrock.WithAccessKey(keyID, secret), bedrock.WithHTTPClient(h))
			if err != nil {
				b.Fatal(err)
			}
			return c.Client
		},
		"official": func(b testing.TB, h option.HTTPClient) anthropic.Client {
			return anthropic.NewClient(official.WithConfig(aws.Config{Region: "us-east-1", Credentials: provider(func() (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: secret}, nil
			})}), option.WithHTTPClient(h))
		},
	}
}

func BenchmarkStream50(b *testing.B) {
	body := manyFrames(50)
	for name, mk := range makers() {
		b.Run(name, func(b *testing.B) {
			c := mk(b, canned(frameType, body))
			b.ReportAllocs()
			for b.Loop() {
				s := c.Messages.NewStreaming(b.Context(), hello(opus46))
				n := 0
				for s.Next() {
					n++
				}
				if s.Err() != nil || n != 50 {
					b.Fatal(n, s.Err())
				}
			}
		})
	}
}

func BenchmarkInvoke(b *testing.B) {
	for name, mk := range makers() {
		for _, size := range []int{100, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dB", name, size), func(b *testing.B) {
				c := mk(b, canned("application/json", []byte(answerA)))
				params := hello(opus46)
				params.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(string(bytes.Repeat([]byte("x"), size))))}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Messages.New(b.Context(), params); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkTransport50 is frames to SSE bytes alone: the body that the SDK reads.
// aws-sdk-go is its decoder alone, without base64 and without SSE.
func BenchmarkTransport50(b *testing.B) {
	body := manyFrames(50)
	through := func(b *testing.B, mk maker) {
		var res *http.Response
		buf := make([]byte, 4096)
		c := mk(b, canned(frameType, body))
		stream := func() io.ReadCloser {
			if err := c.Post(b.Context(), "v1/messages", []byte(`{"model":"m","stream":true}`), &res); err != nil {
				b.Fatal(err)
			}
			return res.Body
		}
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			r := stream()
			b.StartTimer()
			for {
				if _, err := r.Read(buf); err == io.EOF {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for name, mk := range makers() {
		b.Run(name, func(b *testing.B) { through(b, mk) })
	}
	b.Run("aws-sdk-go", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d, r := awsstream.NewDecoder(), bytes.NewReader(body)
			for r.Len() > 0 {
				if _, err := d.Decode(r, nil); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := bedrock.New(b.Context(), bedrock.WithAccessKey(keyID, secret)); err != nil {
			b.Fatal(err)
		}
	}
}

// Budgets: the same stream with fewer allocations a frame than the official client,
// and from frames to SSE with at most a fifth of those of AWS's decoder.
func TestFewerAllocations(t *testing.T) {
	clean(t)
	const frames = 50
	body := manyFrames(frames)
	per := map[string]float64{}
	for name, mk := range makers() {
		c := mk(t, canned(frameType, body))
		per[name] = testing.AllocsPerRun(5, func() {
			s := c.Messages.NewStreaming(t.Context(), hello(opus46))
			for s.Next() {
			}
			if s.Err() != nil {
				t.Fatal(s.Err())
			}
		})
	}
	if per["outcrop"] > per["official"]/2 {
		t.Errorf("%.0f allocations a stream, %.0f of the official client's", per["outcrop"], per["official"])
	}
	decoder := testing.AllocsPerRun(5, func() {
		d, r := awsstream.NewDecoder(), bytes.NewReader(body)
		for r.Len() > 0 {
			if _, err := d.Decode(r, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
	c := makers()["outcrop"](t, canned(frameType, body))
	read := func(all bool) float64 {
		return testing.AllocsPerRun(5, func() {
			var res *http.Response
			if err := c.Post(t.Context(), "v1/messages", []byte(`{"model":"m","stream":true}`), &res); err != nil {
				t.Fatal(err)
			}
			if all {
				io.Copy(io.Discard, res.Body)
			}
			res.Body.Close()
		})
	}
	if ours := read(true) - read(false); ours > decoder/5 {
		t.Errorf("%.0f allocations for %d frames, %.0f of AWS's decoder", ours, frames, decoder)
	}
}
