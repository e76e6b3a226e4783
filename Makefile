# `make run` sets up and runs the main job; `make test` sets up and passes every check.
PYTHON ?= python3
BIN := .venv/bin
MODEL ?=
CORPUS ?=

.PHONY: run test setup clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,plot]'
	touch $@

run: setup
	@PATH="$(CURDIR)/$(BIN):$$PATH" recipes/pipeline.sh "$(MODEL)" "$(CORPUS)"

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache src/*.egg-info
