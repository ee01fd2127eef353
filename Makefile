# `make demo` and `make test` do their own set-up; nothing else is needed but python3 (3.11 or newer) and make.
PYTHON ?= python3
BIN := .venv/bin
WORKSPACE ?= data/workspaces/demo

.PHONY: demo test check format clean
.DELETE_ON_ERROR:

demo: .venv/ready
	$(BIN)/firstlisten demo --workspace $(WORKSPACE)

test: .venv/ready
	$(BIN)/pytest

check: .venv/ready test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=python3.11 or newer")'
	@test -x $(BIN)/python || { echo "Creating .venv (about 6 GB with PyTorch; one to five minutes, once)"; $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
