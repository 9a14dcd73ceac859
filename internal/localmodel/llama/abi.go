package llama

import (
	"fmt"
	"strings"
	"unsafe"
)

// Version is the one llama.cpp release whose layouts stand in this file
// (include/llama.h of tag v0.5.0, as npm's node-llama-cpp 3.22.1 bundles it).
const Version = "0.5.0"

// reported is llama_version() of the prebuilt libraries: they are built from the
// tag without the release flag of its CMakeLists.txt.
const reported = Version + "-dev"

// modelParams is struct llama_model_params.
type modelParams struct {
	Devices       uintptr
	BuftOverrides uintptr
	NGPULayers    int32
	SplitMode     int32
	LoadMode      int32
	LazyMode      int32
	MainGPU       int32
	_             int32
	TensorSplit   uintptr
	Progress      uintptr
	ProgressData  uintptr
	KVOverrides   uintptr
	VocabOnly     bool
	CheckTensors  bool
	UseExtraBufts bool
	NoHost        bool
	NoAlloc       bool
	LoadMTP       bool
	_             [2]bool
}

// contextParams is struct llama_context_params.
type contextParams struct {
	NCtx              uint32
	NBatch            uint32
	NUbatch           uint32
	NSeqMax           uint32
	NRsSeq            uint32
	NOutputsMax       uint32
	NOutputsMaxPerSeq uint32
	NThreads          int32
	NThreadsBatch     int32
	CtxType           int32
	RopeScaling       int32
	Pooling           int32
	Attention         int32
	FlashAttn         int32
	RopeFreqBase      float32
	RopeFreqScale     float32
	YarnExtFactor     float32
	YarnAttnFactor    float32
	YarnBetaFast      float32
	YarnBetaSlow      float32
	YarnOrigCtx       uint32
	DefragThold       float32
	CbEval            uintptr
	CbEvalData        uintptr
	TypeK             int32
	TypeV             int32
	Abort             uintptr
	AbortData         uintptr
	Embeddings        bool
	OffloadKQV        bool
	NoPerf            bool
	OpOffload         bool
	SWAFull           bool
	KVUnified         bool
	_                 [2]bool
	Samplers          uintptr
	NSamplers         uintptr
	CtxOther          uintptr
}

// batch is struct llama_batch. Nil Pos, NSeqID, SeqID and Logits mean: after
// what the context holds, sequence 0, logits for the last token alone.
type batch struct {
	NTokens int32
	_       int32
	Token   *Token
	Embd    uintptr
	Pos     uintptr
	NSeqID  uintptr
	SeqID   uintptr
	Logits  uintptr
}

// chatMessage is struct llama_chat_message.
type chatMessage struct{ role, content *byte }

// chainParams is struct llama_sampler_chain_params.
type chainParams struct{ NoPerf bool }

// candidate is struct llama_token_data.
type candidate struct {
	ID    Token
	Logit float32
	P     float32
}

// candidates is struct llama_token_data_array.
type candidates struct {
	Data     *candidate
	Size     uintptr
	Selected int64
	Sorted   bool
	_        [7]bool
}

// The C compiler's sizes on every 64-bit platform; another Go layout does not compile.
var (
	_ [80]byte  = [unsafe.Sizeof(modelParams{})]byte{}
	_ [160]byte = [unsafe.Sizeof(contextParams{})]byte{}
	_ [56]byte  = [unsafe.Sizeof(batch{})]byte{}
	_ [1]byte   = [unsafe.Sizeof(chainParams{})]byte{}
	_ [12]byte  = [unsafe.Sizeof(candidate{})]byte{}
	_ [32]byte  = [unsafe.Sizeof(candidates{})]byte{}
)

// The defaults are read into a struct that is longer than ours: a library with
// a longer one would write into the guard instead of past the end.
type (
	modelDefaults struct {
		P     modelParams
		Guard [12]uintptr
	}
	contextDefaults struct {
		P     contextParams
		Guard [12]uintptr
	}
)

// An ABIError says why a library is not the one that this package was written for.
type ABIError struct{ Found []string }

func (e *ABIError) Error() string {
	return "the engine is not llama.cpp v" + Version + " as expected: " + strings.Join(e.Found, "; ")
}

// The default parameters of v0.5.0 (src/llama-model.cpp, src/llama-context.cpp).
// A field that moved reads as its neighbour's value, so all of them are compared.
var (
	wantModel = modelParams{NGPULayers: -1, SplitMode: 1, LoadMode: -1, LazyMode: 1, UseExtraBufts: true}

	wantContext = contextParams{
		NCtx: 512, NBatch: 2048, NUbatch: 512, NSeqMax: 1, NOutputsMaxPerSeq: 1,
		NThreads: 4, NThreadsBatch: 4,
		RopeScaling: -1, Pooling: -1, Attention: -1, FlashAttn: -1,
		YarnExtFactor: -1, YarnAttnFactor: -1, YarnBetaFast: -1, YarnBetaSlow: -1, DefragThold: -1,
		TypeK: 1, TypeV: 1,
		OffloadKQV: true, NoPerf: true, OpOffload: true, SWAFull: true,
	}
)

func checkABI(version string, m modelDefaults, c contextDefaults) error {
	var found []string
	if version != reported && version != Version {
		found = append(found, fmt.Sprintf("its version reads %q", version))
	}
	if m.P != wantModel || m.Guard != [12]uintptr{} {
		found = append(found, fmt.Sprintf("llama_model_default_params reads %+v", m))
	}
	if c.P != wantContext || c.Guard != [12]uintptr{} {
		found = append(found, fmt.Sprintf("llama_context_default_params reads %+v", c))
	}
	if found != nil {
		return &ABIError{found}
	}
	return nil
}

// checkCandidates lets samplers choose among candidates that are known: where a
// field has moved, they choose another one or leave another number of them.
func (l *Library) checkCandidates() error {
	data := []candidate{{ID: 7, Logit: 1}, {ID: 5, Logit: 3}, {ID: 9, Logit: 2}}
	a := &candidates{Data: &data[0], Size: uintptr(len(data)), Selected: -1}
	chain := l.f.newChain(chainParams{NoPerf: true})
	defer l.f.freeSampler(chain)
	l.f.chainAdd(chain, l.f.newTopK(2))
	l.f.chainAdd(chain, l.f.newGreedy())
	l.f.apply(chain, a)
	if a.Data != &data[0] || a.Size != 2 || a.Selected != 0 || !a.Sorted || data[0] != (candidate{ID: 5, Logit: 3}) || data[1].ID != 9 {
		return &ABIError{[]string{fmt.Sprintf("its samplers made %+v of three candidates, in %+v", data, *a)}}
	}
	return nil
}
