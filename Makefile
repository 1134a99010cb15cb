# `make` lists the targets. The first that needs it creates a virtual environment and installs the project into it;
# after that it is brought up to date only when pyproject.toml changes.
#
#   make test                      python3, in .venv
#   make test PYTHON=python3.13    another Python, in .venv-3.13: both can live side by side
#   make test ARGS="-k scan -x"    further arguments of pytest (or of the demo, or of the benchmarks)

ifeq ($(origin PYTHON),undefined)
PYTHON := python3
VENV := .venv
else
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
ifeq ($(VERSION),)
$(error PYTHON=$(PYTHON) does not run)
endif
VENV := .venv-$(VERSION)
endif

BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test test-all fuzz lint bench clean
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  %-10s %s\n' "$$name" "$$text"; done

setup: $(READY) ## create the virtual environment (the other targets do it by themselves)

demo: $(READY) ## the ttbar cross-section from a cabinetry configuration to figures
	$(BIN)/jaxfit demo $(ARGS)

test: $(READY) ## the fast tests, a file at a time on every core (ARGS="-n 0": in one process)
	$(BIN)/python -m pytest -m "not slow" -n logical --maxprocesses 4 --dist loadfile $(ARGS)

test-all: $(READY) ## every test
	$(BIN)/python -m pytest $(ARGS)

CASES ?= 2000
fuzz: $(READY) ## random workspaces against pyhf and MINUIT (CASES=2000)
	FUZZ_CASES=$(CASES) $(BIN)/python -m pytest -s --timeout=0 tests/test_fuzz.py $(ARGS)

lint: $(READY) ## ruff, mypy, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: $(READY) ## the benchmarks, with the agreement beside each time
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the virtual environments and the caches
	rm -rf .venv .venv-* .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

$(READY): pyproject.toml
	@echo "Setting up $(VENV): a minute or two, only when pyproject.toml has changed."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@touch $@
