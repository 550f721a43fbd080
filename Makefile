# Each target is one command on a fresh machine with Python >= 3.11.
PYTHON ?= python3
UV_PYTHON_DOWNLOADS := never
export UV_PYTHON_DOWNLOADS
# Empty is off: hundreds of processes start in the tests, and each would compile all that it imports.
export PYTHONDONTWRITEBYTECODE :=
BIN := .venv/bin

.PHONY: setup demo docs test test-postgres check format lint types imports chaos bench bench-budget bench-growth bench-peers lock

setup: .venv/.ready

.venv/.ready: pyproject.toml requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "headrace needs Python 3.11 or newer; none was found as $(PYTHON)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup
	$(BIN)/headrace demo --once

# Three on two cores: most tests wait most of the time, for leases, processes and clocks.
TEST_PROCESSES ?= 3
test: setup
	$(BIN)/pytest -n $(TEST_PROCESSES) --dist worksteal

# The tests on older versions of PostgreSQL, EACH_POSTGRES="14" on one alone; after `make test`.
# Not those of our own launcher, which brings one version.
EACH_POSTGRES ?= 14 15 16 17
test-postgres: setup
	$(BIN)/python tests/each_postgres.py $(EACH_POSTGRES) -- \
		-n $(TEST_PROCESSES) --dist worksteal --ignore-glob '*embedded*' tests/integration

check: setup format lint types imports docs test

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

# basedpyright finds the package to verify through the interpreter on the PATH.
types: setup
	$(BIN)/mypy
	$(BIN)/basedpyright
	PATH="$(CURDIR)/$(BIN):$$PATH" basedpyright --verifytypes headrace --ignoreexternal

imports: setup
	$(BIN)/lint-imports

# build/site, from docs/ and docstrings; a broken link ends it (but not with --quiet).
docs: .venv-docs/.ready
	NO_MKDOCS_2_WARNING=true .venv-docs/bin/mkdocs build --strict

.venv-docs/.ready: requirements-docs.lock | setup
	@test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	$(BIN)/uv pip sync --quiet --python .venv-docs/bin/python requirements-docs.lock
	@touch $@

chaos: setup
	$(BIN)/pytest tests/chaos --chaos-long -n 2 --dist worksteal -o faulthandler_timeout=0

bench: setup
	$(BIN)/headrace bench

# BENCH_PEERS="--full", "--quick" or "--only NAME..."; docs/benchmarks/README.md says more.
bench-peers: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group plots
	$(BIN)/python -m benchmarks.peers $(BENCH_PEERS)

bench-budget: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group profile
	$(BIN)/python -m benchmarks.budget

# BENCH_GROWTH="--full", "--quick" or "--only queues"; docs/sizing.md says what follows.
bench-growth: setup
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group plots
	$(BIN)/python -m benchmarks.growth $(BENCH_GROWTH)

lock:
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --all-extras --group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --group docs -o requirements-docs.lock
