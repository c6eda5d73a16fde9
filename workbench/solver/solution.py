"""What comes back from the solver."""

from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor


class Status(IntEnum):
    """How one system of the batch ended; `str(status)` is a sentence of advice."""

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
    Status.BAD_STEP: "A step is not a positive number: sort the grid points and remove repeated ones.",
    Status.BAD_WEIGHT: "A weight is negative or not finite: weights are >= 0, and 0 drops a row.",
    Status.RANK_DEFICIENT: "The rows do not determine every unknown: add an equation or an initial value for it.",
}


class RankDeficient(ValueError):
    """The rows of a system do not determine all of its unknowns."""


@dataclass(frozen=True, eq=False)
class Solution:
    """u (B, T, D, K) minimises |A u - b|; `status` (B) holds a `Status` per system; u is NaN where that is not OK.

    `backend` and `method` say which ones ran.
    """

    u: Tensor
    status: Tensor
    backend: str
    method: str
