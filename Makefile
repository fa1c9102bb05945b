# Everything starts from a clean clone: each target sets up what it needs.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= python3
STUDY ?= studies/demo.toml
PYTEST_ARGS ?=
WORKERS ?= 2

.PHONY: help demo test test-all check docs site serve bench gpu-bench clean

help:
	@echo "make demo    set up, run the demo study and write its report"
	@echo "make serve   set up, and serve the studies in runs/ to browsers and programs"
	@echo "make test    set up and prove that all works here, in minutes (WORKERS=2 processes)"
	@echo "make test-all  every test; one kind: make test-all PYTEST_ARGS='-m ray' (slow, ray, browser, gpu)"
	@echo "make check   ruff, import-linter and mypy"
	@echo "make docs    write the tables of the docs that the code knows"
	@echo "make site    make a site of the docs in build/site; what is wrong in them is an error"
	@echo "make bench   time the training against aihwkit's own device"
	@echo "make gpu-bench  make what a machine with a GPU needs for its benchmark, and run that if this is one"

# pip is told nothing but versions; a second call finds the stamp and does nothing.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null || { \
	  echo "make installs the versions of constraints.txt, which are for Python 3.12; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)."; \
	  echo "Install it (for example: pyenv install 3.12, or your system's python3.12 and python3.12-venv)"; \
	  echo "and name it: make PYTHON=python3.12 <target>"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  echo "the venv module is missing: install your system's python3.12-venv package"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	$(BIN)/vcm-sweep run $(STUDY)

serve: $(READY)
	$(BIN)/vcm-sweep serve --root runs

# Home and Ray's token stay untouched: tests have a home of their own. PYTHON is found before HOME changes.
test: TIER := -m "not slow"
test test-all: $(READY)
	@home=$$(mktemp -d); trap 'rm -rf "$$home"' EXIT; \
	VCM_SWEEP_DATA="$${VCM_SWEEP_DATA:-$$HOME/.cache/vcm-sweep}" HOME="$$home" RAY_AUTH_MODE=disabled OMP_NUM_THREADS=1 \
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(TIER) $(PYTEST_ARGS)

# Static checkers need the four folders under their import name.
check: $(READY)
	@mkdir -p build/links/vcm_sweep
	@for f in device sweep analysis cluster; do ln -sfn ../../../$$f build/links/vcm_sweep/$$f; done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	cd build/links && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p vcm_sweep.device -p vcm_sweep.sweep -p vcm_sweep.analysis -p vcm_sweep.cluster

# The tables of docs/*.md that the code knows.
docs: $(READY)
	$(BIN)/python docs/tables.py

site: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(READY)
	$(BIN)/python benchmarks/training.py --write

# Exit code 3: no GPU here, which is said in a line.
gpu-bench: $(READY)
	$(BIN)/python benchmarks/gpu.py --carry build/gpu
	@$(BIN)/python benchmarks/gpu.py --carried build/gpu || test $$? = 3

clean:
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
