# What this repository can do. A fresh machine needs Python 3.11 or newer and make: `make demo`, `make test`.

.DEFAULT_GOAL := help
.PHONY: help demo test check test-matrix soak bench clean lint imports types migrations docs units man driver

VENV ?= .venv
# The newest Python that really runs: a name on the path may be a stub of a version manager.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
  "$$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$name" && break; done)
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
DB ?= all
ARGS ?=

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
	  printf '  make %-12s %s\n' "$$target" "$$text"; done

demo: $(VENV)/.demo ## the example shop under four supervised workers, in under two minutes; DB=postgres or mariadb: there
	@$(BIN)/python examples/shop/demo.py $(if $(filter-out all,$(DB)),--database $(DB)) $(ARGS)

test: $(VENV)/.test driver ## every test, on each database that answers; DB=sqlite, postgres or mariadb: on that one; ARGS=…: for pytest
	@$(BIN)/python -P tests/databases.py --database $(DB) -- $(ARGS)

check: lint imports types migrations docs units ## formatting, arrows between modules, types, migrations, docs, systemd units

test-matrix: $(VENV)/.test ## every test with Python 3.11 and Django 5.2, and with the newest Python and Django 6.1
	@$(BIN)/python -P tests/matrix.py --database $(DB) -- $(ARGS)

soak: $(VENV)/.test driver ## random faults under load, 30 minutes a database, and the tests that run for minutes; SOAK_MINUTES=… SOAK_SEED=…
	@$(BIN)/python -P tests/databases.py --database $(DB) --lanes 1 -- -m soak --timeout 3600 $(ARGS)

bench: $(VENV)/.test driver ## what is promised of speed against what this machine measures, in small; ARGS="--help" lists all there is
	@$(BIN)/python -m benchmarks $(or $(ARGS),targets --quick$(if $(filter-out all,$(DB)), --database $(DB)))

clean: ## remove the virtual environment and everything else that was made here
	rm -rf .venv .venv-* build dist examples/shop/var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

lint: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

imports: $(VENV)/.check
	$(BIN)/lint-imports

types: $(VENV)/.check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/annotations

migrations: $(VENV)/.check
	$(BIN)/python -m django makemigrations --check --dry-run --settings tests.settings --pythonpath .

docs: $(VENV)/.check
	$(BIN)/python -m pytest -q tests/docs tests/test_repository.py

units: $(VENV)/.check
	@test "$(CI)" != true || command -v systemd-analyze >/dev/null || { echo "systemd-analyze is missing, and in CI nothing is left out"; exit 1; }
	$(BIN)/python -m pytest -q tests/systemd/test_units.py

man: $(VENV)/.demo ## the manual page bgtasksd(8), from the parser, in build/man; `man -l build/man/bgtasksd.8` shows it
	@mkdir -p build/man
	@$(BIN)/python -c 'from bgtasksd.cli import manual, parser; print(manual.page(*parser.build()), end="")' >build/man/bgtasksd.8

# MariaDB's driver comes as source: without a compiler its tests are left out, and the run says so.
driver:
ifneq ($(filter all mariadb,$(DB)),)
	@$(BIN)/python -c 'import MySQLdb' 2>/dev/null || $(INSTALL) -e '.[mysql]' >$(VENV)/mysqlclient.log 2>&1 || \
	  echo "mysqlclient cannot be built here: it needs a C compiler, pkg-config and libmariadb-dev ($(VENV)/mysqlclient.log)"
endif

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer with venv was found: install one (Debian: python3-venv) or say make PYTHON=…"; exit 2; }
	@echo "preparing $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	@$(INSTALL) -e '.[examples]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@$(INSTALL) -e '.[examples,postgres,test]'
	@touch $@ $(VENV)/.demo

$(VENV)/.check: pyproject.toml $(VENV)/.test
	@$(INSTALL) -e '.[check]'
	@touch $@
