// Package delivery takes copies of records to where logging configurations say,
// in the layout of AWS's model invocation logging.
//
// Invariant: each record that has a destination is there at least once, or in the
// folder of dead letters, before it is gone from the activity log. The log itself
// is the queue; a file a bucket says how far it has come. Dead letters go when
// they are as old as the log keeps calls, which is said.
//
// Not a goal: speed. Records are minutes late, as the service's are.
package delivery

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/activity/invocationlog"
)

// Destination is a bucket. Put makes an object, or another one in its place.
type Destination interface {
	Put(ctx context.Context, key string, body []byte, contentType string) error
}

// Options of a Queue.
type Options struct {
	Archive      *activity.Archive
	Dir          string                 // of positions and dead letters
	Destinations map[string]Destination // by bucket name
	Every        time.Duration          // between deliveries; 0: a minute
	GiveUp       time.Duration          // a batch that has failed for so long becomes a dead letter; 0: a day
	Retention    int                    // days that dead letters are kept after theirs; 0: 30
	Now          func() time.Time
	Log          *slog.Logger
}

// Queue delivers records.
type Queue struct {
	o       Options
	buckets map[string]*bucket
	dead    deadLetters
}

type bucket struct {
	name string
	to   Destination

	mu      sync.Mutex // held while it delivers
	failing time.Time  // since when; zero: it is not

	down atomic.Bool // the last delivery has failed
}

// New makes a Queue.
func New(o Options) *Queue {
	if o.Every <= 0 {
		o.Every = time.Minute
	}
	if o.GiveUp <= 0 {
		o.GiveUp = 24 * time.Hour
	}
	if o.Retention <= 0 {
		o.Retention = 30
	}
	q := &Queue{o: o, buckets: map[string]*bucket{}}
	for name, to := range o.Destinations {
		q.buckets[name] = &bucket{name: name, to: to}
	}
	return q
}

// Has says whether a bucket's name is known.
func (q *Queue) Has(name string) bool { return q.buckets[name] != nil }

// Failing names the buckets whose last delivery has failed.
func (q *Queue) Failing() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(q.buckets)) {
		if q.buckets[name].down.Load() {
			names = append(names, name)
		}
	}
	return names
}

// Check writes what the service writes when a configuration is set, to see
// whether it can.
func (q *Queue) Check(ctx context.Context, name, prefix, account string) error {
	b := q.buckets[name]
	if b == nil {
		return fmt.Errorf("no destination is named %q", name)
	}
	return b.to.Put(ctx, checkKey(prefix, account), nil, "application/octet-stream")
}

// Run delivers until ctx ends, and drops dead letters that are past their time.
func (q *Queue) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { q.tidy(ctx) })
	for _, b := range q.buckets {
		all.Go(func() { q.run(ctx, b) })
	}
	all.Wait()
}

func (q *Queue) run(ctx context.Context, b *bucket) {
	const soonest = time.Second
	wait := time.NewTimer(0)
	defer wait.Stop()
	again := soonest
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		err := q.deliver(ctx, b)
		b.down.Store(err != nil)
		if err != nil && ctx.Err() == nil {
			q.o.Log.Warn("activity log: records cannot be delivered; it is tried again", "bucket", b.name, "error", err, "again_in", again)
			wait.Reset(again)
			again = min(2*again, max(q.o.Every, 5*time.Minute))
			continue
		}
		again = soonest
		wait.Reset(q.o.Every)
	}
}

// Flush delivers what is there to every bucket.
func (q *Queue) Flush(ctx context.Context) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(q.buckets)) {
		if err := q.deliver(ctx, q.buckets[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// A batch is of at most so many records and bytes.
const (
	batchRecords = 1000
	batchBytes   = 8 << 20
)

func (q *Queue) deliver(ctx context.Context, b *bucket) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := q.load(b.name)
	if err != nil {
		return err
	}
	days, err := q.o.Archive.Days()
	if err != nil {
		return err
	}
	kept := cursor{}
	for _, d := range days {
		kept[d.String()] = c[d.String()]
	}
	for _, d := range days {
		if err := q.deliverDay(ctx, b, kept, d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (q *Queue) deliverDay(ctx context.Context, b *bucket, c cursor, d activity.Day) error {
	for {
		at, err := q.where(ctx, d, c[d.String()])
		if err != nil {
			return err
		}
		was := at
		batch := newBatch(b.name)
		next, err := q.o.Archive.Walk(ctx, d, at.Offset, func(ref activity.Ref, r *activity.Record) error {
			if batch.records >= batchRecords || batch.bytes >= batchBytes {
				at.Offset = ref.Offset
				return errStop
			}
			at.Count, at.Last, at.LastID = at.Count+1, ref.Offset, r.RequestID
			if r.Deliver == nil || r.Deliver.Bucket != b.name {
				return nil
			}
			return batch.add(q.o.Archive, ref, at.Count, r)
		})
		more := errors.Is(err, errStop)
		if err != nil && !more {
			return err
		}
		if !more {
			at.Offset = next
		}
		if at == was {
			return nil
		}
		if err := q.send(ctx, b, batch); err != nil {
			return err
		}
		c[d.String()] = at
		if err := q.save(b.name, c); err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// send puts a batch's objects, bodies first. One that has failed for too long
// becomes a dead letter.
func (q *Queue) send(ctx context.Context, b *bucket, batch *batch) error {
	objects, err := batch.objects()
	if err != nil {
		return err
	}
	err = putAll(ctx, b.to, objects)
	if err == nil {
		b.failing = time.Time{}
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	now := q.o.Now()
	if b.failing.IsZero() {
		b.failing = now
	}
	if now.Sub(b.failing) < q.o.GiveUp {
		return err
	}
	b.failing = now // the next batch has its own time
	return q.bury(b.name, objects, err)
}

func putAll(ctx context.Context, to Destination, objects []object) error {
	for _, o := range objects {
		if err := to.Put(ctx, o.key, o.body, gzipType); err != nil {
			return err
		}
	}
	return nil
}

const gzipType = "application/gzip"

// lastTry is how long a destination has before a day loses what it could still
// be given.
const lastTry = 30 * time.Second

// Strip delivers what a day still holds, as far as that goes now; what is
// delivered later has no requests and answers. It is for
// activity.Options.BeforeStrip.
func (q *Queue) Strip(d activity.Day) {
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(q.buckets)) {
		b := q.buckets[name]
		b.mu.Lock()
		if err := q.last(ctx, b, d); err != nil {
			q.o.Log.Warn("activity log: records that cannot be delivered lose their requests and answers", "day", d, "bucket", name, "error", err)
		}
		b.mu.Unlock()
	}
}

// last delivers one day; the caller holds b.mu.
func (q *Queue) last(ctx context.Context, b *bucket, d activity.Day) error {
	c, err := q.load(b.name)
	if err != nil {
		return err
	}
	return q.deliverDay(ctx, b, c, d)
}

// Drop delivers what a day still holds, and makes dead letters of what cannot be
// delivered. It is for activity.Options.BeforeDrop.
func (q *Queue) Drop(d activity.Day) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(q.buckets)) {
		b := q.buckets[name]
		b.mu.Lock()
		defer b.mu.Unlock()
		if err := q.last(ctx, b, d); err != nil {
			q.o.Log.Warn("activity log: records of a day that is dropped cannot be delivered", "day", d, "bucket", name, "error", err)
		}
	}
	batches := map[string]*batch{}
	passed := map[string]int{}
	n := 0
	_, err := q.o.Archive.Walk(context.Background(), d, 0, func(ref activity.Ref, r *activity.Record) error {
		n++
		if r.Deliver == nil {
			return nil
		}
		name := r.Deliver.Bucket
		if batches[name] == nil {
			c, err := q.load(name)
			if err != nil {
				return err
			}
			batches[name], passed[name] = newBatch(name), c[d.String()].Count
		}
		if n <= passed[name] {
			return nil
		}
		b := batches[name]
		if err := b.add(q.o.Archive, ref, n, r); err != nil || b.bytes < batchBytes {
			return err
		}
		batches[name] = newBatch(name)
		return q.buryBatch(b)
	})
	if err != nil {
		return err
	}
	for _, b := range batches {
		if err := q.buryBatch(b); err != nil {
			return err
		}
	}
	return nil
}

func (q *Queue) buryBatch(b *batch) error {
	objects, err := b.objects()
	if err != nil {
		return err
	}
	return q.bury(b.bucket, objects, errors.New("their day is dropped from the activity log"))
}

// object is what is put.
type object struct {
	key  string
	body []byte
}

// batch gathers records, by the folder that they go to.
type batch struct {
	bucket  string
	records int
	bytes   int
	order   []place
	lines   map[place]*lines
	bodies  []object
}

type lines struct {
	key  string
	text bytes.Buffer
}

func newBatch(bucket string) *batch { return &batch{bucket: bucket, lines: map[place]*lines{}} }

// inline is the size of the largest body that stands in its record: 100 KB.
const inline = 100 << 10

// add takes the n-th record of a day.
func (b *batch) add(a *activity.Archive, ref activity.Ref, n int, r *activity.Record) error {
	x, err := a.Exchange(ref)
	if err != nil { // what cannot be read is not delivered; that there was a call is
		x = &activity.Exchange{Ref: ref, Record: *r}
		x.Record.Warnings = append(slices.Clip(x.Record.Warnings), "the content cannot be read: "+err.Error())
	}
	if x.Record.Deliver == nil { // its segment was made anew just now
		return fmt.Errorf("the record at %s %d has changed", ref.Day, ref.Offset)
	}
	p, l := placeOf(&x.Record), invocationlog.Of(x, optionsOf(r.Deliver))
	if len(l.Input.Body) > inline {
		if l.Input.Path, err = b.apart(p.bodyKey(r.RequestID, "input"), l.Input.Body); err != nil {
			return err
		}
		l.Input.Body = nil
	}
	if len(l.Output.Body) > inline {
		if l.Output.Path, err = b.apart(p.bodyKey(r.RequestID, "output"), l.Output.Body); err != nil {
			return err
		}
		l.Output.Body = nil
	}
	line, err := l.JSON()
	if err != nil { // a body that is no JSON
		l.Input.Body, l.Output.Body = nil, nil
		l.Outcrop.Warnings = append(l.Outcrop.Warnings, "the content is left out: "+err.Error())
		if line, err = l.JSON(); err != nil {
			return err
		}
	}
	to := b.lines[p]
	if to == nil {
		to = &lines{key: p.batchKey(b.bucket, ref.Day, n, r.Time)}
		b.lines[p] = to
		b.order = append(b.order, p)
	}
	to.text.Write(line)
	to.text.WriteByte('\n')
	b.records++
	b.bytes += len(line)
	return nil
}

func optionsOf(d *activity.Delivery) invocationlog.Options {
	return invocationlog.Options{NoText: d.NoText, NoImages: d.NoImages, NoDocuments: d.NoDocuments}
}

// apart makes an object of a body, and gives its address.
func (b *batch) apart(key string, body []byte) (string, error) {
	z, err := zip(body)
	if err != nil {
		return "", err
	}
	b.bodies = append(b.bodies, object{key, z})
	b.bytes += len(z)
	return "s3://" + b.bucket + "/" + key, nil
}

// objects are what the batch puts, bodies first.
func (b *batch) objects() ([]object, error) {
	all := slices.Clone(b.bodies)
	for _, p := range b.order {
		z, err := zip(b.lines[p].text.Bytes())
		if err != nil {
			return nil, err
		}
		all = append(all, object{b.lines[p].key, z})
	}
	return all, nil
}

func zip(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
