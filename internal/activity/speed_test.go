package activity

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"
)

func benchStore(b *testing.B, d Durability, ix Index) *Store {
	s, err := OpenStore(b.TempDir(), Options{Durability: d, Now: time.Now, Index: ix, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), MaxBytes: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// Records a second: 2 KB of request, 50 events, 16 calls at once.
func BenchmarkCalls(b *testing.B) {
	body := []byte(`{"messages":[{"role":"user","content":"` + fmt.Sprintf("%01900d", 7) + `"}],"max_tokens":100}`)
	for _, mode := range []Durability{Default, Power, Relaxed} {
		b.Run(mode.String(), func(b *testing.B) {
			s := benchStore(b, mode, nil)
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				rec, done := started("0f8fad5b-d9cb-469f-a165-70867728950e"), ended("0f8fad5b-d9cb-469f-a165-70867728950e")
				rec.Time = time.Now()
				data := []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"      "}}`)
				for pb.Next() {
					e, err := s.Open(context.Background(), Opening{Record: rec, Body: body})
					if err != nil {
						b.Error(err)
						return
					}
					for i := range 50 {
						data[len(data)-6] = 'a' + byte(i%26)
						e.Frame("content_block_delta", data)
					}
					if err := e.Close(done); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}

func BenchmarkFrame(b *testing.B) {
	var f frames
	data := []byte(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"      "}}`)
	i := 0
	for b.Loop() {
		data[len(data)-6] = 'a' + byte(i%26)
		if f.add("content_block_delta", data); len(f.buf) > frameRoom {
			f.buf = f.buf[:0]
		}
		i++
	}
}

func BenchmarkRecord(b *testing.B) {
	r := ended("0f8fad5b-d9cb-469f-a165-70867728950e")
	r.Principal, r.ModelID, r.RouteID, r.Wall, r.Upstream = "arn:aws:iam::123456789012:user/admin", "anthropic.claude-x", "global.anthropic.claude-x", "anywhere", "local"
	var buf []byte
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			buf = appendRecord(buf[:0], r)
		}
		b.ReportMetric(float64(len(buf)), "bytes")
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var got Record
		for b.Loop() {
			decodeRecord(buf, &got)
		}
	})
}
