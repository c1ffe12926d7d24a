# `make help` lists the targets. Each sets up what it needs.
SHELL := bash
# One word names a topic, whatever is done with it; CHAPTER means the same.
TOPIC ?= $(CHAPTER)
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: book check test test-all test-browser proofs new notebooks lab lock clean help

# One thread each: the notebooks that run side by side do not fight for cores,
# and sums do not depend on how many cores there are.
export OMP_NUM_THREADS := 1
# User-level Jupyter settings stay out of what is stored and compared.
export JUPYTER_PREFER_ENV_PATH := 1

PYTHON ?= $(shell for p in python3.11 python3; do $$p -c '' 2>&- && echo $$p && break; done)
PY := .venv/bin/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
SPHINX := -n -W --keep-going
STEP = @printf '\n== %s\n'

# A PYTHON given by hand is not silently ignored where another one has made .venv.
VERSION = $(shell $(1) -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>&-)
ifneq ($(origin PYTHON),file)
ifneq ($(wildcard $(PY)),)
ifneq ($(call VERSION,$(PYTHON)),$(call VERSION,$(PY)))
$(warning .venv stays at Python $(call VERSION,$(PY)); to have $(PYTHON), run make clean first)
endif
endif
endif

book: .venv/.installed  ## build the site into _build/html
	@$(PY) .ci/stale.py
	$(STEP) 'building the site'
	@# A warning is reported once and then lies in the doctrees: without them the next run is red too.
	.venv/bin/jupyter-book build . $(SPHINX) || { rm -rf _build/.doctrees; exit 1; }
	@echo "Open _build/html/book/index.html"

check: .venv/.installed  ## what is quick; TOPIC=softmax for what is about one topic
	@$(PY) .ci/check.py $(TOPIC)
	$(STEP) 'all green'

test: .venv/.installed  ## all tests, the site and every chapter, but for what trains models
	@$(PY) .ci/check.py --test
	$(STEP) 'all green; what trains models is left to make test-all'

test-all: .venv/.installed-hf  ## everything that must be green, training included
	@$(PY) .ci/check.py --all
	$(STEP) 'all green'

test-browser: .venv/.installed-browser  ## the site in a browser; needs Chromium, and says how to get it
	@$(PY) .ci/check.py --browser
	$(STEP) 'all green'

# Rocq is no Python package: where it is missing, this says what to install. No .venv is needed.
proofs:  ## check the machine-read proofs again, and store what they prove; needs Rocq
	@$(PYTHON) .ci/proofs.py

new: .venv/.installed  ## begin a topic, TOPIC=masks: chapter, module, tests, claim and entries
	@test -n '$(TOPIC)' || { echo 'Which topic? make new TOPIC=masks' >&2; exit 1; }
	@$(PY) .ci/new.py '$(TOPIC)'

# Run on a copy that replaces the stored notebook only when it is complete: a
# failing cell loses no outputs. A second run changes nothing: no times are stored,
# no Python patch version, and printed lines are joined however they happened to
# arrive (in a pass of its own, since nbconvert joins before it executes). What the
# kernel says goes over a local port, so it is encrypted: else the kernel warns.
ALL := $(sort $(basename $(notdir $(wildcard notebooks/*.md))))
RUNS := $(addprefix run-,$(or $(TOPIC),$(ALL)))
.PHONY: $(RUNS)
notebooks: $(RUNS)  ## run every chapter and store its outputs; TOPIC=softmax for one
$(RUNS): run-%: .venv/.installed
	$(STEP) 'running notebooks/$*.md'
	@test -f notebooks/$*.md || { echo "There is no chapter '$*'. There are: $(ALL)" >&2; exit 1; }
	@tmp=notebooks/.$*.tmp.ipynb; trap 'rm -f "$$tmp"' EXIT; rm -f "$$tmp"; \
	if test -f notebooks/$*.ipynb; then cp notebooks/$*.ipynb "$$tmp"; fi; \
	$(PY) -m jupytext --quiet --to ipynb --update --output "$$tmp" notebooks/$*.md && \
	$(PY) -m nbconvert --log-level WARN --to notebook --inplace --execute \
	  --ExecutePreprocessor.record_timing=False \
	  --KernelManager.transport_encryption=auto "$$tmp" && \
	$(PY) -m nbconvert --log-level WARN --to notebook --inplace --coalesce-streams "$$tmp" && \
	$(PY) -m jupytext --quiet --update-metadata '{"language_info": null}' "$$tmp" && \
	mv "$$tmp" notebooks/$*.ipynb && echo 'stored notebooks/$*.ipynb'

lab: .venv/.installed-lab  ## open the notebooks in JupyterLab
	$(PY) -m jupyter lab --LabApp.default_url=/lab/tree/notebooks

lock: .venv/.installed  ## renew constraints.txt
	@$(PY) .ci/lock.py

clean:  ## remove everything that was made: the site, the virtual environment, caches
	rm -rf .venv _build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find attnlib tests book notebooks \( -name __pycache__ -o -name .hypothesis \
	  -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

# -- the virtual environment, made once and filled again when its lists change --

.venv/pyvenv.cfg:
	$(STEP) 'making .venv'
	@test -n '$(PYTHON)' || { echo 'No python3 was found: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and \
	  "Python 3.11 or newer is needed, $(PYTHON) is %d.%d: make PYTHON=python3.11" % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo 'This Python cannot make virtual environments (on Debian: apt install python3-venv)' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv

.venv/.installed: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(STEP) 'installing the package, the book and the tests (some minutes the first time)'
	$(INSTALL) -e '.[dev]'
	@touch $@

.venv/.installed-hf: .venv/.installed
	$(STEP) 'installing transformers, whose models are tried (180 MB)'
	$(INSTALL) -e '.[hf]'
	@touch $@

.venv/.installed-browser: .venv/.installed
	$(STEP) 'installing what drives a browser'
	$(INSTALL) -e '.[browser]'
	@touch $@

.venv/.installed-lab: .venv/.installed
	$(STEP) 'installing JupyterLab'
	$(INSTALL) -e '.[lab]'
	@touch $@
