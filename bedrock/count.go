package bedrock

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"

	"github.com/outcrop-dev/outcrop/internal/bedrockapi"
	"github.com/outcrop-dev/outcrop/internal/jsonspan"
)

// CountTokens counts the prompt of a call to Messages.New, without making it, by
// AWS's CountTokens; Messages.CountTokens does the same for its own parameters.
// AWS counts for a model, not for a profile: an id's prefix is left out.
func (c *Client) CountTokens(ctx context.Context, params anthropic.MessageNewParams, opts ...option.RequestOption) (*anthropic.MessageTokensCount, error) {
	var count anthropic.MessageTokensCount
	if err := c.Execute(ctx, http.MethodPost, strings.TrimPrefix(pathCount, "/"), params, &count, opts...); err != nil {
		return nil, err
	}
	return &count, nil
}

// betaCounting is the mark of Anthropic's own endpoint, which AWS's is not.
const betaCounting = "token-counting-2024-11-01"

func (b *backend) toCount(c *call, r *http.Request) error {
	body, members, err := c.read(r)
	if err != nil {
		return err
	}
	c.op = bedrockapi.CountTokens
	adapted, err := b.adapt(c, r, body, members, betaCounting)
	if err != nil {
		return err
	}
	if _, ok := members.Get("max_tokens"); !ok { // AWS wants a body that InvokeModel would take
		again, err := jsonspan.Scan(nil, adapted, nil)
		if err != nil {
			return badRequest("the request's body: %v", err)
		}
		adapted = jsonspan.Splice(nil, adapted, again, jsonspan.Edit{Key: "max_tokens", Value: []byte("1")})
	}
	const before, after = `{"input":{"invokeModel":{"body":"`, `"}}}`
	wrapped := make([]byte, 0, len(before)+base64.StdEncoding.EncodedLen(len(adapted))+len(after))
	wrapped = append(wrapped, before...)
	wrapped = base64.StdEncoding.AppendEncode(wrapped, adapted)
	c.set(r, append(wrapped, after...))
	if id, err := ParseModelID(c.model); err == nil && id.Base != "" {
		c.model = id.Base
	}
	return setPath(r.URL, c.prefix, c.op, c.model)
}

// counted turns {"inputTokens":N} into Anthropic's {"input_tokens":N}; a gateway
// that answers with the latter is left alone.
func counted(res *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	res.Body.Close()
	if err != nil {
		return err
	}
	members, err := jsonspan.Scan(nil, body, nil)
	if err != nil {
		return unreadable("the answer of CountTokens is not JSON", err)
	}
	if m, ok := members.Get("inputTokens"); ok {
		n, ok := jsonspan.Int(m.Value(body))
		if !ok {
			return unreadable("inputTokens in the answer of CountTokens is not a number", nil)
		}
		body = jsonspan.Splice(nil, body, members, jsonspan.Edit{Key: "input_tokens", Value: strconv.AppendInt(nil, n, 10)})
	}
	replaceBody(res, body)
	return nil
}
