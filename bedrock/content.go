package bedrock

import (
	"bytes"
	"encoding/base64"
	"net/http"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/anthropics/anthropic-sdk-go/v2/packages/param"
)

// PDF is a block of a user's message: a PDF file and the title that the model and
// its citations know it by, "" for none. Data that is no PDF is an error that
// matches [ErrValidation]. Bedrock takes 20 MB a request, in base64, and 100 pages.
// Source: Anthropic's pages on Claude in Amazon Bedrock and on PDFs.
func PDF(data []byte, title string) (anthropic.ContentBlockParamUnion, error) {
	if !bytes.Contains(data[:min(len(data), 1024)], []byte("%PDF-")) { // where readers look for it
		return anthropic.ContentBlockParamUnion{}, badRequest("not a PDF: nothing in the first 1024 of %d bytes says %%PDF-", len(data))
	}
	block := anthropic.NewDocumentBlock(anthropic.Base64PDFSourceParam{Data: base64.StdEncoding.EncodeToString(data)})
	if title != "" {
		block.OfDocument.Title = param.NewOpt(title)
	}
	return block, nil
}

// Image is a block of a user's message: a JPEG, PNG, GIF or WebP file, by what it
// holds and not by its name. Anything else is an error that matches
// [ErrValidation]. Source: the SDK's Base64ImageSourceMediaType.
func Image(data []byte) (anthropic.ContentBlockParamUnion, error) {
	switch kind := http.DetectContentType(data); kind {
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		return anthropic.NewImageBlockBase64(kind, base64.StdEncoding.EncodeToString(data)), nil
	default:
		return anthropic.ContentBlockParamUnion{}, badRequest("not an image that Claude reads (JPEG, PNG, GIF, WebP): %d bytes of %s", len(data), kind)
	}
}

// CachePoint is block itself, with the end of a prefix to be cached behind it: tools,
// system and messages up to there. ttl is "5m" or "1h"; "" is five minutes. A block
// that cannot hold one, such as thinking, is an error that matches [ErrValidation].
//
// cache_control at the top of a request, which lets Anthropic's own service choose
// the place, is refused by Bedrock. Source: the page's section on caching.
func CachePoint(block anthropic.ContentBlockParamUnion, ttl anthropic.CacheControlEphemeralTTL) (anthropic.ContentBlockParamUnion, error) {
	at := block.GetCacheControl()
	if at == nil {
		return block, badRequest("a block of this type cannot hold a cache point")
	}
	*at = anthropic.NewCacheControlEphemeralParam()
	at.TTL = ttl
	return block, nil
}

// Context1M asks for a context window of a million tokens from models of which it
// is a beta (context-1m-2025-08-07). Those since Claude Opus 4.6 have it without;
// Claude Sonnet 4 and 4.5 had it until 2026-04-30. Source: AWS's model cards.
func Context1M() option.RequestOption {
	return option.WithHeaderAdd("anthropic-beta", "context-1m-2025-08-07")
}
