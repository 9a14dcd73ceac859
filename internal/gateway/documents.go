package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/document/docform"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Documents reads documents for upstreams that cannot. document.Reader is one.
type Documents interface {
	Text(ctx context.Context, format docform.Format, data []byte) (pages []string, err error)
	Render(ctx context.Context, data []byte, longEdge int) (*docform.Pictures, error)
}

// readable replaces the documents of a Messages body by what the upstream can
// read: the text of each page, and a picture of it where the upstream sees
// pictures. An upstream that takes documents gets the body as it is.
func (g *Gateway) readable(ctx context.Context, body *Body) (*Body, []string, error) {
	c := g.Upstream.Capabilities()
	if c.Documents || body.dialect != Messages || !bytes.Contains(body.data, []byte("document")) && !bytes.Contains(body.data, []byte(`\u`)) {
		return body, nil, nil
	}
	p, err := body.Params()
	if err != nil {
		return nil, nil, err
	}
	r := &documentReader{ctx: ctx, gateway: g, pictures: c.Images}
	for i := range p.Messages {
		if p.Messages[i].Content.Blocks, err = r.blocks(p.Messages[i].Content.Blocks); err != nil {
			return nil, nil, err
		}
	}
	if len(r.notes) == 0 {
		return body, nil, nil
	}
	data, err := p.MarshalJSON()
	if err != nil {
		return nil, nil, err
	}
	body, err = NewBody(Messages, data)
	return body, r.notes, err
}

type documentReader struct {
	ctx      context.Context
	gateway  *Gateway
	pictures bool
	notes    []string
}

func (r *documentReader) blocks(in []messages.Block) ([]messages.Block, error) {
	out := make([]messages.Block, 0, len(in))
	for _, b := range in {
		switch b := b.(type) {
		case messages.Document:
			read, err := r.document(b)
			if err != nil {
				return nil, err
			}
			out = append(out, read...)
		case messages.ToolResult:
			var err error
			if b.Content.Blocks, err = r.blocks(b.Content.Blocks); err != nil {
				return nil, err
			}
			out = append(out, b)
		default: // no document in it
			out = append(out, b)
		}
	}
	return out, nil
}

// document gives the blocks that stand for one document. Its cache mark goes to
// the last of them.
func (r *documentReader) document(d messages.Document) ([]messages.Block, error) {
	name := d.Title
	if name == "" {
		name = fmt.Sprintf("document %d", len(r.notes)+1)
	}
	var citations struct {
		Enabled bool `json:"enabled"`
	}
	if d.Citations != nil && json.Unmarshal(d.Citations, &citations) == nil && citations.Enabled {
		return nil, messages.Errorf(messages.InvalidRequest, "Citations are not supported by the upstream %s.", r.gateway.Upstream.Name()).
			WithHint("leave citations out, or use an upstream that has them")
	}
	if r.gateway.Documents == nil {
		return nil, messages.Errorf(messages.InvalidRequest, "Documents are not supported by the upstream %s.", r.gateway.Upstream.Name())
	}
	pages, pdf, err := r.text(d.Source)
	if err != nil {
		return nil, err
	}
	head := "Document: " + name
	if d.Context != "" {
		head += "\n" + d.Context
	}
	var out []messages.Block
	if pdf != nil && r.pictures {
		pictures, err := r.gateway.Documents.Render(r.ctx, pdf, docform.LongEdge)
		if err != nil {
			return nil, err
		}
		r.note(fmt.Sprintf("%s was given as the text and a picture of its %d pages", name, len(pictures.Pages)))
		for i, page := range pictures.Pages {
			var mark json.RawMessage
			if i == len(pictures.Pages)-1 {
				mark = d.CacheControl
			}
			text := fmt.Sprintf("%s\nPage %d of %d", head, i+1, len(pictures.Pages))
			if i < len(pages) && pages[i] != "" {
				text += "\n" + pages[i]
			}
			out = append(out, messages.Text{Text: text}, messages.Image{CacheControl: mark, Source: messages.Source{
				Type: "base64", MediaType: "image/png", Data: base64.StdEncoding.EncodeToString(page.PNG)}})
		}
		return out, nil
	}
	whole := strings.Join(pages, "\n\n")
	if strings.TrimSpace(whole) == "" {
		r.note(name + " holds no text that can be read")
	} else {
		r.note(name + " was given as its text alone")
	}
	return []messages.Block{messages.Text{Text: head + "\n" + whole, CacheControl: d.CacheControl}}, nil
}

func (r *documentReader) note(s string) { r.notes = append(r.notes, s) }

// text reads a source. pdf is its bytes if it is one.
func (r *documentReader) text(s messages.Source) (pages []string, pdf []byte, err error) {
	switch s.Type {
	case "text":
		return []string{s.Data}, nil, nil
	case "content":
		var c messages.Content
		if err := json.Unmarshal(s.Content, &c); err != nil {
			return nil, nil, messages.Errorf(messages.ModelRejected, "document.source.content: Input should be a string or a list of blocks").WithCause(err)
		}
		for _, b := range c.Blocks {
			t, ok := b.(messages.Text)
			if !ok {
				return nil, nil, messages.Errorf(messages.InvalidRequest, "A document made of %s blocks is not supported by the upstream %s.", b.BlockType(), r.gateway.Upstream.Name())
			}
			pages = append(pages, t.Text)
		}
		return pages, nil, nil
	case "base64":
		if s.MediaType != "application/pdf" {
			return nil, nil, messages.Errorf(messages.ModelRejected, "document.source.base64.media_type: Input should be 'application/pdf'")
		}
		data, err := base64.StdEncoding.DecodeString(s.Data)
		if err != nil {
			return nil, nil, messages.Errorf(messages.ModelRejected, "document.source.base64.data: Invalid base64 data").WithCause(err)
		}
		pages, err := r.gateway.Documents.Text(r.ctx, docform.PDF, data)
		return pages, data, err
	default:
		return nil, nil, messages.Errorf(messages.InvalidRequest, "A document source of type %q is not supported on Amazon Bedrock.", s.Type)
	}
}

// textOf reads a document of Converse that is not cited: its text alone.
func (g *Gateway) textOf(ctx context.Context) func([]byte, string, string) (string, error) {
	if g.Documents == nil {
		return nil
	}
	return func(data []byte, format, _ string) (string, error) {
		pages, err := g.Documents.Text(ctx, docform.Format(format), data)
		return strings.Join(pages, "\n\n"), err
	}
}
