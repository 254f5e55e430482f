# Two commands: `make demo` and `make test`. Both keep their environment in .venv and are quick the second time.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(shell cat setup.cfg pyproject.toml | cksum | cut -d' ' -f1)

COMPUTING := tests/engines tests/calibration

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: $(READY)  ## the live page on synthetic input: no camera, amplifier, GPU or download
	@$(BIN)/myomirror demo $(ARGS)

test: $(READY)-dev  ## all tests (browser tests where Chromium is found)
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else  # what only computes shares the cores; a live session wants them for itself
	@trap 'exit 130' INT; failed=0; \
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(COMPUTING) || failed=1; \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(COMPUTING)) || failed=1; \
	exit $$failed
endif

lint: $(READY)-dev  ## style, types, and which room may import which
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

$(READY):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "MyoMirror needs Python 3.11 or newer: this is " + sys.version.split()[0] + "; give another with make PYTHON=python3.12")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python cannot make environments here: install Debian's package python3-venv"; exit 1; }
	@test -x $(BIN)/python || { echo "Making the environment in $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@echo "Installing MyoMirror and what it needs (about a minute, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python -m rt.system_libraries
	@rm -f $(VENV)/.ready-*; touch $@

$(READY)-dev: | $(READY)
	@echo "Installing what the tests need (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:  ## throw the environment away
	rm -rf $(VENV)
