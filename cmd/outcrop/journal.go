package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// activityOptions are the settings of the activity log. It is on by default, on
// this machine alone.
type activityOptions struct {
	ActivityRetention  int                 `default:"30" placeholder:"DAYS" help:"Days that calls are kept. Default: ${default}, which Anthropic recommends as the least."`
	ActivityMaxBytes   int64               `default:"10737418240" placeholder:"BYTES" help:"What the log may take on the disk; over it the oldest days lose their contents and keep their records. Default: 10 GiB."`
	ActivityDurability activity.Durability `default:"default" placeholder:"MODE" help:"What an answered call's record outlives: default (the death of the process), power (a power cut; each answer waits for the disk), relaxed (an orderly stop)."`
	ActivityRequired   bool                `help:"Deny calls that cannot be logged, before the model runs."`
	ActivityOff        bool                `help:"Keep no calls at all."`
}

// The activity log's places in the data folder.
const (
	activityFolder = "activity"
	activityIndex  = "index.db"
)

// openJournal opens the log, and keeps it in order until the server ends.
func (s *server) openJournal(o *serveOptions, log *slog.Logger) error {
	if o.ActivityOff {
		return nil
	}
	dir := filepath.Join(o.Data, activityFolder)
	index, err := sqlstore.OpenIndex(context.Background(), filepath.Join(o.Data, activityIndex))
	if err != nil {
		return fmt.Errorf("activity log: %w", err)
	}
	s.closers = append(s.closers, index.Close)
	store, err := activity.OpenStore(dir, activity.Options{Durability: o.ActivityDurability, Required: o.ActivityRequired,
		Retention: o.ActivityRetention, MaxBytes: o.ActivityMaxBytes, Now: time.Now, Log: log, Index: index})
	if err != nil {
		return fmt.Errorf("activity log: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	tended := make(chan struct{})
	go func() {
		defer close(tended)
		tick := time.NewTicker(10 * time.Minute)
		defer tick.Stop()
		for {
			if err := store.Tend(ctx); err != nil && ctx.Err() == nil {
				log.Warn("activity log", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	s.closers = append(s.closers, func() error {
		stop()
		<-tended
		return store.Close()
	})
	s.Journal = store
	return nil
}
