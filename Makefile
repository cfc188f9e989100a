# Only calls cargo and small scripts; what has a brain lives in .ci/ and tests/. GNU make 3.81 (macOS) is enough.

PREFIX  ?= /usr/local
DESTDIR ?=
# Where the built programs are.
PROGRAMS ?= target/release
# One profile everywhere: llama.cpp takes minutes to compile, once is enough.
CARGO_BUILD = cargo build --release --workspace --locked

.PHONY: help demo test fuzz faults soak test-dialects lint build bench bench-peers damage check-macos install uninstall deb vulkan cuda formula check-packages clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## build, start the daemon on the built-in model, summarize README.md
	@.ci/demo

test: lint ## what a stranger, a developer and CI run: set-up, lint, build, all tests
	@.ci/foreign-model >/dev/null || true
	@.ci/hook-managers
	$(CARGO_BUILD)
	cargo test --release --workspace --locked

fuzz: ## everything that takes what strangers wrote, an hour of random inputs (BEAST_FUZZ_SEED=N repeats a run)
	BEAST_FUZZ_SECONDS=900 cargo test --release --workspace --locked --lib -- any_

faults: build ## a thousand daemons killed, stopped and changed at random under six clients (BEAST_FUZZ_SEED=N repeats a run)
	BEAST_FAULTS=1000 cargo test --release --locked -p beast-tests --test it faults -- --nocapture

soak: build ## 10,000 grammars and schemas, 3,000 requests of every kind, 75 answers after kills (an hour; BEAST_FUZZ_SEED=N repeats a run)
	BEAST_GRAMMARS=10000 BEAST_SOAK=3000 BEAST_RESUMES=75 cargo test --release --locked -p beast-tests --test it -- \
	  --test-threads=1 --nocapture grammars:: soak:: logits::

test-dialects: build ## the HTTP endpoint by others' tests, clients and types (ARGS=--quick: 4 minutes; needs package registries)
	@.ci/test-dialects $(ARGS)

lint: ## formatting and clippy, warnings denied
	@.ci/setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings

build: ## beastd and beastctl into target/release
	@.ci/setup
	$(CARGO_BUILD)

bench: build ## compare with llama.cpp's own programs on the shapes of LFM2-2.6B (first time 15 minutes; ARGS="...")
	@peers=$$(.ci/peers) && model=$$(.ci/speed-model) && \
	cargo run --release --locked -p beast-tests --bin bench -- --model "$$model" --peers "$$peers" $(ARGS)

bench-peers: build ## the same prompts through beastd and llama-server (25 minutes; first time 20 more; ARGS="...")
	@peers=$$(.ci/peers) && model=$$(.ci/speed-model) && draft=$$(.ci/speed-model 350m) && \
	cargo run --release --locked -p beast-tests --bin bench -- --group peers --model "$$model" --draft "$$draft" \
	  --peers "$$peers" --repeats 3 $(ARGS)

damage: build ## a thousand damaged models, which the daemon must outlive (20 minutes; ARGS="N SEED" repeats a part)
	@cargo run --release --locked -p beast-tests --bin damage -- $(ARGS)

check-macos: ## on Debian: compile and link everything for macOS, with clippy (first time 10 minutes)
	@.ci/check-macos --level full --clippy

install: ## programs, completions, man pages and units to $(DESTDIR)$(PREFIX); builds first, under sudo only if nothing is there
	@if [ "$(origin PROGRAMS)" = file ] && [ -z "$$SUDO_USER" ]; then $(MAKE) build; \
	elif [ ! -x "$(PROGRAMS)/beastd" ] || [ ! -x "$(PROGRAMS)/beastctl" ]; then $(MAKE) build; \
	elif [ "$(origin PROGRAMS)" = file ]; then echo "make: under sudo nothing is built; for programs of today: make build && sudo make install" >&2; fi
	@.ci/install "$(PREFIX)" "$(PROGRAMS)" "$(DESTDIR)"

uninstall: ## remove what `make install` has installed there
	@.ci/install --remove "$(PREFIX)" "$(PROGRAMS)" "$(DESTDIR)"

deb: ## a Debian package in target/debian, for other machines too (first time 10 minutes; installs cargo-deb)
	@.ci/deb

vulkan: ## the Vulkan plug-in in target/plugins and its Debian package (10 minutes; needs glslc libvulkan-dev spirv-headers)
	@.ci/deb-plugin vulkan

cuda: ## the CUDA plug-in in target/plugins and its Debian package (needs nvcc)
	@.ci/deb-plugin cuda

formula: ## a Homebrew formula for HEAD in target/beast.rb; says how to try it
	@.ci/formula

check-packages: ## whether every kind of package holds everything
	@.ci/check-packages "$(PROGRAMS)"

clean: ## remove everything that was built, speed models and peers included
	rm -rf target
