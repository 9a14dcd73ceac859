package enginetest

import (
	"io"
	"math/rand/v2"
	"os"
)

// What the tiny model says at temperature 0.
const (
	// Answer follows a turn opened by the ChatML template. Its characters beyond
	// ASCII come one byte a token.
	Answer       = "Hello, world. 漢字🙂 bye"
	AnswerTokens = 14
	// LoopPrefill ends a start of an answer after which Loop repeats for ever.
	LoopPrefill = "count:"
	Loop        = "one two three "
	LoopTokens  = 3
	// CallPrefill ends a start of an answer after which the model says CallText and
	// begins to call a tool, in tokens that do not keep to the mark's borders.
	CallPrefill = "call!"
	CallText    = " Sure."

	Window = 65536
)

const (
	width  = 64
	heads  = 2
	layers = 2
	hidden = 64

	imStart = 3
	imEnd   = 4
	bytes0  = 5
)

// Template is ChatML as the weights of SmolLM2 carry it, without the system turn.
const Template = `{% for message in messages %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}`

// Pieces of more than a byte. No piece occurs twice in the scripts: a token
// alone decides what comes next.
var pieces = []string{"Hel", "lo,▁w", "orld.▁", "▁bye", "one", "▁two", "▁three▁", "▁", "▁Sure.", "▁<tool", "_call", ">["}

func piece(i int) int { return bytes0 + 256 + i }

// scripts lists runs of tokens, each following from the one before it.
func scripts() [][]int {
	answer := []int{bytes0 + '\n', piece(0), piece(1), piece(2)}
	for _, b := range []byte("漢字🙂") {
		answer = append(answer, bytes0+int(b))
	}
	answer = append(answer, piece(3), imEnd)
	return [][]int{
		answer,
		{bytes0 + ':', piece(4), piece(5), piece(6), piece(4)},
		{bytes0 + '!', piece(8), piece(9), piece(10), piece(11)},
	}
}

// File writes the tiny model to path.
func File(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := Write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Write writes the same bytes every time.
func Write(w io.Writer) error {
	var g gguf
	g.metadata()
	g.weights(rand.New(rand.NewPCG(135, 1)))
	return g.write(w)
}

func (g *gguf) metadata() {
	g.text("general.architecture", "llama")
	g.text("general.name", "tiny scripted model")
	g.number("llama.block_count", layers)
	g.number("llama.context_length", Window)
	g.number("llama.embedding_length", width)
	g.number("llama.feed_forward_length", hidden)
	g.number("llama.attention.head_count", heads)
	g.number("llama.attention.head_count_kv", 1)
	g.number("llama.rope.dimension_count", width/heads)
	g.real("llama.attention.layer_norm_rms_epsilon", 1e-5)
	g.text("tokenizer.ggml.model", "llama")
	tokens, kinds, scores := vocabulary()
	g.texts("tokenizer.ggml.tokens", tokens)
	g.reals("tokenizer.ggml.scores", scores)
	g.numbers("tokenizer.ggml.token_type", kinds)
	g.number("tokenizer.ggml.unknown_token_id", 0)
	g.number("tokenizer.ggml.bos_token_id", 1)
	g.number("tokenizer.ggml.eos_token_id", imEnd)
	g.flag("tokenizer.ggml.add_bos_token", false)
	g.flag("tokenizer.ggml.add_space_prefix", false)
	g.text("tokenizer.chat_template", Template)
}

// vocabulary has a token for each byte, so that any text can be read.
func vocabulary() (tokens []string, kinds []int32, scores []float32) {
	const normal, unknown, control, byteToken = 1, 2, 3, 6 // llama_token_type
	add := func(text string, kind int32) {
		tokens = append(tokens, text)
		kinds = append(kinds, kind)
		scores = append(scores, -float32(len(scores)))
	}
	add("<unk>", unknown)
	add("<s>", control)
	add("</s>", control)
	add("<|im_start|>", control)
	add("<|im_end|>", control)
	const digits = "0123456789ABCDEF"
	for b := range 256 {
		add("<0x"+string(digits[b>>4])+string(digits[b&15])+">", byteToken)
	}
	for _, p := range pieces {
		add(p, normal)
	}
	return tokens, kinds, scores
}

func (g *gguf) weights(rnd *rand.Rand) {
	vocab := bytes0 + 256 + len(pieces)
	random := func(n int, scale float32) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = (rnd.Float32()*2 - 1) * scale
		}
		return out
	}
	ones := make([]float32, width)
	for i := range ones {
		ones[i] = 1
	}
	embed := make([]float32, vocab*width)
	for i := range embed {
		embed[i] = float32(1 - 2*rnd.IntN(2))
	}
	// A token's own embedding gives its successor a logit of about 8; two random
	// ones give about 1.
	output := make([]float32, vocab*width)
	for _, run := range scripts() {
		for i := range len(run) - 1 {
			for d := range width {
				output[run[i+1]*width+d] += embed[run[i]*width+d] * 8 / width
			}
		}
	}
	g.tensor("token_embd.weight", embed, width, vocab)
	g.tensor("output.weight", output, width, vocab)
	g.tensor("output_norm.weight", ones, width)
	for _, blk := range []string{"blk.0.", "blk.1."} {
		g.tensor(blk+"attn_norm.weight", ones, width)
		g.tensor(blk+"attn_q.weight", random(width*width, 0.3), width, width)
		g.tensor(blk+"attn_k.weight", random(width*width/heads, 0.3), width, width/heads)
		g.tensor(blk+"attn_v.weight", random(width*width/heads, 0.3), width, width/heads)
		g.tensor(blk+"attn_output.weight", random(width*width, 0.2), width, width)
		g.tensor(blk+"ffn_norm.weight", ones, width)
		g.tensor(blk+"ffn_gate.weight", random(hidden*width, 0.15), width, hidden)
		g.tensor(blk+"ffn_up.weight", random(hidden*width, 0.15), width, hidden)
		g.tensor(blk+"ffn_down.weight", random(hidden*width, 0.15), hidden, width)
	}
}
