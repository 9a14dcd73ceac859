package document

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

func TestText(t *testing.T) {
	const notText = "The document source bytes could not be parsed as the specified format. If using a text-based format, try source.text instead of source.bytes."
	r := newReader(t, Options{Bytes: 1000})
	for name, c := range map[string]struct {
		format Format
		data   string
		want   string
		err    string
	}{
		"txt":                   {Txt, "one\r\ntwo\n", "one\r\ntwo\n", ""},
		"md":                    {MD, "# Title\n\n- a\n", "# Title\n\n- a\n", ""},
		"csv":                   {CSV, "a,b\n1,\"2,3\"\n", "a,b\n1,\"2,3\"\n", ""},
		"eastern":               {Txt, "繁體 简体 日本語 한국어", "繁體 简体 日本語 한국어", ""},
		"empty":                 {Txt, "", "", ""},
		"UTF-8 with a mark":     {CSV, "\xef\xbb\xbfa,b", "a,b", ""},
		"UTF-16 from Windows":   {Txt, "\xff\xfe\x2d\x4e\x87\x65", "中文", ""},
		"UTF-16, big end first": {Txt, "\xfe\xff\x4e\x2d\x65\x87", "中文", ""},
		"half a character":      {Txt, "\xff\xfe\x2d", "", notText},
		"Big5":                  {Txt, "\xa4\xa4\xa4\xe5", "", notText},
		"a program":             {MD, "\x7fELF\x80\xff", "", notText},
		"too large":             {Txt, strings.Repeat("x", 1001), "", "The maximum document size is 0.000954 MB. Reduce the size of your document and retry your request."},
		"doc":                   {Doc, "x", "", "Documents of the format doc are not supported here. Use pdf, txt, md, csv or html."},
		"docx":                  {Docx, "x", "", "Documents of the format docx are not supported here. Use pdf, txt, md, csv or html."},
		"xls":                   {XLS, "x", "", "Documents of the format xls are not supported here. Use pdf, txt, md, csv or html."},
		"xlsx":                  {XLSX, "x", "", "Documents of the format xlsx are not supported here. Use pdf, txt, md, csv or html."},
		"unknown":               {"odt", "x", "", `Unsupported document format: "odt". Use pdf, txt, md, csv or html.`},
		"no format":             {"", "x", "", `Unsupported document format: "". Use pdf, txt, md, csv or html.`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Text(t.Context(), c.format, []byte(c.data))
			expect(t, "text", err, c.err)
			if c.err == "" && !slices.Equal(got, []string{c.want}) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestFormats: each format of the service is read or refused by name.
func TestFormats(t *testing.T) {
	all := append(Formats(), Refused()...)
	slices.Sort(all)
	// The enum DocumentFormat of the service's model.
	want := []Format{"csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx"}
	if !slices.Equal(all, want) {
		t.Errorf("got %q, want %q", all, want)
	}
}

func TestHTML(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"plain":             {"just words", "just words"},
		"white space":       {"<p> one\n\t two  </p>", "one two"},
		"inline":            {"a<b>b</b> c <i>d</i>e", "ab c de"},
		"paragraphs":        {"<p>one</p><p>two</p>three", "one\ntwo\nthree"},
		"page":              {"<!doctype html><html><head><title>T</title><style>p{}</style></head><body><h1>H</h1>b</body></html>", "T\nH\nb"},
		"breaks":            {"one<br>two<br/>three", "one\ntwo\nthree"},
		"list":              {"<ul><li>one<li><p>two</p></ul>", "- one\n- two"},
		"list of lists":     {"<ol><li>a<ul><li>b</ul><li></ol>end", "- a\n- b\n- end"},
		"table":             {"<table><tr><th>a<th>b</tr><tr><td>1</td><td> 2 </td></tr></table>after", "a\tb\n1\t2\nafter"},
		"blocks in cells":   {"<table><tr><td><p>a</p><p>b</p></td><td><div>c</div></td></tr></table>", "a\nb\tc"},
		"empty cells":       {"<table><tr><td>a<td><td>c</tr><tr><td><td>e</tr></table>", "a\t\tc\n\te"},
		"entities":          {"&lt;b&gt; &amp; &#20013;&eacute;", "<b> & 中é"},
		"script":            {"a<script>if (x < '</p>') y()</script>b", "ab"},
		"svg":               {"a<svg><svg><text>no</text></svg><text>no</text></svg>b", "ab"},
		"unclosed style":    {"a<style>b", "a"},
		"pre":               {"<p>x</p><pre>a  b\n  c</pre>y", "x\na  b\n  c\ny"},
		"alt":               {`a <img src=x alt="a cat"> b`, "a a cat b"},
		"comment":           {"a<!-- <p>no</p> -->b", "ab"},
		"form":              {"<form><label>Name</label> <select><option>x<option>y</select></form>", "Name\nx\ny"},
		"broken":            {"<p<a</b>>one</i></table></pre>two", ">one\ntwo"},
		"nested":            {strings.Repeat("<div>", 100_000) + "deep" + strings.Repeat("</div>", 100_000), "deep"},
		"nested with hides": {strings.Repeat("<template>", 1000) + "no" + strings.Repeat("</template>", 1000) + "yes", "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := htmlText(c.source)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	f.Add("html", []byte("<p>one<table><tr><td>2<pre>\n x</pre><script>a</script><li>b"))
	f.Add("txt", []byte("\xff\xfea\x00"))
	f.Add("xlsx", []byte("PK"))
	r := newReader(f, Options{})
	f.Fuzz(func(t *testing.T, format string, data []byte) {
		if Format(format) == PDF {
			return // FuzzPDF's
		}
		got, err := r.Text(t.Context(), Format(format), data)
		if err == nil {
			if len(got) != 1 {
				t.Fatalf("%d texts", len(got))
			}
			return
		}
		var e *messages.Error
		if !errors.As(err, &e) || e.Kind == messages.Internal {
			t.Fatal(err)
		}
	})
}
