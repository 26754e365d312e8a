# make shows what there is. make test is what CI runs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
WITH_POSTGRES := go run ./internal/tools/withpostgres
BINARY := bin/parley
# What parley version says: the tag, or as Go writes a commit that has none; and the commit.
VERSION = $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || \
	TZ=UTC git log -1 --abbrev=12 --date=format-local:%Y%m%d%H%M%S --format=v0.0.0-%cd-%h 2>/dev/null)
COMMIT = $(shell git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null)
STAMP = -X parley/internal/version.number=$(VERSION) -X parley/internal/version.commit=$(COMMIT)

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: run
run: ## Start a development server on http://127.0.0.1:8080 with data in ./data
	@# Not go run, which calls it a failure when a server is told to end; nor is it one for make.
	@trap 'exit 0' INT; go build -o $(BINARY)-dev ./cmd/parley && $(BINARY)-dev

.PHONY: demo
demo: ## Two replicas on a throw-away Postgres, and a key that kills one in the middle of a reply; ARGS=-h for all
	@# Ctrl-C is the way to end it, and no failure.
	@trap 'exit 0' INT; $(WITH_POSTGRES) go run ./internal/tools/demo $(ARGS)

.PHONY: build
build: ## Build the static binary bin/parley
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w $(STAMP)' -o $(BINARY) ./cmd/parley

.PHONY: release
release: ## Build dist/: binaries for six systems, sums, SBOM, licences, schema; VERSION=v1.2.3, TARGETS=linux/amd64
	go run ./internal/tools/release -version '$(VERSION)' -commit '$(COMMIT)' -targets '$(TARGETS)'

.PHONY: test
test: ## Run everything CI runs; STAGE=checks|go|build|clients runs one part
	@.ci/test $(STAGE)

.PHONY: quick
quick: ## Run the Go tests without the race detector; PKG=./internal/chat/... narrows them
	$(WITH_POSTGRES) go test $(or $(PKG),./...)

.PHONY: lint
lint: ## Format, vet, staticcheck, generated code, migrations
	@.ci/test checks

.PHONY: compat
compat: ## Run the tests of the clients against the binary, on SQLite and Postgres
	@.ci/test build clients

.PHONY: faults
faults: ## Run seeded schedules of faults against real replicas; SEEDS=1-200 or 17, PARALLEL=4
	$(WITH_POSTGRES) go run ./test/faults -seeds $(or $(SEEDS),1-200) -parallel $(or $(PARALLEL),4)

.PHONY: upgrade
upgrade: ## Replace replicas of the version before, one after the other, under load; SEEDS=1-10, PARALLEL=2
	$(WITH_POSTGRES) go run ./test/faults -upgrade -seeds $(or $(SEEDS),1-10) -parallel $(or $(PARALLEL),2)

.PHONY: takeover
takeover: ## Measure how long replies stand still when their replica is gone; PARALLEL=4
	$(WITH_POSTGRES) go run ./test/faults -takeover -parallel $(or $(PARALLEL),4)

.PHONY: bench
bench: ## Run the Go benchmarks; PKG and BENCH narrow them
	$(WITH_POSTGRES) go test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem $(or $(PKG),./...)

.PHONY: perf
perf: ## Measure the server beside a bare relay; ARGS='-only paced -binary OLD', ARGS=-h for all
	$(WITH_POSTGRES) go run ./test/perf $(ARGS)

.PHONY: perf-short
perf-short: ## The part of perf that takes a minute, for changes of the way of a send; ARGS likewise
	$(WITH_POSTGRES) go run ./test/perf -short $(ARGS)

.PHONY: soak
soak: ## Half load for ten minutes on each database: nothing may grow; ARGS='-soak 2m -database sqlite'
	$(WITH_POSTGRES) go run ./test/perf -only soak $(ARGS)

.PHONY: generate
generate: ## Regenerate ent, the GraphQL server, the table of configuration, the examples' schema
	go generate .
	go test ./cmd/parley -run '^TestConfigurationTable$$' -count=1 -update
	go test ./internal/metrics -run '^TestTable$$' -count=1 -update
	go test ./internal/upstream -run '^TestServersTable$$' -count=1 -update
	go run ./cmd/parley schema >examples/schema.graphql
	cd examples/go && go generate .

.PHONY: release-schema
release-schema: ## Take the schema as that of a release; breaking changes need a line in CHANGELOG.md
	go run ./cmd/parley schema >graph/schema/released.graphql

.PHONY: migration
migration: ## Write the migrations of both databases after a change of ent/schema; NAME=add_colour
	@if ! grep -Eq '^[a-z][a-z0-9_]*$$' <<<'$(NAME)'; then echo 'usage: make migration NAME=add_colour' >&2; exit 2; fi
	go generate .
	$(WITH_POSTGRES) go run ./internal/tools/migrategen $(NAME)
	@echo 'Read the new files under internal/store/migrations before you commit them.'

.PHONY: web
web: ## Rebuild the pages the binary serves (needs Node.js)
	for page in graphiql chat; do (cd web/$$page && npm ci --no-audit --no-fund && npm run build) || exit 1; done

.PHONY: page-goals
page-goals: build ## Measure the chat page beside a baseline (Chromium, some minutes); GOALS="stream type" narrows it
	cd web/chat && npm ci --no-audit --no-fund && GOALS_BINARY=$(CURDIR)/bin/parley npm run --silent goals -- $(GOALS)

.PHONY: picture
picture: ## Record a reply of the real server and draw it as docs/reply.svg
	go run ./internal/tools/picture >docs/reply.svg.new && mv docs/reply.svg.new docs/reply.svg || \
		{ rm -f docs/reply.svg.new; exit 1; }

.PHONY: image
image: ## Build the container image parley
	docker build -t parley --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' .

.PHONY: clean
clean: ## Remove what the build and the tests leave behind; ./data stays
	rm -rf bin dist coverage.out
	find . -name node_modules -type d -prune -exec rm -rf {} +
