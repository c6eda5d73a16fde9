"""The result types of the solver."""

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor


class Status(IntEnum):
    """The outcome for one system of the batch; `str(status)` is the advice."""

    OK = 0
    NON_FINITE = 1
    BAD_STEP = 2
    BAD_WEIGHT = 3
    RANK_DEFICIENT = 4

    @property
    def advice(self) -> str:
        return _ADVICE[self]

    def __str__(self) -> str:
        return self.advice


_ADVICE = {
    Status.OK: "Solved.",
    Status.NON_FINITE: "An input is NaN or infinite: give it a finite value, or drop its row with weight 0.",
    Status.BAD_STEP: "A step is not a positive number: sort the grid points and remove duplicates.",
    Status.BAD_WEIGHT: "A weight is negative or not finite: weights are >= 0, and 0 drops a row.",
    Status.RANK_DEFICIENT: "The rows do not determine every unknown: add an equation or an initial value for it.",
}


class RankDeficient(ValueError):
    """The rows of a system do not determine all of its unknowns."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The solution of a batch of systems.

    u: (B, T, D, K), the minimiser of |A u - b|; NaN where the status is not OK.
    status: (B), a `Status` per system.
    backend, method: those that were used.
    """

    u: Tensor
    status: Tensor
    backend: str
    method: str
