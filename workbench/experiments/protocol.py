"""The interface of an experiment: its Config, data, model and report.

Training, run files, page and command line depend on this module and on no concrete experiment.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench._deprecated import moved_names, warn
from workbench.experiments.report import Report

Group = Literal["main", "solver", "training", "data"]
Backend = Literal["auto", "native", "cuda", "banded", "dense"]
BACKEND = (
    "Solver backend: native is the compiled kernel, cuda its version for NVIDIA GPUs, banded plain PyTorch, all three "
    "linear in the sequence length, dense the slow reference; auto selects the fastest."
)
METHOD = "Factorization: qr is accurate, cholesky is the published method."
DERIVATIVES = "Derivatives per grid point, including order 0; more are more accurate."


def setting(
    default: Any, text: str, *, group: Group = "main", unit: str = "", modes: tuple[str, ...] = (), **bounds: Any
) -> Any:
    """Return a Config field with a default, a one-sentence description and its place on the page.

    The page shows group "main" and folds the others; `modes` lists the training modes in which the field has an effect
    (empty: all). `bounds` are those of pydantic: ge, gt, le, lt. `Config.model_fields[name]` holds them as
    `.description`, `.metadata` and `.json_schema_extra` (a dict with "group", "unit", "modes").
    """
    extra = {"group": group, "unit": unit, "modes": list(modes)}
    return Field(default, description=text, json_schema_extra=extra, **bounds)


RENAMED_SETTINGS = {"draws": "n_bootstrap", "share": "min_contribution"}
"""Settings of version 0.1 -> current name. Run files, URLs and commands may hold the old names."""


class Config(BaseModel):
    """Settings of one run, frozen: the single source for page, command line, URL and run file.

    A missing field takes the default of its training mode (`mode_defaults`), else its own default.
    Raises `pydantic.ValidationError` naming the field for an unknown key or a value out of bounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    mode_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    seed: int = setting(0, "Random seed; the same seed reproduces the same numbers.", group="data", ge=0, le=2**31 - 1)

    @model_validator(mode="before")
    @classmethod
    def _fill_mode_defaults(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        given = current_names(cls, given)
        if "mode" not in cls.model_fields:
            return given
        mode = given.get("mode", cls.model_fields["mode"].default)
        return {**cls.mode_defaults.get(mode, {}), **given}


def current_names(config: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the settings of version 0.1 in `given` to those of `config`, with a DeprecationWarning for each."""
    current = {}
    for name, value in given.items():
        new = RENAMED_SETTINGS.get(name, name)
        is_old = name not in config.model_fields and new in config.model_fields and new not in given
        if is_old:
            warn(f"the setting {name}", new)
        current[new if is_old else name] = value
    return current


class Model(Protocol):
    """A model trained step by step, whose state is a dict of arrays that a run file can hold."""

    total_steps: int
    monitored_metric: str | None
    """The metric whose minimum over the steps that report it marks the best state; None: the last state is the best."""
    stage: int
    """Counter of irreversible changes, such as the removal of a term; best states of earlier stages are discarded."""

    @property
    def done(self) -> bool:
        """Whether training has ended, early stopping included."""

    def step(self) -> dict[str, float]:
        """Run one training step and return its metrics, including "loss". A non-finite metric fails the run."""

    def coefficients(self) -> np.ndarray | None:
        """Current coefficients (candidate, variable) in physical units, None if the model has none."""

    def state(self) -> dict[str, np.ndarray]:
        """The complete training state: parameters, optimizer moments, random generators, counters."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state returned by `state()`."""


class Experiment(Protocol):
    """An experiment: a module of workbench.experiments, or an object, with these names in this order.

    Optional names:

    - `keep(sources)` reads and stores the user's own files and returns the value of the setting `record`.
    - `prepare(config, report_progress)` downloads or simulates what `data` reads, for data sets that take long, and
      calls report_progress(share=0.5, words="...").
    - `is_immediate(config)`: whether this configuration needs no `prepare`.
    - `RECORDS`: the selectable data sets, title -> settings that differ from the defaults.
    """

    __name__: str
    """Path as in `workbench.experiments.TABLE`, at which another process imports it; every module has one."""
    name: str
    title: str
    summary: str
    Config: type[Config]

    def data(self, config: Any) -> xr.Dataset:
        """The data set: `truth` and `data` over (time, variable), or fields, with units."""

    def model(self, config: Any, data: xr.Dataset) -> Model:
        """An untrained model of these data."""

    def report(self, model: Any, data: xr.Dataset) -> Report:
        """Results of the model and their evaluation against the data."""


__getattr__ = moved_names(
    __name__,
    {
        "Equation": "experiments.equation:Equation",
        "LATEX_SPACE": "experiments.equation:LATEX_SPACE",
        "latex_number": "experiments.equation:latex_number",
        "plain_number": "experiments.equation:plain_number",
    },
)
