package converse

import (
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// usage adds what a Messages usage object says to u. In a stream the later
// object counts, member by member.
func (c *converser) usage(v []byte, u *messages.Usage) {
	for key, v := range c.object(v).each {
		switch string(key) {
		case "input_tokens":
			c.count(v, &u.InputTokens)
		case "output_tokens":
			c.count(v, &u.OutputTokens)
		case "cache_read_input_tokens":
			c.count(v, &u.CacheReadInputTokens)
		case "cache_creation_input_tokens":
			c.count(v, &u.CacheCreationInputTokens)
		case "cache_creation":
			for key, v := range c.object(v).each {
				switch string(key) {
				case "ephemeral_5m_input_tokens":
					c.count(v, &u.CacheCreation.Ephemeral5m)
				case "ephemeral_1h_input_tokens":
					c.count(v, &u.CacheCreation.Ephemeral1h)
				default: // a class of cache that Converse cannot name; the total has it
					c.drop("")
				}
			}
		case "server_tool_use":
			for _, v := range c.object(v).each {
				if string(v) != "0" {
					c.drop("")
				}
			}
		default: // details that additionalModelResponseFieldPaths can ask for
		}
	}
}

func (c *converser) count(v []byte, to *int64) {
	n, ok := jsonspan.Int(v)
	if !ok || n < 0 {
		c.wrong("a count of tokens")
		return
	}
	*to = n
}

// writeUsage writes usage with the members that AWS sends and the order in which
// it sends them (recorded): each cache count under two names, serverToolUsage
// empty. cacheDetails has the longer time first (TokenUsage).
func (c *converser) writeUsage(u *messages.Usage) {
	c.open('{')
	if d := u.CacheCreation; u.CacheCreationInputTokens > 0 {
		if d.IsZero() {
			d.Ephemeral5m = u.CacheCreationInputTokens
		}
		c.key("cacheDetails")
		c.open('[')
		c.cacheDetail("1h", d.Ephemeral1h)
		c.cacheDetail("5m", d.Ephemeral5m)
		c.open(']')
	}
	c.intMember("cacheReadInputTokenCount", u.CacheReadInputTokens)
	c.intMember("cacheReadInputTokens", u.CacheReadInputTokens)
	c.intMember("cacheWriteInputTokenCount", u.CacheCreationInputTokens)
	c.intMember("cacheWriteInputTokens", u.CacheCreationInputTokens)
	c.intMember("inputTokens", u.InputTokens)
	c.intMember("outputTokens", u.OutputTokens)
	c.member("serverToolUsage", empty)
	c.intMember("totalTokens", u.PromptTokens()+u.OutputTokens)
	c.open('}')
}

var empty = []byte(`{}`)

func (c *converser) cacheDetail(ttl string, n int64) {
	if n == 0 {
		return
	}
	c.comma()
	c.open('{')
	c.intMember("inputTokens", n)
	c.textMember("ttl", ttl)
	c.open('}')
}

// converseUsage reads Converse's usage and writes it as Messages has it.
func (r *request) converseUsage(v []byte) {
	var u messages.Usage
	split := false
	count := func(v []byte, to *int64) {
		n, ok := jsonspan.Int(v)
		if !ok || n < 0 {
			r.wrong("a count of tokens")
		}
		*to = n
	}
	for key, v := range r.object(v).each {
		switch string(key) {
		case "inputTokens":
			count(v, &u.InputTokens)
		case "outputTokens":
			count(v, &u.OutputTokens)
		case "cacheReadInputTokens", "cacheReadInputTokenCount":
			count(v, &u.CacheReadInputTokens)
		case "cacheWriteInputTokens", "cacheWriteInputTokenCount":
			count(v, &u.CacheCreationInputTokens)
		case "totalTokens": // their sum
		case "cacheDetails":
			for _, v := range r.array(v).each {
				split = true
				r.readCacheDetail(v, &u)
			}
		case "serverToolUsage":
			for key := range r.object(v).each {
				r.extra(key)
			}
		default:
			r.extra(key)
		}
	}
	r.open('{')
	r.intMember("input_tokens", u.InputTokens)
	r.intMember("cache_creation_input_tokens", u.CacheCreationInputTokens)
	r.intMember("cache_read_input_tokens", u.CacheReadInputTokens)
	if split || u.CacheCreationInputTokens > 0 {
		if !split {
			u.CacheCreation.Ephemeral5m = u.CacheCreationInputTokens
		}
		r.key("cache_creation")
		r.open('{')
		r.intMember("ephemeral_5m_input_tokens", u.CacheCreation.Ephemeral5m)
		r.intMember("ephemeral_1h_input_tokens", u.CacheCreation.Ephemeral1h)
		r.open('}')
	}
	r.intMember("output_tokens", u.OutputTokens)
	r.open('}')
}

func (r *request) readCacheDetail(v []byte, u *messages.Usage) {
	var ttl string
	var n int64
	for key, v := range r.object(v).each {
		switch string(key) {
		case "ttl":
			ttl = r.enum(v, "5m", "1h")
		case "inputTokens":
			n, _ = jsonspan.Int(v)
		default:
			r.extra(key)
		}
	}
	switch ttl {
	case "5m":
		u.CacheCreation.Ephemeral5m += n
	case "1h":
		u.CacheCreation.Ephemeral1h += n
	}
}
