# Every target makes its own environment: only Python >= 3.11 and make are needed.
# PYTHON=python3.13 make test   runs on another interpreter (use its own VENV too).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

export MLFLOW_DISABLE_TELEMETRY = true
export DVC_NO_ANALYTICS = true
export OMP_NUM_THREADS ?= 1
# Stages are run as "python -m pipeline": that has to be the environment's python.
export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help env spark demo study results docs test smoke check audit fix lock clean
help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

env: $(VENV)/.installed  ## the environment, at the exact versions of requirements.lock

$(VENV)/.installed: requirements.lock pyproject.toml
ifneq ($(UV),)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
endif
	@touch $@

spark: $(VENV)/.spark  ## pyspark in the environment, for eih predict --engine spark (needs Java 17)

$(VENV)/.spark: $(VENV)/.installed requirements-spark.lock
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --require-hashes \
	  -r requirements-spark.lock
else
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --require-hashes \
	  -r requirements-spark.lock
endif
	@touch $@

demo: env  ## the whole pipeline on the simulated study: report, MLflow store, predictions
	$(BIN)/dvc repro
	@$(BIN)/python -m pipeline where

study: env  ## the whole pipeline on a real study: make study NAME=peep
	$(BIN)/dvc exp run -S study.name=$(NAME)
	@$(BIN)/python -m pipeline where

results: env  ## every study the machine holds, as the README's results table
	$(BIN)/python -m pipeline results --output docs/results.md

docs: $(VENV)/.docs  ## the documentation's site in site/, its links checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

$(VENV)/.docs: $(VENV)/.installed requirements-docs.lock
ifneq ($(UV),)
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-docs.lock
else
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-docs.lock
endif
	@touch $@

# A file's tests share fixtures that take long to make: they stay in one process.
test: env  ## all tests and doctests, a process a core
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile

smoke: env  ## a small study end to end: for another interpreter (PYTHON=, VENV=)
	$(BIN)/python -m pytest -q tests/stages/test_pipeline.py

check: env  ## style, types, architecture, unsafe code, secrets
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml features models pipeline benchmarks
	@git rev-parse --is-inside-work-tree >/dev/null
	git ls-files -z -- . ':!requirements*.lock' ':!docs/notebooks/*.ipynb' | xargs -0 $(BIN)/detect-secrets-hook

audit: env  ## known advisories on the locked versions; fails where they cannot be looked up
	bash .ci/audit $(BIN)/pip-audit

fix: env  ## what can be mended by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	PYTHONPATH=. $(BIN)/python tests/test_dvc_stages.py
	$(BIN)/python -m pipeline dictionary
	$(BIN)/python -m pipeline checks --output docs/checks.md
	PYTHONPATH=. $(BIN)/python docs/make_pages.py
	$(BIN)/python docs/make_architecture.py
	$(BIN)/python docs/make_results_figure.py

lock:  ## new exact versions: needs uv; records no index address
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --upgrade --extra dev --extra team --quiet pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --constraint requirements.lock --extra docs --quiet pyproject.toml -o .docs.lock
	$(PYTHON) .ci/lock_extra.py .docs.lock requirements.lock > requirements-docs.lock && rm .docs.lock

clean:  ## outputs and environment
	rm -rf outputs $(VENV)
