# Two commands on a fresh machine: `make demo` and `make test`. Python >= 3.11 and make are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint unit bench zoo docs clean

demo: $(VENV)/demo.ok
	$(BIN)/edgehar run --out demo

test: lint unit

lint: $(VENV)/test.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/test.ok
	tools/install_test_programs.sh
	$(BIN)/pytest -n 2 --dist loadfile

bench: $(VENV)/test.ok
	$(BIN)/python tools/bench/simulator.py zoo:ds_cnn

# The bundles that ship inside the package: five trainings, some minutes.
zoo: $(VENV)/demo.ok
	tools/make_zoo.sh $(BIN)/edgehar

# The pages of docs/ as a site; docs/reference is written from the code first.
docs: $(VENV)/test.ok
	$(BIN)/python tools/reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(VENV)/python.ok:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edgehar needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/demo.ok: $(VENV)/python.ok pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	touch $@

$(VENV)/test.ok: $(VENV)/python.ok pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/demo.ok

clean:
	rm -rf $(VENV) .cache build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
