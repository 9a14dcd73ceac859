package datadir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
)

// sealer seals and opens with age. The first identity of the key file seals,
// all of them open, so a key is rotated by putting a new one on top.
type sealer struct {
	path       string // of the key file, for errors
	identities []age.Identity
	recipient  age.Recipient
}

func (s *sealer) String() string   { return "sealer(" + s.path + ")" }
func (s *sealer) GoString() string { return s.String() }

func readKeyFile(path string) (*sealer, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key file that opens keys.age is not there: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(b))
	if err != nil {
		// The parser's error is left out: it is about secret text.
		return nil, fmt.Errorf("key file %s: not a file of age identities, as age-keygen writes", path)
	}
	s := &sealer{path: path, identities: ids}
	switch id := ids[0].(type) {
	case *age.X25519Identity:
		s.recipient = id.Recipient()
	case *age.HybridIdentity:
		s.recipient = id.Recipient()
	default:
		return nil, fmt.Errorf("key file %s: its first identity is of a kind that cannot seal", path)
	}
	return s, nil
}

// makeKeyFile writes a new key in the format of age-keygen.
func makeKeyFile(path string, now time.Time) (*sealer, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", now.UTC().Format(time.RFC3339), id.Recipient(), id)
	if err := writeFile(path, []byte(text)); err != nil {
		return nil, err
	}
	return &sealer{path: path, identities: []age.Identity{id}, recipient: id.Recipient()}, nil
}

func (s *sealer) seal(plain []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, s.recipient)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (s *sealer) open(sealed io.Reader) ([]byte, error) {
	r, err := age.Decrypt(sealed, s.identities...)
	if err != nil {
		var other *age.NoIdentityMatchError
		if errors.As(err, &other) {
			return nil, fmt.Errorf("it is sealed for another key than that of %s", s.path)
		}
		return nil, err
	}
	return io.ReadAll(r)
}

// writeFile replaces a file as a whole, 0600. Writers of one path must take
// turns: the temporary file has one name, so that a crash leaves one at most.
func writeFile(path string, content []byte) error {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncFolder(filepath.Dir(path))
}
