# Two commands are enough: `make study` (from nothing to a scaling law) and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PYRIGHT_PYTHON_CACHE_DIR := $(CURDIR)/$(VENV)/pyright
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help install study test unit check format clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

install: $(STAMP)  ## make .venv with the pinned versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "scaling-lab needs Python 3.11 or newer; name one: make install PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[corpus,dev]'
	@touch $@

study: install  ## default corpus, five mini sizes, the law and its report
	$(BIN)/scaling-lab study --ladder mini

test: install check  ## lint, types and the whole suite
	$(BIN)/python -m pytest

unit: install  ## the tests that start no other process
	$(BIN)/python -m pytest -m 'not slow'

check: install  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: install  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what was built (never outputs/ or data/)
	rm -rf $(VENV) dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
