package sqlstore

import (
	"context"
	"database/sql"
	"errors"
)

// maxNames bounds the memory of names; sessions are many.
const maxNames = 1 << 16

// namer gives names numbers in one transaction. What it has made counts once
// that is committed.
type namer struct {
	ctx   context.Context
	tx    *sql.Tx
	ix    *Index
	fresh map[string]int64
	err   error // the first
}

func (n *namer) id(text string) int64 {
	if text == "" {
		return 0
	}
	if id, ok := n.ix.ids[text]; ok {
		return id
	}
	if id, ok := n.fresh[text]; ok {
		return id
	}
	if n.err != nil {
		return 0
	}
	if _, n.err = n.tx.ExecContext(n.ctx, "INSERT INTO name (text) VALUES (?) ON CONFLICT (text) DO NOTHING", text); n.err != nil {
		return 0
	}
	var id int64
	if n.err = n.tx.QueryRowContext(n.ctx, "SELECT id FROM name WHERE text = ?", text).Scan(&id); n.err != nil {
		return 0
	}
	n.fresh[text] = id
	return id
}

// find gives the number of a name; ok is false where nothing has that name.
func (ix *Index) find(ctx context.Context, text string) (id int64, ok bool, err error) {
	err = ix.db.QueryRowContext(ctx, "SELECT id FROM name WHERE text = ?", text).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return id, err == nil, err
}
