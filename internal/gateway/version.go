package gateway

import (
	"bytes"
	"strconv"

	"github.com/outcrop-dev/outcrop/internal/jsonspan"
	"github.com/outcrop-dev/outcrop/internal/messages"
)

// versions that any model of the service takes; which one takes which is the
// catalog's.
var versions = []string{"bedrock-2023-05-31", "2023-06-01", version2026}

const version2026 = "2026-10-21"

// check2026 refuses what API version 2026-10-21 has done away with; spec:
// service.md 11.3.
func check2026(body *Body) error {
	refuse := func(what string) error {
		return messages.Errorf(messages.ModelRejected, "%s: Extra inputs are not permitted", what).
			WithHint("API version %s does not have %s; leave it out, or send anthropic_version bedrock-2023-05-31", version2026, what)
	}
	for _, key := range []string{"temperature", "top_p", "top_k"} {
		if _, ok := body.Get(key); ok {
			return refuse(key)
		}
	}
	raw, _ := body.Get("messages")
	if !hidesWords(raw) && !bytes.Contains(raw, []byte(`"document"`)) && !bytes.Contains(raw, []byte(`"citations"`)) {
		return nil
	}
	return eachBlock(raw, func(at, role, kind string, block jsonspan.Members) error {
		_, cites := block.Get("citations")
		switch {
		case role == "assistant" && kind == "document":
			return refuse(at)
		case role == "user" && kind == "text" && cites:
			return refuse(at + ".citations")
		default:
			return nil
		}
	})
}

var turnKeys, blockKeys = jsonspan.NewKeys("role", "content"), jsonspan.NewKeys("type", "citations")

// eachBlock visits the content blocks of messages, as strictly as the top level
// is read. What has not the form of a block is left for the model to refuse.
func eachBlock(raw []byte, visit func(at, role, kind string, block jsonspan.Members) error) error {
	turns, err := jsonspan.ScanArray(nil, raw)
	if err != nil {
		return malformed(err)
	}
	text := func(m jsonspan.Members, data []byte, key string) string {
		v, _ := m.Get(key)
		s, err := stringOf(v.Value(data))
		if err != nil {
			return ""
		}
		return s
	}
	for i, span := range turns {
		turn := span.Value(raw)
		if turn[0] != '{' {
			continue
		}
		members, err := jsonspan.Scan(nil, turn, turnKeys)
		if err != nil {
			return malformed(err)
		}
		content, ok := members.Get("content")
		if !ok || turn[content.Start] != '[' {
			continue
		}
		blocks, err := jsonspan.ScanArray(nil, content.Value(turn))
		if err != nil {
			return malformed(err)
		}
		for j, span := range blocks {
			block := span.Value(content.Value(turn))
			if block[0] != '{' {
				continue
			}
			inside, err := jsonspan.Scan(nil, block, blockKeys)
			if err != nil {
				return malformed(err)
			}
			at := "messages." + strconv.Itoa(i) + ".content." + strconv.Itoa(j)
			if err := visit(at, text(members, turn, "role"), text(inside, block, "type"), inside); err != nil {
				return err
			}
		}
	}
	return nil
}
