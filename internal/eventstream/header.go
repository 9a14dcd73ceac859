package eventstream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Names and values that the service puts into each frame.
const (
	MessageType   = ":message-type"
	EventType     = ":event-type"
	ExceptionType = ":exception-type"
	ContentType   = ":content-type"
	ErrorCode     = ":error-code"
	ErrorMessage  = ":error-message"

	TypeEvent     = "event"     // of :message-type
	TypeException = "exception" // of :message-type: an error that the model names
	TypeError     = "error"     // of :message-type: an error that it does not

	JSON = "application/json" // of :content-type
)

// Wire types of a header value.
const (
	True byte = iota
	False
	Int8
	Int16
	Int32
	Int64
	Bytes
	String
	Timestamp
	UUID
)

// Header is one header of a frame. Value is what stands on the wire, without
// the length in front of Bytes and String: empty for True and False,
// big-endian for numbers, milliseconds since 1970 as an Int64 for Timestamp.
// In a header that Reader gave, Value aliases the frame.
type Header struct {
	Name  string
	Type  byte
	Value []byte
}

// StringHeader, BoolHeader, IntHeader, BytesHeader, TimeHeader and UUIDHeader
// make a header of each type.
func StringHeader(name, value string) Header { return Header{name, String, []byte(value)} }

func BoolHeader(name string, value bool) Header {
	if value {
		return Header{name, True, nil}
	}
	return Header{name, False, nil}
}

// IntHeader takes Int8, Int16, Int32, Int64 or Timestamp as typ; high bits of
// value that do not fit are the caller's to keep out.
func IntHeader(name string, typ byte, value int64) Header {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(value))
	return Header{name, typ, b[8-max(fixedSize(typ), 0):]}
}

func BytesHeader(name string, value []byte) Header { return Header{name, Bytes, value} }

func TimeHeader(name string, value time.Time) Header {
	return IntHeader(name, Timestamp, value.UnixMilli())
}

func UUIDHeader(name string, value [16]byte) Header { return Header{name, UUID, value[:]} }

// Text is the value of a String header.
func (h Header) Text() (string, bool) {
	if h.Type != String {
		return "", false
	}
	return text(h.Value), true
}

func (h Header) Bool() (v, ok bool) { return h.Type == True, h.Type == True || h.Type == False }

// Int is the value of an Int8, Int16, Int32 or Int64 header.
func (h Header) Int() (int64, bool) {
	switch {
	case h.Type == Int8 && len(h.Value) == 1:
		return int64(int8(h.Value[0])), true
	case h.Type == Int16 && len(h.Value) == 2:
		return int64(int16(binary.BigEndian.Uint16(h.Value))), true
	case h.Type == Int32 && len(h.Value) == 4:
		return int64(int32(binary.BigEndian.Uint32(h.Value))), true
	case h.Type == Int64 && len(h.Value) == 8:
		return int64(binary.BigEndian.Uint64(h.Value)), true
	default:
		return 0, false
	}
}

func (h Header) Time() (time.Time, bool) {
	if h.Type != Timestamp || len(h.Value) != 8 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(h.Value))).UTC(), true
}

func (h Header) UUID() (v [16]byte, ok bool) {
	if h.Type != UUID || len(h.Value) != 16 {
		return v, false
	}
	return [16]byte(h.Value), true
}

// Check says whether the header can stand in a frame.
func (h Header) Check() error {
	if len(h.Name) == 0 || len(h.Name) > 255 {
		return fmt.Errorf("header name of %d bytes; 1 to 255 fit", len(h.Name))
	}
	switch n := fixedSize(h.Type); {
	case n == unknown:
		return fmt.Errorf("header %q has unknown type %d", h.Name, h.Type)
	case n == variable && len(h.Value) > 65535:
		return fmt.Errorf("header %q has a value of %d bytes; 65535 fit", h.Name, len(h.Value))
	case n >= 0 && len(h.Value) != n:
		return fmt.Errorf("header %q has a value of %d bytes; its type takes %d", h.Name, len(h.Value), n)
	}
	return nil
}

const (
	variable = -1 // a 16-bit length stands in front of the value
	unknown  = -2
)

func fixedSize(typ byte) int {
	switch typ {
	case True, False:
		return 0
	case Int8:
		return 1
	case Int16:
		return 2
	case Int32:
		return 4
	case Int64, Timestamp:
		return 8
	case UUID:
		return 16
	case Bytes, String:
		return variable
	default:
		return unknown
	}
}

var errHeaders = errors.New("headers do not fill their block")

// parseHeaders decodes block into hs[:0]. A name that stands at the same place
// in the frame before is taken from there, so that a stream of like frames
// allocates nothing.
func parseHeaders(hs []Header, block []byte) ([]Header, error) {
	before := hs[:cap(hs)]
	hs = hs[:0]
	for len(block) > 0 {
		n := int(block[0])
		if n == 0 || len(block) < n+2 {
			return hs, errHeaders
		}
		name, typ := block[1:1+n], block[1+n]
		block = block[2+n:]
		size := fixedSize(typ)
		switch size {
		case unknown:
			return hs, fmt.Errorf("header %q has unknown type %d", name, typ)
		case variable:
			if len(block) < 2 {
				return hs, errHeaders
			}
			size = int(binary.BigEndian.Uint16(block))
			block = block[2:]
		}
		if len(block) < size {
			return hs, errHeaders
		}
		h := Header{Type: typ, Value: block[:size:size]}
		if i := len(hs); i < len(before) && before[i].Name == string(name) {
			h.Name = before[i].Name
		} else {
			h.Name = text(name)
		}
		hs = append(hs, h)
		block = block[size:]
	}
	return hs, nil
}

// text allocates only for what Bedrock does not send in every stream.
func text(b []byte) string {
	switch string(b) {
	case MessageType:
		return MessageType
	case EventType:
		return EventType
	case ContentType:
		return ContentType
	case ExceptionType:
		return ExceptionType
	case TypeEvent:
		return TypeEvent
	case TypeException:
		return TypeException
	case JSON:
		return JSON
	case "chunk":
		return "chunk"
	case "messageStart":
		return "messageStart"
	case "contentBlockStart":
		return "contentBlockStart"
	case "contentBlockDelta":
		return "contentBlockDelta"
	case "contentBlockStop":
		return "contentBlockStop"
	case "messageStop":
		return "messageStop"
	case "metadata":
		return "metadata"
	default:
		return string(b)
	}
}
