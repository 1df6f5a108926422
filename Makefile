# One command for each thing that people do here. `make help` lists them.
#
# Needed on the machine: Python 3.11 to 3.13 with its headers, a C compiler (durable-rules is
# compiled), make and git. uv is used where it is installed, else it is put into .tools/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.trueloop-setup
UV = $(shell command -v uv 2>/dev/null || echo .tools/uv/bin/uv)
DEMO_OUT ?= demo-out

.PHONY: help setup demo test lint bench trial trial-rules trial-statistics docs lock lab clean

help:
	@echo "make setup   everything into .venv; then .venv/bin/trueloop is the command"
	@echo "make demo    simulated desk, audit, one full CSI cycle: $(DEMO_OUT)/report.html"
	@echo "make test    lint, types, all tests"
	@echo "make lint    ruff and mypy alone"
	@echo "make bench   speed as ratios, printed and written into docs/benchmarks.md"
	@echo "make trial   long trials: exactness on 20,000 variants, and the like"
	@echo "make trial-rules   only that of the rules: 100,000 pairs of a rule and a case, by three judges"
	@echo "make trial-statistics   only that of the evaluation: 2,000 cycles of each kind in which nothing happens, 1,000 with an effect or a harm; writes docs/statistics-trial.md"
	@echo "make docs    generated files anew: docs/rules, docs/reference-models.md, docs/kpis.md, the figures of docs/service-level-reconciliation.md, environment.yml"
	@echo "make lock    requirements.lock anew from pyproject.toml"
	@echo "make lab     the four notebooks in JupyterLab"

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "trueloop needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' was not found. Install it, or name it: make PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "trueloop needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) --version). Name another: make PYTHON=/path/to/python3"; exit 2; }
	@command -v cc >/dev/null || command -v gcc >/dev/null || command -v clang >/dev/null || { echo "No C compiler was found; durable-rules has to be compiled. Install one (Debian: apt install build-essential python3-dev), then run make again."; exit 2; }
	@$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || { echo "The C headers of $(PYTHON) (Python.h) were not found; durable-rules needs them. Install them (Debian: apt install python3-dev), then run make again."; exit 2; }
	@command -v uv >/dev/null 2>&1 || test -x .tools/uv/bin/uv || { $(PYTHON) -m venv .tools/uv && .tools/uv/bin/python -m pip install --quiet uv; }
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(STAMP)

demo: setup
	$(BIN)/trueloop demo --out $(DEMO_OUT)

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy process_mining rules csi

bench: setup
	$(BIN)/python -m pytest -m benchmark --override-ini addopts= --import-mode=importlib -s tests/benchmarks --bench-docs docs/benchmarks.md

trial: setup
	$(BIN)/python -m pytest -m trial --override-ini addopts= --import-mode=importlib -s tests

trial-rules: setup
	$(BIN)/python -m pytest -m trial --override-ini addopts= --import-mode=importlib -s tests/properties/test_rule_trial.py

trial-statistics: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m trial --override-ini addopts= --import-mode=importlib -s tests/properties/test_statistics_trial.py --trial-docs docs/statistics-trial.md

docs: setup
	$(BIN)/trueloop rules docs --out docs/rules
	$(BIN)/trueloop rules models --out docs/reference-models.md
	$(BIN)/python -m csi.kpi_page docs/kpis.md
	$(BIN)/python tests/improvement/reconciled_logs.py docs/service-level-reconciliation.md
	$(BIN)/pyproject2conda yaml --name trueloop --python 3.12 --channel conda-forge --group dev --dep c-compiler --dep pip --header --output environment.yml --overwrite force

lock: setup
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock

lab: setup
	$(BIN)/trueloop lab

clean:
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis $(DEMO_OUT)
