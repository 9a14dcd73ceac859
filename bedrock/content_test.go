package bedrock_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go/v2"

	"github.com/outcrop-dev/outcrop/bedrock"
)

func TestFilesOfAMessage(t *testing.T) {
	pdf := func(title string) func([]byte) (anthropic.ContentBlockParamUnion, error) {
		return func(data []byte) (anthropic.ContentBlockParamUnion, error) { return bedrock.PDF(data, title) }
	}
	for _, tc := range []struct {
		name string
		make func([]byte) (anthropic.ContentBlockParamUnion, error)
		data string
		want string // "": refused; %s is the data in base64
	}{
		{"a PDF", pdf(""), "%PDF-1.7\n...", `{"source":{"data":"%s","media_type":"application/pdf","type":"base64"},"type":"document"}`},
		{"a PDF with a title", pdf("A to B"), "%PDF-1.7\n...", `{"source":{"data":"%s","media_type":"application/pdf","type":"base64"},"title":"A to B","type":"document"}`},
		{"a PDF behind a header of something else", pdf(""), "\r\n\r\n%PDF-1.4", `{"source":{"data":"%s","media_type":"application/pdf","type":"base64"},"type":"document"}`},
		{"no PDF", pdf(""), "<html>%PD", ""},
		{"no file", pdf(""), "", ""},
		{"JPEG", bedrock.Image, "\xff\xd8\xff\xe0JFIF", `{"source":{"data":"%s","media_type":"image/jpeg","type":"base64"},"type":"image"}`},
		{"PNG", bedrock.Image, "\x89PNG\r\n\x1a\n", `{"source":{"data":"%s","media_type":"image/png","type":"base64"},"type":"image"}`},
		{"GIF", bedrock.Image, "GIF89a...", `{"source":{"data":"%s","media_type":"image/gif","type":"base64"},"type":"image"}`},
		{"WebP", bedrock.Image, "RIFF\x00\x00\x00\x00WEBPVP8 ", `{"source":{"data":"%s","media_type":"image/webp","type":"base64"},"type":"image"}`},
		{"an image that Claude does not read", bedrock.Image, "BM\x00\x00", ""},
		{"no image", bedrock.Image, "hello", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			block, err := tc.make([]byte(tc.data))
			if tc.want == "" {
				if !errors.Is(err, bedrock.ErrValidation) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			f := serve(t, plain(answerA))
			params := hello(opus46)
			params.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(block)}
			if _, err := connect(t, f).Messages.New(t.Context(), params); err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(tc.want, "%s", base64.StdEncoding.EncodeToString([]byte(tc.data)), 1)
			if got := f.one(t).Body; !strings.Contains(got, "["+want+"]") {
				t.Errorf("sent %s\nwant %s", got, want)
			}
		})
	}
}

func TestCachePoint(t *testing.T) {
	for ttl, want := range map[anthropic.CacheControlEphemeralTTL]string{"": `{"type":"ephemeral"}`, "1h": `{"ttl":"1h","type":"ephemeral"}`} {
		block, err := bedrock.CachePoint(anthropic.NewTextBlock("long"), ttl)
		if err != nil {
			t.Fatal(err)
		}
		got, err := block.MarshalJSON()
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%s, want %s: %v", got, want, err)
		}
	}
	if _, err := bedrock.CachePoint(anthropic.NewThinkingBlock("sig", "hm"), ""); !errors.Is(err, bedrock.ErrValidation) {
		t.Errorf("thinking: %v", err)
	}
}

func TestContext1M(t *testing.T) {
	f := serve(t, plain(answerA))
	params := anthropic.BetaMessageNewParams{Model: opus46, MaxTokens: 1, Betas: []anthropic.AnthropicBeta{"a"},
		Messages: []anthropic.BetaMessageParam{anthropic.NewBetaUserMessage(anthropic.NewBetaTextBlock("hi"))}}
	if _, err := connect(t, f).Beta.Messages.New(t.Context(), params, bedrock.Context1M()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.one(t).JSON(t)["anthropic_beta"]); got != "[a context-1m-2025-08-07]" && got != "[context-1m-2025-08-07 a]" {
		t.Errorf("betas %s", got)
	}
}
