package llama

import (
	"errors"
	"fmt"
	"runtime"
)

// Token is llama_token.
type Token int32

// Model is a loaded GGUF. Its methods may be called from several goroutines.
type Model struct {
	lib      *Library
	ptr      uintptr
	vocab    uintptr
	specials []Special
	mute     []Token // specials that do not end an answer
}

// Special is a token that only a template may write: tokenising the caller's
// text never gives one.
type Special struct {
	Text string
	ID   Token
}

// llama_token_attr bits
const (
	attrUnknown = 1 << 0
	attrControl = 1 << 3
)

// LoadModel maps the weights at path. The layers stay on the CPU: an answer
// should not depend on which GPU library lies beside the engine.
func (l *Library) LoadModel(path string) (*Model, error) {
	p := l.f.modelDefaults().P
	p.NGPULayers = 0
	ptr := l.f.loadModel(path, p)
	if ptr == 0 {
		return nil, l.log.fail(fmt.Sprintf("the weights %s do not load", path))
	}
	m := &Model{lib: l, ptr: ptr, vocab: l.f.getVocab(ptr)}
	for t := range Token(l.f.nTokens(m.vocab)) {
		if l.f.tokenAttr(m.vocab, t)&(attrControl|attrUnknown) == 0 {
			continue
		}
		if s := l.f.tokenText(m.vocab, t); s != "" {
			m.specials = append(m.specials, Special{s, t})
			if !l.f.isEOG(m.vocab, t) {
				m.mute = append(m.mute, t)
			}
		}
	}
	return m, nil
}

// Close frees the weights; no context of the model may be left.
func (m *Model) Close() { m.lib.f.freeModel(m.ptr) }

// ContextTrain is the window that the model was trained for.
func (m *Model) ContextTrain() int { return int(m.lib.f.ctxTrain(m.ptr)) }

// Name is the model's name for itself, empty when it has none.
func (m *Model) Name() string { return m.meta("general.name") }

func (m *Model) meta(key string) string {
	buf := make([]byte, 256)
	n := m.lib.f.metaValue(m.ptr, key, &buf[0], uintptr(len(buf)))
	if n < 0 {
		return ""
	}
	return string(buf[:min(int(n), len(buf)-1)])
}

// Specials lists the control tokens.
func (m *Model) Specials() []Special { return m.specials }

// Template is the Jinja chat template in the weights, empty when there is none.
func (m *Model) Template() string { return m.lib.f.chatTemplate(m.ptr, 0) }

// ErrTemplate says that the engine does not know the family of a template.
var ErrTemplate = errors.New("llama.cpp does not know this chat template")

// Turn is one message for a template.
type Turn struct{ Role, Text string }

// ApplyTemplate renders turns and opens the assistant's turn. No text may hold
// a zero byte.
func (m *Model) ApplyTemplate(template string, turns []Turn) (string, error) {
	msgs := make([]chatMessage, len(turns)+1) // never empty: &msgs[0]
	size := 256
	for i, t := range turns {
		msgs[i] = chatMessage{cString(t.Role), cString(t.Text)}
		size += len(t.Role) + len(t.Text) + 64
	}
	for {
		buf := make([]byte, size)
		n := int(m.lib.f.applyTemplate(template, &msgs[0], uintptr(len(turns)), true, &buf[0], int32(len(buf))))
		runtime.KeepAlive(msgs)
		switch {
		case n < 0:
			return "", ErrTemplate
		case n > len(buf):
			size = n
		default:
			return string(buf[:n]), nil
		}
	}
}

// Tokenize gives the tokens of plain text: what looks like a control token in it
// stays text.
func (m *Model) Tokenize(text string) ([]Token, error) {
	if text == "" {
		return nil, nil
	}
	in := []byte(text)
	out := make([]Token, len(in)/3+16)
	for {
		n := m.lib.f.tokenize(m.vocab, &in[0], int32(len(in)), &out[0], int32(len(out)), false, false)
		switch {
		case n >= 0:
			return out[:n], nil
		case -int(n) > len(out):
			out = make([]Token, -int(n))
		default:
			return nil, m.lib.log.fail("the text cannot be tokenised")
		}
	}
}

// BOS is the token that every prompt begins with, where the model wants one.
func (m *Model) BOS() (Token, bool) {
	return m.lib.f.bos(m.vocab), m.lib.f.addBOS(m.vocab)
}

// IsEnd tells whether t ends an answer.
func (m *Model) IsEnd(t Token) bool { return m.lib.f.isEOG(m.vocab, t) }

// AppendPiece appends the bytes that t stands for; control tokens stand for none.
func (m *Model) AppendPiece(dst []byte, t Token) []byte {
	var buf [128]byte
	n := m.lib.f.piece(m.vocab, t, &buf[0], int32(len(buf)), 0, false)
	if n >= 0 {
		return append(dst, buf[:n]...)
	}
	long := make([]byte, -n)
	n = m.lib.f.piece(m.vocab, t, &long[0], int32(len(long)), 0, false)
	return append(dst, long[:max(n, 0)]...)
}
