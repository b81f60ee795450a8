# The project's few verbs: `make` lists them. `make setup` comes first; PYTHON chooses the interpreter.
PYTHON ?= python3
UV ?= uv
BIN := .venv/bin

.PHONY: help setup test check lint format docs diagrams pythons packages orchestrators faults benchmarks lock audit release

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## make .venv with everything that the tests need
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e '.[test]'

test: ## run the tests that need neither Meltano nor minutes
	$(BIN)/pytest -m 'not meltano and not install and not faults and not benchmarks and not orchestrators and not targets'

check: ## run all that must pass before a change is merged (half an hour)
	bash .ci/run

lint: ## check style, types and declared dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/deptry tap_cdp_export
	$(BIN)/mypy

format: ## put the style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: ## build the pages as a site into output/site
	$(BIN)/pip install -q -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

diagrams: ## draw docs/diagrams/*.mmd (needs npm and Chromium)
	bash .ci/diagrams

pythons: ## run the unit tests on every supported Python
	bash .ci/other-pythons --all

packages: ## build sdist and wheel, and install the wheel on every supported Python
	bash .ci/packages --all

orchestrators: ## run the examples on Airflow, Dagster and Meltano, which are installed for it (minutes)
	$(BIN)/pytest -n 0 -m orchestrators

faults: ## play the quick set of the fault campaigns
	$(BIN)/pytest -m faults

benchmarks: ## measure the tap beside others (forty minutes, idle machine)
	$(BIN)/python -m tests.benchmarks

lock: ## renew requirements.lock (needs uv)
	$(UV) pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --upgrade \
	    --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' \
	    --output-file requirements.lock pyproject.toml

audit: ## look the locked dependencies up in PyPI's advisory database
	bash .ci/audit

release: ## build and tag a release: make release VERSION=1.2.3
	bash .ci/release '$(VERSION)'
