package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/outcrop-dev/outcrop/internal/activity"
)

// position is how far a bucket has come in one day.
type position struct {
	Offset int64  `json:"offset"` // where to go on
	Count  int    `json:"count"`  // records before it
	Last   int64  `json:"last"`   // offset of the last of them
	LastID string `json:"last_id"`
}

// cursor is how far a bucket has come, by day: calls of a day may end in the
// next.
type cursor map[string]position

func (q *Queue) cursorPath(bucket string) string { return filepath.Join(q.o.Dir, bucket+".json") }

func (q *Queue) load(bucket string) (cursor, error) {
	raw, err := os.ReadFile(q.cursorPath(bucket))
	if errors.Is(err, fs.ErrNotExist) {
		return cursor{}, nil
	}
	if err != nil {
		return nil, err
	}
	c := cursor{}
	return c, json.Unmarshal(raw, &c)
}

func (q *Queue) save(bucket string, c cursor) error {
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return Folder(q.o.Dir).Put(context.Background(), bucket+".json", raw, "")
}

// where gives the offset to go on from in a day. A segment that was made anew has
// its records in the same order at other offsets.
func (q *Queue) where(ctx context.Context, d activity.Day, p position) (position, error) {
	if p.Count == 0 {
		return position{}, nil
	}
	switch r, err := q.o.Archive.Record(activity.Ref{Day: d, Offset: p.Last}); {
	case err == nil && r.RequestID == p.LastID:
		return p, nil
	case err != nil && !errors.Is(err, activity.ErrNoRecord):
		return p, err
	}
	var at position
	end, err := q.o.Archive.Walk(ctx, d, 0, func(ref activity.Ref, r *activity.Record) error {
		if at.Count == p.Count {
			at.Offset = ref.Offset
			return errStop
		}
		at = position{Count: at.Count + 1, Last: ref.Offset, LastID: r.RequestID}
		return nil
	})
	if errors.Is(err, errStop) {
		return at, nil
	}
	at.Offset = end
	return at, err
}

var errStop = errors.New("stop")
