package gateway

import (
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// mostPrompt is how many tokens a prompt may have. The estimate takes what looks
// like base64 for one picture, and a caller may write text that does: here only
// what stands where the API takes a picture or a PDF is one.
func mostPrompt(body *Body) int64 {
	n := routing.Estimate(body.data)
	if n*bytesPerToken >= int64(len(body.data)) {
		return n // nothing was taken for a picture that would be more as text
	}
	p := prompt{converse: body.dialect == Converse}
	if raw, ok := body.Get("messages"); ok {
		p.each(raw, func(message []byte) { p.blocks(p.member(message, "content"), 0) })
	}
	return max(n, p.tokens+(int64(len(body.data))-p.binary+bytesPerToken-1)/bytesPerToken)
}

// prompt sums up the pictures and PDFs of a body. What cannot be scanned has none:
// whoever serves the call refuses it.
type prompt struct {
	converse       bool
	binary, tokens int64
}

func (p *prompt) each(raw []byte, f func([]byte)) {
	if len(raw) == 0 || raw[0] != '[' {
		return
	}
	elements, err := jsonspan.ScanArray(nil, raw)
	if err != nil {
		return
	}
	for _, e := range elements {
		f(e.Value(raw))
	}
}

func (p *prompt) member(raw []byte, path ...string) []byte {
	for _, name := range path {
		if len(raw) == 0 || raw[0] != '{' {
			return nil
		}
		members, err := jsonspan.Scan(make(jsonspan.Members, 0, 8), raw, nil)
		if err != nil {
			return nil
		}
		m, _ := members.Get(name)
		raw = m.Value(raw)
	}
	return raw
}

// maxBlockDepth: a picture stands in a document of blocks in the result of a tool.
const maxBlockDepth = 3

func (p *prompt) blocks(raw []byte, depth int) {
	if depth == maxBlockDepth {
		return
	}
	p.each(raw, func(block []byte) {
		if p.converse {
			p.media(p.member(block, "image", "source", "bytes"), true)
			p.media(p.member(block, "document", "source", "bytes"), string(p.member(block, "document", "format")) == `"pdf"`)
			p.blocks(p.member(block, "toolResult", "content"), depth+1)
			return
		}
		switch string(p.member(block, "type")) {
		case `"image"`, `"document"`:
			p.media(p.member(block, "source", "data"), string(p.member(block, "source", "type")) == `"base64"`)
			p.blocks(p.member(block, "source", "content"), depth+1)
		case `"tool_result"`:
			p.blocks(p.member(block, "content"), depth+1)
		default: // text, of whatever kind
		}
	})
}

// media counts a string as the estimate does, if it is a picture or a PDF.
func (p *prompt) media(quoted []byte, is bool) {
	if is {
		p.binary += int64(len(quoted))
		p.tokens += routing.Estimate(quoted)
	}
}
