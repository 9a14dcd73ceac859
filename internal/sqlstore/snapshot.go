package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"os"
)

// Snapshot copies a database as it is at one moment, beside the process that
// writes it. to must not exist.
func Snapshot(ctx context.Context, path, to string) (err error) {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", to)
	return err
}
