package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/delivery"
	"github.com/outcrop-dev/outcrop/internal/httpapi"
	"github.com/outcrop-dev/outcrop/internal/metrics"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// activityOptions are the settings of the activity log. It is on by default, on
// this machine alone.
type activityOptions struct {
	ActivityRetention  int                 `default:"30" placeholder:"DAYS" help:"Days that calls are kept. Default: ${default}, which Anthropic recommends as the least."`
	ActivityMaxBytes   int64               `default:"10737418240" placeholder:"BYTES" help:"What the log may take on the disk; over it the oldest days lose their contents and keep their records. Default: 10 GiB."`
	ActivityDurability activity.Durability `default:"default" placeholder:"MODE" help:"What an answered call's record outlives: default (the death of the process), power (a power cut; each answer waits for the disk), relaxed (an orderly stop). Default: ${default}."`
	ActivityRequired   bool                `help:"Deny calls that cannot be logged, before the model runs."`
	ActivityOff        bool                `help:"Keep no calls at all."`
	Destinations       destinations        `placeholder:"JSON" help:"Where invocation logs may be delivered, best as a map in outcrop.yaml: a bucket's name, and its folder, endpoint or aws, region, path_style, profile, env. Without it nothing leaves this machine."`
}

func (o *activityOptions) Validate() error {
	if o.ActivityOff && len(o.Destinations) > 0 {
		return misuse("destinations are delivered from the activity log, and --activity-off keeps none")
	}
	return nil
}

// The activity log's places in the data folder.
const (
	activityFolder = "activity"
	activityIndex  = "index.db"
	deliveryFolder = "delivery"
)

// lastDelivery is how long a server that ends tries to deliver.
const lastDelivery = 10 * time.Second

// openJournal opens the log, which looks after itself, and delivers from it what
// logging configurations want, until the server ends.
func (s *server) openJournal(o *serveOptions, own *access.Service, counted *metrics.Metrics, log *slog.Logger) error {
	if err := o.activityOptions.Validate(); err != nil || o.ActivityOff {
		return err
	}
	places, err := o.Destinations.open(context.Background())
	if err != nil {
		return err
	}
	dir := activityDir(o.Data)
	index, err := sqlstore.OpenIndex(context.Background(), activityFile(o.Data))
	if err != nil {
		return fmt.Errorf("activity log: %w", err)
	}
	s.closers = append(s.closers, index.Close)
	queue := delivery.New(delivery.Options{Archive: activity.NewArchive(dir, nil), Dir: filepath.Join(o.Data, deliveryFolder), Destinations: places,
		Retention: o.ActivityRetention, Now: time.Now, Log: log})
	store, err := activity.OpenStore(dir, activity.Options{Durability: o.ActivityDurability, Required: o.ActivityRequired,
		Retention: o.ActivityRetention, MaxBytes: o.ActivityMaxBytes, Now: time.Now, Log: log, Index: index, BeforeDrop: queue.Drop, BeforeStrip: queue.Strip})
	if err != nil {
		return fmt.Errorf("activity log: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { queue.Run(ctx) })
	s.closers = append(s.closers, func() error {
		stop()
		running.Wait()
		err := store.Close()
		ctx, stop := context.WithTimeout(context.Background(), lastDelivery)
		defer stop()
		if err := queue.Flush(ctx); err != nil {
			log.Warn("activity log: not all records are delivered; the next start goes on", "error", err)
		}
		return err
	})
	s.flush = queue.Flush
	own.Buckets, s.archive = queue, activity.NewArchive(dir, index)
	s.Journal, s.store, s.deliver = store, store, deliveries(own, queue, o.Strict, log)
	counted.Gauge("outcrop_activity_trouble", "1 while the activity log cannot be written.", func() float64 {
		if store.Trouble() != nil {
			return 1
		}
		return 0
	})
	if len(places) > 0 {
		s.undelivered = queue.Failing
		counted.Gauge("outcrop_delivery_failing", "Destinations whose last delivery has failed.", func() float64 { return float64(len(queue.Failing())) })
	}
	counted.Gauge("outcrop_delivery_dead_letters", "Files in the folder of dead letters, which is looked at each hour.", func() float64 { return float64(queue.Dead()) })
	counted.Gauge("outcrop_activity_bytes", "What the activity log takes on the disk, without its index.", func() float64 {
		n, err := store.Size()
		if err != nil {
			return math.NaN()
		}
		return float64(n)
	})
	return nil
}

// ready: a server that answers no call without a record answers none now.
func (s *server) ready() error {
	if s.store == nil || !s.required || s.store.Trouble() == nil {
		return nil
	}
	return errors.New("the activity log cannot be written")
}

// deliveryHealth is what /healthz says of the destinations, if there are any.
func (s *server) deliveryHealth() []httpapi.HealthRow {
	if s.undelivered == nil {
		return nil
	}
	said := "ok"
	if down := s.undelivered(); len(down) > 0 {
		said = "failing, tried again: " + strings.Join(down, ", ")
	}
	return []httpapi.HealthRow{{Name: "delivery", Value: said}}
}

// logHealth is what /healthz says of the log. Anyone may read it, so that it
// names no file.
func (s *server) logHealth() string {
	if s.store == nil {
		return "off"
	}
	err := s.store.Trouble()
	if err == nil {
		return "ok"
	}
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		return "cannot be written: " + no.Error()
	}
	return "cannot be written"
}
