# What people and the continuous integration run. Each target installs what it needs first
# (tools/setup; it ends at once when everything is there) and asks for nothing.

PYTHON := .venv/bin/python
TIERS := rules services components journeys faults browser
BENCHMARKS := $(filter-out harness,$(basename $(notdir $(wildcard benchmarks/*.py))))

.DEFAULT_GOAL := help
.PHONY: help setup check format test bench demo serve clean $(TIERS:%=test-%) $(BENCHMARKS:%=bench-%)

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r target text; do printf '  make %-10s %s\n' "$$target" "$$text"; done
	@printf '  make %-10s one tier of: %s\n' test-TIER "$(TIERS)"
	@printf '  make %-10s one benchmark of: %s\n' bench-NAME "$(BENCHMARKS)"

setup: ## install everything that the other targets need
	@tools/setup run test python

check: ## formatting, lint, types, direction of imports
	@tools/setup python
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-cache

format: ## put the code into its form
	@tools/setup python
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

test: check ## check, then all tests, tier by tier
	@tools/setup run test python
	@tools/tiers $(TIERS)

$(TIERS:%=test-%): test-%:
	@tools/setup run test python
	@tools/tiers $*

bench: ## all benchmarks
	@tools/setup run test python
	@failed=; for name in $(BENCHMARKS); do printf '\n== %s\n' "$$name"; $(PYTHON) benchmarks/$$name.py || failed="$$failed $$name"; done; \
	[ -z "$$failed" ] || { printf '\nfailed:%s\n' "$$failed"; exit 1; }

$(BENCHMARKS:%=bench-%): bench-%:
	@tools/setup run test python
	@$(PYTHON) benchmarks/$*.py

demo: ## the main job, from an empty directory to a second deployment (ONCE=1: then end and clean up)
	@tools/setup run python
	@.venv/bin/halage demo $(if $(filter-out 0,$(ONCE)),--once)

serve: ## the server, with its defaults
	@tools/setup run python
	@.venv/bin/halage serve

clean: ## remove caches and what builds left (not .venv, not .tools)
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .bench dist
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
