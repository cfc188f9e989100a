# Only calls cargo and small scripts; logic lives in .ci/ and tests/. Works with GNU make 3.81 (macOS).

PREFIX  ?= /usr/local
DESTDIR ?=
# Folder of the built programs.
PROGRAMS ?= target/release
# One profile everywhere: llama.cpp takes minutes to compile.
CARGO_BUILD = cargo build --release --workspace --locked

.PHONY: help demo test fuzz faults soak test-dialects lint build bench bench-peers bench-cpu bench-kernels bench-traces damage check-arm check-macos install uninstall deb vulkan test-vulkan cuda formula check-packages clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: ## build, start the daemon on the built-in model, summarize README.md
	@.ci/demo

test: lint ## set up, lint, build and run all tests, as CI does
	@.ci/foreign-model >/dev/null || true
	@.ci/hook-managers
	$(CARGO_BUILD)
	cargo test --release --workspace --locked

fuzz: ## fuzz everything that parses untrusted input, for an hour (BEAST_FUZZ_SEED=N repeats a run)
	BEAST_FUZZ_SECONDS=900 cargo test --release --workspace --locked --lib -- any_

faults: build ## kill, stop and reconfigure 1,000 daemons at random under six clients (BEAST_FUZZ_SEED=N repeats a run)
	BEAST_FAULTS=1000 cargo test --release --locked -p beast-tests --test it faults -- --nocapture

soak: build ## 10,000 grammars and schemas, 3,000 mixed requests, 75 answers resumed after kills (an hour; BEAST_FUZZ_SEED=N)
	BEAST_GRAMMARS=10000 BEAST_SOAK=3000 BEAST_RESUMES=75 cargo test --release --locked -p beast-tests --test it -- \
	  --test-threads=1 --nocapture grammars:: soak:: logits::

test-dialects: build ## test the HTTP endpoint with third-party clients and suites (ARGS=--quick: 4 minutes; needs the network)
	@.ci/test-dialects $(ARGS)

lint: ## check formatting and run clippy, warnings denied
	@.ci/setup
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --release --locked -- -D warnings

build: ## build beastd and beastctl into target/release
	@.ci/setup
	$(CARGO_BUILD)

bench: build ## compare with llama.cpp's tools on the shapes of LFM2-2.6B (first run 15 minutes; ARGS="...")
	@peers=$$(.ci/peers) && model=$$(.ci/speed-model) && \
	cargo run --release --locked -p beast-tests --bin bench -- --model "$$model" --peers "$$peers" $(ARGS)

bench-peers: build ## compare with llama-server on the same prompts (25 minutes; first run 20 more; ARGS="...")
	@peers=$$(.ci/peers) && model=$$(.ci/speed-model) && draft=$$(.ci/speed-model 350m) && \
	cargo run --release --locked -p beast-tests --bin bench -- --group peers --model "$$model" --draft "$$draft" \
	  --peers "$$peers" --repeats 3 $(ARGS)

bench-cpu: $(if $(INSTRUCTION_SET),,build) ## prefill and decoding by threads and rows, beside llama.cpp and ik_llama.cpp (an hour; first run 40 more; INSTRUCTION_SET=avx2, ARGS="...")
	@set -- $(if $(INSTRUCTION_SET),--instruction-set $(INSTRUCTION_SET)) $(ARGS); \
	programs=$(if $(INSTRUCTION_SET),$$(.ci/portable),"$(PROGRAMS)") && \
	peers=$$(.ci/peers) && ik=$$(.ci/peers ik) && lfm2=$$(.ci/speed-model) && llama=$$(.ci/speed-model llama) && \
	"$$(.ci/venv)" tests/cpu/bench.py --model "$$llama" --peers "$$peers" --ik "$$ik" --programs "$$programs" "$$@" && \
	"$$(.ci/venv)" tests/cpu/bench.py --model "$$lfm2" --peers "$$peers" --programs "$$programs" "$$@"

bench-kernels: ## how fast matrix products read weights, beside a loop that only reads (a minute; ARGS="--threads 1 --columns 1,4")
	@cargo bench --locked -p beast-kernels --bench products -- $(ARGS)

bench-traces: build ## three models in memory for two, beside llama-server's router (10 minutes; first run 25 more; ARGS="...")
	@peers=$$(.ci/peers) && a=$$(.ci/speed-model) && b=$$(.ci/speed-model 1.2b) && c=$$(.ci/speed-model 350m) && \
	"$$(.ci/venv)" tests/traces/run.py --peers "$$peers" --models "$$a" "$$b" "$$c" --programs "$(PROGRAMS)" $(ARGS)

damage: build ## load 1,000 damaged models, which the daemon must survive (20 minutes; ARGS="N SEED" repeats a part)
	@cargo run --release --locked -p beast-tests --bin damage -- $(ARGS)

check-arm: ## on Debian: test the kernels on emulated Arm CPUs (1 minute; ARGS="--level full": everything, with llama.cpp)
	@.ci/check-arm $(ARGS)

check-macos: ## on Debian: compile, link and lint everything for macOS (first run 10 minutes)
	@.ci/check-macos --level full --clippy

install: ## install programs, completions, man pages and units to $(DESTDIR)$(PREFIX); builds first, under sudo only if nothing is built yet
	@if [ "$(origin PROGRAMS)" = file ] && [ -z "$$SUDO_USER" ]; then $(MAKE) build; \
	elif [ ! -x "$(PROGRAMS)/beastd" ] || [ ! -x "$(PROGRAMS)/beastctl" ]; then $(MAKE) build; \
	elif [ "$(origin PROGRAMS)" = file ]; then echo "make: not building under sudo; for a fresh build: make build && sudo make install" >&2; fi
	@.ci/install "$(PREFIX)" "$(PROGRAMS)" "$(DESTDIR)"

uninstall: ## remove what `make install` installed
	@.ci/install --remove "$(PREFIX)" "$(PROGRAMS)" "$(DESTDIR)"

deb: ## build a portable Debian package in target/debian (first run 10 minutes; installs cargo-deb)
	@.ci/deb

vulkan: ## build the Vulkan plug-in and its Debian package (10 minutes; needs glslc libvulkan-dev spirv-headers)
	@.ci/deb-plugin vulkan

test-vulkan: build ## test the Vulkan plug-in on Mesa's software GPU (first run 10 minutes; needs mesa-vulkan-drivers)
	@[ -s target/plugins/libggml-vulkan.so ] || .ci/plugin vulkan
	cargo test --release --locked -p beast-tests --test it vulkan

cuda: ## build the CUDA plug-in and its Debian package (needs nvcc)
	@.ci/deb-plugin cuda

formula: ## write a Homebrew formula for HEAD to target/beast.rb and explain how to try it
	@.ci/formula

check-packages: ## check that each kind of package is complete
	@.ci/check-packages "$(PROGRAMS)"

clean: ## remove all build outputs, speed models and peers included
	rm -rf target
