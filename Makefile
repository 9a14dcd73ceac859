# Outcrop. Two commands matter: make run, make test.
BIN     := bin/outcrop
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED := 0

.PHONY: run test check-long bench build cross release vet clean

run: build            ## set up, say hello through the front door, serve
	@$(BIN) run

test: build vet       ## every test, official clients included
	@$(BIN) fetch || echo "no engine or model: the tests that need them will say that they skip"
	@go run ./test/report

check-long: build vet ## the same, with crash and fuzz runs whole
	@$(BIN) fetch
	@go run ./test/report -long

bench: build          ## the figures
	go test -run '^$$' -bench . ./...

build:
	@go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/outcrop

vet:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w $$unformatted" >&2; exit 1; }
	@go vet ./...
	@cd test/clients && go vet ./...

PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

cross:                ## builds for every platform that is promised
	@for p in $(PLATFORMS); do \
	  echo "build $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} go build -o /dev/null ./... || exit 1; done

release: build        ## a tarball with engine and model in it, for this platform
	@set -e; name=outcrop-$(VERSION)-$$(go env GOOS)-$$(go env GOARCH); dir=dist/$$name; \
	rm -rf $$dir; mkdir -p $$dir; cp $(BIN) LICENSE NOTICE README.md $$dir/; \
	$(BIN) fetch --cache $$dir; \
	tar -C dist -czf dist/$$name.tar.gz $$name; ls -l dist/$$name.tar.gz

clean:
	rm -rf bin dist
