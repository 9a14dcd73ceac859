package bedrock

import "net/http"

func (b *backend) toCount(c *call, r *http.Request, prefix string) error {
	return unsupported("counts", "")
}
