"""Allowed imports of every package."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STORE = {"h5netcdf", "h5py", "numpy", "xarray"}
PLOTTING = {"bokeh", "holoviews", "latex2mathml", "numpy", "plotly", "xarray"}
RUNNING = STORE | {"dask", "distributed", "optuna", "psutil", "torch"}
EVERYTHING = RUNNING | PLOTTING | {"markdown_it", "panel", "panel_material_ui", "param", "pydantic", "scipy"}
PROTOCOL = {"experiments.equation", "experiments.protocol", "experiments.report"}
"""In addition to `experiments` itself, which has the table of names and imports no concrete experiment."""
BELOW_JOBS = {"compare", "datasets", "diagnostics", "jobs", "scaling", "solver", "studies", "training"} | PROTOCOL

# package of workbench: (third-party packages, packages or modules of workbench)
ALLOWED = {
    "solver": ({"torch"}, set()),
    "symbolic": ({"numpy", "sympy", "torch"}, set()),
    "discovery": ({"numpy", "scipy", "torch"}, {"solver", "symbolic"}),
    "diagnostics": ({"numpy", "scipy", "torch"}, {"solver", "symbolic"}),
    "datasets": (STORE | {"pooch", "scipy"}, set()),
    "plots": (PLOTTING, PROTOCOL | {"diagnostics"}),
    "models": ({"numpy", "torch"}, {"discovery", "solver", "symbolic"}),
    "experiments": (
        {"numpy", "pydantic", "torch", "xarray"},
        {"datasets", "diagnostics", "discovery", "models", "solver", "symbolic"},
    ),
    **dict.fromkeys(("training", "jobs", "scaling", "compare", "studies"), (RUNNING, BELOW_JOBS)),
    **dict.fromkeys(
        ("dashboard", "cli"), (EVERYTHING, BELOW_JOBS | {"discovery", "experiments", "models", "plots", "symbolic"})
    ),
    "_deprecated": (set(), set()),
    "__init__": (set(), {"solver", "training", "dashboard.app.notebook"}),
    "__main__": (set(), {"cli"}),
}
# Additional imports of single files: conversion between xarray and torch, generators on a GPU, CUDA, a file format.
ALSO = {
    "datasets.windows": {"torch"},
    "datasets.tabular.parquet": {"fastparquet"},
    "diagnostics.metrics": {"xarray"},
    "solver.backends.cuda.nvrtc": {"cuda"},
}
ALSO |= {key: {"torch"} for key in ("datasets.pde.etdrk4", "datasets.pde.equations", "datasets.pde.rollout")}
# Packages that app.py and the notebooks may import.
PUBLIC = set(ALLOWED) - {"_deprecated", "__init__", "__main__", "cli", "jobs"}


def imported(source: str, module: str) -> Iterator[str]:
    """Full names of all imports in the source of `module`, at any level."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            first = node.args[0] if node.args else None
            if name in ("import_module", "__import__") and isinstance(first, ast.Constant):
                yield str(first.value)


def violations(source: str, module: str) -> list[str]:
    """Imports of `source`, the file of the dotted name `module`, that the table does not allow."""
    parts = module.split(".")
    unit = parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"
    packages, internal = ALLOWED[unit]
    packages = packages | ALSO.get(".".join(parts[1:]), set())
    wrong = []
    for name in imported(source, module):
        top, _, rest = name.partition(".")
        if top != "workbench":
            if top not in sys.stdlib_module_names and top not in packages:
                wrong.append(f"{module} imports {name}")
        elif not may_import(rest, unit, internal):
            wrong.append(f"{module} imports {name}")
    return wrong


def may_import(name: str, unit: str, allowed: set[str]) -> bool:
    """Whether `unit` may import workbench.`name`: the same unit, an entry of the table, or a module of one."""
    if name in ("", "__version__", "experiments") or name.split(".")[0] in {unit, "_deprecated", *allowed}:
        return True
    if any(name == module or name.startswith(f"{module}.") for module in allowed):
        return True
    # a name that is not a module is an attribute of `experiments` (get, names)
    below = ROOT / "workbench" / name.replace(".", "/")
    return name.startswith("experiments.") and not below.is_dir() and not below.with_suffix(".py").exists()


def package_files() -> dict[str, Path]:
    files = sorted((ROOT / "workbench").rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in files}


def test_every_unit_is_in_the_table():
    units = {module.split(".")[1] for module in package_files()}
    assert units <= set(ALLOWED), f"add to the table: {sorted(units - set(ALLOWED))}"


def test_imports_follow_the_table():
    wrong = [line for module, path in package_files().items() for line in violations(path.read_text(), module)]
    assert not wrong, "\n".join(wrong)


def test_no_two_packages_import_each_other():
    graph = {}
    for module, path in package_files().items():
        unit = module.split(".")[1]
        names = (name.split(".") for name in imported(path.read_text(), module))
        graph.setdefault(unit, set()).update(n[1] for n in names if n[0] == "workbench" and len(n) > 1 and n[1] != unit)
    list(TopologicalSorter(graph).static_order())  # raises CycleError with the cycle


@pytest.mark.parametrize("path", [ROOT / "app.py", *sorted((ROOT / "notebooks").glob("*.py"))], ids=lambda p: p.name)
def test_app_and_notebooks_use_public_names(path):
    for name in imported(path.read_text(), path.stem):
        top, *rest = name.split(".")
        if top == "workbench" and rest:
            private = any(part.startswith("_") for part in rest)
            assert not private, f"{path.name} imports {name}"
            assert rest[0] in PUBLIC or len(rest) == 1, f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "module,source",
    [
        ("workbench.solver.problem", "import numpy"),
        ("workbench.solver.problem", "def f():\n    import xarray as xr"),
        ("workbench.solver.rows", "from ..symbolic import library"),
        ("workbench.solver.rows", "from workbench import models"),
        ("workbench.symbolic.library", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas"),
        ("workbench.plots.equations.equation", "import torch.nn"),
        ("workbench.jobs.job", "import panel"),
        ("workbench.diagnostics.errors", "import xarray"),
        ("workbench.diagnostics.model", "from workbench.discovery.noise import x"),
        ("workbench.datasets.ode.lorenz", "import torch"),
        ("workbench.training.training", "from workbench.experiments import lorenz"),
        ("workbench.training.training", "from workbench.experiments.lorenz import Config"),
        ("workbench.training.run_file", "import importlib\nimportlib.import_module('pandas')"),
        ("workbench.experiments.lorenz", "from workbench.dashboard.app import shell"),
    ],
)
def test_a_forbidden_import_is_detected(module, source, monkeypatch, tmp_path):
    (tmp_path / "workbench/experiments").mkdir(parents=True)
    (tmp_path / "workbench/experiments/lorenz.py").touch()
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert violations(source, module)


@pytest.mark.parametrize(
    "module,source",
    [
        ("workbench.solver.rows", "import math\nimport torch.nn\nfrom .problem import LinearODE"),
        ("workbench.datasets.windows", "import torch"),
        ("workbench.training.training", "from workbench.experiments import get, protocol"),
        ("workbench.dashboard.train.page", "import panel\nfrom workbench.experiments import lorenz"),
    ],
)
def test_an_allowed_import_passes(module, source):
    assert violations(source, module) == []


@pytest.mark.parametrize(
    "statement,absent",
    [
        ("import workbench; workbench.__version__", {"torch", "numpy", "xarray", "panel", "pydantic"}),
        ("import workbench; workbench.solve", {"panel", "xarray", "pandas", "scipy", "pydantic", "matplotlib"}),
    ],
)
def test_importing_is_light(statement, absent):
    script = f"import sys; {statement}; print(*sorted({absent!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == []
