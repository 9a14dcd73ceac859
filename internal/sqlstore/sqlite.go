// Package sqlstore keeps what must be asked in SQL: today the index of the
// activity log.
//
// Invariant: the schema only moves forward, by the migrations that are embedded;
// a file of a later version is refused.
//
// Not a goal: to hold what exists nowhere else in the index. It may be deleted.
//
// One SQL text is meant for SQLite now and PostgreSQL later. What only SQLite
// says so is in this file, and in the schema: an INTEGER has 64 bits, an
// INTEGER PRIMARY KEY that is left out gets the next number, and a table WITHOUT
// ROWID lies in the order of its key.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// ErrVersion: another version of this program has written the file.
var ErrVersion = errors.New("the database has another version's schema")

// dsn opens a file in WAL mode, in which readers of any process and one writer
// do not wait for each other. NORMAL syncs at checkpoints alone: after a loss of
// power the file is whole, its last transactions may be gone.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(wal)", "synchronous(normal)", "cache_size(-16000)"}, pragmas...)}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/...
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: q.Encode()}).String()
}

func openDB(path string, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite would make it for others to read.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return sql.Open("sqlite", dsn(path, pragmas...))
}

func schema(name string) (fs.FS, error) { return fs.Sub(migrations, "migrations/"+name) }

// migrate brings the schema up to date.
func migrate(ctx context.Context, db *sql.DB, name string) error {
	p, err := provider(db, name)
	if err != nil {
		return err
	}
	if err := checkVersion(ctx, p, false); err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

func provider(db *sql.DB, name string) (*goose.Provider, error) {
	files, err := schema(name)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
}

// checkVersion refuses a schema that is later than ours, and one that is earlier
// if it must be the same.
func checkVersion(ctx context.Context, p *goose.Provider, same bool) error {
	has, ours, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if has > ours || same && has != ours {
		return fmt.Errorf("%w: %d, this program's is %d", ErrVersion, has, ours)
	}
	return nil
}

// damaged says that the file is no database, or a broken one.
func damaged(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	code := e.Code() & 0xff
	return code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT
}
