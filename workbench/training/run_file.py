"""Run files: one run is one NetCDF-4 file, replaced in one step, readable after a kill at any moment. Never pickle.

/         attributes: format_version, experiment, config (JSON), status, message, created, versions (JSON), steps,
          total, state_step, best_step, best_era, metrics (JSON)
/records  over (step): one variable per metric, seconds, memory_mb, total; coefficients over (step, candidate, variable)
/model    the state to go on from, after `state_step` steps; arrays by name
/best     the best state, after `best_step` steps (absent while none is known)
/coefficients, /trajectory    the report, as of the last halt (absent before the first)
"""

import json
import math
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from workbench.datasets.store import data_folder, replacing

FORMAT_VERSION = 1
BEFORE = {"lorenz": {"coefficients": "learned"}}
"""By experiment, the settings that came later and whose default is not what runs did before they were there."""
MESSAGE_LIMIT = 4000
TAGS = "tags.json"


@dataclass(frozen=True)
class Run:
    """Everything a run file holds; `config` is a plain dict that the experiment's Config takes."""

    path: Path
    experiment: str
    config: Mapping[str, Any]
    status: str
    message: str = ""
    created: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    total: int = 0
    records: xr.Dataset = field(default_factory=xr.Dataset)
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    state_step: int = 0
    best_state: Mapping[str, np.ndarray] = field(default_factory=dict)
    best_step: int = 0
    best_era: int = 0
    coefficients: xr.Dataset | None = None
    trajectory: xr.Dataset | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many steps were recorded."""
        return self.records.sizes.get("step", 0)


@dataclass(frozen=True)
class Summary:
    """One line about a run file; `error` says why it cannot be read, the rest is then empty.

    best, last: the smallest and the last loss, NaN while there is none.
    """

    path: Path
    experiment: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    message: str = ""
    created: str = ""
    steps: int = 0
    total: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    best: float = math.nan
    last: float = math.nan
    error: str = ""


def runs_folder() -> Path:
    """Where runs are kept: `runs` in the data folder; not created here."""
    return data_folder() / "runs"


def new_run_path(experiment: str, folder: Path) -> Path:
    """A path that no run has yet; its stem (letters, digits, - and _) identifies the run."""
    return folder / f"{experiment}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}.nc"


def now() -> str:
    """The present time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """What made a run: versions of Python, of this project and of what it computes with."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("smnn-workbench", "torch", "numpy", "scipy", "xarray", "h5py"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_run(run: Run) -> None:
    """Write `run.path`: a kill leaves the file as it was before or as it is after. The folder is created."""
    groups = {"/": xr.Dataset(attrs=_attributes(run)), "records": run.records}
    for name, state in (("model", run.state), ("best", run.best_state)):
        if state:
            groups[name] = _state_dataset(state)
    for name in ("coefficients", "trajectory"):
        if getattr(run, name) is not None:
            groups[name] = getattr(run, name)
    with replacing(run.path) as part:
        xr.DataTree.from_dict(groups).to_netcdf(part, engine="h5netcdf")


def read_run(path: Path) -> Run:
    """The run of a file. Raises FileNotFoundError, and ValueError saying why a file is not a readable run."""
    path = Path(path)
    summary = summarise(path)
    if summary.error:
        raise ValueError(f"{path}: {summary.error}")
    with xr.open_datatree(path, engine="h5netcdf", decode_times=False) as tree:
        tree.load()
    attributes = tree.attrs
    groups = {name: node.to_dataset(inherit=False) for name, node in tree.children.items()}
    return Run(
        path=path,
        versions=json.loads(attributes["versions"]),
        records=groups["records"],
        state=_state_arrays(groups.get("model")),
        state_step=_whole(attributes["state_step"]),
        best_state=_state_arrays(groups.get("best")),
        best_step=_whole(attributes["best_step"]),
        best_era=_whole(attributes["best_era"]),
        coefficients=groups.get("coefficients"),
        trajectory=groups.get("trajectory"),
        **{
            name: getattr(summary, name)
            for name in ("experiment", "config", "status", "message", "created", "total", "metrics")
        },
    )


def mark(path: Path, status: str, message: str = "") -> None:
    """Give the run of a file another status, as when what made it has died. Raises as `read_run`."""
    write_run(replace(read_run(path), status=status, message=message))


def summarise(path: Path) -> Summary:
    """The attributes of a run file alone; quick. What is no readable run has `error`. Raises FileNotFoundError."""
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no run file {path}")
    try:
        with h5py.File(path) as file:
            attributes = dict(file.attrs)
            best, last = _losses(file)
        found = _whole(attributes["format_version"])
        if found > FORMAT_VERSION:
            return Summary(
                path, error=f"made by a newer version (format {found}; this one reads up to {FORMAT_VERSION})"
            )
        texts = {name: str(attributes[name]) for name in ("experiment", "status", "message", "created")}
        numbers = {name: _whole(attributes[name]) for name in ("steps", "total")}
        parsed = {name: json.loads(attributes[name]) for name in ("config", "metrics")}
        parsed["config"] = BEFORE.get(texts["experiment"], {}) | parsed["config"]
    except KeyError as error:
        return Summary(path, error=f"not a run file (no attribute {error})")
    except (OSError, ValueError) as error:
        return Summary(path, error=f"not a readable run file ({error})")
    return Summary(path, **texts, **numbers, **parsed, best=best, last=last)


def _losses(file: h5py.File) -> tuple[float, float]:
    """The smallest and the last loss of the records."""
    if "records/loss" not in file or not file["records/loss"].size:
        return math.nan, math.nan
    values = file["records/loss"][()]
    return float(np.nanmin(values, initial=math.inf)), float(values[-1])


def read_tags(folder: Path) -> dict[str, list[str]]:
    """The tags of every run of a folder by its name; none where there is no such file, or none that can be read."""
    try:
        kept = json.loads((Path(folder) / TAGS).read_text(encoding="utf-8"))
        return {str(name): [str(tag) for tag in tags] for name, tags in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def write_tags(folder: Path, tags: Mapping[str, list[str]]) -> None:
    """Keep the tags beside the runs, which may be written by others at any moment."""
    with replacing(Path(folder) / TAGS) as part:
        part.write_text(json.dumps({name: kept for name, kept in tags.items() if kept}, indent=1), encoding="utf-8")


def list_runs(folder: Path) -> list[Summary]:
    """The runs of a folder, newest first; unreadable files are among them, with their `error`."""
    found = []
    for path in sorted(Path(folder).glob("*.nc")):
        try:
            found.append(summarise(path))
        except FileNotFoundError:  # deleted since the listing
            continue
    return sorted(found, key=lambda summary: (summary.created, summary.path.name), reverse=True)


def _attributes(run: Run) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "experiment": run.experiment,
        "config": json.dumps(dict(run.config)),
        "status": run.status,
        "message": run.message[:MESSAGE_LIMIT],
        "created": run.created,
        "versions": json.dumps(dict(run.versions)),
        "steps": run.steps,
        "total": run.total,
        "state_step": run.state_step,
        "best_step": run.best_step,
        "best_era": run.best_era,
        "metrics": json.dumps(dict(run.metrics)),
    }


def _whole(attribute: Any) -> int:
    """A whole number; some readers give it as an array of one."""
    return int(np.asarray(attribute).item())


def _state_dataset(state: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Arrays by name as variables, each with dimensions of its own."""
    return xr.Dataset(
        {name: ([f"{name}.{axis}" for axis in range(array.ndim)], array) for name, array in state.items()}
    )


def _state_arrays(group: xr.Dataset | None) -> dict[str, np.ndarray]:
    return {} if group is None else {str(name): np.array(variable.values) for name, variable in group.items()}
