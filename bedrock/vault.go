package bedrock

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// How early credentials are renewed, so that none ends between signing and
// arriving, how soon again when that fails, and how long it may take.
const (
	refreshBefore = 2 * time.Minute
	refreshAgain  = 10 * time.Second
	refreshWithin = 2 * time.Minute
)

// vault keeps a provider's credentials. Who finds none waits for the one load that
// is under way; who finds some that end soon takes them, while they are renewed
// behind him. It has no timer: a client that is not used does nothing.
type vault struct {
	provider aws.CredentialsProvider

	mu   sync.Mutex
	have aws.Credentials
	load *load     // nil: none is under way
	next time.Time // no renewal before, while what there is still holds
}

type load struct {
	done        chan struct{}
	credentials aws.Credentials
	err         error
}

func cached(p aws.CredentialsProvider) *vault { return &vault{provider: p} }

// Retrieve implements aws.CredentialsProvider.
func (v *vault) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v.mu.Lock()
	now, have, l := time.Now(), v.have, v.load
	holds := have.HasKeys() && (!have.CanExpire || now.Before(have.Expires))
	ends := !holds || have.CanExpire && !now.Before(have.Expires.Add(-refreshBefore))
	if l == nil && ends && (!holds || !now.Before(v.next)) {
		l = &load{done: make(chan struct{})}
		v.load = l
		go v.run(context.WithoutCancel(ctx), l) // others wait for it too, whoever leaves
	}
	v.mu.Unlock()
	if holds {
		return have, nil
	}
	select {
	case <-l.done:
		return l.credentials, l.err
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
}

func (v *vault) run(ctx context.Context, l *load) {
	ctx, cancel := context.WithTimeout(ctx, refreshWithin)
	defer cancel()
	l.credentials, l.err = v.provider.Retrieve(ctx)
	v.mu.Lock()
	if l.err == nil {
		v.have = l.credentials
	}
	v.next, v.load = time.Now().Add(refreshAgain), nil
	v.mu.Unlock()
	close(l.done)
}

// Invalidate forgets what the service called expired.
func (v *vault) Invalidate() {
	v.mu.Lock()
	v.have = aws.Credentials{}
	v.mu.Unlock()
	if c, ok := v.provider.(interface{ Invalidate() }); ok {
		c.Invalidate()
	}
}
