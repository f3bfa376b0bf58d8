# Two commands set a fresh machine up: `make demo` (the pipeline with traffic of 200 sites) and `make test`.
# A Rust toolchain, a C compiler, cmake and make are all they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CARGO ?= cargo
# Left by scripts/setup-duckdb where no prebuilt DuckDB can be had.
BUNDLED = $(if $(wildcard .deps/bundled),--features bundled)
COMPONENTS ?= $(abspath .deps/components)

.PHONY: help setup build demo test components e2e lint doc bench clean

help: ## this list
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## put the prebuilt libduckdb in place; after it plain cargo build, test and run work too
	@scripts/setup-duckdb

build: setup ## the program, target/release/snowshed
	$(CARGO) build --release $(BUNDLED)

demo: setup ## the pipeline with built-in traffic of 200 sites, until Ctrl-C
	$(CARGO) run --release $(BUNDLED) -- demo $(ARGS)

test: setup ## all tests that need no outside service; those that need one say why they skip
	SNOWSHED_COMPONENTS=$(COMPONENTS) $(CARGO) test --release --features fail-points $(BUNDLED) $(ARGS)

components: ## install the real components that tests talk to (Kafka, trackers, browser, S3 server, nginx)
	tests/components/install $(COMPONENTS)

e2e: setup ## end-to-end tests in a real browser and with real trackers; needs `make components`
	$(CARGO) build --release --features fail-points $(BUNDLED)
	SNOWSHED_COMPONENTS=$(COMPONENTS) tests/components/e2e

lint: setup ## format and clippy
	$(CARGO) fmt --check
	$(CARGO) clippy --release --all-targets --features fail-points $(BUNDLED) -- -D warnings

doc: setup ## API documentation
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --release --no-deps $(BUNDLED)

bench: build ## figures as ratios on this machine
	$(CARGO) run --release $(BUNDLED) -- bench

clean: ## remove what was built and fetched
	$(CARGO) clean
	rm -rf .deps
