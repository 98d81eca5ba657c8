# On a fresh clone, run `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
ARGS ?=
# If the environment disables bytecode, each process of a test run compiles every module again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup build release demo test quick nightly faults lint site bench

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

setup: $(INSTALLED)  ## Install Exeunt and its dependencies into .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Exeunt needs Python 3.11 or newer; choose it with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip uv
	@echo "Installing about 6 GB; this can take a few minutes ..."
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

build: setup  ## Build the source distribution and the wheel into dist/
	$(BIN)/uv build --quiet

release: setup  ## Make the release VERSION=x.y.z: check, build and tag; ARGS=--dry-run shows it
	$(if $(VERSION),,$(error Name the version: make release VERSION=0.2.0))
	$(BIN)/python .ci/release.py $(VERSION) $(ARGS)

demo: setup  ## Run the quickstart sweep and print its table
	$(BIN)/exeunt demo $(ARGS)

test: setup  ## Run all tests that a change must pass
	$(BIN)/python -m pytest $(ARGS)

quick: setup  ## Run the fast tests only
	$(BIN)/python -m pytest -m "not slow and not nightly" $(ARGS)

nightly: setup  ## Run all tests, including nightly ones, with more Hypothesis examples
	$(BIN)/python -m pytest -m "" --hypothesis-profile=nightly $(ARGS)

faults: setup  ## Plant each fault of tests/faults and check that the tests catch it
	$(BIN)/python tests/faults/run.py $(ARGS)

lint: setup  ## Check style, formatting, types, the import contract and the sentences
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/python tests/layers.py
	$(BIN)/python tests/prose.py

site: setup  ## Build the documentation site in build/site
	rm -rf build/site
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs --doctree-dir build/doctrees . build/site

bench: setup  ## Run the benchmarks and add rows to benchmarks/results.csv; AUTHORS=DIR DATA=DIR adds the authors' program
	$(BIN)/python benchmarks/quickstart.py
	$(BIN)/python benchmarks/loss_cost.py
	$(BIN)/python benchmarks/early_exit.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python benchmarks/orchestration.py
	$(BIN)/python benchmarks/orchestration.py --simulate
	$(if $(AUTHORS),$(BIN)/python benchmarks/train_speed.py --reference $(AUTHORS) --data $(DATA))
	$(BIN)/python benchmarks/page.py
