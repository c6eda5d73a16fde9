"""Base class of simulated systems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

Terms = Mapping[str, Mapping[str, float]]
"""{variable: {expression: coefficient}}."""


def parameter(value: float, text: str, low: float, high: float, unit: str = "") -> Any:
    """A parameter of a system: default value, description, lower and upper bound, unit."""
    return field(default=value, metadata={"text": text, "low": low, "high": high, "unit": unit})


@dataclass(frozen=True)
class System:
    """A system x' = f(t, x), or x'' = f(t, x, x') for `order` 2, whose state is then (x, x').

    unit, time_unit: units of every variable and of time ("1": dimensionless). step, points: sampling that covers the
    dynamics. degree, `candidates`: a library with all true terms and many others. stiff: needs an implicit method.
    """

    title: ClassVar[str]
    summary: ClassVar[str]
    variables: ClassVar[tuple[str, ...]]
    unit: ClassVar[str] = "1"
    time_unit: ClassVar[str] = "1"
    order: ClassVar[int] = 1
    step: ClassVar[float]
    points: ClassVar[int]
    degree: ClassVar[int] = 2
    stiff: ClassVar[bool] = False

    @property
    def start(self) -> tuple[float, ...]:
        """The state at time 0."""
        raise NotImplementedError

    @property
    def candidates(self) -> tuple[str, ...]:
        """Candidates of the library besides polynomials, as expressions."""
        return ()

    def rhs(self, t: float, state: np.ndarray) -> Sequence[float]:
        """The derivative of the state."""
        raise NotImplementedError

    def terms(self) -> Terms:
        """{variable: {expression: coefficient}}: the equations of `rhs` as terms."""
        raise NotImplementedError
