# RoadWave: `make` lists what there is.

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 20s

.DEFAULT_GOAL := help
.PHONY: help demo run test tools lint build bench fuzz

help: ## list these targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## one live from creator to replay, and what it took (STACK=full: with real servers)
	@.ci/install-tools.sh $(if $(STACK),--stack,ffmpeg)
	go run ./examples/demo $(if $(STACK),-stack $(STACK))

run: ## start the daemon and print the pages to open
	@.ci/install-tools.sh ffmpeg
	go run ./roadwaved

test: tools lint build ## everything that is proved, with the real outside programs
	ROADWAVE_TEST_REQUIRE=1 go test -race -parallel 4 -timeout 25m ./...

tools: ## install what the tests need (Debian)
	@.ci/install-tools.sh --tests

lint: ## formatting, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt these:"; gofmt -l .; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

build: ## every package without cgo, the daemon as bin/roadwaved
	CGO_ENABLED=0 go build ./...
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o bin/roadwaved ./roadwaved

bench: ## whole-program figures as ratios against a floor (half an hour)
	@.ci/install-tools.sh --stack
	go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./roadwaved
	go test -run '^$$' -bench Replay -benchtime 1x -timeout 30m ./replay
	go test -run '^$$' -bench NGINX -benchtime 1x -timeout 30m ./roadwaved/deploy
	ROADWAVE_TEST_LISTENERS=10000 go test -count=1 -run Crowd -v -timeout 30m ./roadwaved

fuzz: ## run every fuzz target for FUZZTIME each (default 20s)
	@.ci/fuzz.sh $(FUZZTIME)
