package httpapi

import (
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// Limits of a request body, in bytes. 25,000,000: the length trait of the body
// member in bedrock-runtime 2023-09-30. 32 MB: Anthropic's request_too_large.
const (
	MaxInvokeBody   = 25_000_000
	MaxMessagesBody = 32 << 20
)

// A body must come at this rate after a grace period.
const (
	bodyGrace = 10 * time.Second
	bodyRate  = 16 << 10 // bytes a second
)

// Budget bounds the memory that request bodies hold together.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget allows limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

func (b *Budget) take(n int64) bool {
	if b.used.Add(n) > b.limit {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *Budget) give(n int64) { b.used.Add(-n) }

// readBody reads the whole body, at most limit bytes, within the budget and not
// below the least rate. It is in the budget until the exchange is over.
func (x *exchange) readBody(limit int64) (body []byte, err error) {
	if enc := x.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, messages.Errorf(messages.InvalidRequest, "The content encoding %q is not supported; send the body as it is.", enc)
	}
	if x.r.ContentLength > limit {
		return nil, x.tooLarge(limit)
	}
	size := x.r.ContentLength
	if size < 0 {
		size = 64 << 10 // chunked: grows below
	}
	defer func() {
		if err != nil {
			x.release()
		}
	}()
	grow := func(n int64) error {
		if !x.Bodies.take(n) {
			e := messages.Errorf(messages.Unavailable, "The server holds as many request bodies as it may. Try again.")
			e.RetryAfter = time.Second
			return e
		}
		x.held += n
		return nil
	}
	if err := grow(size); err != nil {
		return nil, err
	}
	defer x.rc.SetReadDeadline(time.Time{}) // net/http watches for a client that leaves
	buf := make([]byte, 0, size+1)          // one more byte, to see the end
	began := time.Now()
	for {
		if len(buf) == cap(buf) {
			n := int64(cap(buf))
			if err := grow(n); err != nil {
				return nil, err
			}
			buf = append(make([]byte, 0, 2*n), buf...)
		}
		// A transport without deadlines (a recorder in a test) reads without one.
		if len(buf) == 0 || int64(len(buf)) != x.r.ContentLength { // else the end is all that is to come
			_ = x.rc.SetReadDeadline(began.Add(bodyGrace + time.Duration(len(buf))*time.Second/bodyRate))
		}
		n, err := x.r.Body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case int64(len(buf)) > limit:
			return nil, x.tooLarge(limit)
		case errors.Is(err, io.EOF):
			return buf, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			x.w.Header().Set("Connection", "close")
			return nil, messages.Errorf(messages.InvalidRequest, "The request body came slower than %d bytes a second.", bodyRate).WithCause(err)
		case err != nil:
			return nil, messages.Errorf(messages.InvalidRequest, "The request body broke off.").WithCause(err)
		}
	}
}

// release gives the budget back.
func (x *exchange) release() {
	if x.held > 0 {
		x.Bodies.give(x.held)
		x.held = 0
	}
}

func (x *exchange) tooLarge(limit int64) error {
	x.w.Header().Set("Connection", "close")
	return tooLarge(limit)
}

func tooLarge(limit int64) error {
	return messages.Errorf(messages.TooLarge,
		"1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to %d", limit)
}
