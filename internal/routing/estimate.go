package routing

import "bytes"

// What an estimate counts: rather too much than too little. Bytes a token are
// those of the tokenizer since Claude Opus 4.7 on English prose and code; an image
// costs its area, at most that of 1568 x 1568 pixels; a page of a PDF its text and
// its picture.
const (
	bytesPerToken  = 3
	tokensPerImage = 3300
	tokensPerPage  = 3000
	bytesPerPage   = 64 << 10 // of base64
	leastBinary    = 512      // what is shorter is text
)

// Estimate guesses the input tokens of a request body, of either dialect. It reads
// no pixels and no pages: base64 counts as one image, or as pages by its size
// where it begins as a PDF does.
func Estimate(body []byte) int64 {
	var binary, n int64
	for rest := body; ; {
		i := bytes.IndexByte(rest, '"')
		if i < 0 {
			break
		}
		if i >= leastBinary && base64ed(rest[:64]) {
			binary += int64(i)
			if bytes.HasPrefix(rest, []byte("JVBERi")) { // %PDF
				n += (1 + int64(i)/bytesPerPage) * tokensPerPage
			} else {
				n += tokensPerImage
			}
		}
		rest = rest[i+1:]
	}
	return n + (int64(len(body))-binary+bytesPerToken-1)/bytesPerToken
}

func base64ed(b []byte) bool {
	for _, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/') {
			return false
		}
	}
	return true
}
