package converse

import (
	"bytes"
	"encoding/base64"
	"errors"
	"unicode/utf8"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Bounds of Converse on files: the restrictions of its Message shape, and the
// Messages API's own on an image, which counts base64.
const (
	maxDocuments = 5
	maxDocument  = 4_718_592 // 4.5 MB
	maxImages    = 20
	maxImage     = 5_242_880 // of base64: the 3.75 MB that Converse documents
	maxName      = 200
)

// files is what is known of the request's files so far.
type files struct {
	images, documents int
	pages             int // documents that are read as pages
	names             []string
}

func (r *request) countFiles() {
	f := &r.files
	if f.images+f.pages > maxImages {
		r.reject("too many images and documents: %d + %d > %d", f.images, f.pages, maxImages)
	}
}

// image writes an ImageBlock, or a guardrail's, which has the same members.
func (r *request) image(v []byte, at Place) {
	r.files.images++
	var format string
	var data []byte
	source := false
	for key, v := range r.object(v).each {
		switch string(key) {
		case "format":
			format = r.enum(v, "png", "jpeg", "gif", "webp")
			if format == "" {
				return
			}
		case "source":
			source = true
			for key, v := range r.union(v, "ImageSource").each {
				switch string(key) {
				case "bytes":
					data = r.blob(v)
				case "s3Location":
					r.fail("This model doesn't support the s3Uri field. Remove s3Uri and try again.")
				default:
					r.extra(key)
				}
			}
		default:
			r.extra(key)
		}
	}
	r.need(format != "", "format")
	r.need(source, "source")
	if n := len(data) - 2; n > maxImage {
		r.reject("%s.source: image exceeds 5 MB maximum: %d bytes > %d bytes", r.dotted(), n, maxImage)
	}
	r.element(`{"type":"image","source":{"type":"base64","media_type":"image/`)
	r.out = append(r.out, format...)
	r.open('"')
	r.member("data", data)
	r.out = append(r.out, `}}`...)
}

// blob checks base64 and gives it as the JSON string that it stands in.
func (r *request) blob(v []byte) []byte {
	if !r.isString(v) {
		return nil
	}
	s := v[1 : len(v)-1]
	if bytes.IndexByte(s, '\\') >= 0 { // some encoders write / as \/
		s = bytes.Clone(r.str(v))
		v = append(append([]byte{'"'}, s...), '"')
	}
	if len(s) == 0 {
		r.violated(nil, "Member must have length greater than or equal to 1")
	}
	n := len(bytes.TrimRight(s, "="))
	ok := len(s)%4 == 0 && len(s)-n <= 2
	for _, c := range s[:n] {
		ok = ok && alphabet[c]
	}
	if !ok {
		r.wrong("base64")
		return []byte(`""`)
	}
	return v
}

// alphabet is base64's.
var alphabet = func() (a [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		a[c] = true
	}
	return a
}()

// document writes a DocumentBlock. Converse reads a document as text alone unless
// it may be cited; only then does a PDF go to the model as pages.
func (r *request) document(v []byte, at Place) {
	if r.files.documents++; r.files.documents > maxDocuments {
		r.fail("You can't include more than %d documents in a request.", maxDocuments)
		return
	}
	var format string
	var name, source, context []byte
	cited, config := false, false
	for key, v := range r.object(v).each {
		switch string(key) {
		case "format":
			if format = r.enum(v, "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"); format == "" {
				return
			}
		case "name":
			name = v
			r.documentName(v)
		case "source":
			source = v
		case "context":
			if r.isString(v) {
				context = v
			}
		case "citations":
			n := len(r.out)
			cited, config = r.citationsConfig(v), true
			r.out = r.out[:n]
		default:
			r.extra(key)
		}
	}
	r.need(name != nil, "name")
	if r.need(source != nil, "source"); source == nil {
		return
	}
	if cited && at == Result {
		r.fail("Citations are not supported in tool result documents.")
	}
	if cited && format != "" && format != "pdf" && format != "txt" {
		r.fail("Unsupported document format. Only txt and pdf formats are supported when citations are enabled")
	}
	r.element(`{"type":"document"`)
	r.in("source", source, func(v []byte) {
		for key, v := range r.union(v, "DocumentSource").each {
			r.key("source")
			r.open('{')
			switch string(key) {
			case "bytes":
				r.documentBytes(v, format, name, cited)
			case "text":
				if r.isString(v) {
					r.textSource(v)
				}
			case "content":
				r.member("type", []byte(`"content"`))
				r.texts(v, "DocumentContentBlock")
			case "s3Location": // what AWS answers for Claude (aws/aws-sdk-net#4454)
				path := r.path
				r.path = path[:len(path)-1]
				r.reject("%s.type: Field required", r.dotted())
				r.hint("Claude models take no document from S3; send its bytes")
				r.path = path
			default:
				r.extra(key)
			}
			r.open('}')
		}
	})
	if name != nil {
		r.member("title", name)
	}
	if context != nil {
		r.member("context", context)
	}
	if config {
		r.key("citations")
		r.out = append(r.out, `{"enabled":`...)
		if cited {
			r.out = append(r.out, `true}`...)
		} else {
			r.out = append(r.out, `false}`...)
		}
	}
	r.open('}')
}

func (r *request) textSource(quoted []byte) {
	r.member("type", []byte(`"text"`))
	r.member("media_type", []byte(`"text/plain"`))
	r.member("data", quoted)
}

// documentBytes writes the source of a document that came as a file.
func (r *request) documentBytes(v []byte, format string, name []byte, cited bool) {
	quoted := r.blob(v)
	if len(quoted) <= 2 {
		return
	}
	data, err := base64.StdEncoding.DecodeString(string(quoted[1 : len(quoted)-1]))
	if err != nil {
		r.wrong("base64")
		return
	}
	if len(data) > maxDocument {
		r.fail("The document at %s has %d bytes, more than the maximum document size of 4.5 MB. Provide a smaller document and try again.", r.dotted(), len(data))
		return
	}
	isPDF := bytes.HasPrefix(data, []byte("%PDF-"))
	if format == "" { // the member is optional
		if format = "txt"; isPDF {
			format = "pdf"
		}
	}
	switch {
	case cited && format == "pdf":
		if !bytes.Contains(data[:min(len(data), 1024)], []byte("%PDF-")) {
			at := r.path
			r.path = at[:len(at)-3]
			r.reject("%s.image.source.bytes: The PDF specified was not valid.", r.dotted())
			r.path = at
		}
		r.files.pages++
		r.member("type", []byte(`"base64"`))
		r.member("media_type", []byte(`"application/pdf"`))
		r.member("data", quoted)
		return
	case cited:
		if !utf8.Valid(data) {
			r.fail("The document at %s is not UTF-8 text.", r.dotted())
		}
		r.member("type", []byte(`"text"`))
		r.member("media_type", []byte(`"text/plain"`))
		r.textMember("data", string(data))
		return
	}
	if r.TextOf == nil {
		r.fail("The document at %s needs its text to be extracted, which is not available here. Send source.text, or enable citations for a PDF.", r.dotted())
		return
	}
	if r.faulty() { // reading one may take seconds
		return
	}
	text, err := r.TextOf(data, format, string(r.str(name)))
	if err != nil {
		r.unreadable(err)
		return
	}
	r.member("type", []byte(`"text"`))
	r.member("media_type", []byte(`"text/plain"`))
	r.textMember("data", text)
}

func (r *request) unreadable(err error) {
	var e *messages.Error
	switch {
	case errors.As(err, &e):
		r.err = e
	default:
		r.err = messages.Errorf(r.kind, "The document at %s cannot be read.", r.dotted()).WithCause(err)
	}
}

// documentName holds a name to Converse's rule as AWS enforces it: of white space
// only the space, of other characters beside those it lists the underscore
// (measured: aws-samples/generative-ai-use-cases#1671).
func (r *request) documentName(v []byte) {
	s := string(r.str(v))
	switch {
	case len(s) == 0:
		r.violated(nil, "Member must have length greater than or equal to 1")
	case len(s) > maxName:
		r.violated(nil, "Member must have length less than or equal to 200")
	case !isDocumentName(s):
		r.fail("The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can't contain more than one consecutive whitespace character. Check that the file name conforms to these restrictions and retry your request.")
	}
	for _, n := range r.files.names {
		if n == s {
			r.fail("Messages can't contain duplicate document names. Rename the document and retry your request.")
		}
	}
	r.files.names = append(r.files.names, s)
}

func isDocumentName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '_', c == '(', c == ')', c == '[', c == ']':
		case c == ' ' && (i == 0 || s[i-1] != ' '):
		default:
			return false
		}
	}
	return true
}
