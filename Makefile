# Everything a newcomer needs; only Python 3.11+ and make are asked of the machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all check bench format clean

help: ## Show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: $(VENV)/.runtime ## Start BugRelay with embedded PostgreSQL and Redis, until Ctrl-C
	@exec $(BIN)/python -m bugrelay run

demo: $(VENV)/.runtime ## Fill the board with believable bugs, users, votes and answers
	@exec $(BIN)/python -m bugrelay demo

# Tests start hundreds of processes: where the environment forbids to keep bytecode, each would compile our modules anew.
test test-all: export PYTHONDONTWRITEBYTECODE =
test-all: export ALL_EXAMPLES = 1

# Three for two cores: the longest tests wait for processes and for deadlines.
test: $(VENV)/.dev ## Run the tests
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

test-all: $(VENV)/.dev ## Run the slow tests as well
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m ''

check: $(VENV)/.dev ## Format, lint, types, import contracts, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest tests/documentation

SIZE ?= 100000
bench: $(VENV)/.runtime $(VENV)/.bench ## Measure against the baseline; SIZE=1000000 for a large board
	@$(BIN)/python -m benchmarks.run --size $(SIZE)

format: $(VENV)/.dev ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove the environment and all local data
	rm -rf $(VENV) var

# The locked sets, installed once; a change of a lock file installs again.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "BugRelay needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

RUNTIME_LOCKS := requirements/build.lock requirements/runtime.lock requirements/embedded.lock
$(VENV)/.runtime: $(VENV)/bin/python $(RUNTIME_LOCKS) pyproject.toml
	test -e $(VENV)/.dev || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes $(RUNTIME_LOCKS:%=-r %)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: $(VENV)/bin/python requirements/dev.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.bench: $(VENV)/bin/python requirements/bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	touch $@
