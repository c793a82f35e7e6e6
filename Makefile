# The two commands of this project are `make audit` and `make test`. `make help` lists the rest.

# The first Python here that is new enough; `make audit PYTHON=python3.12` names another one.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) python3)
AUDIT ?= audits/industrial/solar-cells.yaml
# What `make bench` measures: cpu or cuda.
DEVICE ?= cpu
# APT=no: say what the system lacks, but never install it.
APT ?= yes

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
CHECK_SYSTEM := $(PYTHON) scripts/check_system.py $(if $(filter no,$(APT)),--no-install)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: audit test lint docs bench format clean help system system-test

# 0 and 1 both mean that the audit ran: a model that misses a criterion is a result. 2 and 3 mean that there is none.
audit: $(VENV)/.stamp-audit  ## install, run a real audit, say where its report and verdict are
	@code=0; $(BIN)/xai-audit run $(AUDIT) || code=$$?; echo; \
	case $$code in \
	0) echo "xai-audit ended with exit code 0: the audit ran; every criterion is met or waived (or none was set)." ;; \
	1) echo "xai-audit ended with exit code 1: the audit ran, and at least one finding is not a pass (see the table above)."; \
	   echo "make calls that a success: the audit was done. A script that must stop here calls xai-audit itself." ;; \
	2) echo "xai-audit ended with exit code 2: the audit did not run; the spec or its inputs are wrong (see the message above)."; exit 2 ;; \
	*) echo "xai-audit ended with exit code $$code: the audit itself broke; there is no verdict."; exit $$code ;; \
	esac

test: lint  ## install what tests need, then format, lint, types, imports, docs and all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=logical --dist=loadfile

lint: $(VENV)/.stamp-test  ## format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.stamp-test  ## only the tests of the documentation: links, commands, examples
	$(BIN)/python -m pytest tests/test_repository.py -k docs

bench: $(VENV)/.stamp-test  ## time our methods beside raw passes and other libraries; DEVICE=cuda for a GPU
	$(BIN)/python -m benchmarks.run --device $(DEVICE)
	$(BIN)/python -m benchmarks.causal
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.page

format: $(VENV)/.stamp-test  ## put the code into the shape that `make lint` wants
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the virtual environment and all caches; runs under reports/ stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

system:
	@$(CHECK_SYSTEM) audit

system-test: system
	@$(CHECK_SYSTEM) test

$(VENV)/.stamp-python: | system
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# An editable install: after `git pull` the new code runs without another installation.
$(VENV)/.stamp-audit: $(VENV)/.stamp-python pyproject.toml constraints.txt | system
	$(PIP) install --constraint constraints.txt --editable '.[examples]'
	@touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-python pyproject.toml constraints.txt | system-test
	$(PIP) install --constraint constraints.txt --editable '.[dev,examples]'
	@touch $(VENV)/.stamp-audit $@
