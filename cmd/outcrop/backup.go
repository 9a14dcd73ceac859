package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/outcrop-dev/outcrop/internal/backup"
	"github.com/outcrop-dev/outcrop/internal/datadir"
)

// keyFileName is the age key's in a data folder.
const keyFileName = "key.txt"

type backupCmd struct {
	dataOption
	File        string `arg:"" type:"path" help:"File to write, a .tar.gz; - is standard output."`
	WithKeyFile bool   `help:"Put the age key in as well, which opens the sealed keys: who has the file has them all."`
}

func (backupCmd) Help() string {
	return `Examples:

  outcrop backup /backups/outcrop-$(date +%F).tar.gz
  outcrop restore /backups/outcrop-2026-11-22.tar.gz --data /srv/outcrop

A consistent copy of the data folder, while its server runs: keys as they are sealed,
model access, the activity log and its index. Every call that was answered before the
backup began is in it; one that is under way will be there as interrupted.

Without the age key (key.txt, or --key-file) the keys in the backup cannot be opened:
keep a copy of it elsewhere. What was asked and answered is not sealed.`
}

func (c *backupCmd) Run(ctx context.Context, con console) (err error) {
	if _, err := datadir.Attach(c.Data, datadir.Options{KeyFile: c.KeyFile}); err != nil && (!c.noKey(err) || c.WithKeyFile) {
		return err
	}
	o := backup.Options{Version: version, Now: time.Now, KeyName: keyFileName, Skip: []string{stateFile, documentCache, "exec.log"}}
	if name, in := nameIn(c.Data, c.KeyFile); in { // under another name than key.txt
		o.Skip = append(o.Skip, name)
	}
	note := "outcrop: the age key is not in the backup, and the keys in it are of no use without: keep a copy of the key file elsewhere"
	if c.WithKeyFile {
		if o.KeyFile = c.KeyFile; o.KeyFile == "" {
			o.KeyFile = filepath.Join(c.Data, keyFileName)
		}
		note = "outcrop: WARNING: the age key is in the backup: whoever has the file has every key of this server. Keep it as you would keep them"
	}
	defer func() {
		if err == nil {
			fmt.Fprintln(con.Err, note)
		}
	}()
	o.Torn = func(name string) {
		fmt.Fprintf(con.Err, "outcrop: %s ends in a part of an entry, which a server is writing or has left: it is not in the backup\n", name)
	}
	bar := newScanBar(con)
	bar.what, o.Progress = "copying", bar.progress
	defer bar.done()
	if c.File == "-" {
		if isTerminal(con.Out) {
			return misuse("a backup is no text for a terminal: name a file, or pipe it")
		}
		return backup.Write(ctx, con.Out, c.Data, o)
	}
	dir := filepath.Dir(c.File)
	if _, in := nameIn(c.Data, c.File); in {
		return misuse("%s is in the data folder itself, which may be lost with it: name a file elsewhere", c.File)
	}
	o.Temp = dir
	f, err := os.CreateTemp(dir, ".outcrop-backup-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has its name by then, or is of no use
	err = backup.Write(ctx, f, c.Data, o)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), c.File); err != nil {
		return err
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return err
	}
	bar.done()
	fmt.Fprintf(con.Err, "%s: %.1f MB\n", c.File, float64(info.Size())/1e6)
	return nil
}

// noKey says that the folder is good but for the key file, which is kept
// elsewhere: a backup needs none.
func (c *backupCmd) noKey(err error) bool {
	_, sealed := os.Stat(filepath.Join(c.Data, "keys.age"))
	return sealed == nil && errors.Is(err, os.ErrNotExist)
}

// nameIn is the name of a file within a folder, with slashes, if it would stand
// there.
func nameIn(folder, file string) (name string, in bool) {
	if file == "" {
		return "", false
	}
	real := func(p string) string {
		if r, err := filepath.EvalSymlinks(p); err == nil {
			return r
		}
		return p
	}
	folder, errA := filepath.Abs(real(folder))
	dir, errB := filepath.Abs(real(filepath.Dir(file)))
	rel, err := filepath.Rel(folder, dir)
	in = errA == nil && errB == nil && err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	return filepath.ToSlash(filepath.Join(rel, filepath.Base(file))), in
}

type restoreCmd struct {
	File string `arg:"" type:"existingfile" help:"Backup to read; - is standard input."`
	dataOption
	MaxBytes int64 `placeholder:"BYTES" help:"What the folder may take on the disk; a backup that holds more is refused. Default: nine tenths of what is free there."`
}

func (restoreCmd) Help() string {
	return `Examples:

  outcrop restore outcrop-2026-11-22.tar.gz --data /srv/outcrop
  outcrop serve --data /srv/outcrop

Puts a backup into a data folder that is empty or not there; everything is checked
before it gets its name. No server may be started with the folder before that.

A backup that would take more than nine tenths of the free space is refused, and
leaves nothing behind; --max-bytes says another bound.`
}

func (c *restoreCmd) Run(ctx context.Context, con console) error {
	most, of, err := c.most()
	if err != nil {
		return err
	}
	in := con.In
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	head, err := backup.Restore(ctx, io.Reader(in), c.Data, most)
	if errors.Is(err, backup.ErrTooLarge) {
		return fmt.Errorf("%w: %s\n  nothing was restored; a backup that you trust: make room, or say more with --max-bytes", err, of)
	}
	if errors.Is(err, backup.ErrNotEmpty) {
		return fmt.Errorf("%w\n  a backup replaces nothing: name an empty folder with --data", err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(con.Err, "%s is as it was on %s\n", c.Data, head.Made.Local().Format(time.DateTime))
	if !head.KeyFile && c.KeyFile == "" {
		fmt.Fprintf(con.Err, "outcrop: the age key was not in the backup: put it in %s, or serve with --key-file\n", filepath.Join(c.Data, keyFileName))
		return nil
	}
	if _, err := datadir.Attach(c.Data, datadir.Options{KeyFile: c.KeyFile}); err != nil {
		return fmt.Errorf("everything is there, but its keys cannot be opened: %w", err)
	}
	return nil
}

// most is what the folder may take, and where that comes from.
func (c *restoreCmd) most() (most int64, of string, err error) {
	switch {
	case c.MaxBytes < 0:
		return 0, "", misuse("--max-bytes %d: want a number of bytes", c.MaxBytes)
	case c.MaxBytes > 0:
		return c.MaxBytes, "--max-bytes", nil
	}
	free, at, err := freeAt(filepath.Dir(filepath.Clean(c.Data))) // it is put together beside the folder
	if err != nil {
		return 0, "", fmt.Errorf("how much is free at %s cannot be told, so that --max-bytes has to say what the folder may take: %w", at, err)
	}
	return int64(min(free/10*9, math.MaxInt64)), "nine tenths of what is free at " + at, nil
}
