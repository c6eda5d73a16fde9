"""Scalable Mechanistic Neural Networks: a differentiable solver for linear ODEs, and a workbench.

Public names are imported on first use; `import workbench` loads neither torch nor any other dependency.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from workbench import _deprecated

_HOMES = {
    "LinearODE": "workbench.solver",
    "Solution": "workbench.solver",
    "Weights": "workbench.solver",
    "explore": "workbench.dashboard.app.notebook",
    "solve": "workbench.solver",
    "train": "workbench.training",
}

_deprecated.install()

__all__ = ["LinearODE", "Solution", "Weights", "__version__", "explore", "solve", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}; expected one of {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    try:
        return version("smnn-workbench")
    except PackageNotFoundError:  # used from a source tree that is not installed
        return "0+unknown"
