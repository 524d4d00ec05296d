# `make demo` shows what TickTalk does, `make test` runs all checks. Both make their own environment.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready

.PHONY: demo test soak bench clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

demo: $(READY)
	$(VENV)/bin/python examples/demo.py

test: $(READY)
	$(VENV)/bin/ruff check src tests examples benchmarks
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest

# What `make test` does to ensembles for half a minute, for SOAK_SECONDS (3600), from SEED (1).
soak: $(READY)
	$(VENV)/bin/python tests/physical/chaos.py

bench: $(READY)
	$(VENV)/bin/python benchmarks/simulation.py
	$(VENV)/bin/python benchmarks/realtime.py
	$(VENV)/bin/python benchmarks/mapping.py

clean:
	rm -rf $(VENV) demo-output build dist
