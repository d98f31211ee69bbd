# Two commands are enough on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
STAMP := $(VENV)/.installed

.PHONY: install demo test results docs lint format clean

install: $(STAMP)  ## the package with its pinned dependencies, in .venv

$(STAMP): setup.py pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[lite,dev,cls,gan,graphs,text,onnx,docs]"
	touch $@

demo: install  ## train, test and draw a small YOLO with learned loss weights on handwritten digits
	$(BIN)/python tools/demo.py $(DEMO_ARGS)

test: install  ## the test suite, with coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart=1 --cov=slf_mmdet --cov-report=term-missing:skip-covered --cov-fail-under=90 $(TEST_ARGS)

results: install  ## the tables and pictures of docs/results.md, from the csv files in results/
	$(BIN)/python results/tables.py

docs: install  ## the documentation as a web site, in build/docs
	$(BIN)/sphinx-build -q -W --keep-going -c docs -b html . build/docs

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
