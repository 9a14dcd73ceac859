package sse

import "bytes"

// AppendEvent appends one event. Without a name there is no event line. Line
// ends in data make several data lines; a reader joins them with \n, so \r\n
// and a lone \r come out as \n. A line end in the name, which no event can
// carry, becomes a space. Nothing is allocated when dst has room.
func AppendEvent(dst []byte, name string, data []byte) []byte {
	if name != "" {
		dst = append(dst, "event: "...)
		for i := range len(name) {
			c := name[i]
			if c == '\n' || c == '\r' {
				c = ' '
			}
			dst = append(dst, c)
		}
		dst = append(dst, '\n')
	}
	for {
		dst = append(dst, "data: "...)
		i := lineEnd(data)
		dst = append(dst, data[:i]...)
		dst = append(dst, '\n')
		if i == len(data) {
			return append(dst, '\n')
		}
		if bytes.HasPrefix(data[i:], []byte("\r\n")) {
			i++
		}
		data = data[i+1:]
	}
}
