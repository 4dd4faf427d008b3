# Everything runs in .venv, built from the hashed lock. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODE ?= btc_basis
SEEDS ?= 200
REPORTS ?=
STAMP := $(VENV)/.installed

# A test that takes long bears one of these marks, and the target of that name runs it; `make test` runs all others.
LONG := laws soak crash dagster pages history breakage browser
SHORT := not ($(subst $() , or ,$(LONG)))
RUN_TESTS = $(BIN)/python -m pytest -n auto $(if $(REPORTS),--junit-xml=$(REPORTS)/$@.xml)

.DEFAULT_GOAL := help
.PHONY: help setup backtest test coverage check nightly lint types imports schemas ui bench trust lock clean $(LONG)

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

test: setup ## run the tests: a few minutes on two cores
	$(RUN_TESTS) -m "$(SHORT)"

coverage: setup ## run the tests of `make test` again and refuse a coverage below 80 %
	$(RUN_TESTS) -m "$(SHORT)" --cov --cov-report=term $(if $(REPORTS),--cov-report=xml:$(REPORTS)/coverage.xml)

laws: setup ## hold the laws of long runs, and try every property of the configuration files many times
	$(RUN_TESTS) -m laws

soak: setup ## run SEEDS (200) random markets of every mode under a storm of faults, and check the laws after each
	$(RUN_TESTS) -m soak
	$(BIN)/basis simulate --seeds $(SEEDS) --faults storm --trade-rules

crash: setup ## kill runs at every step, stop them by signals, fill their disks
	$(RUN_TESTS) -m crash

dagster: setup ## materialise months of every kind in Dagster, and break a column of every stage
	$(RUN_TESTS) -m dagster

pages: setup ## type in every command that the pages show
	$(RUN_TESTS) -m pages

history: setup ## run the ten modes on the whole real history (skipped where it is not there)
	$(RUN_TESTS) -m history

breakage: setup ## break every column of a mode, one after the other
	$(RUN_TESTS) -m breakage

browser: setup ## look at the Dagster UI and the reports in headless Chromium (needs Debian's chromium and chromium-driver)
	$(RUN_TESTS) -n 0 -m browser

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

schemas: setup
	$(BIN)/basis schemas check

check: lint types imports schemas test crash dagster pages breakage ## everything that CI runs

nightly: check coverage laws history soak ## what CI runs, and what takes longer than it may

ui: setup ## open Dagster on http://localhost:3000
	$(BIN)/python -m dagster_project.ui

bench: setup ## print the benchmark ratios
	$(BIN)/python -m tests.benchmarks

trust: setup ## run the matrix of trust, print it and write docs/trust.md
	$(BIN)/python -m tests.trust

lock: ## renew requirements.lock (needs uv)
	uv pip compile --extra ui --extra dev --extra browser --generate-hashes --no-header --no-strip-extras --python-version 3.11 pyproject.toml -o requirements.lock

clean: ## remove what runs and checks leave behind
	rm -rf logs results reports .dagster .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage
