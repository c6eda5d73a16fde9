"""Studies: a grid of runs or a search over settings, on this machine or on a cluster.

    study = Study(folder, "lorenz", axes={"noise": (0, 0.1, 0.5)}, seeds=range(10))
    with local() as client:            # or distributed.Client("tcp://scheduler:8786")
        results = run(study, client)   # an xarray.Dataset over (noise, seed)

Needs the extra `studies` (distributed, optuna).
"""

from importlib import import_module
from typing import Any

from workbench._deprecated import warn

_HOMES = {
    "TaskOutcome": "task",
    "Study": "study",
    "studies_folder": "study",
    "connected": "cluster",
    "local": "cluster",
    "follow": "runner",
    "run": "runner",
    "results": "result_table",
    "Choice": "optuna_search",
    "Search": "optuna_search",
    "Span": "optuna_search",
    "search": "optuna_search",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name == "Outcome":
        warn("workbench.studies.Outcome", "workbench.studies.TaskOutcome")
        name = "TaskOutcome"
    if name in _HOMES:
        return getattr(import_module(f"workbench.studies.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'workbench.studies' has no attribute {name!r}; it has {', '.join(__all__)}")
