# `make` prints this help. Everything needs Rust (see rust-version in Cargo.toml) and Debian's build-essential only.
CARGO ?= cargo
NAME ?= .*

.DEFAULT_GOAL := help
OVERLAYS = default minimal lockdown sharded openshift monitoring

.PHONY: manifests images help build run test test-unit test-golden test-e2e test-cluster bless bench check fmt fmt-check lint tidy gen gen-check deny doc verify install

help: ## print this help
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1|\2/' | column -t -s '|'

build: ## build every program, optimised
	$(CARGO) build --release --workspace --bins

run: ## sync a demo repository into an embedded cluster, all in one process
	@hack/require.sh
	$(CARGO) run --release --quiet --package ferrite-cli --bin ferrite -- dev $(ARGS)

test: ## all tests: unit, golden and end to end
	@hack/require.sh
	$(CARGO) test --workspace

test-unit: ## tests beside the code
	$(CARGO) test --workspace --lib --bins

test-golden: ## golden corpora
	$(CARGO) test --workspace --test 'golden*'

test-e2e: ## end to end on the embedded API server
	$(CARGO) test --package ferrite-e2e

test-cluster: ## the same end-to-end tests on the cluster of $KUBECONFIG (FERRITE_E2E_ALLOW=<context> to confirm)
	FERRITE_E2E_CLUSTER=1 $(CARGO) test --package ferrite-e2e

bless: ## write golden outputs anew
	UPDATE_GOLDEN=1 UPDATE_EXPECT=1 $(CARGO) test --workspace

bench: ## print the figures of docs/benchmarks.md, one line each
	$(CARGO) run --release --quiet --package ferrite-bench -- --match '$(NAME)'

check: ## compile everything without running it
	$(CARGO) check --workspace --all-targets

fmt: ## format
	$(CARGO) fmt --all

fmt-check:
	$(CARGO) fmt --all --check

lint: ## clippy, warnings are errors
	$(CARGO) clippy --workspace --all-targets -- -D warnings

tidy: ## house rules: layers, lints, file sizes
	$(CARGO) xtask tidy

manifests: ## write each composition of config/ as one file, into target/manifests
	@mkdir -p target/manifests
	$(CARGO) build --release --quiet --package ferrite-cli --bin ferrite
	@for overlay in $(OVERLAYS); do \
	  $(CARGO) run --release --quiet --package ferrite-cli --bin ferrite -- kustomize build config/$$overlay -o target/manifests/$$overlay.yaml \
	  && echo target/manifests/$$overlay.yaml || exit 1; done

TARGET ?= x86_64-unknown-linux-gnu
images: ## OCI image archives of every program and a list of what is in them, into target/images; no container engine
	RUSTFLAGS="-C target-feature=+crt-static" CARGO_PROFILE_RELEASE_STRIP=symbols \
	  $(CARGO) build --release --target $(TARGET) --workspace --bins --exclude xtask
	$(CARGO) xtask images --programs "$${CARGO_TARGET_DIR:-target}/$(TARGET)/release"

gen: ## write generated files (crds/, docs)
	$(CARGO) xtask gen

gen-check:
	$(CARGO) xtask gen --check

deny: ## licences, bans and sources of dependencies (needs cargo-deny)
	cargo deny --config .deny.toml check bans licenses sources

doc: ## API documentation
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

verify: fmt-check tidy gen-check lint test ## what CI runs

install: ## install the command line tool and controllers into ~/.cargo/bin
	$(CARGO) install --path crates/ferrite-cli --locked
