# What one does with this project. One profile and one target directory for all of it, so that
# nothing is built twice.

# Where rustup puts cargo, if this shell is older than that.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

# Given to the command that a target runs: make demo ARGS="--seconds 20"
ARGS ?=
# How long each fuzzer runs.
FUZZ_SECONDS ?= 60
# Given to every cargo that builds.
CARGO_FLAGS ?=

CARGO_BUILD := --release $(CARGO_FLAGS)
TARGET := $(or $(CARGO_TARGET_DIR),target)
CLICKS := $(TARGET)/release/clicks

.PHONY: demo test build bench instructions chaos fuzz miri kafka s3 deny clean

# A generator of clicks and the graph in one process, until Ctrl-C.
#
# On a terminal it is a job of its own (set -m), so that Ctrl-C ends it and not make, which would
# fail. That is only possible in the foreground: when make's process group is the terminal's.
demo: build
	@if [ -t 0 ] && read -r _ _ _ _ group _ _ front _ 2>/dev/null </proc/$$$$/stat \
		&& [ "$$group" = "$$front" ]; then set -m; fi; \
	$(CLICKS) demo $(ARGS); status=$$?; exit $$status

# Everything that CI runs.
test:
	@scripts/need.sh cc c++ make cargo cargo-fmt cargo-clippy java mvn kcat python3 \
		valgrind chromium chromedriver font
	@scripts/kafka.sh jars >/dev/null
	@scripts/s3.sh jars >/dev/null
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy $(CARGO_BUILD) --workspace --all-targets -- -D warnings
	cargo clippy --release --locked --manifest-path fuzz/Cargo.toml --target-dir $(TARGET) -- -D warnings
	cargo test $(CARGO_BUILD) --workspace $(ARGS)
	cargo test $(CARGO_BUILD) -p clicks-dataflows --lib --features abomonation,weak-hash
	@scripts/fuzz.sh seeds
	@CARGO_FLAGS="$(CARGO_FLAGS)" scripts/instructions.sh
	RUSTDOCFLAGS=-Dwarnings cargo doc $(CARGO_BUILD) --workspace --no-deps

# Kafka's client is C and C++, and builds with make.
build:
	@scripts/need.sh cc c++ make cargo
	cargo build $(CARGO_BUILD) --bin clicks

# The graph beside a plain loop over the same clicks; the job over a broker of its own; then rows as
# bytes by each codec, which is built with all of them and thus by itself. One of them:
# make bench BENCHES=kafka ARGS="--only restart --restart-rate 1000"
BENCHES ?= graph engine kafka codec
OTHERS = $(filter-out codec,$(BENCHES))
bench:
	@scripts/need.sh cc c++ make cargo java mvn
	@scripts/kafka.sh jars >/dev/null
	$(if $(OTHERS),cargo bench $(CARGO_FLAGS) $(OTHERS:%=--bench %) -- $(ARGS))
	$(if $(filter codec,$(BENCHES)),\
		cargo bench $(CARGO_FLAGS) --features abomonation --bench codec -- $(ARGS))

# Instructions for each click, which must not be 5 % more than the record: benches/instructions.txt.
# Another record, when it is meant: make instructions ARGS=record
instructions:
	@scripts/need.sh cc c++ make cargo valgrind
	@CARGO_FLAGS="$(CARGO_FLAGS)" scripts/instructions.sh $(ARGS)

# Fuzzers, then the job and its broker killed at random under load, and leaders moved, for 20 minutes.
chaos: fuzz
	@scripts/need.sh cc c++ make cargo java mvn
	@scripts/kafka.sh jars >/dev/null
	CLICKS_CHAOS_SECONDS=$${CLICKS_CHAOS_SECONDS:-1200} \
		cargo test $(CARGO_BUILD) --test main chaos:: -- --nocapture $(ARGS)

# Each fuzzer of fuzz/ looks for inputs by which the fast engine is wrong.
fuzz:
	@scripts/need.sh cc c++ cargo
	@scripts/fuzz.sh run $(FUZZ_SECONDS)

# The containers under Miri, which needs a nightly: docs/testing.md.
miri:
	cargo +nightly miri test $(CARGO_FLAGS) -p clicks-dataflows --lib --target-dir $(TARGET)/miri packed

# A Kafka on localhost:9092, until Ctrl-C.
kafka:
	@scripts/kafka.sh run $(ARGS)

# A store that speaks S3 on localhost:9000, with the bucket `clicks`, until Ctrl-C.
s3:
	@scripts/s3.sh run $(ARGS)

# Licences, bans, sources and advisories of all dependencies; then with abomonation among them.
deny:
	@cargo deny --version >/dev/null 2>&1 \
		|| { echo 'cargo-deny is missing; run: cargo install --locked cargo-deny' >&2; exit 1; }
	cargo deny check
	cargo deny --config deny-abomonation.toml check

clean:
	cargo clean
