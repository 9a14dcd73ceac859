package bedrock

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/outcrop-dev/outcrop/internal/sigv4"
)

// How early credentials are renewed, and how soon again when that fails.
const (
	renewBefore = 5 * time.Minute
	renewAgain  = 30 * time.Second
	renewWithin = 30 * time.Second
	failsFor    = time.Second // a failure speaks for the next calls: one that tries six Regions asks once
)

// vault holds the credentials of one account. They are renewed in the background
// before they end, so that a call finds them ready: one atomic load.
type vault struct {
	provider aws.CredentialsProvider
	own      func(id string) bool
	now      func() time.Time

	current atomic.Pointer[secret]
	busy    chan struct{} // one renewal at a time; who holds it may touch failed
	renewed atomic.Uint64 // renewals that are over
	failed  error         // the last one did
	since   time.Time     // when
	timer   atomic.Pointer[time.Timer]
	closed  atomic.Bool
}

type secret struct {
	sigv4.Credentials
	ends time.Time // zero: never
}

var errOwnKey = errors.New("these credentials are this server's own: it would call itself")

func newVault(p aws.CredentialsProvider, own func(string) bool, now func() time.Time) *vault {
	return &vault{provider: p, own: own, now: now, busy: make(chan struct{}, 1)}
}

// get gives credentials that are good now.
func (v *vault) get(ctx context.Context) (sigv4.Credentials, error) {
	if s := v.current.Load(); s != nil && (s.ends.IsZero() || v.now().Before(s.ends)) {
		return s.Credentials, nil
	}
	return v.renew(ctx, "")
}

// renew gets new credentials, unless somebody else has by now: old is the key
// that will not do. Who has waited for a renewal that failed, or comes right behind it,
// has its error, so that a service that hangs is not asked once for each try.
func (v *vault) renew(ctx context.Context, old string) (_ sigv4.Credentials, err error) {
	before := v.renewed.Load()
	select {
	case v.busy <- struct{}{}:
		defer func() { <-v.busy }()
	case <-ctx.Done():
		return sigv4.Credentials{}, ctx.Err()
	}
	if s := v.current.Load(); s != nil && s.AccessKeyID != old && (s.ends.IsZero() || v.now().Before(s.ends)) {
		return s.Credentials, nil
	}
	if v.failed != nil && (v.renewed.Load() != before || v.now().Sub(v.since) < failsFor) {
		return sigv4.Credentials{}, v.failed
	}
	defer func() {
		if v.failed = err; err != nil {
			v.since = v.now()
			v.again(renewAgain)
		}
		v.renewed.Add(1)
	}()
	// Others wait for this too, whoever leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), renewWithin)
	defer cancel()
	if c, ok := v.provider.(*aws.CredentialsCache); ok {
		c.Invalidate()
	}
	c, err := v.provider.Retrieve(ctx)
	switch {
	case err != nil:
		return sigv4.Credentials{}, fmt.Errorf("AWS credentials: %w", err)
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return sigv4.Credentials{}, fmt.Errorf("AWS credentials: %s gave none", c.Source)
	case v.own != nil && v.own(c.AccessKeyID):
		return sigv4.Credentials{}, errOwnKey
	}
	s := &secret{Credentials: sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}}
	if c.CanExpire {
		s.ends = c.Expires
		left := c.Expires.Sub(v.now())
		v.again(max(left-min(renewBefore, left/4), time.Second))
	}
	v.current.Store(s)
	return s.Credentials, nil
}

// again renews in the background after d.
func (v *vault) again(d time.Duration) {
	if v.closed.Load() {
		return
	}
	t := time.AfterFunc(d, func() {
		if s := v.current.Load(); s != nil && !v.closed.Load() {
			// A failure has set the next try; what there is stays good until it ends.
			_, _ = v.renew(context.Background(), s.AccessKeyID)
		}
	})
	if old := v.timer.Swap(t); old != nil {
		old.Stop()
	}
}

func (v *vault) close() {
	v.closed.Store(true)
	if t := v.timer.Load(); t != nil {
		t.Stop()
	}
}
