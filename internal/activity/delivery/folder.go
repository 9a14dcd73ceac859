package delivery

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Folder is a Destination on this machine: objects are files.
type Folder string

// Put is of Destination. Who reads the folder sees whole files alone.
func (f Folder) Put(_ context.Context, key string, body []byte, _ string) error {
	name := filepath.FromSlash(key)
	if !filepath.IsLocal(name) {
		return fmt.Errorf("%q would leave the folder", key)
	}
	name = filepath.Join(string(f), name)
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".outcrop-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // it has another name by then, or is of no use
	_, err = tmp.Write(body)
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}
