package httpapi_test

import (
	"context"
	"sync"

	"github.com/outcrop-dev/outcrop/internal/document"
	"github.com/outcrop-dev/outcrop/internal/gateway"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// keeping is an upstream that keeps the body it was called with.
type keeping struct {
	gateway.Upstream
	can *gateway.Capabilities // in place of the upstream's own
	got *gateway.Body
}

func (w *keeping) Capabilities() gateway.Capabilities {
	if w.can == nil {
		return w.Upstream.Capabilities()
	}
	c := *w.can
	c.Place = w.Upstream.Capabilities().Place
	return c
}

func (w *keeping) Send(ctx context.Context, route routing.Route, req gateway.Request) (gateway.Stream, error) {
	w.got = req.Body
	return w.Upstream.Send(ctx, route, req)
}

func (w *keeping) Count(ctx context.Context, route routing.Route, req gateway.Request) (int64, error) {
	w.got = req.Body
	return w.Upstream.Count(ctx, route, req)
}

// text is what the upstream got, a line; "" if it was not called.
func (w *keeping) text() string {
	if w.got == nil {
		return ""
	}
	return string(w.got.Bytes()) + "\n"
}

// reader reads documents for all tests: PDFium is compiled once, by the first
// that needs it.
type reader struct{}

var opened = sync.OnceValues(func() (*document.Reader, error) { return document.New(document.Options{}) })

func (reader) Text(ctx context.Context, format document.Format, data []byte) ([]string, error) {
	r, err := opened()
	if err != nil {
		return nil, err
	}
	return r.Text(ctx, format, data)
}

func (reader) Render(ctx context.Context, data []byte, longEdge int) (*document.Pictures, error) {
	r, err := opened()
	if err != nil {
		return nil, err
	}
	return r.Render(ctx, data, longEdge)
}
