# `make run` sets up and shows the idea on the model that comes with frspec; `make test` sets up and passes every check.
# `make pipeline CORPUS=texts.jsonl MODEL=...` ranks, trains a head and compares, at a small scale.
PYTHON ?= python3
BIN := .venv/bin
# Modules are compiled when first imported, as most of PyTorch's never are: 36 s instead of 92 on two busy cores.
INSTALL := $(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable
MODEL ?= demo
CORPUS ?=

.PHONY: run test pipeline setup clean

setup: .venv/checks

.venv/ready: pyproject.toml constraints.txt
	@echo "installing into .venv; PyTorch is most of it"
	@$(PYTHON) -m venv .venv
	@$(INSTALL) .
	@touch $@

.venv/checks: .venv/ready
	@echo "installing what the checks need"
	@$(INSTALL) '.[test,plot]'
	@touch $@

run: .venv/ready
	@$(BIN)/frspec demo

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 PYTHONUTF8=1 $(BIN)/python -m pytest -n 2 --dist worksteal

pipeline: .venv/ready
	@PATH="$(CURDIR)/$(BIN):$$PATH" recipes/pipeline.sh "$(MODEL)" "$(CORPUS)"

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache src/*.egg-info
