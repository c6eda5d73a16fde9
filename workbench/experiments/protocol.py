"""What every experiment offers. Training, run files, page and command line know this and no concrete experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, model_validator

from workbench.judging import Judgement

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
        if not isinstance(given, Mapping) or "mode" not in cls.model_fields:
            return given
        mode = given.get("mode", cls.model_fields["mode"].default)
        return {**cls.mode_defaults.get(mode, {}), **given}


LATEX_SPACE = r"\,"


@dataclass(frozen=True)
class Equation:
    """One discovered equation, `left = sum of coefficient * candidate`.

    `terms` holds (coefficient, LaTeX of the candidate, plain text of the candidate), zeros left out.
    """

    left_latex: str
    left_text: str
    terms: tuple[tuple[float, str, str], ...]

    def latex(self, digits: int = 3) -> str:
        """The equation in LaTeX, coefficients with `digits` decimals."""
        terms = [(c, name) for c, name, _ in self.terms]
        return f"{self.left_latex} = {_sum(terms, digits, _THIN_SPACE)}"

    def text(self, digits: int = 3) -> str:
        """The equation in plain text, coefficients with `digits` decimals."""
        terms = [(c, name) for c, _, name in self.terms]
        return f"{self.left_text} = {_sum(terms, digits, ' ')}"


_THIN_SPACE = r"\,"


def plain_number(value: float, digits: int) -> str:
    """A coefficient with so many decimals; one that would keep no two digits of its own, with that many of those."""
    small = digits > 1 and 0 < abs(value) < 10.0 ** (1 - digits)
    return f"{value:.{digits}g}" if small else f"{value:.{digits}f}"


def latex_number(value: float, digits: int) -> str:
    r"""The same in LaTeX: 1.5e-07 becomes 1.5 \cdot 10^{-7}."""
    mantissa, _, power = plain_number(value, digits).partition("e")
    return rf"{mantissa}\cdot 10^{{{int(power)}}}" if power else mantissa


def _sum(terms: list[tuple[float, str]], digits: int, space: str) -> str:
    if not terms:
        return "0"
    parts = []
    for position, (coefficient, name) in enumerate(terms):
        sign = "-" if coefficient < 0 else "+"
        lead = ("-" if sign == "-" else "") if position == 0 else f" {sign} "
        factor = "" if name == "1" else f"{space}{name}"
        number = latex_number if space == _THIN_SPACE else plain_number
        parts.append(f"{lead}{number(abs(coefficient), digits)}{factor}")
    return "".join(parts)


@dataclass(frozen=True)
class Report:
    """What a model has learned so far, ready to be shown; a view shows whatever part is there.

    coefficients: Dataset over (candidate, variable) with `estimate` and, where known, `truth`, `lower` and `upper` (the
        95 % interval), `inclusion` (the probability that the term is in the equation) and `unit` (of the coefficient).
    trajectory: Dataset over (time, variable) with `truth` (the clean record), `data` (what the model saw) and
        `estimate` (the discovered equations simulated from the first state; NaN after a blow-up) and, where known,
        `denoised` (the data without their noise).
    image: Dataset over (time, x) with `truth`, `data` and `estimate`, as far as they are there, on a periodic interval.
    profile: Dataset over (frame) of errors by name, against how far ahead a forecast looks.
    maps: Dataset over (frame, x, ...) of what the model is made of inside, to be shown as images.
    metrics: name -> value, e.g. "rmse", "precision", "recall", "horizon".
    doubts: why the result may not be trusted, one sentence each.
    globe: Dataset over (lat, lon): a quantity per variable, with `units` and `long_name`, and `ocean`, where there is
        sea.
    skill: Dataset with `skill` over (lead, forecast): 1 - squared error / that of climatology; `model` comes first.
    judgement: of discovered equations, once they are final: Pareto front, residuals, horizon, Lyapunov exponent.
    parameters: of many curves, Dataset over (parameter, curve) with `estimate` and `truth`.
    """

    equations: tuple[Equation, ...] = ()
    true_equations: tuple[Equation, ...] = ()
    coefficients: xr.Dataset | None = None
    trajectory: xr.Dataset | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    globe: xr.Dataset | None = None
    skill: xr.Dataset | None = None
    judgement: Judgement | None = None
    parameters: xr.Dataset | None = None
    image: xr.Dataset | None = None
    profile: xr.Dataset | None = None
    maps: xr.Dataset | None = None


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
