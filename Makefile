# `make serve` starts the server on the sample data, `make demo` plays an annotator against it, `make test` checks all.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 8000
SERVED := tests/integration tests/browser

.PHONY: serve pacs test test-browser lint types served unit demo demo-volume clean
.DELETE_ON_ERROR:

# torch and setuptools first: monailabel builds two packages from source that import them while building.
$(VENV)/.ready: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --upgrade pip setuptools wheel
	$(BIN)/pip install $(shell grep -E '^(torch|numpy)==' requirements.txt | cut -d' ' -f1)
	$(BIN)/pip install --no-build-isolation -r requirements.txt
	touch $@

$(VENV)/.ready-dev: requirements-dev.txt $(VENV)/.ready
	$(BIN)/pip install --no-build-isolation -r requirements-dev.txt
	touch $@

serve: $(VENV)/.ready
	. $(BIN)/activate && monailabel start_server --app apps/sequal --studies sample-data --host 127.0.0.1 --port $(PORT)

demo: $(VENV)/.ready
	$(BIN)/python apps/sequal/cli.py annotate --demo demo --per-round 6 --test-images 14

# The same loop on simulated hearts in CT and MR, with the model for volumes.
demo-volume: $(VENV)/.ready
	$(BIN)/python apps/sequal/cli.py annotate --demo demo-volume --models volume --rounds 3 --test-images 8

# Orthanc with the sample study on 127.0.0.1:8042 and the server on it; needs Debian's orthanc and orthanc-dicomweb.
pacs: $(VENV)/.ready
	$(BIN)/python apps/sequal/cli.py pacs sample-data --folder pacs --port $(PORT)

# `make --jobs=2 --output-sync test` runs two of them at a time, on a core each: both lists of tests take about as long.
test: lint types served unit

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	$(BIN)/mypy

# Tests that start the real server, and a browser.
served: $(VENV)/.ready-dev
	$(BIN)/python -m pytest $(SERVED)

# All others: a folder that is new is tested here.
unit: $(VENV)/.ready-dev
	$(BIN)/python -m pytest $(addprefix --ignore=,$(SERVED))

# OHIF in the system's Chromium on a real PACS; `make test` runs it as well.
test-browser: $(VENV)/.ready-dev
	$(BIN)/python -m pytest tests/browser

clean:
	rm -rf $(VENV) demo demo-volume build
