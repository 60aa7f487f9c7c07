# What there is to run. `make` alone lists it. Needs: Rust, Go, Git, a C compiler, OpenSSL's headers.

.DEFAULT_GOAL := help
.PHONY: help demo test soak tools lint docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the whole story on a real control plane; CHECK=1 runs it unattended and asserts every step
	@tests/tools/build.sh control-plane
	cargo build --bin bowline --example demo
	cargo run --quiet --example demo -- $(if $(CHECK),--check)

test: ## all tests, on a real control plane
	@tests/tools/build.sh test
	cargo test --no-fail-fast

soak: ## the long tests, then the demo's changes over and over; MINUTES=60 unless given; fails when memory grows
	@tests/tools/build.sh control-plane
	cargo test --test it -- --ignored soak
	cargo build --bin bowline --example demo
	cargo run --quiet --example demo -- --soak $(or $(MINUTES),60)

bench: ## what it costs, beside its limits and peers; UNITS=1000, SAMPLES=20, IDLE=60 seconds unless given
	@tests/tools/build.sh control-plane
	cargo build --release --bin bowline --example bench
	cargo run --release --quiet --example bench -- --units $(or $(UNITS),1000) --samples $(or $(SAMPLES),20) --idle $(or $(IDLE),60)

tools: ## build the control plane that the tests run (once, into .tools/)
	@tests/tools/build.sh test

lint: ## formatting, clippy and documentation, warnings denied
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

docs: ## build the API documentation into target/doc
	cargo doc --no-deps

pages: ## write the pages of docs/ that are made from the program
	BOWLINE_WRITE_PAGES=1 cargo test --test it references

clean: ## remove what was built, the tools included
	cargo clean
	rm -rf .tools
