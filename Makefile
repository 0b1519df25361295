# Switchgear. `make` lists the commands; each does its own set-up.

# Pinned tools. They are installed into .bin, never into the machine.
TEMPL_VERSION      := v0.3.1020
GOLANGCI_VERSION   := v2.15.0
# The outside parties of the tests and of the benchmark.
STRIPEMOCK_VERSION := v0.203.0
CADDY_VERSION      := v2.11.9

# Tunables: make fuzz FUZZTIME=5m, make run ARGS="--addr 127.0.0.1:9000", make bench BENCH=Writer
ARGS         ?=
BENCH        ?= .
FUZZTIME     ?= 30s
PACKAGES     ?= ./...
TEST_TIMEOUT ?= 30m

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
BIN         := $(CURDIR)/.bin
TMP         := $(CURDIR)/.tmp

# What the machine's owner prefers must not change what we build. Listed in full, because an empty value
# would let the settings file of the Go tool speak.
export GOFLAGS     := -mod=readonly
export CGO_ENABLED := 1
unexport GOEXPERIMENT

# Outside a repository, or in one that git refuses to read, there is no commit to record.
BUILDVCS = $(shell git log -1 >/dev/null 2>&1 && echo true || echo false)

GENERATED = find web/templates -name '*_templ.go' -print; echo docs/configuration.md; echo docs/errors.md

.DEFAULT_GOAL := help
.PHONY: help setup run demo generate verify lint test bench profile fuzz build clean
.PHONY: toolchain chromium curl

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: toolchain chromium curl $(BIN)/templ $(BIN)/golangci-lint $(BIN)/stripe-mock ## Fetch everything that the other commands need
	go mod download

run: build ## Build and start the console on http://127.0.0.1:8080, data in ./data
	@exec $(BIN)/console serve $(ARGS)

demo: build ## Build and start a console that is at work: a pretend provider and steady calls, data in ./demo
	@exec $(BIN)/console demo $(ARGS)

generate: toolchain $(BIN)/templ ## Rewrite generated files: templates, docs/configuration.md, docs/errors.md
	$(BIN)/templ generate -path web/templates
	go test ./internal/config -run '^TestMarkdownIsCommitted$$' -update
	go test ./internal/archtest -run '^TestErrorCodesAreDocumented$$' -update

# Compares with the files as they are, committed or not, so that it works on a changed tree.
verify: toolchain $(BIN)/templ ## Fail when generated files are not current (and bring them up to date)
	@rm -rf $(TMP)/verify && mkdir -p $(TMP)/verify/before $(TMP)/verify/after
	@{ $(GENERATED); } | while read -r f; do [ ! -e "$$f" ] || cp --parents "$$f" $(TMP)/verify/before; done
	@$(MAKE) --no-print-directory generate
	@{ $(GENERATED); } | while read -r f; do cp --parents "$$f" $(TMP)/verify/after; done
	@cd $(TMP)/verify && diff -ruN before after > diff || { head -n 200 diff; echo "make verify: the files above were not current; they are now. Commit them." >&2; exit 1; }
	@rm -rf $(TMP)/verify
	@echo "make verify: generated files are current."

lint: toolchain $(BIN)/golangci-lint ## Run the linters
	$(BIN)/golangci-lint run $(PACKAGES)

test: toolchain chromium curl $(BIN)/stripe-mock ## Vet and run every test, with the race detector and a browser
	go vet $(PACKAGES)
	go test -race -timeout $(TEST_TIMEOUT) $(PACKAGES)

bench: build $(BIN)/nginx $(BIN)/caddy ## Run the benchmarks, the gateway beside nginx and Caddy among them (BENCH=pattern)
	BENCH_CONSOLE=$(BIN)/console BENCH_NGINX=$(BIN)/nginx BENCH_CADDY=$(BIN)/caddy \
	go test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 30m $(PACKAGES)

profile: toolchain ## Renew the profile that make build optimises the console with
	@mkdir -p $(TMP); \
	go test -trimpath -run '^$$' -bench '^BenchmarkGateway$$' -benchtime 15s -cpuprofile $(CURDIR)/cmd/console/gateway.pgo -o $(TMP)/profile.test ./internal/app; \
	rm -f $(TMP)/profile.test

fuzz: toolchain ## Fuzz every target for FUZZTIME each
	@mkdir -p $(TMP); \
	go test -list '^Fuzz' $(PACKAGES) | awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' > $(TMP)/fuzz-targets; \
	trap 'rm -f $(TMP)/fuzz-targets' EXIT; \
	[ -s $(TMP)/fuzz-targets ] || { echo "make fuzz: no targets found." >&2; exit 1; }; \
	while read -r package target; do \
		echo "== $$package $$target"; \
		go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) </dev/null; \
	done < $(TMP)/fuzz-targets

build: toolchain ## Build .bin/console
	go build -trimpath -buildvcs=$(BUILDVCS) -pgo=cmd/console/gateway.pgo -ldflags '-s -w' -o $(BIN)/console ./cmd/console

clean: ## Remove what was built and fetched; data and keys stay
	rm -rf $(BIN) $(TMP)

toolchain:
	@command -v go >/dev/null || { echo "Go is missing. Install the version that go.mod names: https://go.dev/dl/" >&2; exit 1; }
	@command -v gcc >/dev/null || { echo "gcc is missing; SQLite is compiled with it. Try: apt-get install gcc libc6-dev" >&2; exit 1; }

# debian <programs, any of which will do> <packages> <who needs them>: installs packages unless a program is there.
define debian
	@for program in $(1); do command -v $$program >/dev/null && exit 0; done; \
	command -v apt-get >/dev/null || { echo "$(3) need $(firstword $(1)), and there is no apt-get to install it. Install it by hand." >&2; exit 1; }; \
	sudo=; \
	if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { echo "$(3) need $(firstword $(1)). Run as root: apt-get install $(2)" >&2; exit 1; }; \
		sudo=sudo; \
	fi; \
	echo "Installing $(firstword $(1))."; \
	{ $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $(2); } \
		|| { echo "$(firstword $(1)) could not be installed. Install it by hand, then run this again." >&2; exit 1; }
endef

# The browser tests drive Debian's chromium.
chromium:
	$(call debian,chromium chromium-browser google-chrome,chromium fonts-dejavu-core,The browser tests)

curl:
	$(call debian,curl,curl,The gateway tests)

# nginx for the benchmark: the one of the machine, or Debian's package, unpacked here and not installed,
# because the installed one would be started and take port 80.
$(BIN)/nginx:
	@mkdir -p $(BIN) $(TMP)/nginx; \
	if command -v nginx >/dev/null; then ln -sf "$$(command -v nginx)" $@; exit 0; fi; \
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "The benchmark needs nginx, and there is no apt-get to fetch it. Install nginx by hand." >&2; exit 1; }; \
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	cd $(TMP)/nginx && { apt-get download -qq nginx || { $$sudo apt-get update -qq && apt-get download -qq nginx; }; } && dpkg-deb -x nginx_*.deb $(BIN)/debian \
		|| { echo "nginx could not be fetched. Install it by hand, then run this again." >&2; exit 1; }; \
	$(BIN)/debian/usr/sbin/nginx -v || { echo "Debian's nginx does not run here. Install nginx by hand, then run this again." >&2; exit 1; }; \
	ln -sf debian/usr/sbin/nginx $@; rm -rf $(TMP)/nginx

# install <name> <module> <package> <version>: builds a tool unless this version of it is there.
define install
$(BIN)/$(1): FORCE | toolchain
	@go version -m $$@ 2>/dev/null | grep -q "mod[[:space:]]$(2)[[:space:]]$(4)[[:space:]]*" || { \
		echo "Installing $(1) $(4)."; \
		GOBIN=$(BIN) go install $(3)@$(4) || { echo "$(1) $(4) could not be installed; is the module proxy reachable?" >&2; exit 1; }; \
	}
endef
.PHONY: FORCE
FORCE:
$(eval $(call install,templ,github.com/a-h/templ,github.com/a-h/templ/cmd/templ,$(TEMPL_VERSION)))
$(eval $(call install,golangci-lint,github.com/golangci/golangci-lint/v2,github.com/golangci/golangci-lint/v2/cmd/golangci-lint,$(GOLANGCI_VERSION)))
$(eval $(call install,stripe-mock,github.com/stripe/stripe-mock,github.com/stripe/stripe-mock,$(STRIPEMOCK_VERSION)))
$(eval $(call install,caddy,github.com/caddyserver/caddy/v2,github.com/caddyserver/caddy/v2/cmd/caddy,$(CADDY_VERSION)))
