# The versions of everything stand in go.mod, tools/go.mod and builder-config.yaml.
GO        ?= go
TOOL       = $(GO) tool -modfile=$(CURDIR)/tools/go.mod
MODULE     = github.com/fluxnotify/otelcol-flux
COLLECTOR  = _build/otelcol-flux
COMPANION  = _build/fluxnotify
SOURCES    = $(shell find . -name '*.go' -not -path './_build/*' -not -path './test/*' -not -name '*_test.go') go.mod go.sum builder-config.yaml
MODULES    = . test/e2e test/chaos test/kubernetes
MINUTES    = 10
# The race detector needs cgo, and cgo a C compiler.
RACE       = $(shell test "$$($(GO) env CGO_ENABLED)" = 1 && command -v $$($(GO) env CC | cut -d ' ' -f 1) >/dev/null && echo -race)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: run
run: build ## Start the collector on config/demo.yaml and show a notification
	@$(GO) run ./test/demo

.PHONY: build
build: $(COLLECTOR) $(COMPANION) ## Build the collector and its companion into _build/

$(COLLECTOR): $(filter-out ./cmd/%,$(SOURCES))
	$(TOOL) builder --config builder-config.yaml

# It needs nothing of the machine that it runs on.
$(COMPANION): $(SOURCES) $(wildcard cmd/fluxnotify/samples/*)
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/fluxnotify

.PHONY: test
test: build ## Run every test that this machine can run
	@test -n "$(RACE)" || echo "There is no C compiler, or cgo is off: the tests run without the race detector."
	$(GO) test $(RACE) ./...
	cd test/e2e && $(GO) test -count=1 $(RACE) ./...
	cd test/chaos && $(GO) test -count=1 $(RACE) ./...
	@cd test/kubernetes && $(GO) run ./build -check
	cd test/kubernetes && $(KUBE_TEST)

# The tests depend on programs outside their module. go test does not notice when
# those change, so its cached results are not used.
KUBE_TEST  = $(GO) test $(RACE) -count=1 ./...

# The programs that take long to build are kept in a cache, see
# test/kubernetes/README.md.
.PHONY: test-kubernetes
test-kubernetes: build ## Test with a real Kubernetes API server, built first (10 min, once)
	cd test/kubernetes && $(GO) run ./build
	cd test/kubernetes && $(KUBE_TEST)

.PHONY: test-flux
test-flux: build ## Test with real Flux controllers, built first (10 min, once)
	cd test/kubernetes && controllers=$$($(GO) run ./build -flux) && FLUX_CONTROLLERS="$$controllers" $(KUBE_TEST)

.PHONY: chaos
chaos: build ## Show that nothing accepted is lost, whatever goes wrong (5 min)
	cd test/chaos && $(GO) run . $(CHAOS)

.PHONY: soak
soak: build ## Watch the collector under a load for MINUTES, and meet it with a burst
	cd test/chaos && $(GO) run . -soak $(MINUTES)

# What the linter remembers holds the paths of its checkout: elsewhere it would
# look for files that are not there.
lint: export GOLANGCI_LINT_CACHE = $(CURDIR)/_build/.lint

.PHONY: lint
lint: ## Check the code, its format, and that generated files are fresh
	@for m in $(MODULES); do echo "lint $$m" && (cd $$m && $(TOOL) golangci-lint run ./...) || exit 1; done
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- '*generated_*' '*/documentation.md' '*.sum' '*.mod' || (echo "generated files or modules are stale: commit what make generate wrote" && exit 1)

.PHONY: generate
generate: ## Write the generated files again
	$(GO) generate ./receiver/... ./exporter/... ./connector/...
	$(GO) mod tidy
	cd test/e2e && $(GO) mod tidy
	cd test/chaos && $(GO) mod tidy
	cd test/kubernetes && $(GO) mod tidy

.PHONY: bench
bench: build ## Measure: Go benchmarks, and a table of the whole collector with targets (6 min)
	$(GO) test -run '^$$' -bench . -benchmem ./internal/... ./receiver/... ./exporter/... ./connector/...
	$(GO) run ./test/load

FUZZTIME ?= 20s

.PHONY: fuzz
fuzz: ## Run every fuzzer for FUZZTIME (20s)
	@grep -roE '^func Fuzz[A-Za-z]*' --include='*_test.go' . | sed -E 's|/[^/]*:func | |' | sort | while read -r package fuzzer; do \
		echo "== $$fuzzer in $$package"; \
		./tools/fuzz.sh $(GO) "$$package" "$$fuzzer" $(FUZZTIME) || exit 1; \
	done

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities that the code can reach
	$(TOOL) govulncheck ./...

.PHONY: licenses
licenses: build ## List the licences of all that is linked into the collector
	@cd _build && $(TOOL) go-licenses check . --disallowed_types=forbidden,restricted --ignore $(MODULE) 2>/dev/null
	@cd _build && $(TOOL) go-licenses report . --ignore $(MODULE) 2>/dev/null

.PHONY: clean
clean: ## Remove what was built
	rm -rf _build
