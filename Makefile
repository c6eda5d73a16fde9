# Commands of this project. Everything is installed into .venv; nothing outside this folder changes.
#   make app PORT=8000 BROWSER=none     serve at another port, open no browser
#   make app TORCH=cpu                  install the CPU build of torch: on Linux PyPI has the CUDA build, several GB
#   make app OPTIONS="..."              further options of `panel serve`, such as --basic-auth: see docs/dashboard.md

PORT ?= 5006
ADDRESS ?= 127.0.0.1
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(PYTHON) tools/install.py $(VENV)
IS_FIT := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
# The first supported Python on PATH; `make PYTHON=... app` selects another.
PYTHON ?= $(firstword $(foreach name,python3 python3.12 python3.11 python3.13,$(shell $(name) $(IS_FIT) 2>/dev/null && echo $(name))))
# Cache byte code in .venv, whatever the environment of the caller says.
unexport PYTHONDONTWRITEBYTECODE
# Waiting threads must not spin: on a machine with other load that costs a factor of ten.
export OMP_WAIT_POLICY ?= PASSIVE
# The build of torch that uv installs: cpu, cu130, auto (by the GPU of this machine); default: that of PyPI.
ifdef TORCH
export UV_TORCH_BACKEND := $(TORCH)
endif
# Sources of the compiled kernel: after a change of one, the next `make` builds it again.
KERNEL := CMakeLists.txt $(wildcard $(addprefix workbench/solver/kernels/,*.hpp cpu/*.?pp cpu/groups/*.hpp))

.PHONY: help fit app lab bench-ui soak test test-exhaustive coverage mutants lint notebooks docs native clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

app: $(VENV)/.app ## install the page (once) and serve it at http://localhost:5006/app
	exec $(BIN)/python -m panel serve app.py --address $(ADDRESS) --port $(PORT) --warm \
	  --allow-websocket-origin localhost:$(PORT) --allow-websocket-origin 127.0.0.1:$(PORT) \
	  $(OPTIONS) $(if $(filter none,$(BROWSER)),,--show)

WORKERS ?= 2
# One worker runs a whole file, whose tests share a server, a browser or compiled kernels.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
test: lint ## check style and types, run the tests (two at a time)
	$(PYTEST)

test-exhaustive: lint ## the same with the full grid of every test: for changes of the kernel, and nightly
	$(PYTEST) --exhaustive

coverage: $(VENV)/.test ## run the tests and report uncovered lines
	$(PYTEST) --cov --cov-report=term

mutants: $(VENV)/.test ## apply the seeded faults of tests/mutants: each must fail a test
	$(BIN)/python tests/mutants/run.py

lint: $(VENV)/.test ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench-ui: $(VENV)/.test ## measure the response times of the page in a browser, into benchmarks/results/page.json
	$(BIN)/python benchmarks/page/latency.py --json benchmarks/results/page.json

MINUTES ?= 30
SESSIONS ?= 20
soak: $(VENV)/.test ## measure memory with pages open for MINUTES and with SESSIONS at once, into benchmarks/results/soak.json
	$(BIN)/python benchmarks/page/soak.py --minutes $(MINUTES) --sessions $(SESSIONS) --json benchmarks/results/soak.json

lab: $(VENV)/.notebooks ## install the notebooks' packages (once) and open them in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: $(VENV)/.notebooks ## update the .ipynb files from their scripts and run them into build/notebooks
	$(BIN)/jupytext --to ipynb --update notebooks/*.py
	$(BIN)/jupyter nbconvert --clear-output --inplace notebooks/*.ipynb
	$(BIN)/jupyter nbconvert --to notebook --execute --output-dir build/notebooks notebooks/*.ipynb

docs: $(VENV)/.test ## build the documentation into build/docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "Open build/docs/index.html"

native: fit ## compile the kernel again, for instance after installing a C++ compiler
	$(INSTALL) kernel

clean: ## remove the environment and all build products, not the data
	rm -rf $(VENV) build dist workbench/solver/_native.*.so .coverage htmlcov .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

fit:
	@{ test -n "$(PYTHON)" && "$(PYTHON)" $(IS_FIT); } || { echo "Python 3.11, 3.12 or 3.13 is needed;" \
	  "$(or $(PYTHON),python3) is $$($(or $(PYTHON),python3) --version 2>&1)." \
	  "Install one, or select it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }

$(VENV)/.app $(VENV)/.notebooks $(VENV)/.test: $(VENV)/.%: pyproject.toml constraints.txt $(KERNEL) | fit
	@$(INSTALL) $*
	@touch $@
