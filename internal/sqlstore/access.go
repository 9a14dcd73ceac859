package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/outcrop-dev/outcrop/internal/access"
)

// Access keeps what accounts have agreed to, set and made. Unlike the index it
// holds what exists nowhere else: each change is on the disk when it is made.
type Access struct{ db *sql.DB }

var _ access.Store = (*Access)(nil)

// OpenAccess opens or makes the file. A damaged one is an error: to begin anew
// would give back what was withdrawn.
func OpenAccess(ctx context.Context, path string) (*Access, error) {
	db, err := openDB(path, "synchronous(full)", "foreign_keys(true)")
	if err != nil {
		return nil, err
	}
	// One connection: a transaction that has read may then write without another
	// writer having come between.
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db, "access"); err != nil {
		db.Close()
		return nil, fmt.Errorf("access %s: %w", path, err)
	}
	return &Access{db}, nil
}

// Close closes the file.
func (a *Access) Close() error { return a.db.Close() }

// Settings is of access.SettingsStore.
func (a *Access) Settings(ctx context.Context, s access.Scope) (access.Settings, error) {
	v := access.Settings{Agreements: map[string]access.Agreement{}}
	err := a.read(ctx, func(tx *sql.Tx) error {
		if err := rowsOf(ctx, tx, func(rows *sql.Rows) error {
			var model string
			var granted, at int64
			if err := rows.Scan(&model, &granted, &at); err != nil {
				return err
			}
			v.Agreements[model] = access.Agreement{Granted: granted != 0, At: time.UnixMilli(at).UTC()}
			return nil
		}, "SELECT model, granted, at FROM agreement WHERE account = ? AND region = ?", s.Account, s.Region); err != nil {
			return err
		}
		var at int64
		var u access.UseCase
		if ok, err := rowOf(tx.QueryRowContext(ctx, "SELECT form, at FROM use_case WHERE account = ? AND region = ?", s.Account, s.Region), &u.Form, &at); err != nil {
			return err
		} else if ok {
			u.At = time.UnixMilli(at).UTC()
			v.UseCase = &u
		}
		var r access.Retention
		if ok, err := rowOf(tx.QueryRowContext(ctx, "SELECT mode, at FROM retention WHERE account = ? AND region = ?", s.Account, s.Region), &r.Mode, &at); err != nil {
			return err
		} else if ok {
			r.At = time.UnixMilli(at).UTC()
			v.Retention = &r
		}
		var config []byte
		if ok, err := rowOf(tx.QueryRowContext(ctx, "SELECT config FROM logging WHERE account = ? AND region = ?", s.Account, s.Region), &config); err != nil || !ok {
			return err
		}
		return json.Unmarshal(config, &v.Logging)
	})
	return v, err
}

// PutAgreement is of access.SettingsStore.
func (a *Access) PutAgreement(ctx context.Context, s access.Scope, model string, g access.Agreement) error {
	granted := 0
	if g.Granted {
		granted = 1
	}
	_, err := a.db.ExecContext(ctx, `INSERT INTO agreement (account, region, model, granted, at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (account, region, model) DO UPDATE SET granted = excluded.granted, at = excluded.at`,
		s.Account, s.Region, model, granted, g.At.UnixMilli())
	return err
}

// PutUseCase is of access.SettingsStore.
func (a *Access) PutUseCase(ctx context.Context, s access.Scope, u access.UseCase) error {
	_, err := a.db.ExecContext(ctx, `INSERT INTO use_case (account, region, form, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, region) DO UPDATE SET form = excluded.form, at = excluded.at`,
		s.Account, s.Region, u.Form, u.At.UnixMilli())
	return err
}

// PutRetention is of access.SettingsStore.
func (a *Access) PutRetention(ctx context.Context, s access.Scope, r access.Retention) error {
	_, err := a.db.ExecContext(ctx, `INSERT INTO retention (account, region, mode, at) VALUES (?, ?, ?, ?)
		ON CONFLICT (account, region) DO UPDATE SET mode = excluded.mode, at = excluded.at`,
		s.Account, s.Region, r.Mode, r.At.UnixMilli())
	return err
}

// PutLogging is of access.SettingsStore.
func (a *Access) PutLogging(ctx context.Context, s access.Scope, l *access.Logging) error {
	if l == nil {
		_, err := a.db.ExecContext(ctx, "DELETE FROM logging WHERE account = ? AND region = ?", s.Account, s.Region)
		return err
	}
	config, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = a.db.ExecContext(ctx, `INSERT INTO logging (account, region, config) VALUES (?, ?, ?)
		ON CONFLICT (account, region) DO UPDATE SET config = excluded.config`, s.Account, s.Region, string(config))
	return err
}

// Profiles is of access.ProfileStore.
func (a *Access) Profiles(ctx context.Context, s access.Scope) ([]access.Profile, error) {
	var all []access.Profile
	err := a.read(ctx, func(tx *sql.Tx) error {
		at := map[string]int{}
		if err := rowsOf(ctx, tx, func(rows *sql.Rows) error {
			var p access.Profile
			var token sql.NullString
			var models []byte
			var created int64
			if err := rows.Scan(&p.ID, &p.Name, &p.Description, &token, &p.MadeFrom, &models, &created); err != nil {
				return err
			}
			p.Token, p.Created = token.String, time.UnixMilli(created).UTC()
			at[p.ID] = len(all)
			all = append(all, p)
			return json.Unmarshal(models, &all[len(all)-1].Models)
		}, "SELECT id, name, description, token, made_from, models, created FROM profile WHERE account = ? AND region = ? ORDER BY created, id", s.Account, s.Region); err != nil {
			return err
		}
		return rowsOf(ctx, tx, func(rows *sql.Rows) error {
			var id string
			var t access.Tag
			if err := rows.Scan(&id, &t.Key, &t.Value); err != nil {
				return err
			}
			p := &all[at[id]]
			p.Tags = append(p.Tags, t)
			return nil
		}, "SELECT profile, tag, value FROM profile_tag WHERE account = ? AND region = ? ORDER BY tag", s.Account, s.Region)
	})
	return all, err
}

// AddProfile is of access.ProfileStore.
func (a *Access) AddProfile(ctx context.Context, s access.Scope, p access.Profile) error {
	models, err := json.Marshal(p.Models)
	if err != nil {
		return err
	}
	return a.write(ctx, func(tx *sql.Tx) error {
		made, err := tx.ExecContext(ctx, `INSERT INTO profile (account, region, id, name, description, token, made_from, models, created)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			s.Account, s.Region, p.ID, p.Name, p.Description, sql.NullString{String: p.Token, Valid: p.Token != ""}, p.MadeFrom, string(models), p.Created.UnixMilli())
		if err := changed(made, err, access.ErrTaken); err != nil {
			return err
		}
		return insertTags(ctx, tx, s, p.ID, p.Tags)
	})
}

// RemoveProfile is of access.ProfileStore.
func (a *Access) RemoveProfile(ctx context.Context, s access.Scope, id string) error {
	gone, err := a.db.ExecContext(ctx, "DELETE FROM profile WHERE account = ? AND region = ? AND id = ?", s.Account, s.Region, id)
	return changed(gone, err, access.ErrNoProfile)
}

// PutTags is of access.ProfileStore.
func (a *Access) PutTags(ctx context.Context, s access.Scope, id string, tags []access.Tag) error {
	return a.write(ctx, func(tx *sql.Tx) error {
		var one int
		ok, err := rowOf(tx.QueryRowContext(ctx, "SELECT 1 FROM profile WHERE account = ? AND region = ? AND id = ?", s.Account, s.Region, id), &one)
		if err != nil {
			return err
		}
		if !ok {
			return access.ErrNoProfile
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM profile_tag WHERE account = ? AND region = ? AND profile = ?", s.Account, s.Region, id); err != nil {
			return err
		}
		return insertTags(ctx, tx, s, id, tags)
	})
}

func insertTags(ctx context.Context, tx *sql.Tx, s access.Scope, id string, tags []access.Tag) error {
	for _, t := range tags {
		if _, err := tx.ExecContext(ctx, "INSERT INTO profile_tag (account, region, profile, tag, value) VALUES (?, ?, ?, ?, ?)", s.Account, s.Region, id, t.Key, t.Value); err != nil {
			return err
		}
	}
	return nil
}

// read lets f see one state of the file.
func (a *Access) read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := a.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return f(tx)
}

// write makes one change of what f does.
func (a *Access) write(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := a.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// rowsOf calls each for every row of a query.
func rowsOf(ctx context.Context, tx *sql.Tx, each func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// rowOf reads one row; ok is false where there is none.
func rowOf(row *sql.Row, into ...any) (ok bool, err error) {
	err = row.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// changed is none where a statement has changed nothing.
func changed(r sql.Result, err, none error) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return none
}
