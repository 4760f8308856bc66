# The verbs of this checkout. `make run` and `make test` set up what they need; what passed is run again only when
# something it rests on has changed, or with FRESH=1.
HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= python3
# processes that share the tests: half of their time they wait for a node, a browser or a Prometheus
WORKERS ?= $(shell echo $$((2 * $$(nproc))))
BIN := .venv/bin
READY := .venv/ready
# command:Debian package, for the pages; the tests also open the site in a browser
TOOLS := curl:curl jq:jq promtool:prometheus amtool:prometheus-alertmanager pandoc:pandoc \
  prometheus-node-exporter:prometheus-node-exporter shellcheck:shellcheck
BROWSER := chromium:chromium libatomic.so.1:libatomic1

.DEFAULT_GOAL := help
.PHONY: help run test monitor check verify update build lint lock tools clean

help: ## Show the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) tools ## Start the mock node, run every page, build the site with its verdicts, serve it
	@exec $(BIN)/handbook serve --host $(HOST) --port $(PORT) $(if $(FRESH),--fresh)

test: TOOLS += $(BROWSER)
test: $(READY) tools ## Run all tests and every block of every page
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --report build/report.json $(if $(FRESH),,--reuse) $(ARGS)

monitor: $(READY) tools ## Run nodes, Prometheus and Alertmanager; break and mend by hand, ALERTS="..." only some
	@exec $(BIN)/handbook monitor $(ALERTS)

check: $(READY) tools ## Check pages, runbooks and monitoring as far as that needs no node
	@$(BIN)/handbook check

verify: $(READY) tools ## Run the pages' blocks only; PAGES=docs/operations.md runs one page
	@$(BIN)/handbook verify $(PAGES)

update: $(READY) tools ## Rewrite the output blocks of PAGES with what their blocks print; read the diff
	@$(BIN)/handbook verify --update $(PAGES)

build: $(READY) ## Build the site into build/site with the verdicts of the last run
	@$(BIN)/handbook build

lint: $(READY) ## Format the code, and check its style and types
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/mypy

lock: $(READY) ## Pin all dependencies anew in requirements.lock
	@$(BIN)/pip install --quiet pip-tools
	@$(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --all-build-deps --extra test --strip-extras \
	  --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links -o requirements.lock pyproject.toml

clean: ## Remove what was built and installed here
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "needs Python 3.11 or newer: apt-get install python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(MAKE) --no-print-directory tools TOOLS=python3-venv:python3-venv
	@echo "setting up .venv (about a minute the first time)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Installs the missing Debian packages where it may; otherwise says in one line what to install.
# A policy-rc.d keeps Debian from starting Prometheus as a service.
tools:
	@missing=; for pair in $(TOOLS); do name="$${pair%%:*}"; \
	  command -v "$$name" >/dev/null || /sbin/ldconfig -p | grep -qF "$$name" || missing="$$missing $${pair##*:}"; done; \
	[ -z "$$missing" ] && exit 0; \
	as=; [ "$$(id -u)" = 0 ] || as="sudo -n"; \
	if ! command -v apt-get >/dev/null || ! $$as true 2>/dev/null; then \
	  echo "missing tools; as root: apt-get install$$missing"; exit 1; fi; \
	echo "installing$$missing"; \
	guard=; [ -e /usr/sbin/policy-rc.d ] || { guard=yes; printf '#!/bin/sh\nexit 101\n' | $$as tee /usr/sbin/policy-rc.d >/dev/null; $$as chmod +x /usr/sbin/policy-rc.d; }; \
	$$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq --no-install-recommends $$missing >/dev/null; status=$$?; \
	[ -z "$$guard" ] || $$as rm -f /usr/sbin/policy-rc.d; \
	exit $$status
