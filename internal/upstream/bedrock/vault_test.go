package bedrock

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// temporary gives credentials that live for so long, or an error.
type temporary struct {
	life  time.Duration
	takes time.Duration
	fails atomic.Bool
	calls atomic.Int32
}

func (p *temporary) Retrieve(ctx context.Context) (aws.Credentials, error) {
	n := p.calls.Add(1)
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
	if p.fails.Load() {
		return aws.Credentials{}, errors.New("STS is not there")
	}
	return aws.Credentials{AccessKeyID: fmt.Sprint("ASIA", n), SecretAccessKey: "s", CanExpire: true, Expires: time.Now().Add(p.life)}, nil
}

// Credentials are renewed before they end, without a call that waits for it.
func TestRenewedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &temporary{life: time.Hour, takes: time.Second}
		v := newVault(p, nil, time.Now)
		defer v.close()
		if _, err := v.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			time.Sleep(time.Minute)
			began := time.Now()
			if _, err := v.get(t.Context()); err != nil || time.Since(began) > 0 {
				t.Fatalf("a call waited %v (%v)", time.Since(began), err)
			}
		}
		if n := p.calls.Load(); n < 5 || n > 7 {
			t.Errorf("%d renewals in five hours of one-hour credentials", n)
		}
	})
}

// While renewing fails, what there is stays good until it ends.
func TestRenewingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &temporary{life: 20 * time.Minute}
		v := newVault(p, nil, time.Now)
		defer v.close()
		if _, err := v.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.fails.Store(true)
		time.Sleep(19 * time.Minute)
		if _, err := v.get(t.Context()); err != nil {
			t.Errorf("a minute before its end: %v", err)
		}
		if n := p.calls.Load(); n < 5 {
			t.Errorf("%d tries to renew", n)
		}
		time.Sleep(2 * time.Minute)
		if _, err := v.get(t.Context()); err == nil {
			t.Error("credentials that have ended were used")
		}
		before := p.calls.Load()
		if _, err := v.get(t.Context()); err == nil || p.calls.Load() != before {
			t.Errorf("the try in another Region asked again: %v", err)
		}
		p.fails.Store(false)
		time.Sleep(failsFor)
		if _, err := v.get(t.Context()); err != nil {
			t.Errorf("when STS is back: %v", err)
		}
	})
}

// Many calls that find nothing make one renewal; one that leaves does not spoil it.
func TestOneRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &temporary{life: time.Hour, takes: time.Second}
		v := newVault(p, nil, time.Now)
		defer v.close()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				ctx := t.Context()
				if i%2 == 0 {
					c, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
					defer cancel()
					ctx = c
				}
				if _, err := v.get(ctx); err != nil && i%2 == 1 {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := p.calls.Load(); n != 1 {
			t.Errorf("%d renewals", n)
		}
	})
}

// While the service that gives credentials hangs, calls that come together wait
// for one try, not for each other's.
func TestRenewingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &temporary{takes: time.Hour}
		v := newVault(p, nil, time.Now)
		defer v.close()
		var wg sync.WaitGroup
		began := time.Now()
		for range 50 {
			wg.Go(func() {
				if _, err := v.get(t.Context()); err == nil {
					t.Error("credentials out of nothing")
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); took > 2*renewWithin || p.calls.Load() > 2 {
			t.Errorf("%d tries, %v", p.calls.Load(), took)
		}
		p.takes, p.life = 0, time.Hour
		time.Sleep(failsFor)
		if _, err := v.get(t.Context()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

// An AWS cache in between is made to forget, or it would give the same again.
func TestRenewThroughACache(t *testing.T) {
	p := &temporary{life: time.Hour}
	v := newVault(aws.NewCredentialsCache(p), nil, time.Now)
	defer v.close()
	first, err := v.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := v.renew(t.Context(), first.AccessKeyID)
	if err != nil || second.AccessKeyID == first.AccessKeyID {
		t.Errorf("%v after %v, %v", second, first, err)
	}
	if third, _ := v.renew(t.Context(), first.AccessKeyID); third != second {
		t.Errorf("renewed twice for one key: %v", third)
	}
}

func TestVaultCosts(t *testing.T) {
	v := newVault(static{keyID, keySecret, ""}, nil, time.Now)
	if n := testing.AllocsPerRun(100, func() { v.get(t.Context()) }); n != 0 {
		t.Errorf("%v allocations for credentials that are there", n)
	}
}
