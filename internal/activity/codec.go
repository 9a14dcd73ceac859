package activity

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/outcrop-dev/outcrop/internal/catalog"
)

// A Record is stored in the wire format of Protocol Buffers, so that other tools
// can look into it. This is the one list of its fields: a number stays what it
// is for ever, and a field whose value is zero is not written.
func (c *codec) record(r *Record) {
	c.text(1, &r.RequestID)
	c.text(2, &r.UpstreamRequestID)
	c.time(3, &r.Time)
	c.number(4, (*int64)(&r.FirstFrame))
	c.number(5, (*int64)(&r.Duration))
	c.text(6, &r.Operation)
	c.text(7, &r.Account)
	c.text(8, &r.Principal)
	c.text(9, &r.KeyID)
	c.text(10, &r.Region)
	c.text(11, &r.Ref)
	c.text(12, &r.ModelID)
	c.text(13, &r.RouteID)
	c.text(14, &r.Upstream)
	c.text(15, &r.Wall)
	c.text(16, &r.Endpoint)
	c.text(17, &r.Served)
	c.attempts(18, &r.Tried)
	c.small(19, &r.Status)
	c.text(20, &r.ErrorCode)
	c.text(21, &r.Error)
	c.flag(22, &r.Partial)
	c.flag(23, &r.Interrupted)
	c.text(24, &r.StopReason)
	c.number(25, &r.Usage.InputTokens)
	c.number(26, &r.Usage.CacheCreationInputTokens)
	c.number(27, &r.Usage.CacheReadInputTokens)
	c.number(28, &r.Usage.CacheCreation.Ephemeral5m)
	c.number(29, &r.Usage.CacheCreation.Ephemeral1h)
	c.number(30, &r.Usage.OutputTokens)
	c.money(31, &r.Billed)
	c.money(32, &r.WouldCost)
	c.money(33, &r.Premium)
	c.money(34, &r.CacheSaved)
	c.flag(35, &r.Estimated)
	c.number(36, &r.InputBytes)
	c.number(37, &r.OutputBytes)
	c.texts(38, &r.Warnings)
	c.text(39, &r.Trace)
	c.text(40, &r.Latency)
	c.text(41, &r.Tier)
	c.pairs(42, &r.Metadata)
	c.text(43, &r.Client.Session)
	c.text(44, &r.Client.Agent)
	c.text(45, &r.Client.ParentAgent)
	c.text(46, &r.Client.Prompt)
	c.text(47, &r.Client.Class)
	content := int(r.Content)
	c.small(48, &content)
	r.Content = Content(content)
	c.delivery(49, &r.Deliver)
	c.flag(50, &r.OwnPrice)
	c.text(51, &r.Version)
	c.texts(52, &r.Betas)
	c.text(53, &r.Guardrail)
}

const maxField = 64

// codec writes fields to buf, or reads them from what parse has found.
type codec struct {
	reading bool
	buf     []byte
	varint  [maxField]uint64
	bytes   [maxField][]byte // the last of a field that is repeated
}

// appendRecord appends the stored form of r.
func appendRecord(dst []byte, r *Record) []byte {
	c := codec{buf: dst}
	c.record(r)
	return c.buf
}

func decodeRecord(data []byte, r *Record) error {
	*r = Record{}
	c := codec{reading: true, buf: data}
	if err := c.parse(); err != nil {
		return err
	}
	c.record(r)
	return nil
}

var errRecord = errors.New("the stored record cannot be read")

// parse finds the fields of a message. Those that this version does not know
// are passed over.
func (c *codec) parse() error {
	for n, v := range c.fields {
		if n < 0 {
			return errRecord
		}
		if n < maxField {
			c.varint[n], c.bytes[n] = v.varint, v.bytes
		}
	}
	return nil
}

type value struct {
	varint uint64
	bytes  []byte
}

// fields yields the fields in the order in which they stand, and -1 where the
// message is broken.
func (c *codec) fields(yield func(int, value) bool) {
	for b := c.buf; len(b) > 0; {
		tag, n := binary.Uvarint(b)
		if n <= 0 || tag>>3 > 1<<29 {
			yield(-1, value{})
			return
		}
		b = b[n:]
		var v value
		x, n := binary.Uvarint(b)
		if n <= 0 {
			yield(-1, v)
			return
		}
		b = b[n:]
		switch tag & 7 {
		case 0:
			v.varint = x
		case 2:
			if x > uint64(len(b)) {
				yield(-1, v)
				return
			}
			v.bytes, b = b[:x:x], b[x:]
		default:
			yield(-1, v)
			return
		}
		if !yield(int(tag>>3), v) {
			return
		}
	}
}

func (c *codec) putVarint(n int, v uint64) {
	c.buf = binary.AppendUvarint(binary.AppendUvarint(c.buf, uint64(n)<<3), v)
}

func (c *codec) putText(n int, s string) {
	c.buf = binary.AppendUvarint(binary.AppendUvarint(c.buf, uint64(n)<<3|2), uint64(len(s)))
	c.buf = append(c.buf, s...)
}

func (c *codec) putMessage(n int, m codec) {
	c.buf = binary.AppendUvarint(binary.AppendUvarint(c.buf, uint64(n)<<3|2), uint64(len(m.buf)))
	c.buf = append(c.buf, m.buf...)
}

func (c *codec) text(n int, p *string) {
	if c.reading {
		*p = string(c.bytes[n])
	} else if *p != "" {
		c.putText(n, *p)
	}
}

// number is signed, in zigzag form: small amounts below zero stay short.
func (c *codec) number(n int, p *int64) {
	if c.reading {
		u := c.varint[n]
		*p = int64(u>>1) ^ -int64(u&1)
	} else if *p != 0 {
		c.putVarint(n, uint64(*p)<<1^uint64(*p>>63))
	}
}

func (c *codec) money(n int, p *catalog.Nanodollars) { c.number(n, (*int64)(p)) }

func (c *codec) small(n int, p *int) {
	v := int64(*p)
	c.number(n, &v)
	*p = int(v)
}

func (c *codec) flag(n int, p *bool) {
	if c.reading {
		*p = c.varint[n] != 0
	} else if *p {
		c.putVarint(n, 1)
	}
}

func (c *codec) time(n int, p *time.Time) {
	if c.reading {
		var ns int64
		if c.number(n, &ns); ns != 0 {
			*p = time.Unix(0, ns).UTC()
		}
	} else if !p.IsZero() {
		ns := p.UnixNano()
		c.number(n, &ns)
	}
}

// each gives the values of a repeated field.
func (c *codec) each(n int, f func([]byte)) {
	if c.bytes[n] == nil {
		return
	}
	for at, v := range c.fields {
		if at == n {
			f(v.bytes)
		}
	}
}

func (c *codec) texts(n int, p *[]string) {
	if c.reading {
		c.each(n, func(b []byte) { *p = append(*p, string(b)) })
		return
	}
	for _, s := range *p {
		c.putText(n, s)
	}
}

func (c *codec) pairs(n int, p *map[string]string) {
	if c.reading {
		c.each(n, func(b []byte) {
			m := codec{reading: true, buf: b}
			if m.parse() != nil {
				return
			}
			if *p == nil {
				*p = map[string]string{}
			}
			(*p)[string(m.bytes[1])] = string(m.bytes[2])
		})
		return
	}
	if len(*p) == 0 {
		return
	}
	for _, k := range slices.Sorted(maps.Keys(*p)) {
		var m codec
		v := (*p)[k]
		m.text(1, &k)
		m.text(2, &v)
		c.putMessage(n, m)
	}
}

func (c *codec) attempts(n int, p *[]Attempt) {
	visit := func(m *codec, a *Attempt) {
		m.text(1, &a.RouteID)
		m.text(2, &a.Region)
		m.text(3, &a.Code)
	}
	if c.reading {
		c.each(n, func(b []byte) {
			m, a := codec{reading: true, buf: b}, Attempt{}
			if m.parse() == nil {
				visit(&m, &a)
				*p = append(*p, a)
			}
		})
		return
	}
	for i := range *p {
		var m codec
		visit(&m, &(*p)[i])
		c.putMessage(n, m)
	}
}

func (c *codec) delivery(n int, p **Delivery) {
	m := codec{reading: c.reading, buf: c.bytes[n]}
	if c.reading {
		if m.buf == nil || m.parse() != nil {
			return
		}
		*p = new(Delivery)
	} else if *p == nil {
		return
	}
	d := *p
	m.text(1, &d.Bucket)
	m.text(2, &d.Prefix)
	m.flag(3, &d.NoText)
	m.flag(4, &d.NoImages)
	m.flag(5, &d.NoDocuments)
	if !c.reading {
		c.putMessage(n, m)
	}
}
