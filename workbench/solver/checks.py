"""Checks of values, per system: they never stop the device; `explain` turns what they found into words."""

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT, broadcast_shapes
from workbench.solver.solution import RankDeficient, Status

_READ_UNLESS = {  # the weight that drops a datum, and how many dimensions the weight lacks
    "coefficients": ("weights.equation", 2),
    "forcing": ("weights.equation", 0),
    "initial": ("weights.initial", 0),
}


def faults(problem: LinearODE) -> dict[str, tuple[Status, Tensor]]:
    """Argument -> (status, mask of its bad entries), for every argument whose values are bounded."""
    tensors = problem.tensors
    found = {}
    for name, x in tensors.items():
        if name.startswith("weights."):
            found[name] = (Status.BAD_WEIGHT, ~(x.isfinite() & (x >= 0)))
        elif name == "steps":
            found[name] = (Status.BAD_STEP, ~(x.isfinite() & (x > 0)))
        else:
            weight_name, missing = _READ_UNLESS[name]
            weight = tensors[weight_name]
            weight = weight.reshape(*weight.shape, *(1,) * missing)
            found[name] = (Status.NON_FINITE, ~x.isfinite() & (weight != 0))
    return found


def status(problem: LinearODE, deficient: Tensor) -> Tensor:
    """A `Status` per system (B), int8: a bad argument first, rank second."""
    result = torch.where(deficient > 0, int(Status.RANK_DEFICIENT), int(Status.OK))
    result = torch.where(deficient < 0, int(Status.NON_FINITE), result)
    for name, (code, mask) in reversed(faults(problem).items()):
        rank = len(LAYOUT[name])
        per_system = mask.flatten(mask.ndim - rank).any(-1)
        result = torch.where(per_system, int(code), result)
    return result.to(torch.int8)


def _plainly_good(problem: LinearODE) -> bool:
    """True for most good problems, at a fifth of the cost: a sum is finite only where every term is."""
    finite = torch.stack([x.sum() for x in problem.tensors.values()]).isfinite().all()
    weights = [(x >= 0).all() for name, x in problem.tensors.items() if name.startswith("weights.")]
    return bool(torch.stack([finite, (problem.steps > 0).all(), *weights]).all())


def require_good_values(problem: LinearODE) -> None:
    """Raises ValueError naming the argument, the batch index and the grid point of the first bad value."""
    if _plainly_good(problem):
        return
    found = faults(problem)
    if not bool(torch.stack([mask.any() for _, mask in found.values()]).any()):
        return
    for name, (code, mask) in found.items():
        if mask.any():
            where = tuple(mask.nonzero()[0].tolist())
            raise ValueError(_sentence(problem, name, code, where))


def _sentence(problem: LinearODE, name: str, code: Status, where: tuple[int, ...]) -> str:
    dims = LAYOUT[name]
    x = problem.tensors[name]
    x = x.expand(broadcast_shapes(x.shape, (1,) * len(where)))
    split = len(where) - len(dims)
    batch, tail = where[:split], where[split:]
    point = f"grid point {tail[0]}" + (f" (step to {tail[0] + 1})" if dims[0] == "T-1" else "")
    rest = ", ".join(f"{d} index {i}" for d, i in zip(dims[1:], tail[1:], strict=True))
    place = ", ".join(part for part in (f"batch index {batch}" if batch else "", point, rest) if part)
    expected = {
        Status.NON_FINITE: "a finite value (or weight 0, which drops the row)",
        Status.BAD_STEP: "a positive, finite step",
        Status.BAD_WEIGHT: "a finite weight >= 0",
    }[code]
    value = x[tuple(min(i, size - 1) for i, size in zip(where, x.shape, strict=True))].item()
    return f"{name}: expected {expected} at {place}, found {value}"


def require_solved(problem: LinearODE, deficient: Tensor, method: str, methods: Sequence[str]) -> None:
    """Raises for the first thing that went wrong: a bad value, rank, or a solution beyond what float64 can hold."""
    if bool((deficient < 0).any()):
        require_good_values(problem)
    require_full_rank(problem, deficient, method, methods)
    if bool((deficient < 0).any()):
        where = tuple((deficient < 0).nonzero()[0].tolist())
        held = "float32 (method 'qr32')" if method == "qr32" else "float64"
        raise ValueError(
            f"the solution is not finite{f' at batch index {where}' if where else ''}, though every argument is: "
            f"expected coefficients, forcing, initial values and steps of a size that {held} can hold"
        )


_ADVICE = {
    "cholesky": "; if it has them, its normal equations are too ill-conditioned for 'cholesky'",
    "qr32": "; if it has them, they are too ill-conditioned for float32",
}


def require_full_rank(
    problem: LinearODE, deficient: Tensor, method: str, methods: Sequence[str] = ("qr", "cholesky")
) -> None:
    """Raises RankDeficient naming the batch index, the variable and the derivative that nothing determines.

    methods: those that the backend has; "qr" is advised where it is one of them.
    """
    if not bool((deficient > 0).any()):
        return
    where = tuple((deficient > 0).nonzero()[0].tolist())
    point, unknown = divmod(int(deficient[where]) - 1, problem.R)
    variable, derivative = divmod(unknown, problem.K)
    advice = _ADVICE.get(method, "") + (": use method='qr'" if method in _ADVICE and "qr" in methods else "")
    system = f"the system at batch index {where}" if where else "the system"
    raise RankDeficient(
        f"coefficients, initial: expected rows that determine every unknown, but {system} is rank-deficient: nothing "
        f"determines derivative {derivative} of variable {variable} (seen at grid point {point}); give it an equation, "
        f"an initial value, or a weight above 0{advice}"
    )
