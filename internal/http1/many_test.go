//go:build unix

package http1

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMany makes 10,000 calls, sixteen at once, and some under TLS, of a far end that ends connections
// as it likes: no call gets another's answer, none is sent twice, and none fails
// that was not sent.
func TestMany(t *testing.T) {
	for secure, calls := range map[bool]int{false: 10_000, true: 1000} {
		t.Run(fmt.Sprintf("TLS %t", secure), func(t *testing.T) {
			var seen sync.Map // id -> struct{}
			f := listen(t, secure, func(p *peer) {
				rng := rand.New(rand.NewPCG(2026, uint64(p.n)))
				for {
					r, body, ok := p.request()
					if !ok {
						return
					}
					if _, twice := seen.LoadOrStore(r.Header.Get("X-Id"), struct{}{}); twice {
						t.Errorf("%s was sent twice", r.Header.Get("X-Id"))
					}
					if misbehave(p, rng, r.Header.Get("X-Id")+body) {
						return
					}
				}
			})
			c := f.open(t)
			c.Transport.MaxIdleConnsPerHost = 8
			var ids, whole, failed atomic.Int64
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for {
						n := ids.Add(1)
						if n > int64(calls) {
							return
						}
						id := fmt.Sprintf("call-%d.", n)
						body := strings.Repeat("b", int(n%5)*int(n%7)*int(n%11)*500)
						r := f.post(body)
						r.Header = http.Header{"X-Id": {id}}
						resp, sent, err := c.Do(t.Context(), r)
						if err != nil {
							failed.Add(1)
							if !sent {
								t.Errorf("%s was not sent: %v", id, err)
							}
							continue
						}
						if resp.StatusCode != http.StatusOK {
							t.Errorf("%s: %s", id, resp.Status)
						}
						switch n % 10 {
						case 0: // and leaves
						case 1:
							b := make([]byte, 4)
							if k, _ := io.ReadFull(resp.Body, b); !strings.HasPrefix(id+body, string(b[:k])) {
								t.Errorf("%s got %q", id, b[:k])
							}
						default:
							b, err := io.ReadAll(resp.Body)
							if err == nil {
								whole.Add(1)
							}
							if err == nil && string(b) != id+body || !strings.HasPrefix(id+body, string(b)) {
								t.Errorf("%s got %.100q, %v", id, b, err)
							}
						}
						resp.Body.Close()
					}
				})
			}
			wg.Wait()
			t.Logf("%d calls, %d answered whole, %d failed, %d connections", calls, whole.Load(), failed.Load(), f.opened())
			if int(whole.Load()) < calls/2 || failed.Load() == 0 || f.opened() > calls {
				t.Error("the test has not met what it is for")
			}
		})
	}
}

// misbehave answers text in one way or another; true: the connection is over.
func misbehave(p *peer, rng *rand.Rand, text string) (over bool) {
	length := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text))
	half := len(text) / 2
	const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
	switch rng.IntN(24) {
	case 0: // no answer
		return true
	case 1:
		p.reset()
		return true
	case 2: // half a head
		p.say(length[:20])
		return true
	case 3: // half a body
		p.say(length + text[:half])
		return true
	case 4:
		p.say(length + text)
		return true
	case 5:
		p.say(length + text)
		p.reset()
		return true
	case 6:
		p.say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + text)
		return true
	case 7:
		p.say("HTTP/1.0 200 OK\r\n\r\n" + text)
		return true
	case 8: // somebody else's answer behind one's own
		p.say(length + text + evil)
		return false
	case 9:
		p.say(length + text + "\r\n\r\n")
		return false
	case 10:
		p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		p.say(fmt.Sprintf("%x\r\n%s\r\n", half, text[:half]))
		return true
	case 11:
		p.say("HTTP/1.1 102 Processing\r\n\r\n" + length + text)
		return false
	case 12, 13, 14:
		p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", half, text[:half]))
		p.say(fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text)-half, text[half:]))
		return false
	default:
		p.say(length + text)
		return false
	}
}
