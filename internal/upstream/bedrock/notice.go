package bedrock

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/outcrop-dev/outcrop/internal/messages"
)

// noticeEvery is how often the log says the same of an account.
const noticeEvery = time.Minute

// notices tell the operator what the client is not told: that this server's own
// credentials will not do, and what to do about it.
type notices struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	said map[notice]time.Time
}

// notice names what is said; accounts and remedies are few.
type notice struct{ account, remedy string }

// refused is AWS's refusal, or the want of anything to sign with.
func (n *notices) refused(account, region string, err error) {
	if n.log == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	what := remedy(err)
	now := n.now()
	n.mu.Lock()
	if last, ok := n.said[notice{account, what}]; ok && now.Sub(last) < noticeEvery {
		n.mu.Unlock()
		return
	}
	if n.said == nil {
		n.said = map[notice]time.Time{}
	}
	n.said[notice{account, what}] = now
	n.mu.Unlock()
	if account == "" {
		account = "default"
	}
	n.log.Error("Amazon Bedrock does not take this server's credentials", "account", account, "region", region, "cause", err.Error(), "do", what)
}

func remedy(err error) string {
	auth, ok := errors.AsType[*authError](err)
	if !ok {
		return "give this server AWS credentials: AWS_PROFILE or AWS_ACCESS_KEY_ID in its environment, `aws sso login`, or a role that it may assume"
	}
	switch auth.kind {
	case messages.ExpiredToken:
		return "get new credentials (`aws sso login`); a server that runs for long wants a role or SSO, which renew themselves"
	case messages.UnknownKey:
		return "use an access key that exists: AWS does not know this one (deleted, or of another partition)"
	case messages.InvalidSignature, messages.MissingToken, messages.IncompleteToken:
		return "check the secret access key, and this machine's clock"
	default: // an API key
		return "use a Bedrock API key that is valid in this Region, or leave it out and use AWS credentials"
	}
}

// plainRefusal is what AWS says of a signature without the request that it repeats
// behind it, which holds a session token.
func plainRefusal(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	text, _, _ = strings.Cut(text, "The Canonical String")
	return strings.TrimSpace(text)
}
