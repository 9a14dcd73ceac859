// Package enginetest is what tests of the embedded engine stand on: its
// libraries, or a loud skip, and a model small enough for any test. The model is
// a real llama GGUF of 85,000 parameters whose likeliest answers are known:
// embeddings are random signs, and the output matrix sends each token of a script
// to the one after it; the other weights are random and small, so that sampled
// answers still depend on the whole prompt. Nothing but tests imports it.
package enginetest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/outcrop-dev/outcrop/internal/modelfiles"
)

// Environment variables of the command line that say where the files are.
const (
	envCache     = "OUTCROP_CACHE"
	envEngineDir = "OUTCROP_ENGINE_DIR"
	envModel     = "OUTCROP_MODEL"
)

// EngineDir is the folder of the engine's libraries; without one the test is
// skipped.
func EngineDir(t testing.TB) string {
	t.Helper()
	f, err := modelfiles.Find(modelfiles.Options{
		Dir: os.Getenv(envCache), EngineDir: os.Getenv(envEngineDir), Weights: os.Args[0],
	})
	if err != nil {
		t.Skipf("SKIP(engine): %v", err)
	}
	return f.EngineDir
}

// Weights is the real model; without it the test is skipped.
func Weights(t testing.TB) string {
	t.Helper()
	f, err := modelfiles.Find(modelfiles.Options{
		Dir: os.Getenv(envCache), EngineDir: filepath.Dir(os.Args[0]), Weights: os.Getenv(envModel),
	})
	if err != nil {
		t.Skipf("SKIP(weights): %v", err)
	}
	return f.Weights
}

// Model writes the tiny model for one test.
func Model(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := File(path); err != nil {
		t.Fatal(err)
	}
	return path
}
