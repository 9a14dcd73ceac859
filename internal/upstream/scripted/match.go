package scripted

import (
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"path"
	"slices"
	"strings"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/messages"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Match holds a call to each member that is set.
type Match struct {
	Operation  string            `yaml:"operation"`   // glob on the operation's name, such as InvokeModel*; counts are matched by it alone
	Model      string            `yaml:"model"`       // glob on the id as called or the catalog's id; "*" stops at "/"
	Text       string            `yaml:"text"`        // within the last user turn
	Tool       string            `yaml:"tool"`        // the name of a tool on offer
	ToolResult *bool             `yaml:"tool_result"` // the last user turn carries one
	Stream     *bool             `yaml:"stream"`
	Beta       string            `yaml:"beta"`
	Header     map[string]string `yaml:"header"` // each is there, and holds the text
	Call       int               `yaml:"call"`   // the n-th call, from 1, that fits the other members
}

// operations are those that reach an upstream.
var operations = []*bedrockapi.Operation{
	bedrockapi.InvokeModel, bedrockapi.InvokeModelStream, bedrockapi.Converse, bedrockapi.ConverseStream, bedrockapi.CountTokens,
	bedrockapi.CreateMessage, bedrockapi.CountMessage,
}

func (m *Match) check() error {
	if _, err := path.Match(m.Model, ""); err != nil {
		return fmt.Errorf("match.model %q: %w", m.Model, err)
	}
	if m.Call < 0 {
		return fmt.Errorf("match.call must not be below 0")
	}
	if m.Operation == "" {
		return nil
	}
	var names []string
	for _, o := range operations {
		ok, err := path.Match(m.Operation, o.Name)
		if err != nil {
			return fmt.Errorf("match.operation %q: %w", m.Operation, err)
		}
		if ok {
			return nil
		}
		names = append(names, o.Name)
	}
	return fmt.Errorf("match.operation %q is none of %s%s", m.Operation, strings.Join(names, ", "), didYouMean(m.Operation, names))
}

// asked is what of a call a Match looks at.
type asked struct {
	operation string
	counts    bool
	ref       string
	modelID   string // the catalog's
	stream    bool
	betas     []string
	header    http.Header
	params    *messages.Params
}

func ask(route routing.Route, req gateway.Request, p *messages.Params) *asked {
	a := &asked{ref: req.Head.Ref, modelID: route.Model().ID, stream: req.Stream, betas: req.Head.Betas, header: req.Forward, params: p}
	if op := req.Head.Operation; op != nil {
		a.operation = op.Name
		a.counts = op == bedrockapi.CountTokens || op == bedrockapi.CountMessage || op == bedrockapi.CountMessageBare
	}
	return a
}

func (a *asked) String() string {
	var offered []string
	for _, t := range a.params.Tools {
		offered = append(offered, t.Name)
	}
	s := fmt.Sprintf("%s, model %s, last user text %q", a.operation, a.ref, short(a.params.LastUser().Content.PlainText()))
	if len(offered) > 0 {
		s += ", tools " + strings.Join(offered, " ")
	}
	if len(a.betas) > 0 {
		s += ", betas " + strings.Join(a.betas, " ")
	}
	return s
}

func short(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// misses says what m asks for and the call lacks; nothing: it matches, the number
// of the call aside.
func (m *Match) misses(a *asked) (why []string) {
	miss := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	fits := func(glob, s string) bool { ok, _ := path.Match(glob, s); return ok }
	switch {
	case m.Operation != "" && !fits(m.Operation, a.operation):
		miss("operation: want %s, it is %s", m.Operation, a.operation)
	case m.Operation == "" && a.counts:
		miss("operation: a count is answered only by a rule that names it")
	}
	if m.Model != "" && !fits(m.Model, a.ref) && !fits(m.Model, a.modelID) {
		miss("model: want %s, it is %s (%s)", m.Model, a.ref, a.modelID)
	}
	last := a.params.LastUser()
	if text := last.Content.PlainText(); m.Text != "" && !strings.Contains(text, m.Text) {
		miss("text: %q is not within %q", m.Text, short(text))
	}
	if m.Tool != "" && toolNamed(a.params, m.Tool) == nil {
		miss("tool: %s is not on offer", m.Tool)
	}
	if m.ToolResult != nil {
		has := slices.ContainsFunc(last.Content.Blocks, func(b messages.Block) bool { return b.BlockType() == "tool_result" })
		if has != *m.ToolResult {
			miss("tool_result: want %t, it is %t", *m.ToolResult, has)
		}
	}
	if m.Beta != "" && !slices.Contains(a.betas, m.Beta) {
		miss("beta: %s is not among %q", m.Beta, a.betas)
	}
	if m.Stream != nil && *m.Stream != a.stream {
		miss("stream: want %t, it is %t", *m.Stream, a.stream)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Header)) {
		values, want := a.header[textproto.CanonicalMIMEHeaderKey(name)], m.Header[name]
		switch {
		case len(values) == 0:
			miss("header: there is no %s", name)
		case !slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, want) }):
			miss("header %s: %q is not within %q", name, want, values)
		}
	}
	return why
}

func toolNamed(p *messages.Params, name string) *messages.Tool {
	for i := range p.Tools {
		if p.Tools[i].Name == name {
			return &p.Tools[i]
		}
	}
	return nil
}
