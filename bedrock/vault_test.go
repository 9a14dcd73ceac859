package bedrock_test

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

	"github.com/outcrop-dev/outcrop/bedrock"
)

// slow takes a second for credentials that hold ten minutes; it fails on the loads
// that fail names.
type slow struct {
	asked atomic.Int32
	fail  map[int32]bool
}

func (p *slow) Retrieve(context.Context) (aws.Credentials, error) {
	n := p.asked.Add(1)
	time.Sleep(time.Second) // of the bubble's time
	if p.fail[n] {
		return aws.Credentials{}, errors.New("no metadata service")
	}
	return aws.Credentials{AccessKeyID: fmt.Sprint("AKID", n), SecretAccessKey: secret, CanExpire: true, Expires: time.Now().Add(10 * time.Minute)}, nil
}

// Credentials are loaded once for many, renewed behind the call that finds them
// near their end, and held as long as they hold when that fails.
func TestCredentialsAreRenewedInTheBackground(t *testing.T) {
	type step struct {
		after time.Duration // since the step before
		key   string        // that the call is given; "": an error
		took  time.Duration
		asked int32 // loads so far, when all is quiet
	}
	for _, tc := range []struct {
		name  string
		fail  map[int32]bool
		steps []step
	}{
		{"in time", nil, []step{
			{0, "AKID1", time.Second, 1},
			{7 * time.Minute, "AKID1", 0, 1},
			{61 * time.Second, "AKID1", 0, 2}, // it ends in two minutes
			{2 * time.Second, "AKID2", 0, 2},
		}},
		{"it fails for a while", map[int32]bool{2: true, 3: true}, []step{
			{0, "AKID1", time.Second, 1},
			{8*time.Minute + time.Second, "AKID1", 0, 2},
			{2 * time.Second, "AKID1", 0, 2}, // too soon to ask again
			{10 * time.Second, "AKID1", 0, 3},
			{12 * time.Second, "AKID1", 0, 4},
			{2 * time.Second, "AKID4", 0, 4},
		}},
		{"it fails until they have ended", map[int32]bool{2: true, 3: true}, []step{
			{0, "AKID1", time.Second, 1},
			{9 * time.Minute, "AKID1", 0, 2},
			{2 * time.Minute, "", time.Second, 3},
			{0, "AKID4", time.Second, 4},
		}},
		{"nobody calls for a day", nil, []step{
			{0, "AKID1", time.Second, 1},
			{24 * time.Hour, "AKID2", time.Second, 2},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clean(t)
				p := &slow{fail: tc.fail}
				c, err := bedrock.New(t.Context(), bedrock.WithCredentialsProvider(p))
				if err != nil {
					t.Fatal(err)
				}
				keys := c.AWSConfig().Credentials
				for i, s := range tc.steps {
					time.Sleep(s.after)
					start := time.Now()
					var wg sync.WaitGroup
					for range 10 {
						wg.Go(func() {
							got, err := keys.Retrieve(t.Context())
							if got.AccessKeyID != s.key || (err != nil) != (s.key == "") {
								t.Errorf("step %d: %s, %v; want %s", i, got.AccessKeyID, err, s.key)
							}
						})
					}
					wg.Wait()
					if took := time.Since(start); took != s.took {
						t.Errorf("step %d: took %v", i, took)
					}
					synctest.Wait()
					if n := p.asked.Load(); n != s.asked {
						t.Errorf("step %d: asked %d times, want %d", i, n, s.asked)
					}
				}
				time.Sleep(time.Minute) // for what is still under way
			})
		})
	}
}

// Who leaves while credentials are loaded does not take them from the others.
func TestLeavingALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clean(t)
		c, err := bedrock.New(t.Context(), bedrock.WithCredentialsProvider(&slow{}))
		if err != nil {
			t.Fatal(err)
		}
		keys := c.AWSConfig().Credentials
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := keys.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		if got, err := keys.Retrieve(t.Context()); err != nil || got.AccessKeyID != "AKID1" {
			t.Errorf("%s %v", got.AccessKeyID, err)
		}
		wg.Wait()
	})
}
