package activity

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func randomBase64(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return base64.StdEncoding.EncodeToString(b)
}

func image(data string) string {
	return `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + data + `"}}`
}

func TestFindBlobs(t *testing.T) {
	big, other, small := randomBase64(20_000), randomBase64(9_000), randomBase64(3_000)
	for _, c := range []struct {
		name string
		body string
		want []string
	}{
		{"empty", "", nil},
		{"short", `{"messages":[]}`, nil},
		{"long text", `{"text":"` + strings.Repeat("All in all a long text. ", 4000) + `"}`, nil},
		{"an image", `{"content":[` + image(big) + `,{"type":"text","text":"What is it?"}]}`, []string{big}},
		{"two images", `[` + image(big) + "," + image(other) + `]`, []string{big, other}},
		{"a small image", `[` + image(small) + `]`, nil},
		{"small ones all over", `[` + strings.Repeat(image(small)+",", 20) + image(big) + `]`, []string{big}},
		{"no JSON", big, []string{big}},
		{"cut off", `[` + image(big)[:10_000], []string{image(big)[strings.Index(image(big), big):10_000]}},
		{"quotes", strings.Repeat(`"`, 100_000), nil},
	} {
		var got []string
		at := 0
		for _, s := range findBlobs(nil, []byte(c.body)) {
			if s.start < at || s.end <= s.start || s.end > len(c.body) {
				t.Fatalf("%s: %v after %d", c.name, s, at)
			}
			at = s.end
			got = append(got, c.body[s.start:s.end])
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %d blobs, want %d", c.name, len(got), len(c.want))
		}
	}
}

// Wherever it stands in a body, what is as long as that is found.
func TestFindBlobsEverywhere(t *testing.T) {
	blob := strings.Repeat("A", minBlob)
	for lead := range 2 * blobStep / 7 {
		body := []byte(`{"a":"` + strings.Repeat("x y ", lead*7/4) + `","data":"` + blob + `"}`)
		if got := findBlobs(nil, body); len(got) != 1 || string(body[got[0].start:got[0].end]) != blob {
			t.Fatalf("after %d bytes: %v", lead*7, got)
		}
	}
}

func BenchmarkFindBlobs(b *testing.B) {
	text := []byte(`{"text":"` + strings.Repeat(`All in all a long text. \"Yes\", he said. `, 25_000) + `"}`)
	img := []byte(image(randomBase64(1 << 20)))
	for name, body := range map[string][]byte{"text": text, "image": img} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			var room [4]span
			for b.Loop() {
				findBlobs(room[:0], body)
			}
		})
	}
}

func FuzzFindBlobs(f *testing.F) {
	f.Add(image(randomBase64(9000)))
	f.Add(strings.Repeat(`"A`, 5000))
	f.Fuzz(func(t *testing.T, s string) {
		body := []byte(s)
		at := 0
		var joined []byte
		for _, b := range findBlobs(nil, body) {
			joined = append(joined, body[at:b.start]...)
			joined = append(joined, body[b.start:b.end]...)
			at = b.end
		}
		if joined = append(joined, body[at:]...); !bytes.Equal(joined, body) {
			t.Fatal("the parts are not the body")
		}
	})
}
