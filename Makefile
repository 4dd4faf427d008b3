# Everything runs in .venv, built from the hashed lock. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODE ?= btc_basis
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup backtest test check lint types imports schemas ui browser bench trust laws soak lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## build .venv from the lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

backtest: setup ## run a backtest of MODE (default btc_basis) on the embedded synthetic data
	$(BIN)/basis backtest $(MODE)

test: setup ## run every test but browser and benchmarks
	$(BIN)/python -m pytest -n auto -m "not browser" --cov --cov-report=term

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

schemas: setup
	$(BIN)/basis schemas check

check: lint types imports schemas test ## everything that CI runs

ui: setup ## open Dagster on http://localhost:3000
	$(BIN)/python -m dagster_project.ui

browser: setup ## look at the Dagster UI and the reports in headless Chromium (needs Debian's chromium and chromium-driver)
	$(BIN)/python -m pytest -m browser tests/browser

bench: setup ## print the benchmark ratios
	$(BIN)/python -m tests.benchmarks

trust: setup ## run the matrix of trust, print it and write docs/trust.md
	$(BIN)/python -m tests.trust

laws: setup ## try every property of the configuration files ten times as often as make test
	$(BIN)/python -m pytest -n auto -m laws

soak: setup ## run 500 random markets under a storm of faults and check the laws after each
	$(BIN)/basis simulate --seeds 500 --faults storm

lock: ## renew requirements.lock (needs uv)
	uv pip compile --extra ui --extra dev --extra browser --generate-hashes --no-header --no-strip-extras --python-version 3.11 pyproject.toml -o requirements.lock

clean: ## remove what runs and checks leave behind
	rm -rf logs results .dagster .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage
