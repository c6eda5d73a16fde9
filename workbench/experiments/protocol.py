"""What every experiment offers. Training, run files, page and command line know this and no concrete experiment."""

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
    "Solver variant: native is the compiled kernel, cuda the same on an NVIDIA GPU, banded in plain torch, all three "
    "linear in the sequence length, dense the slow reference; auto takes the fastest."
)


def setting(
    default: Any, text: str, *, group: Group = "main", unit: str = "", modes: tuple[str, ...] = (), **bounds: Any
) -> Any:
    """A Config field: its default, one sentence for the person who sets it, and where the page shows it.

    `group` "main" stays in view, the others fold away; `modes` names the training modes in which the field matters
    (empty: all). `bounds` are pydantic's: ge, gt, le, lt. They are read back from `Config.model_fields[name]`:
    `.description`, `.metadata` and `.json_schema_extra` (a dict with "group", "unit", "modes").
    """
    extra = {"group": group, "unit": unit, "modes": list(modes)}
    return Field(default, description=text, json_schema_extra=extra, **bounds)


RENAMED_SETTINGS = {"draws": "n_bootstrap", "share": "min_contribution"}
"""Settings of version 0.1 under their new names: run files, addresses and commands may hold the old ones."""


class Config(BaseModel):
    """The settings of one run: frozen, complete, and the only source for page, command line, URL and run file.

    A field that is not given takes the default of its training mode (`mode_defaults`), else its own default.
    Raises `pydantic.ValidationError` naming the field for an unknown key or a value out of bounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    mode_defaults: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    seed: int = setting(
        0, "Seed of everything random: the same seed gives the same numbers.", group="data", ge=0, le=2**31 - 1
    )

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
    """`given` with settings of before under their names in `config`, with a DeprecationWarning for each."""
    current = {}
    for name, value in given.items():
        new = RENAMED_SETTINGS.get(name, name)
        is_old = name not in config.model_fields and new in config.model_fields and new not in given
        if is_old:
            warn(f"the setting {name}", new)
        current[new if is_old else name] = value
    return current


class Model(Protocol):
    """A thing that learns step by step. Its state is arrays by name, so that a run file can hold it."""

    total_steps: int
    monitor: str | None
    """The metric whose smallest value marks the best state, where a step reports it; None: the last state is."""
    era: int
    """Grows when the model gives something up for good (a term, say): best states of earlier eras no longer count."""

    @property
    def done(self) -> bool:
        """No step is left (early stopping included)."""

    def step(self) -> dict[str, float]:
        """Learn once; the metrics of that step, "loss" always among them. A metric that is not finite fails the run."""

    def coefficients(self) -> np.ndarray | None:
        """The current coefficients (candidate, variable) in physical units, None if the model has none."""

    def state(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly: parameters, optimiser moments, random generators, counters."""

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go back to what `state()` gave."""


class Experiment(Protocol):
    """A module of workbench.experiments: these names, in this order.

    One that takes a person's own files has `keep(sources)` besides: it reads them, stores what is in them and returns
    what to give as the setting `record`. One whose records take long to get has `prepare(config, tell)`, which gets
    what `data` needs and says how far that is: tell(share=0.5, words="..."); and `at_once(config)`, where some of them
    do not. `RECORDS` are those that a person may choose from, by title: the settings that differ from the defaults.
    """

    name: str
    title: str
    summary: str
    Config: type[Config]

    def data(self, config: Any) -> xr.Dataset:
        """The record of this configuration: `truth` and `data` over (time, variable), or fields, with units."""

    def model(self, config: Any, data: xr.Dataset) -> Model:
        """A fresh model for these data."""

    def report(self, model: Any, data: xr.Dataset) -> Report:
        """What the model has learned, judged against the data."""


__getattr__ = moved_names(
    __name__,
    {
        "Equation": "experiments.equation:Equation",
        "LATEX_SPACE": "experiments.equation:LATEX_SPACE",
        "latex_number": "experiments.equation:latex_number",
        "plain_number": "experiments.equation:plain_number",
    },
)
