package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"sync"
)

// gate is an upstream that speaks Anthropic Messages and holds a stream after its first words until the test lets
// it go on: a server between that buffers can then never be taken for one that streams.
type gate struct {
	url  string
	l    net.Listener
	mu   sync.Mutex
	open map[string]chan struct{}
	seen map[string][]byte // the last body that names a ticket
}

var ticket = regexp.MustCompile(`gate-[A-Za-z0-9-]+`)

func newGate() (*gate, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &gate{url: "http://" + l.Addr().String(), l: l, open: map[string]chan struct{}{}, seen: map[string][]byte{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/messages", g.messages)
	go http.Serve(l, mux)
	return g, nil
}

// passage is what the streams that name the ticket wait for.
func (g *gate) passage(ticket string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.open[ticket]
	if !ok {
		c = make(chan struct{})
		g.open[ticket] = c
	}
	return c
}

func (g *gate) release(ticket string) { close(g.passage(ticket)) }

// got is the body of the last call that names the ticket.
func (g *gate) got(ticket string) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[ticket]
}

const (
	gateWhole = "ok"
	gateCited = "Lanyang leads."
	gateFirst = "before the gate"
	gateRest  = ", after the gate"
)

func (g *gate) messages(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Model    string
		Stream   bool
		Messages []struct{ Content json.RawMessage }
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &call) != nil || len(call.Messages) == 0 {
		http.Error(w, `{"type":"error","error":{"type":"invalid_request_error","message":"unreadable"}}`, http.StatusBadRequest)
		return
	}
	held := ticket.Find(call.Messages[len(call.Messages)-1].Content)
	if held != nil {
		g.mu.Lock()
		g.seen[string(held)] = body
		g.mu.Unlock()
	}
	if !call.Stream {
		block := fmt.Sprintf(`{"type":"text","text":%q}`, gateWhole)
		if bytes.Contains(body, []byte(`"enabled":true`)) {
			block = fmt.Sprintf(`{"type":"text","text":%q,"citations":[{"type":"page_location","cited_text":"Lanyang 4120",`+
				`"document_index":0,"document_title":"report","start_page_number":1,"end_page_number":2}]}`, gateCited)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"id":"msg_1","type":"message","role":"assistant","model":%q,"content":[%s],`+
			`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}`, call.Model, block)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	event := func(name, data string) { fmt.Fprintf(w, "event: %s\ndata: %s\n\n", name, data) }
	delta := func(text string) {
		event("content_block_delta", fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":%q}}`, text))
	}
	event("message_start", fmt.Sprintf(`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":%q,`+
		`"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":1}}}`, call.Model))
	event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	delta(gateFirst)
	http.NewResponseController(w).Flush()
	if held != nil {
		select {
		case <-g.passage(string(held)):
		case <-r.Context().Done():
			return
		}
	}
	delta(gateRest)
	event("content_block_stop", `{"type":"content_block_stop","index":0}`)
	event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":6}}`)
	event("message_stop", `{"type":"message_stop"}`)
}
