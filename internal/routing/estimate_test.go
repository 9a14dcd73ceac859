package routing

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestEstimate(t *testing.T) {
	picture := base64.StdEncoding.EncodeToString(make([]byte, 300_000))
	pdf := base64.StdEncoding.EncodeToString(append([]byte("%PDF-1.7\n"), make([]byte, 300_000)...))
	numbers := strings.Repeat("12345,", 500)
	tests := []struct {
		name, body  string
		least, most int64
	}{
		{"nothing", `{}`, 1, 1},
		{"text", `{"text":"` + strings.Repeat("word ", 300) + `"}`, 400, 600},
		{"escapes", `{"text":"a \"quoted\" ` + strings.Repeat("word ", 300) + `\\"}`, 400, 600},
		{"numbers", `{"a":[` + numbers + `1]}`, 1000, 1100},
		{"Chinese", `{"text":"` + strings.Repeat("字", 300) + `"}`, 300, 350},
		{"a picture", `{"source":{"data":"` + picture + `"},"text":"what is it"}`, 3300, 3400},
		{"a picture in Converse", `{"image":{"source":{"bytes":"` + picture + `"}}}`, 3300, 3400},
		{"a PDF", `{"data":"` + pdf + `"}`, 6000, 30_000},
		{"no end", `{"a":"` + picture, 1, 1 << 20},
	}
	for _, tt := range tests {
		if got := Estimate([]byte(tt.body)); got < tt.least || got > tt.most {
			t.Errorf("%s: %d, want %d to %d", tt.name, got, tt.least, tt.most)
		}
	}
}

func BenchmarkEstimate(b *testing.B) {
	body := []byte(`{"messages":[` + strings.Repeat(`{"role":"user","content":"What a long conversation this is, and how many words it has."},`, 1000) + `{}]}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		Estimate(body)
	}
}
