"""The compiled sweep (kernels/cpu/binding.cpp). Arrays are addresses of float64 memory owned by the caller."""

from collections.abc import Sequence

class Buffer:
    """A writable buffer of `numbers` float64 numbers."""

    def __init__(self, numbers: int) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

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
        central: bool,
        columns: int,
        batch: Sequence[int],
        arguments: Sequence[Sequence[int]],
        isa: str,
    ) -> None: ...

interface: int

def instruction_sets() -> list[str]: ...
def compiled_sets() -> list[str]: ...
def kept_size(problem: Problem, whole: bool) -> int: ...
def shared_size(problem: Problem) -> int: ...
def groups(problem: Problem) -> int: ...
def in_pieces(problem: Problem) -> bool: ...
def factor(problem: Problem, arguments: Sequence[int], factor: int, deficient: int, threads: int) -> None: ...
def solve(
    problem: Problem, arguments: Sequence[int], factor: int, whole: bool, u: int, deficient: int, threads: int
) -> None: ...
def adjoint(
    problem: Problem,
    arguments: Sequence[int],
    factor: int,
    whole: bool,
    u: int,
    g: Sequence[int],
    out: Sequence[int],
    threads: int,
) -> None: ...
