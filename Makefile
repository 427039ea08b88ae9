# `make demo` and `make test` do everything on a fresh machine that has Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test setup bench docs lint format clean

help:
	@echo "make demo    set up and run the demo: writes demo.mp4 and demo.png"
	@echo "make test    set up and run every check"
	@echo "make bench   measure for three minutes and refresh docs/benchmarks.md"
	@echo "make docs    make the pages as a site in site/ (after make test)"
	@echo "make lint    ruff, mypy and import-linter alone (after make test)"
	@echo "make format  let ruff rewrite the code (after make test)"
	@echo "make clean   remove what the above made"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

# What running needs: no torch.
$(VENV)/.demo: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	$(BIN)/python -m realtime setup
	touch $@

# torch first and exactly pinned, so that nothing else picks another build of it.
$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

setup: $(VENV)/.test

demo: $(VENV)/.demo
	$(BIN)/python run_webcam.py --source demo --effect lips:color=#b3123f --effect hair:color=#6a2c70 \
		--compare --output demo.mp4 --contact-sheet demo.png --stats

# Two processes for what is not measured in time, one for the rest: see `alone` in tests/conftest.py. What they
# compile is made anew in every run, once.
test: export STN_ICNN_TEST_CACHE := $(CURDIR)/$(VENV)/test-cache
test: setup lint
	rm -rf $(VENV)/test-cache
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not alone'
	$(BIN)/python -m pytest -m alone

# BENCH='--clip FILE --landmarker FILE --landmarks-data DIR --data DIR' measures what needs them, too.
bench: setup
	$(BIN)/python -m benchmarks all --quick --docs docs/benchmarks.md --json benchmarks.json $(BENCH)

docs: setup
	$(BIN)/mkdocs build --strict

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) site demo.mp4 demo.png benchmarks.json .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
