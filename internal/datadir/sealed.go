package datadir

import (
	"fmt"
	"os"
)

// ReadSealed gives the content of a file of the folder that WriteSealed wrote.
// A file that is not there is fs.ErrNotExist.
func (f *Folder) ReadSealed(name string) ([]byte, error) {
	file, err := os.Open(f.file(name))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	plain, err := f.sealer.open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return plain, nil
}

// WriteSealed keeps a secret in a file of the folder, replaced as a whole. Only
// the server that holds the folder may write.
func (f *Folder) WriteSealed(name string, plain []byte) error {
	sealed, err := f.sealer.seal(plain)
	if err != nil {
		return err
	}
	return writeFile(f.file(name), sealed)
}
