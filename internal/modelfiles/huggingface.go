package modelfiles

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// fromHuggingFace downloads the weights. What came so far stays in a .part file
// that the next try goes on from; its checksum is that of the whole.
func (s *sources) fromHuggingFace(ctx context.Context, o *Options, dest string, say *talk) error {
	part := filepath.Join(o.Dir, "partial", s.weights.name+".part")
	if err := os.MkdirAll(filepath.Dir(part), 0o755); err != nil {
		return err
	}
	defer os.Remove(filepath.Dir(part)) // if it is empty
	if err := resume(ctx, s.url, part, s.weights, say); err != nil {
		if info, statErr := os.Stat(part); statErr == nil && info.Size() == 0 {
			os.Remove(part)
		}
		return err
	}
	return install(filepath.Dir(dest), func(stage string) error {
		if err := checkFile(part, s.weights); err != nil {
			os.Remove(part) // there is nothing in it to go on from
			return err
		}
		return os.Rename(part, filepath.Join(stage, s.weights.name))
	})
}

// resume appends to part until it is as long as want.
func resume(ctx context.Context, url, part string, want pin, say *talk) error {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	have := info.Size()
	if have == want.size {
		return nil
	}
	if have > want.size {
		have = 0
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if have > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
	}}
	defer client.CloseIdleConnections()
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusPartialContent && have > 0:
	case res.StatusCode == http.StatusOK:
		have = 0 // the server does not resume
	default:
		return fmt.Errorf("%s: %s", r.URL.Host, res.Status)
	}
	if err := f.Truncate(have); err != nil {
		return err
	}
	bar := say.bar("Fetching the model from "+r.URL.Host, want.size)
	bar.set(have)
	n, err := io.Copy(io.MultiWriter(f, bar), io.LimitReader(res.Body, want.size-have+1))
	if err == nil && have+n != want.size {
		err = fmt.Errorf("%s sent %d bytes, want %d", r.URL.Host, have+n, want.size)
	}
	if err != nil {
		bar.abandon()
		return err
	}
	bar.finish()
	return f.Sync()
}
