package llama

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/ebitengine/purego"
)

// names holds the files of one platform, in the order they are opened. The
// linux names are those of 3.22.1; the others follow the sister packages of the
// same line (mac-arm64-metal and win-x64, read in 3.21.1).
type names struct{ base, ggml, llama string }

var platforms = map[string]names{
	"linux/amd64":   {"libggml-base.so", "libggml.v" + Version + ".so", "libllama.v" + Version + ".so"},
	"linux/arm64":   {"libggml-base.so", "libggml.v" + Version + ".so", "libllama.v" + Version + ".so"},
	"darwin/amd64":  {"libggml-base.dylib", "libggml.v" + Version + ".dylib", "libllama.v" + Version + ".dylib"},
	"darwin/arm64":  {"libggml-base.dylib", "libggml.metal.v" + Version + ".dylib", "libllama.metal.v" + Version + ".dylib"},
	"windows/amd64": {"ggml-base.dll", "ggml.v" + Version + ".dll", "llama.v" + Version + ".dll"},
	"windows/arm64": {"ggml-base.dll", "ggml.v" + Version + ".dll", "llama.v" + Version + ".dll"},
}

// Library is llama.cpp, loaded. There is no unloading: C++ destructors of a
// library in use are not worth their risk in a process that is about to end.
type Library struct {
	f       functions
	strlen  uintptr
	log     *logTail
	version string
}

// functions mirrors the C prototypes; a field's tag is the symbol and its library.
type functions struct {
	logSet          func(cb, data uintptr)                                                                    `sym:"llama_log_set"`
	version         func() string                                                                             `sym:"llama_version"`
	loadBackends    func(dir string)                                                                          `sym:"ggml_backend_load_all_from_path"`
	backendInit     func()                                                                                    `sym:"llama_backend_init"`
	modelDefaults   func() modelDefaults                                                                      `sym:"llama_model_default_params"`
	contextDefaults func() contextDefaults                                                                    `sym:"llama_context_default_params"`
	loadModel       func(path string, p modelParams) uintptr                                                  `sym:"llama_model_load_from_file"`
	freeModel       func(m uintptr)                                                                           `sym:"llama_model_free"`
	ctxTrain        func(m uintptr) int32                                                                     `sym:"llama_model_n_ctx_train"`
	metaValue       func(m uintptr, key string, buf *byte, n uintptr) int32                                   `sym:"llama_model_meta_val_str"`
	chatTemplate    func(m uintptr, name uintptr) string                                                      `sym:"llama_model_chat_template"`
	applyTemplate   func(tmpl string, msgs *chatMessage, n uintptr, addAss bool, buf *byte, size int32) int32 `sym:"llama_chat_apply_template"`
	getVocab        func(m uintptr) uintptr                                                                   `sym:"llama_model_get_vocab"`
	nTokens         func(v uintptr) int32                                                                     `sym:"llama_vocab_n_tokens"`
	tokenText       func(v uintptr, t Token) string                                                           `sym:"llama_vocab_get_text"`
	tokenAttr       func(v uintptr, t Token) int32                                                            `sym:"llama_vocab_get_attr"`
	isEOG           func(v uintptr, t Token) bool                                                             `sym:"llama_vocab_is_eog"`
	bos             func(v uintptr) Token                                                                     `sym:"llama_vocab_bos"`
	addBOS          func(v uintptr) bool                                                                      `sym:"llama_vocab_get_add_bos"`
	tokenize        func(v uintptr, text *byte, n int32, out *Token, max int32, special, parse bool) int32    `sym:"llama_tokenize"`
	piece           func(v uintptr, t Token, buf *byte, n, lstrip int32, special bool) int32                  `sym:"llama_token_to_piece"`
	newContext      func(m uintptr, p contextParams) uintptr                                                  `sym:"llama_init_from_model"`
	freeContext     func(c uintptr)                                                                           `sym:"llama_free"`
	nCtx            func(c uintptr) uint32                                                                    `sym:"llama_n_ctx"`
	memory          func(c uintptr) uintptr                                                                   `sym:"llama_get_memory"`
	memoryClear     func(mem uintptr, data bool)                                                              `sym:"llama_memory_clear"`
	seqRemove       func(mem uintptr, seq, p0, p1 int32) bool                                                 `sym:"llama_memory_seq_rm"`
	stateSize       func(c uintptr, seq int32) uintptr                                                        `sym:"llama_state_seq_get_size"`
	stateGet        func(c uintptr, dst *byte, n uintptr, seq int32) uintptr                                  `sym:"llama_state_seq_get_data"`
	stateSet        func(c uintptr, src *byte, n uintptr, seq int32) uintptr                                  `sym:"llama_state_seq_set_data"`
	decode          func(c uintptr, b batch) int32                                                            `sym:"llama_decode"`
	newChain        func(p chainParams) uintptr                                                               `sym:"llama_sampler_chain_init"`
	chainAdd        func(chain, s uintptr)                                                                    `sym:"llama_sampler_chain_add"`
	newGreedy       func() uintptr                                                                            `sym:"llama_sampler_init_greedy"`
	newTopK         func(k int32) uintptr                                                                     `sym:"llama_sampler_init_top_k"`
	newTopP         func(p float32, minKeep uintptr) uintptr                                                  `sym:"llama_sampler_init_top_p"`
	newTemp         func(t float32) uintptr                                                                   `sym:"llama_sampler_init_temp"`
	newDist         func(seed uint32) uintptr                                                                 `sym:"llama_sampler_init_dist"`
	newGrammar      func(v uintptr, text, root string) uintptr                                                `sym:"llama_sampler_init_grammar"`
	sample          func(s, c uintptr, i int32) Token                                                         `sym:"llama_sampler_sample"`
	apply           func(s uintptr, a *candidates)                                                            `sym:"llama_sampler_apply"`
	accept          func(s uintptr, t Token)                                                                  `sym:"llama_sampler_accept"`
	logits          func(c uintptr, i int32) *float32                                                         `sym:"llama_get_logits_ith"`
	freeSampler     func(s uintptr)                                                                           `sym:"llama_sampler_free"`
}

// Open loads the engine's libraries from dir and checks their layout. The
// engine's own warnings go to log; nil discards them.
func Open(dir string, log func(line string)) (*Library, error) {
	n, ok := platforms[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("no engine is known for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	l := &Library{log: &logTail{sink: log}}
	var handles []uintptr
	for _, name := range []string{n.base, n.ggml, n.llama} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("the engine is incomplete: %w", err)
		}
		if err := checkSoname(path, name); err != nil {
			return nil, err
		}
		h, err := openLibrary(path)
		if err != nil {
			return nil, fmt.Errorf("the engine does not load: %w", err)
		}
		handles = append(handles, h)
	}
	if err := l.bind(handles); err != nil {
		return nil, err
	}
	l.f.logSet(purego.NewCallback(l.log.write), 0)
	l.version = l.f.version()
	if err := checkABI(l.version, l.f.modelDefaults(), l.f.contextDefaults()); err != nil {
		return nil, err
	}
	if err := l.checkCandidates(); err != nil {
		return nil, err
	}
	if l.strlen, err = libcSymbol("strlen"); err != nil {
		return nil, err
	}
	l.f.loadBackends(dir)
	l.f.backendInit()
	return l, nil
}

// Version is what the library says of itself.
func (l *Library) Version() string { return l.version }

// checkSoname keeps a renamed library from being executed at all. Only ELF
// carries a name worth comparing; elsewhere the version string has to do.
func checkSoname(path, want string) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is not a library: %w", path, err)
	}
	defer f.Close()
	got, err := f.DynString(elf.DT_SONAME)
	if err != nil {
		return fmt.Errorf("%s has no readable soname: %w", path, err)
	}
	if len(got) != 1 || got[0] != want {
		return &ABIError{[]string{fmt.Sprintf("the soname of %s reads %q", path, got)}}
	}
	return nil
}

func (l *Library) bind(handles []uintptr) error {
	var missing []string
	for _, s := range l.f.symbols() {
		addr := uintptr(0)
		for _, h := range handles {
			if a, err := librarySymbol(h, s.name); err == nil && a != 0 {
				addr = a
				break
			}
		}
		if addr == 0 {
			missing = append(missing, s.name)
			continue
		}
		purego.RegisterFunc(s.fn, addr)
	}
	if missing != nil {
		return &ABIError{[]string{"it lacks " + strings.Join(missing, ", ")}}
	}
	return nil
}

// logTail keeps the last complaints of the C code, which reports failures as a
// null pointer and a line on its log.
type logTail struct {
	mu   sync.Mutex
	sink func(string)
	line []byte
	bad  []string
}

const (
	levelWarn  = 3 // ggml_log_level
	levelError = 4
)

func (t *logTail) write(level uintptr, text *byte, _ uintptr) uintptr {
	// A load writes hundreds of lines below these, one a tensor.
	if lv := uint32(level); lv != levelWarn && lv != levelError {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = append(t.line, goString(text)...)
	if len(t.line) == 0 || t.line[len(t.line)-1] != '\n' {
		return 0
	}
	s := strings.TrimSpace(string(t.line))
	t.line = t.line[:0]
	if s == "" {
		return 0
	}
	t.bad = append(t.bad, s)
	if len(t.bad) > 4 {
		t.bad = t.bad[1:]
	}
	if t.sink != nil {
		t.sink(s)
	}
	return 0
}

// fail makes an error of the complaints since the last one.
func (t *logTail) fail(what string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.bad) == 0 {
		return errors.New(what)
	}
	err := fmt.Errorf("%s: %s", what, strings.Join(t.bad, "; "))
	t.bad = nil
	return err
}
