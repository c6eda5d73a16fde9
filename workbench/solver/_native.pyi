"""The compiled sweep; see kernels/binding.cpp. Arrays are addresses of float64 memory that the caller keeps alive."""

from collections.abc import Sequence

class Problem:
    def __init__(
        self,
        T: int,
        T0: int,
        E: int,
        D: int,
        K: int,
        K0: int,
        cholesky: bool,
        columns: int,
        batch: Sequence[int],
        arguments: Sequence[Sequence[int]],
    ) -> None: ...

def instruction_sets() -> list[str]: ...
def kept_size(problem: Problem, whole: bool, isa: str) -> int: ...
def groups(problem: Problem, isa: str) -> int: ...
def in_pieces(problem: Problem, isa: str) -> bool: ...
def factor(problem: Problem, kept: int, deficient: int, threads: int, isa: str) -> None: ...
def solve(
    problem: Problem, kept: int, whole: bool, u: int, deficient: int, suspect: int, threads: int, isa: str
) -> None: ...
def adjoint(
    problem: Problem,
    kept: int,
    whole: bool,
    u: int,
    g: Sequence[int],
    out: Sequence[int],
    threads: int,
    isa: str,
) -> None: ...
