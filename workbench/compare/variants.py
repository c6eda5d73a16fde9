"""Solver variants, and the results of a comparison."""

from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np

from workbench.jobs.budget import JobStatus
from workbench.scaling import variants


@dataclass(frozen=True)
class Variant:
    """A backend (a name of the table, or "module:function", as in `workbench.scaling.Case`) and its method."""

    backend: str
    method: str = "qr"

    @property
    def label(self) -> str:
        """Label for a legend."""
        return f"{self.backend.partition(':')[0]} {self.method}".strip()


REFERENCE = Variant("dense", "qr")


def every_variant() -> list[Variant]:
    """All available variants: those of the CPU, and `cuda` if there is a GPU."""
    pairs = variants("cpu") + [pair for pair in variants("cuda") if pair[0] == "cuda"]
    return [Variant(backend, method) for backend, method in pairs]


def on_device(example: Any, variant: Variant) -> Any:
    """The example on the device of the variant."""
    return replace(example, device="cuda") if variant.backend == "cuda" else example


@dataclass(frozen=True, eq=False)
class VariantResult:
    """Result of one variant.

    u: solution (B, T, D, K). difference, error: per grid point (T) the largest |difference| of u to that of `reference`
    and the largest |error| against the closed form; None if unknown. forward, backward: seconds of one pass.
    memory_forward, memory: peak bytes above the inputs, NaN if it ran in this process. words: reason if it is not OK.
    """

    variant: Variant
    status: JobStatus = JobStatus.OK
    words: str = ""
    u: np.ndarray | None = None
    forward: float = nan
    backward: float = nan
    memory_forward: float = nan
    memory: float = nan
    reference: Variant | None = None
    difference: np.ndarray | None = None
    error: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Seconds of forward and backward pass."""
        return self.forward + self.backward

    @property
    def largest_difference(self) -> float:
        """Maximum over all grid points; NaN if unknown."""
        return nan if self.difference is None else float(self.difference.max())

    @property
    def largest_error(self) -> float:
        """Maximum over all grid points; NaN if unknown."""
        return nan if self.error is None else float(self.error.max())
