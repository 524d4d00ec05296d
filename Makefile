# `make demo` shows what TickTalk does, `make test` runs all checks. Both make their own environment.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BENCH_VENV := .bench-venv
BENCH_READY := $(BENCH_VENV)/.ready

.PHONY: demo test soak faults fuzz explore replays bench docs wheels machines clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

demo: $(READY)
	$(VENV)/bin/python examples/demo.py

# Two files at a time. Tests that start devices mostly wait. They run after all others, which need all of a core; the
# longest of them (tests/docs) comes first.
TWO := --numprocesses 2 --dist loadfile
test: $(READY)
	@echo "All checks: about 15 minutes on two cores."
	$(VENV)/bin/ruff check src tests examples benchmarks
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest $(TWO) --ignore tests/physical --ignore tests/docs
	$(VENV)/bin/pytest $(TWO) --no-loadscope-reorder tests/docs tests/physical

# 40 SQs on eight ensembles under random faults for SOAK_SECONDS (3600), from SEED (1); figures to SOAK_REPORT (soak.json).
soak: $(READY)
	$(VENV)/bin/python tests/physical/soak.py

# Faults of processes, links, disks and clocks, alone and in PAIRS (14) from SEED (1); about 18 minutes, as root.
# FAULTS="kill cut" strikes with these; FAULTS=--write writes the figures into docs/guarantees.md.
faults: $(READY)
	$(VENV)/bin/python tests/physical/faults.py $(FAULTS)

# FUZZ (100000) messages of a participant that is let in and sends anything well formed, from SEED (any).
# Then all tests with examples try random ones; `make test` tries the same ones in each run.
fuzz: $(READY)
	$(VENV)/bin/python tests/physical/fuzz_messages.py $(or $(FUZZ),100000) $(SEED)
	$(VENV)/bin/pytest --hypothesis-profile=random -m hypothesis $(if $(SEED),--hypothesis-seed=$(SEED))

# SEEDS (100000) runs of whole systems under faults, in simulated time, from SEED (0) on.
explore: $(READY)
	$(VENV)/bin/python tests/protocol/explore.py $(or $(SEEDS),100000) $(or $(SEED),0)

# REPLAYS (100) runs of random graphs on two ensembles, from SEED (0): recorded, replayed, each arc compared; 4 minutes.
replays: $(READY)
	$(VENV)/bin/python tests/physical/replays.py $(or $(REPLAYS),100) $(or $(SEED),0)

# The peers that TickTalk is measured beside have an environment of their own, with TickTalk in it.
$(BENCH_READY): Makefile pyproject.toml benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt --editable '.[record,otel]'
	touch $@

# make bench ONLY="fusion hop" OPTIONS=--quick
bench: $(BENCH_READY)
	$(BENCH_VENV)/bin/python -m benchmarks $(OPTIONS) $(ONLY)

# Installs TickTalk on each Python that is here, and looks for wheels of what it needs for other systems.
wheels: $(READY)
	$(VENV)/bin/python tests/wheels.py $(PYTHONS)

# As root, on a Debian: the same on 64-bit ARM and on Python 3.14, with tests. MACHINES="arm64" is one of them.
machines: $(READY)
	$(VENV)/bin/python tests/machines.py $(MACHINES)

# The documentation as pages to read in a browser: site/index.html. Each page is run, and its pictures are drawn.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "open $(CURDIR)/site/index.html"

clean:
	rm -rf site $(VENV) $(BENCH_VENV) demo-output build dist
