# Two commands are enough on a fresh clone: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
ARGS ?=
# Where Python is told to keep no bytecode, each of the many processes of a test run compiles every module again.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick nightly faults lint bench

help:  ## Say what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 14

setup: $(INSTALLED)  ## Install Exeunt and what it needs into .venv

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Exeunt needs Python 3.11 or newer; choose it with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip uv
	@echo "Installing, which takes a minute and about 6 GB ..."
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: setup  ## Run the quickstart sweep and show its table
	$(BIN)/exeunt sweep configs/quickstart.yaml $(ARGS)

test: setup  ## Run every test that a change has to pass
	$(BIN)/python -m pytest $(ARGS)

quick: setup  ## Run the tests that take no time, while you write
	$(BIN)/python -m pytest -m "not slow and not nightly" $(ARGS)

nightly: setup  ## Run every test there is, with many more examples
	$(BIN)/python -m pytest -m "" --hypothesis-profile=nightly $(ARGS)

faults: setup  ## Plant each fault of tests/faults and check that the tests catch it
	$(BIN)/python tests/faults/run.py $(ARGS)

lint: setup  ## Check style, formatting, types and the import contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports --no-logo

bench: setup  ## Measure, and add rows to benchmarks/results.csv; beside the authors' program with AUTHORS=DIR DATA=DIR
	$(BIN)/python benchmarks/quickstart.py
	$(BIN)/python benchmarks/loss_cost.py
	$(BIN)/python benchmarks/early_exit.py
	$(BIN)/python benchmarks/planning.py
	$(BIN)/python benchmarks/tables.py
	$(BIN)/python benchmarks/orchestration.py
	$(BIN)/python benchmarks/orchestration.py --simulate
	$(if $(AUTHORS),$(BIN)/python benchmarks/train_speed.py --reference $(AUTHORS) --data $(DATA))
	$(BIN)/python benchmarks/page.py
