"""Run files: one NetCDF-4 file per run, replaced atomically, so that a kill leaves a readable file. No pickle.

/         attributes: format_version, experiment, config (JSON), status, message, created, versions (JSON), steps,
          total, state_step, best_step, best_era, metrics (JSON)
/records  over (step): one variable per metric, seconds, memory_mb, total; coefficients over (step, candidate, variable)
/model    state to resume from, after `state_step` steps; arrays by name
/best     best state, after `best_step` steps (absent while there is none)
/coefficients, /trajectory    report at the last halt (absent before the first)
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
DEFAULTS_OF_OLD_RUNS = {"lorenz": {"coefficients": "learned"}}
"""Per experiment, settings that older runs lack and whose present default differs from their behaviour."""
MESSAGE_LIMIT = 4000
TAGS = "tags.json"


@dataclass(frozen=True)
class Run:
    """Contents of a run file; `config` holds the arguments of the experiment's Config."""

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
        """Number of recorded steps."""
        return self.records.sizes.get("step", 0)


@dataclass(frozen=True)
class Summary:
    """Attributes and losses of a run file; `error` is the reason why it cannot be read, with the other fields empty.

    best, last: smallest and last loss, NaN without records of a loss.
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
    """Folder of the run files: `runs` in the data folder; it is not created."""
    return data_folder() / "runs"


def new_run_path(experiment: str, folder: Path) -> Path:
    """Path for a new run; its stem (letters, digits, - and _) identifies the run."""
    return folder / f"{experiment}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}.nc"


def now() -> str:
    """Current time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of Python, of this project and of its numerical dependencies."""
    installed = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("smnn-workbench", "torch", "numpy", "scipy", "xarray", "h5py"):
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed[name] = "not installed"
    return installed


def write_run(run: Run) -> None:
    """Write `run.path` atomically; its folder is created."""
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
    """Read a run file. Raises FileNotFoundError, or ValueError with the reason if it is not a readable run file."""
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
        state_step=_to_int(attributes["state_step"]),
        best_state=_state_arrays(groups.get("best")),
        best_step=_to_int(attributes["best_step"]),
        best_era=_to_int(attributes["best_era"]),
        coefficients=groups.get("coefficients"),
        trajectory=groups.get("trajectory"),
        **{
            name: getattr(summary, name)
            for name in ("experiment", "config", "status", "message", "created", "total", "metrics")
        },
    )


def set_status(path: Path, status: str, message: str = "") -> None:
    """Change the status in a run file, e.g. after its process has died. Raises as `read_run`."""
    write_run(replace(read_run(path), status=status, message=message))


def summarise(path: Path) -> Summary:
    """Read only the attributes and the losses of a run file; `error` is set if it is unreadable.

    Raises FileNotFoundError.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no run file {path}")
    try:
        with h5py.File(path) as file:
            attributes = dict(file.attrs)
            best, last = _losses(file)
        version = _to_int(attributes["format_version"])
        if version > FORMAT_VERSION:
            return Summary(
                path, error=f"written by a newer version (format {version}; this one reads up to {FORMAT_VERSION})"
            )
        texts = {name: str(attributes[name]) for name in ("experiment", "status", "message", "created")}
        numbers = {name: _to_int(attributes[name]) for name in ("steps", "total")}
        parsed = {name: json.loads(attributes[name]) for name in ("config", "metrics")}
        parsed["config"] = DEFAULTS_OF_OLD_RUNS.get(texts["experiment"], {}) | parsed["config"]
    except KeyError as error:
        return Summary(path, error=f"not a run file (no attribute {error})")
    except (OSError, ValueError) as error:
        return Summary(path, error=f"not a readable run file ({error})")
    return Summary(path, **texts, **numbers, **parsed, best=best, last=last)


def _losses(file: h5py.File) -> tuple[float, float]:
    """Smallest and last loss of the records."""
    if "records/loss" not in file or not file["records/loss"].size:
        return math.nan, math.nan
    values = file["records/loss"][()]
    return float(np.nanmin(values, initial=math.inf)), float(values[-1])


def read_tags(folder: Path) -> dict[str, list[str]]:
    """Tags of the runs of a folder by run name; empty if the file of tags is missing or unreadable."""
    try:
        tags_of_runs = json.loads((Path(folder) / TAGS).read_text(encoding="utf-8"))
        return {str(name): [str(tag) for tag in tags] for name, tags in tags_of_runs.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def write_tags(folder: Path, tags: Mapping[str, list[str]]) -> None:
    """Write the tags to a file next to the run files, which other processes may be writing."""
    text = json.dumps({name: values for name, values in tags.items() if values}, indent=1)
    with replacing(Path(folder) / TAGS) as part:
        part.write_text(text, encoding="utf-8")


def list_runs(folder: Path) -> list[Summary]:
    """Summaries of the runs of a folder, newest first, including unreadable files with their `error`."""
    summaries = []
    for path in sorted(Path(folder).glob("*.nc")):
        try:
            summaries.append(summarise(path))
        except FileNotFoundError:  # deleted since the listing
            continue
    return sorted(summaries, key=lambda summary: (summary.created, summary.path.name), reverse=True)


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


def _to_int(attribute: Any) -> int:
    """An integer attribute; some readers return it as an array of one element."""
    return int(np.asarray(attribute).item())


def _state_dataset(state: Mapping[str, np.ndarray]) -> xr.Dataset:
    """Arrays by name as variables with separate dimensions."""
    return xr.Dataset(
        {name: ([f"{name}.{axis}" for axis in range(array.ndim)], array) for name, array in state.items()}
    )


def _state_arrays(group: xr.Dataset | None) -> dict[str, np.ndarray]:
    return {} if group is None else {str(name): np.array(variable.values) for name, variable in group.items()}
