package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

// deadLetters are the files in the folder of dead letters.
type deadLetters struct {
	mu    sync.Mutex // a folder goes when it is empty, and not while a letter comes
	count atomic.Int64
}

func (q *Queue) deadFolder() string { return filepath.Join(q.o.Dir, "dead") }

// Dead is how many dead letters there are, as far as Run and this process know.
func (q *Queue) Dead() int64 { return q.dead.count.Load() }

// bury keeps objects as dead letters: under the folder, as they would be under
// the bucket, or by the digest of the key.
func (q *Queue) bury(bucket string, objects []object, why error) error {
	q.dead.mu.Lock()
	defer q.dead.mu.Unlock()
	dead := Folder(filepath.Join(q.deadFolder(), bucket))
	for _, o := range objects {
		if err := dead.Put(context.Background(), o.key, o.body, gzipType); err != nil { // the key may be no name of a file
			sum := sha256.Sum256([]byte(o.key))
			if again := dead.Put(context.Background(), hex.EncodeToString(sum[:])+".json.gz", o.body, gzipType); again != nil {
				return errors.Join(err, again)
			}
		}
		q.dead.count.Add(1)
	}
	if len(objects) > 0 {
		q.o.Log.Error("activity log: records could not be delivered and are dead letters now", "bucket", bucket, "objects", len(objects), "folder", string(dead), "retention_days", q.o.Retention, "error", why)
	}
	return nil
}

// tidyEvery is how often dead letters are looked at.
const tidyEvery = time.Hour

func (q *Queue) tidy(ctx context.Context) {
	every := time.NewTicker(tidyEvery)
	defer every.Stop()
	for {
		if err := q.dropDead(); err != nil {
			q.o.Log.Error("activity log: dead letters cannot be looked after", "folder", q.deadFolder(), "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

// dropDead drops the letters whose day ended Retention days ago, and counts those
// that are left.
func (q *Queue) dropDead() error {
	q.dead.mu.Lock()
	defer q.dead.mu.Unlock()
	buckets, err := os.ReadDir(q.deadFolder())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	today := activity.DayOf(q.o.Now())
	left := int64(0)
	var errs []error
	for _, b := range buckets {
		folder := filepath.Join(q.deadFolder(), b.Name())
		var folders []string // a folder before what is in it
		dropped, size := 0, int64(0)
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() {
				folders = append(folders, path)
				return nil
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if activity.DayOf(info.ModTime())+1+activity.Day(q.o.Retention) > today {
				left++
				return nil
			}
			if err := os.Remove(path); err != nil {
				left++
				errs = append(errs, err)
				return nil
			}
			dropped++
			size += info.Size()
			return nil
		})
		errs = append(errs, err)
		if dropped == 0 {
			continue
		}
		for i := len(folders) - 1; i >= 0; i-- {
			os.Remove(folders[i]) // it fails where there is something in it
		}
		q.o.Log.Warn("activity log: dead letters are past their time and were dropped", "bucket", b.Name(), "objects", dropped, "bytes", size, "retention_days", q.o.Retention)
	}
	q.dead.count.Store(left)
	return errors.Join(errs...)
}
