# Everything happens in .venv; a target does its own set-up, and only what changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES := 2
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-slow check format docs bench-gpu clean

demo: $(VENV)/.installed
	$(BIN)/vaplan demo --out demo

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile -m 'not slow'

# Clusters, browsers, killed commands, the commands of every page, long trainings.
test-slow: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile -m slow

check: $(VENV)/.installed-dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: $(VENV)/.installed-dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# Warnings are errors; the build fetches nothing.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs docs/_build/html
	@echo docs/_build/html/index.html

# At most 8 minutes on a machine with a GPU; writes benchmarks/results/gpu.json and gpu.md.
bench-gpu: $(VENV)/.installed
	$(BIN)/python benchmarks/bench_gpu.py

clean:
	rm -rf $(VENV) demo docs/_build docs/generated

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@ $(VENV)/.installed
