# burster: `make` alone lists the targets. Everything runs in .venv, which tools/bootstrap makes from the lock.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv/bin
ARGS ?=
# a suite's tests are independent of each other: one process per core
PYTEST := $(VENV)/python -m pytest -n auto --dist worksteal
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help demo test test-long control-plane perf lint types imports format reference lock clean runtime dev

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

demo: runtime ## the whole system on this machine, about a minute; ARGS="--seed 9" and the like
	@$(VENV)/burster demo $(ARGS)

test: dev ## the tests; ARGS="-k ledger" and the like
	@$(PYTEST) -m "not long and not perf" $(ARGS)

# a test that says nothing else has ten minutes here: what waits for a busy machine is not what hangs
test-long: dev ## properties at full depth, many seeds, real kills
	@$(PYTEST) --timeout 600 -m "long and not perf" $(ARGS)

control-plane: ## build a real Kubernetes control plane once, for the tests that want one; KUBEBUILDER_ASSETS=DIR: use that one
	@tools/control-plane

perf: dev ## the measured figures, one at a time
	@$(VENV)/python -m pytest -m perf $(ARGS)

lint: dev ## ruff: rules and layout
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .

types: dev ## pyright, strict
	@$(VENV)/pyright

imports: dev ## the import contracts: which room may know which
	@$(VENV)/lint-imports

format: dev ## lay the code out, and repair what ruff can
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

reference: dev ## write the pages anew that are made from the code
	@$(VENV)/python -m tools.reference

LOCK := $(VENV)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url
lock: dev ## write both locks anew from pyproject.toml; ARGS=--upgrade for the newest versions
	@$(LOCK) $(ARGS) --group dev pyproject.toml -o requirements-dev.lock
	@$(LOCK) $(ARGS) --group build -c requirements-dev.lock pyproject.toml -o requirements.lock

clean: ## remove what the targets made, the virtual environment too
	@rm -rf .venv .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

runtime:
	@tools/bootstrap runtime

dev:
	@tools/bootstrap dev
