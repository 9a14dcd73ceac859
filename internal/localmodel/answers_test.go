package localmodel

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/localmodel/enginetest"
)

func TestAnswer(t *testing.T) {
	e := tiny(t, nil)
	a := ask(t, e, hello())
	if a.text() != enginetest.Answer || a.Reason != "end_turn" || a.Stop != "" {
		t.Errorf("%q, %s", a.text(), a.Reason)
	}
	if a.Type != "message" || a.Role != "assistant" || a.Model != "m" || !strings.HasPrefix(a.ID, "msg_") {
		t.Errorf("%+v", a)
	}
	if a.Usage.Output != enginetest.AnswerTokens || a.Usage.Creation != 0 || a.Usage.Read != 0 {
		t.Errorf("usage %+v", a.Usage)
	}
	c := post(t, e, "/v1/messages/count_tokens", hello())
	// <|im_start|> user \n Hello <|im_end|> \n <|im_start|> assistant \n, a token for each byte
	if want := 1 + len("user\nHello") + 1 + 1 + 1 + len("assistant\n"); c.Count != want || a.Usage.Input != want {
		t.Errorf("%d tokens counted, %d used, want %d", c.Count, a.Usage.Input, want)
	}
}

func TestStream(t *testing.T) {
	e := tiny(t, nil)
	s := open(t, e, hello("stream", true, "max_tokens", 6))
	var got []string
	for {
		name, v, err := s.next()
		if err != nil {
			break
		}
		switch name {
		case "message_start":
			m := v["message"].(object)
			if m["stop_reason"] != nil || len(m["content"].([]any)) != 0 || m["usage"].(object)["input_tokens"].(float64) == 0 {
				t.Errorf("message_start: %v", m)
			}
		case "content_block_delta":
			name += " " + v["delta"].(object)["text"].(string)
		case "message_delta":
			d, u := v["delta"].(object), v["usage"].(object)
			if d["stop_reason"] != "max_tokens" || d["stop_sequence"] != nil || u["output_tokens"].(float64) != 6 {
				t.Errorf("message_delta: %v", v)
			}
		default:
		}
		got = append(got, name)
	}
	// the three bytes of 漢 are three tokens and one delta
	want := []string{"message_start", "content_block_start", "content_block_delta Hel", "content_block_delta lo, w",
		"content_block_delta orld. ", "content_block_delta 漢", "content_block_stop", "message_delta", "message_stop"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestStreamOfNothing(t *testing.T) {
	e := tiny(t, nil)
	s := open(t, e, hello("stream", true, "stop_sequences", []string{"H"}))
	var got []string
	for {
		name, _, err := s.next()
		if err != nil {
			break
		}
		got = append(got, name)
	}
	if want := []string{"message_start", "message_delta", "message_stop"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	a := ask(t, e, hello("stop_sequences", []string{"H"}))
	if len(a.Content) != 0 || a.Content == nil || a.Reason != "stop_sequence" {
		t.Errorf("%+v", a)
	}
}

func TestWhereAnAnswerEnds(t *testing.T) {
	e := tiny(t, nil)
	for name, c := range map[string]struct {
		request object
		text    string
		reason  string
		stop    string
		output  int
	}{
		"a stop in one token":         {hello("stop_sequences", []string{"o"}), "Hell", "stop_sequence", "o", 2},
		"a stop over three tokens":    {hello("stop_sequences", []string{"llo, world"}), "He", "stop_sequence", "llo, world", 3},
		"a stop of byte tokens":       {hello("stop_sequences", []string{"never", "漢字"}), "Hello, world. ", "stop_sequence", "漢字", 9},
		"a stop that does not finish": {hello("stop_sequences", []string{"bye!", "world!"}), enginetest.Answer, "end_turn", "", enginetest.AnswerTokens},
		"one token":                   {hello("max_tokens", 1), "Hel", "max_tokens", "", 1},
		"inside a character":          {hello("max_tokens", 4), "Hello, world. ", "max_tokens", "", 4},
		"inside a stop":               {hello("max_tokens", 2, "stop_sequences", []string{"wow"}), "Hello, w", "max_tokens", "", 2},
		"a begun answer":              {loop("stream", false, "max_tokens", 2*enginetest.LoopTokens), enginetest.Loop + enginetest.Loop, "max_tokens", "", 2 * enginetest.LoopTokens},
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t, e, c.request)
			if a.text() != c.text || a.Reason != c.reason || a.Stop != c.stop || a.Usage.Output != c.output {
				t.Errorf("%q, %s %q, %d tokens", a.text(), a.Reason, a.Stop, a.Usage.Output)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Context = 256 })
	for name, c := range map[string]struct {
		path    string
		body    any
		status  int
		kind    string
		message string
	}{
		"an image": {"/v1/messages", hello("messages", []object{{"role": "user", "content": []object{{"type": "image"}}}}),
			http.StatusBadRequest, "invalid_request_error", "messages.0.content.0: image blocks are not supported by the embedded model, which reads text only"},
		"no object":     {"/v1/messages", "hi", http.StatusBadRequest, "invalid_request_error", "the request body is not a JSON object"},
		"a long prompt": {"/v1/messages", hello("messages", []object{{"role": "user", "content": strings.Repeat("x", 300)}}), http.StatusBadRequest, "invalid_request_error", "prompt is too long: 319 tokens > 256 maximum"},
		"another path":  {"/v1/complete", hello(), http.StatusNotFound, "not_found_error", "no such path: POST /v1/complete"},
	} {
		t.Run(name, func(t *testing.T) {
			a := post(t, e, c.path, c.body)
			if a.Status != c.status || a.Type != "error" || a.Error.Type != c.kind || !strings.HasPrefix(a.Error.Message, c.message) {
				t.Errorf("%d %s: %s", a.Status, a.Error.Type, a.Error.Message)
			}
		})
	}
	if a := post(t, e, "/v1/messages/count_tokens", hello("messages", []object{{"role": "user", "content": strings.Repeat("x", 300)}})); a.Count != 319 {
		t.Errorf("a long prompt is counted all the same: %+v", a)
	}
}

func TestSamplingIsReproducible(t *testing.T) {
	e := tiny(t, nil)
	sampled := func(seed int) object {
		return hello("temperature", 1, "seed", seed, "max_tokens", 40)
	}
	first := ask(t, e, sampled(1)).text()
	if again := ask(t, e, sampled(1)).text(); again != first {
		t.Errorf("the same seed gave %q and %q", first, again)
	}
	if other := ask(t, e, sampled(2)).text(); other == first {
		t.Errorf("two seeds gave %q", first)
	}
	free := hello("temperature", 1, "max_tokens", 40)
	if ask(t, e, free).text() == ask(t, e, free).text() {
		t.Error("two requests without a seed gave the same 40 tokens")
	}
}

// At temperature 0 and with a seed, neither kept prefixes nor neighbours change
// an answer.
func TestAnswersDoNotDependOnEachOther(t *testing.T) {
	e := tiny(t, nil)
	requests := []object{
		hello("temperature", 1, "seed", 5, "max_tokens", 80),
		hello("temperature", 1, "seed", 5, "max_tokens", 80, "system", strings.Repeat("be brief ", 30)),
		hello("temperature", 1, "seed", 5, "max_tokens", 80, "system", strings.Repeat("be brief ", 30)+"!"),
		hello(),
	}
	var want []string
	for _, r := range requests {
		want = append(want, ask(t, e, r).text())
	}
	got := make([]string, 4*len(requests))
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() { got[i] = ask(t, e, requests[i%len(requests)]).text() })
	}
	wg.Wait()
	for i, text := range got {
		if text != want[i%len(requests)] {
			t.Errorf("request %d gave %q and then %q", i%len(requests), want[i%len(requests)], text)
		}
	}
}

func TestPrefixCache(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Slots = 1 })
	long := hello("system", strings.Repeat("be brief ", 30)) // 270 bytes and the template's part
	first := ask(t, e, long)
	var before, after float64
	health(t, e, func(v object) bool { before = v["reused_tokens"].(float64); return true })
	second := ask(t, e, long)
	health(t, e, func(v object) bool { after = v["reused_tokens"].(float64); return true })
	if before != 0 || after != 256 {
		t.Errorf("%v and %v tokens were read from the cache, want 0 and 256", before, after)
	}
	if !reflect.DeepEqual(first.Usage, second.Usage) || second.Usage.Read != 0 {
		t.Errorf("usage %+v and %+v", first.Usage, second.Usage)
	}
}

func TestQueueFull(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Slots, o.Queue = 1, 1 })
	running := open(t, e, loop())
	running.texts(1)
	queued := make(chan string, 1)
	go func() { queued <- ask(t, e, hello()).text() }()
	health(t, e, func(v object) bool { return v["busy"] == 1.0 && v["waiting"] == 1.0 })
	a := post(t, e, "/v1/messages", hello())
	if a.Status != http.StatusTooManyRequests || a.Error.Type != "rate_limit_error" || a.Error.Message != "The embedded model is busy: 1 requests run and 1 wait. Try again later." {
		t.Errorf("%d %+v", a.Status, a.Error)
	}
	running.leave() // within a token, or the test lasts as long as 60,000 of them
	if got := <-queued; got != enginetest.Answer {
		t.Errorf("who waited got %q", got)
	}
	health(t, e, func(v object) bool { return v["busy"] == 0.0 && v["waiting"] == 0.0 })
}

func TestLeavingTheQueue(t *testing.T) {
	e := tiny(t, func(o *Options) { o.Slots, o.Queue = 1, 1 })
	running := open(t, e, loop())
	running.texts(1)
	gone := make(chan error, 1)
	ctx, leave := contextOf(t)
	go func() {
		_, err := send(ctx, e, "/v1/messages", hello())
		gone <- err
	}()
	health(t, e, func(v object) bool { return v["waiting"] == 1.0 })
	leave()
	if err := <-gone; err == nil {
		t.Error("who left got an answer")
	}
	health(t, e, func(v object) bool { return v["waiting"] == 0.0 })
}
