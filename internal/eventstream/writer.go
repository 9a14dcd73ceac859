package eventstream

import (
	"encoding/binary"
	"hash/crc32"
)

// AppendEvent appends one event frame, with the headers that Bedrock sends in
// the order in which it sends them. Nothing is allocated when dst has room.
func AppendEvent(dst []byte, eventType, contentType string, payload []byte) []byte {
	start := len(dst)
	dst = BeginEvent(dst, eventType, contentType)
	dst = append(dst, payload...)
	return EndFrame(dst, start)
}

// AppendException appends one exception frame: an error of the operation's
// model, after which a stream ends.
func AppendException(dst []byte, exceptionType string, payload []byte) []byte {
	start := len(dst)
	dst = begin(dst, ExceptionType, exceptionType, JSON, TypeException)
	dst = append(dst, payload...)
	return EndFrame(dst, start)
}

// AppendMessage appends a frame with any headers. It panics on a header that
// no frame can carry; see [Header.Check].
func AppendMessage(dst []byte, headers []Header, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	for i := range headers {
		h := &headers[i]
		if err := h.Check(); err != nil {
			panic("eventstream: " + err.Error())
		}
		dst = append(dst, byte(len(h.Name)))
		dst = append(dst, h.Name...)
		dst = append(dst, h.Type)
		if fixedSize(h.Type) == variable {
			dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Value)))
		}
		dst = append(dst, h.Value...)
	}
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-preludeSize))
	dst = append(dst, payload...)
	return EndFrame(dst, start)
}

// BeginEvent appends the start of an event frame. The caller appends the
// payload, in place, and then calls EndFrame with the length that dst had
// before BeginEvent.
func BeginEvent(dst []byte, eventType, contentType string) []byte {
	return begin(dst, EventType, eventType, contentType, TypeEvent)
}

func begin(dst []byte, kind, kindValue, contentType, messageType string) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, preludeSize)...)
	dst = appendText(dst, kind, kindValue)
	dst = appendText(dst, ContentType, contentType)
	dst = appendText(dst, MessageType, messageType)
	binary.BigEndian.PutUint32(dst[start+4:], uint32(len(dst)-start-preludeSize))
	return dst
}

// EndFrame closes the frame that begins at dst[start]: its length and its
// checksums.
func EndFrame(dst []byte, start int) []byte {
	frame := dst[start:]
	binary.BigEndian.PutUint32(frame, uint32(len(frame)+4))
	sum := crc32.ChecksumIEEE(frame[:8])
	binary.BigEndian.PutUint32(frame[8:], sum)
	return binary.BigEndian.AppendUint32(dst, crc32.Update(sum, crc32.IEEETable, frame[8:]))
}

func appendText(dst []byte, name, value string) []byte {
	if len(value) > 65535 {
		panic("eventstream: value of " + name + " is too long")
	}
	dst = append(dst, byte(len(name)))
	dst = append(dst, name...)
	dst = append(dst, String)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}
