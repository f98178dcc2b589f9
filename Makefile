# `make help` lists the targets. One Cargo profile (release) and one target directory for all of
# them: RocksDB compiles for a quarter of an hour or more per profile.

CARGO ?= cargo
export RUST_BACKTRACE ?= 1

.NOTPARALLEL:
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run test root format-check lint doc unit bench signatures reference simulate chaos disks model-check fuzz bless audit docs packages

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# What makes hosts of its own. This is said before a build of half an hour, not by a test after it.
unit chaos: root

# Whatever builds needs a compiler and libclang.
run lint doc unit bench signatures reference simulate chaos model-check: packages
disks fuzz bless audit docs: packages

run: ## Build, start four validators, pay end to end, stay until Ctrl-C (ONESHOT=1: stop then)
	@ONESHOT=$(ONESHOT) scripts/run.sh

test: root format-check lint doc unit ## Everything that CI runs, as root
	@echo "All tests passed."

root:
	@[ "$$(id -u)" -eq 0 ] || { \
	    echo "This needs root: the tests make hosts of network namespaces, mounts and loop devices."; \
	    echo "Run it as root, or: sudo env \"HOME=\$$HOME\" \"PATH=\$$PATH\" make $(MAKECMDGOALS)"; \
	    exit 1; } >&2

packages: ## Install the system packages that are missing
	@scripts/install-packages.sh

format-check: ## Formatting as rustfmt has it
	@$(CARGO) fmt --version >/dev/null 2>&1 || rustup component add rustfmt
	$(CARGO) fmt --all --check

lint: ## Clippy, warnings are errors
	@$(CARGO) clippy --version >/dev/null 2>&1 || rustup component add clippy
	$(CARGO) clippy --locked --release --workspace --all-targets -- -D warnings
	@# Fuzz targets are no part of the workspace, and stand on crates that are built without RocksDB.
	$(CARGO) clippy --locked --release --manifest-path fuzz/Cargo.toml --target-dir $(TARGET) -- -D warnings

doc: ## API documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --release --no-deps --workspace

unit: ## Unit, property, conformance and system tests, as root
	$(CARGO) build --locked --release --workspace --bins
	$(CARGO) test --locked --release --workspace
	$(CARGO) test --locked --release --workspace --features tonle-tests/planted-bugs --test planted

bench: ## Measure four validators on this machine (ARGS="--output json" and other flags)
	@scripts/bench.sh $(ARGS)

signatures: ## A million random signature cases against an independent implementation
	TONLE_CASES=1000000 $(CARGO) test --locked --release -p tonle-model

reference: ## A million random sequences of blocks against the reference ledger
	TONLE_SEQUENCES=1000000 $(CARGO) test --locked --release --workspace --test reference

simulate: ## Whole networks on virtual time, with faults (SEEDS=N FIRST=K, TRACE=1 tells the first)
	$(CARGO) build --locked --release --workspace --bins
	@$(TARGET)/release/simulate --seeds $(or $(SEEDS),1000) --first $(or $(FIRST),0) $(if $(TRACE),--trace)

chaos: ## Real validators under faults of every kind, as root (ONLY=CASE, SHORT=1, OUTPUT=json)
	$(CARGO) build --locked --release --workspace --bins
	@$(TARGET)/release/chaos $(if $(SHORT),--short) $(if $(ONLY),--only $(ONLY)) $(if $(OUTPUT),--output $(OUTPUT))

model-check: ## Every state of three views of the core under a model checker (five minutes, 4 GB)
	TONLE_MODEL_VIEWS=3 $(CARGO) test --locked --release -p tonle-consensus --test model_check -- --nocapture whoever

disks: ## Damaged and old disks of a validator, beyond those of make test (CASES=N SEED=K)
	$(CARGO) build --locked --release --workspace --bins
	TONLE_DISK_CASES=$(or $(CASES),200) TONLE_DISK_SEED=$(or $(SEED),1) $(CARGO) test --locked --release --workspace --test disks -- --nocapture whatever

fuzz: ## Ten minutes of fuzzing, all targets (FUZZ_SECONDS=, FUZZ_TARGETS=; installs cargo-fuzz)
	@scripts/fuzz.sh

bless: ## Write the conformance vectors anew, after changing bytes on purpose
	TONLE_BLESS=1 $(CARGO) test --locked --release -p tonle-tests --test vectors every_encoding

audit: ## Licences, sources and duplicates of all dependencies (installs cargo-deny)
	@command -v cargo-deny >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) fetch --locked
	$(CARGO) deny --offline check bans licenses sources

docs: ## The book, in docs/book-out (installs mdbook)
	@command -v mdbook >/dev/null 2>&1 || $(CARGO) install --locked mdbook
	mdbook build docs
