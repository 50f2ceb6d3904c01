# The two that matter: `make run` shows the service, `make test` tests it. Both install what is missing.

CARGO ?= cargo
DEMO ?= .demo

.PHONY: run test bench packages wide hunt nightly fmt lint clean-demo

run: ## make a demo, start everything, issue a token, stay up until Ctrl-C
	@tests/support/prepare --no-clients
	@$(CARGO) build --bins
	@target/debug/chancery run --demo --directory $(DEMO)

test: ## every test, with real clients and judges; ends with what was skipped and the sum
	@tests/support/prepare
	@.ci/test

bench: ## what a token costs, and where
	@tests/support/prepare --no-clients
	@tests/bench/run

packages: ## .deb and .rpm in dist/
	@tests/support/prepare --no-clients --packages
	@packaging/build

wide: ## our XML against that of others, on many more documents, other ones each day
	@CHANCERY_DOCUMENTS=100000 CHANCERY_SEED=$$(date +%j) $(CARGO) test --locked -p chancery-differential -- --show-output

hunt: ## octets that a parser does not stand, ten minutes for each
	@tests/support/prepare --no-clients
	@for target in $$(sed -n 's/.*Target { name: "\([a-z-]*\)".*/\1/p' tests/fuzz/src/lib.rs); do tests/fuzz/run $$target 600 || exit 1; done

nightly: test bench packages wide hunt ## what is too slow for every change

lint: ## format, clippy, each role alone, dependency policy
	@.ci/checks

fmt:
	@$(CARGO) fmt --all

clean-demo: ## forget the demo's token, keys, user and record
	@rm -rf -- "$(DEMO)"
