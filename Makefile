# `make demo` and `make test` each do everything from a fresh clone: environment, install, run.
PYTHON ?= python3
VENV   ?= .venv
# Parallel test processes; a number, or auto for one per core.
JOBS   ?= auto
# Passed on: make test ARGS="-m 'not slow' tests/ops", make demo ARGS=--help, make bench ARGS=--full.
ARGS   ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
# An installation whose kernels find bad memory accesses and undefined behaviour.
SANITIZED := build/sanitized

.DELETE_ON_ERROR:
.PHONY: help demo test browser check format docs bench clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)-plots  ## Train on real data, compare, and write a report page
	@$(BIN)/longspan demo $(ARGS)

test: $(STAMP)-test browser  ## Run every test
	@$(BIN)/pytest -q -n $(JOBS) $(ARGS)

browser: $(STAMP)-test  ## Fetch a browser for the tests of the report page, if there is none
	@$(BIN)/python -m tests.memory.page.fetch_browser

check: $(STAMP)-dev $(SANITIZED)/.installed  ## Lint, format, types, the import table, and the kernels under sanitizers
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo 'not formatted as ruff has it: run  make format'; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/test_architecture.py
	@$(BIN)/python -m tests.sanitized $(SANITIZED)/package -q tests/ops/test_native.py \
	    tests/ops/test_both_directions.py tests/ops/test_variants.py

format: $(STAMP)-dev  ## Put the code into its format
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

docs: $(STAMP)-docs  ## Build the documentation in build/docs
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -d build/doctrees docs build/docs
	@echo 'built: build/docs/index.html'

bench: $(STAMP)-bench  ## Run the experiments of 1997, a subset in minutes; it says how long
	@$(BIN)/python -m benchmarks.hochreiter1997 $(ARGS)

clean:  ## Remove what was built, and the caches; .venv stays
	@rm -rf build dist docs/reference/generated .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find src tests docs benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# One stamp for each extra, so that the demo does not wait for the test tools.
$(STAMP)-%: pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/longspan/ops/native/*) | $(BIN)/python
	@echo "building and installing longspan[$*] in $(VENV), a few minutes the first time"
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

$(SANITIZED)/.installed: CMakeLists.txt $(wildcard src/longspan/ops/native/*) | $(STAMP)-dev
	@echo 'building the kernels with sanitizers in $(SANITIZED), some minutes'
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --upgrade --target $(SANITIZED)/package \
	    -C cmake.define.LONGSPAN_SANITIZE=ON -C 'build-dir=$(SANITIZED)/{wheel_tag}' .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
	    f"longspan needs Python 3.11 or newer; $(PYTHON) is {sys.version.split()[0]}. Try: make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
