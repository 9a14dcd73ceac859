package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/datadir"
	"github.com/outcrop-dev/outcrop/internal/modelfiles"
	"github.com/outcrop-dev/outcrop/internal/sqlstore"
)

// Free space below which the activity log is in danger, and soon will be.
const (
	diskLimit  = 100 << 20
	diskAdvice = 1 << 30
)

// dataFolder looks at what is on this machine; true where a server can be asked.
func (d *doctor) dataFolder(ctx context.Context, st state, up bool) bool {
	_, err := datadir.Attach(d.Data, datadir.Options{KeyFile: d.KeyFile})
	set := err == nil
	switch {
	case err == nil:
		d.well("data folder", "%s, which nobody else can read", d.Data)
	case errors.Is(err, datadir.ErrNotSetUp):
		d.well("data folder", "%s: the first start sets it up", d.Data)
	default:
		d.say("data folder", ill, repair(err), "%v", err)
	}
	d.disk(d.Data)
	d.engine(st, up)
	d.activity(ctx)
	switch {
	case up:
		d.well("server", "%s, process %d, answers with %s", st.URL, st.PID, st.Upstream)
		return set
	case set && st.PID != 0:
		d.lock(fmt.Sprintf("process %d has left without a word: %s", st.PID, filepath.Join(d.Data, stateFile)))
	case set:
		d.lock("none runs")
	default:
		d.say("server", advice, self()+" run", "none runs on this data folder")
	}
	return false
}

func repair(err error) string {
	if _, command, ok := strings.Cut(err.Error(), "run: "); ok {
		return command
	}
	return ""
}

// lock looks whether another server holds the folder, as a server would.
func (d *doctor) lock(found string) {
	f, err := datadir.Open(d.Data, datadir.Options{KeyFile: d.KeyFile})
	switch {
	case errors.Is(err, datadir.ErrInUse):
		d.say("server", ill, "end that process, or name another data folder with --data", "%v, and it does not answer", err)
	case err != nil:
		d.say("server", ill, "", "%v", err)
	default:
		f.Close()
		d.say("server", advice, self()+" serve", "%s", found)
	}
}

func (d *doctor) disk(path string) {
	free, at, err := freeAt(path)
	switch text := fmt.Sprintf("%.1f GiB free at %s", float64(free)/(1<<30), at); {
	case err != nil:
		d.skip("disk", "%v", err)
	case free < diskLimit:
		d.say("disk", ill, "make room, or lower --activity-max-bytes", "%s", text)
	case free < diskAdvice:
		d.say("disk", advice, "make room, or lower --activity-max-bytes", "%s", text)
	default:
		d.well("disk", "%s", text)
	}
}

// engine is advice: other upstreams need none.
func (d *doctor) engine(st state, up bool) {
	if up && st.Upstream != "scripted" && !strings.HasPrefix(st.Upstream, "local/") {
		d.skip("engine", "%s answers", st.Upstream)
		return
	}
	files, err := modelfiles.Find((&answerOptions{Cache: d.Cache}).modelFiles())
	if missing, ok := errors.AsType[*modelfiles.MissingError](err); ok {
		d.say("engine", advice, self()+" fetch", "not in %s: %s", missing.Dir, strings.Join(missing.What, ", "))
		return
	}
	if err != nil {
		d.say("engine", advice, self()+" fetch", "%s", flush(err))
		return
	}
	d.well("engine", "%s", filepath.Base(files.Weights))
}

// activity reads the log as logs and usage do.
func (d *doctor) activity(ctx context.Context) {
	dir := activityDir(d.Data)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		d.well("activity log", "empty")
		return
	}
	var index activity.Index
	ix, err := sqlstore.ReadIndex(ctx, activityFile(d.Data))
	switch {
	case err == nil:
		defer ix.Close()
		index = ix
	case !errors.Is(err, fs.ErrNotExist):
		d.say("activity log", advice, "remove "+activityFile(d.Data)+" while no server runs: it is made again", "its index cannot be read: %v", err)
		return
	}
	a := activity.NewArchive(dir, index)
	days, err := a.Days()
	if err != nil {
		d.say("activity log", ill, "", "%v", err)
		return
	}
	calls, lost := 0, 0
	since := time.Now().Add(-24 * time.Hour)
	err = a.Find(ctx, activity.Filter{Since: since}, func(_ activity.Ref, r *activity.Record) bool {
		calls++
		if r.Content == activity.Lost {
			lost++
		}
		return calls < 100_000
	})
	switch {
	case err != nil:
		d.say("activity log", ill, "is the disk sound? A copy of "+dir+" first", "%v", err)
	case lost > 0:
		d.say("activity log", advice, "look at the server's log: what could not be written is said there", "of %d calls of 24 hours the contents of %d could not be kept", calls, lost)
	default:
		d.well("activity log", "%d calls in the last 24 hours; days kept: %d", calls, len(days))
	}
}
