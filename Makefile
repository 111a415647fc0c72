# `make demo` and `make test` set up everything that they need: Python 3.11+ and make are enough.
.DEFAULT_GOAL := help
.PHONY: help install demo test lint explore bench docs clean

PYTHON ?= $(shell command -v python3.14 || command -v python3.13 || command -v python3.12 || command -v python3.11 || command -v python3)
UV := .tools/bin/uv
RUN := .venv/bin/python
STAMP := .venv/.installed
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON := $(PYTHON)

help: ## Show what there is to make.
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "AeroDB needs Python 3.11 or newer; set PYTHON=...")'
	@$(PYTHON) -m venv .tools || { echo "python3's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): $(UV) pyproject.toml uv.lock
	$(UV) sync --frozen --quiet
	@touch $@

install: $(STAMP) ## Install AeroDB and its locked dependencies into .venv.

demo: $(STAMP) ## Show switchovers and a failover on a real cluster of three nodes, under load.
	$(RUN) -m aerodb demo

test: $(STAMP) ## Pass every test: lint, types, rules, explorer, real processes, faults.
	$(RUN) -m pytest -n 2 --dist loadgroup

lint: $(STAMP) ## Check style, types and the direction of imports.
	$(RUN) -m ruff check
	$(RUN) -m mypy
	.venv/bin/lint-imports

explore: $(STAMP) ## Explore every interleaving of a small abstract cluster, and every mutant, at full size.
	$(RUN) -m tests.explorer

bench: $(STAMP) ## Measure, beside the bare limit of each measure.
	$(RUN) -m benchmarks

docs: $(STAMP) ## Write the pages that are derived from the catalogue and the errors.
	$(RUN) docs/generate.py

clean: ## Remove what was installed and made.
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
