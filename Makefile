# The commands of this project. Everything is installed into .venv; nothing outside this folder is touched.
#   make app PORT=8000 BROWSER=none     serves at another port and opens no browser
#   make app TORCH=cpu                  installs the torch for CPUs: on Linux that of PyPI is for CUDA, of several GB
#   make app OPTIONS="..."              more options of `panel serve`, as for --basic-auth: see the README

PORT ?= 5006
ADDRESS ?= 127.0.0.1
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(PYTHON) tools/install.py $(VENV)
IS_FIT := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
# The first fit Python on PATH; `make PYTHON=... app` names another.
PYTHON ?= $(firstword $(foreach name,python3 python3.12 python3.11 python3.13,$(shell $(name) $(IS_FIT) 2>/dev/null && echo $(name))))
# What is imported is compiled once, not at every start, whatever the environment of the caller says: .venv is ours.
unexport PYTHONDONTWRITEBYTECODE
# Threads that wait must not keep a core busy: where others compute too, that costs a factor of ten.
export OMP_WAIT_POLICY ?= PASSIVE
# Which torch uv takes: cpu, cu130, auto (by the GPU of this machine); without it that of PyPI.
ifdef TORCH
export UV_TORCH_BACKEND := $(TORCH)
endif
# What the compiled kernel is built from: when one of these changes, the next `make` builds it again.
KERNEL := CMakeLists.txt $(wildcard workbench/solver/kernels/*.hpp workbench/solver/kernels/cpu/*.?pp)

.PHONY: help fit app bench-ui soak test test-exhaustive coverage mutants lint notebooks docs native clean
.DEFAULT_GOAL := help

help: ## show these targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

app: $(VENV)/.app ## install what the page needs (once) and serve it at http://localhost:5006/app
	exec $(BIN)/python -m panel serve app.py --address $(ADDRESS) --port $(PORT) --warm \
	  --allow-websocket-origin localhost:$(PORT) --allow-websocket-origin 127.0.0.1:$(PORT) \
	  $(OPTIONS) $(if $(filter none,$(BROWSER)),,--show)

WORKERS ?= 2
# A file is run by one worker: what its tests share (a server, a browser, compiled kernels) is made once.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: lint ## check the style and the types, run the tests (two at a time)
	$(PYTEST)

test-exhaustive: lint ## the same with the full grid of every test: for changes of the kernel, and every night
	$(PYTEST) --exhaustive

coverage: $(VENV)/.test ## run the tests and report the lines that they do not reach
	$(PYTEST) --cov --cov-report=term

mutants: $(VENV)/.test ## try the seeded faults of tests/mutants: each must make a test fail
	$(BIN)/python tests/mutants/run.py

lint: $(VENV)/.test ## check the style and the types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench-ui: $(VENV)/.test ## measure in a real browser how quick the page is, into benchmarks/results/page.json
	$(BIN)/python benchmarks/page.py --json benchmarks/results/page.json

MINUTES ?= 30
SESSIONS ?= 20
soak: $(VENV)/.test ## keep pages open for MINUTES, and SESSIONS at once, watching memory, into benchmarks/results/soak.json
	$(BIN)/python benchmarks/soak.py --minutes $(MINUTES) --sessions $(SESSIONS) --json benchmarks/results/soak.json

notebooks: $(VENV)/.test ## bring the .ipynb files up to date with their scripts and run them into build/notebooks
	$(BIN)/jupytext --to ipynb --update notebooks/*.py
	$(BIN)/jupyter nbconvert --clear-output --inplace notebooks/*.ipynb
	$(BIN)/jupyter nbconvert --to notebook --execute --output-dir build/notebooks notebooks/*.ipynb

docs: $(VENV)/.test ## build the documentation into build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Open build/docs/index.html"

native: fit ## compile the kernel again, as after a C++ compiler was installed
	$(INSTALL) kernel

clean: ## remove the environment and everything built, not the data
	rm -rf $(VENV) build dist workbench/solver/_native.*.so .coverage htmlcov .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

fit:
	@{ test -n "$(PYTHON)" && "$(PYTHON)" $(IS_FIT); } || { echo "Python 3.11, 3.12 or 3.13 is needed;" \
	  "$(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1)." \
	  "Install one, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }

$(VENV)/.app $(VENV)/.test: $(VENV)/.%: pyproject.toml constraints.txt $(KERNEL) | fit
	@$(INSTALL) $*
	@touch $@
