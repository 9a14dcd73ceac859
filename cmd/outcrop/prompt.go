package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"

	"github.com/outcrop-dev/outcrop/bedrock"
)

// promptOption is what is asked.
type promptOption struct {
	Text []string `arg:"" optional:"" help:"What to ask; - stands for standard input, which is read without it as well when it is a pipe or a file."`
	modelOption
	PDF      []string `name:"pdf" sep:"none" placeholder:"FILE" help:"A PDF to send along. May be repeated, as may --image and --document."`
	Image    []string `sep:"none" placeholder:"FILE" help:"A picture: PNG, JPEG, GIF or WebP."`
	Document []string `sep:"none" placeholder:"FILE" help:"A PDF, or text of any kind; with --converse Word and Excel too."`
	Converse bool     `help:"Ask through the Converse API, and not InvokeModel."`
}

// modelOption is who is asked, and what it is told before all else.
type modelOption struct {
	ModelID string `name:"model" short:"m" default:"${model}" env:"OUTCROP_MODEL_ID" placeholder:"ID" help:"Model: a Bedrock id, an ARN, or a name such as claude-sonnet-4-6. Default: ${default}."`
	System  string `placeholder:"TEXT" help:"System prompt."`
}

// replyOption is what the answer may be. Its default is the command's:
// set:"most=…".
type replyOption struct {
	MaxTokens   int64    `default:"${most}" placeholder:"N" help:"Most tokens of an answer. Default: ${default}."`
	Temperature *float64 `placeholder:"T" help:"From 0 to 1, for models that take it."`
}

// defaultModel is the page's, in AWS's spelling of today, which both take.
const defaultModel = "global." + bedrock.ClaudeOpus4_6

// prompt is what is asked, whole.
type prompt struct {
	modelOption
	replyOption
	turns []turn
}

// turn is one side's words. answer is set where they are the model's.
type turn struct {
	files  []attachment
	text   []string
	answer *anthropic.Message
}

const maxAttachment = 64 << 20 // of one file; services take less

func (o *promptOption) prompt(con console) (*prompt, error) {
	t := turn{}
	for _, kind := range []struct {
		files []string
		check func(attachment) error
	}{{o.PDF, mustBePDF}, {o.Image, mustBeImage}, {o.Document, mustBeDocument}} {
		for _, name := range kind.files {
			a, err := readAttachment(name)
			if err == nil {
				err = kind.check(a)
			}
			if err != nil {
				return nil, tell(bedrock.ErrValidation, "%v", err)
			}
			t.files = append(t.files, a)
		}
	}
	words := slices.DeleteFunc(slices.Clone(o.Text), func(s string) bool { return s == "-" })
	if len(words) < len(o.Text) || con.piped() {
		if err := t.readInput(con.In); err != nil {
			return nil, err
		}
	}
	if text := strings.Join(words, " "); strings.TrimSpace(text) != "" {
		t.text = append(t.text, text) // after what it is about
	}
	if len(t.text)+len(t.files) == 0 {
		return nil, misuse("nothing to ask: give a text, a file, or standard input")
	}
	return &prompt{modelOption: o.modelOption, turns: []turn{t}}, nil
}

// readInput takes standard input: text, or a PDF or picture.
func (t *turn) readInput(r io.Reader) error {
	raw, err := readAtMost(r)
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	a, err := newAttachment("standard input", raw)
	switch {
	case err != nil:
		return tell(bedrock.ErrValidation, "%v", err)
	case a.format == "txt":
		t.text = append(t.text, string(raw))
	default:
		t.files = append(t.files, a)
	}
	return nil
}

func readAtMost(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxAttachment+1))
	if err == nil && len(raw) > maxAttachment {
		err = fmt.Errorf("more than %d MiB", maxAttachment>>20)
	}
	return raw, err
}

// piped says that standard input is a pipe or a file, and no terminal, /dev/null
// or socket that a parent has left open.
func (c console) piped() bool {
	f, ok := c.In.(*os.File)
	if !ok {
		return c.In != nil
	}
	info, err := f.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&os.ModeNamedPipe != 0)
}

// attachment is a file that goes along, by Converse's name of its format.
type attachment struct {
	name   string
	format string
	data   []byte
}

var (
	imageFormats    = []string{"png", "jpeg", "gif", "webp"}
	documentFormats = []string{"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"}
	binaryFormats   = []string{"doc", "docx", "xls", "xlsx"} // that Converse alone takes
)

func readAttachment(name string) (attachment, error) {
	f, err := os.Open(name)
	if err != nil {
		return attachment{}, err
	}
	defer f.Close()
	raw, err := readAtMost(f)
	if err != nil {
		return attachment{}, fmt.Errorf("%s: %w", name, err)
	}
	return newAttachment(name, raw)
}

// newAttachment tells formats by their first bytes, and those that have none by
// the file's name.
func newAttachment(name string, raw []byte) (attachment, error) {
	a := attachment{name: name, data: raw}
	ext := strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	if ext == "htm" {
		ext = "html"
	}
	kind, _, _ := strings.Cut(http.DetectContentType(raw), ";")
	image, isImage := strings.CutPrefix(kind, "image/")
	switch {
	case len(raw) == 0:
		return a, fmt.Errorf("%s is empty", name)
	case kind == "application/pdf":
		a.format = "pdf"
	case isImage && slices.Contains(imageFormats, image):
		a.format = image
	case slices.Contains(binaryFormats, ext):
		a.format = ext
	case !utf8.Valid(raw) || bytes.IndexByte(raw, 0) >= 0:
		return a, fmt.Errorf("%s is no PDF, picture (PNG, JPEG, GIF, WebP), Word or Excel file, and no UTF-8 text", name)
	case ext != "pdf" && slices.Contains(documentFormats, ext):
		a.format = ext
	default:
		a.format = "txt"
	}
	return a, nil
}

func mustBePDF(a attachment) error {
	if a.format != "pdf" {
		return fmt.Errorf("--pdf: %s is no PDF", a.name)
	}
	return nil
}

func mustBeImage(a attachment) error {
	if !a.image() {
		return fmt.Errorf("--image: %s is no PNG, JPEG, GIF or WebP", a.name)
	}
	return nil
}

func mustBeDocument(a attachment) error {
	if a.image() {
		return fmt.Errorf("--document: %s is a picture: --image takes it", a.name)
	}
	return nil
}

func (a attachment) image() bool { return slices.Contains(imageFormats, a.format) }

// block is the attachment in a Messages body.
func (a attachment) block() (anthropic.ContentBlockParamUnion, error) {
	var b anthropic.ContentBlockParamUnion
	switch {
	case a.image():
		return anthropic.NewImageBlockBase64("image/"+a.format, base64.StdEncoding.EncodeToString(a.data)), nil
	case a.format == "pdf":
		b = anthropic.NewDocumentBlock(anthropic.Base64PDFSourceParam{Data: base64.StdEncoding.EncodeToString(a.data)})
	case slices.Contains(binaryFormats, a.format):
		return b, fmt.Errorf("%s: InvokeModel takes PDF and text; --converse takes %s", a.name, a.format)
	default:
		b = anthropic.NewDocumentBlock(anthropic.PlainTextSourceParam{Data: string(a.data)})
	}
	b.OfDocument.Title = anthropic.String(filepath.Base(a.name))
	return b, nil
}

// params is the prompt for the Messages API, and what its parameters have no
// field for.
func (p *prompt) params() (anthropic.MessageNewParams, []option.RequestOption, error) {
	params := anthropic.MessageNewParams{Model: anthropic.Model(p.ModelID), MaxTokens: p.MaxTokens}
	if p.System != "" {
		params.System = []anthropic.TextBlockParam{{Text: p.System}}
	}
	for _, t := range p.turns {
		if t.answer != nil {
			params.Messages = append(params.Messages, t.answer.ToParam())
			continue
		}
		var blocks []anthropic.ContentBlockParamUnion
		for _, a := range t.files {
			b, err := a.block()
			if err != nil {
				return params, nil, tell(bedrock.ErrValidation, "%v", err)
			}
			blocks = append(blocks, b)
		}
		for _, text := range t.text {
			blocks = append(blocks, anthropic.NewTextBlock(text))
		}
		params.Messages = append(params.Messages, anthropic.NewUserMessage(blocks...))
	}
	var opts []option.RequestOption
	if p.Temperature != nil {
		// The newer API version has no temperature; each model knows the older.
		opts = append(opts, option.WithJSONSet("temperature", *p.Temperature), option.WithJSONSet("anthropic_version", "bedrock-2023-05-31"))
	}
	return params, opts, nil
}

// converse is the prompt for the Converse API. It has one turn: chat goes through
// Messages.
func (p *prompt) converse() *bedrockruntime.ConverseInput {
	in := &bedrockruntime.ConverseInput{ModelId: &p.ModelID, InferenceConfig: &types.InferenceConfiguration{MaxTokens: aws.Int32(int32(min(p.MaxTokens, 1<<31-1)))}}
	if p.Temperature != nil {
		in.InferenceConfig.Temperature = aws.Float32(float32(*p.Temperature))
	}
	if p.System != "" {
		in.System = []types.SystemContentBlock{&types.SystemContentBlockMemberText{Value: p.System}}
	}
	var names []string
	for _, t := range p.turns {
		m := types.Message{Role: types.ConversationRoleUser}
		for _, a := range t.files {
			if a.image() {
				m.Content = append(m.Content, &types.ContentBlockMemberImage{Value: types.ImageBlock{Format: types.ImageFormat(a.format), Source: &types.ImageSourceMemberBytes{Value: a.data}}})
				continue
			}
			name := documentName(a.name, names)
			names = append(names, name)
			m.Content = append(m.Content, &types.ContentBlockMemberDocument{Value: types.DocumentBlock{
				Format: types.DocumentFormat(a.format), Name: &name, Source: &types.DocumentSourceMemberBytes{Value: a.data}}})
		}
		for _, text := range t.text {
			m.Content = append(m.Content, &types.ContentBlockMemberText{Value: text})
		}
		in.Messages = append(in.Messages, m)
	}
	return in
}

// documentName keeps to what Converse takes as a document's name: letters,
// digits, single spaces, hyphens, parentheses and brackets; each name once.
// Source: DocumentBlock in the service model 2023-09-30.
func documentName(path string, taken []string) string {
	base := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-()[]", r) {
			return r
		}
		return ' '
	}, base)
	if clean = strings.Join(strings.Fields(clean), " "); clean == "" {
		clean = "document"
	}
	clean = clean[:min(len(clean), 190)]
	name := clean
	for n := 2; slices.Contains(taken, name); n++ {
		name = fmt.Sprintf("%s (%d)", clean, n)
	}
	return name
}
