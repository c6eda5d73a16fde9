"""Checks of argument values and rank, per system."""

from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.solver.problem import LinearODE
from workbench.solver.shapes import LAYOUT, broadcast_shapes
from workbench.solver.solution import RankDeficient, Status

_DROPPED_BY = {  # the weight that drops a datum, and the number of dimensions that the weight lacks
    "coefficients": ("weights.equation", 2),
    "forcing": ("weights.equation", 0),
    "initial": ("weights.initial", 0),
}


def faults(problem: LinearODE) -> dict[str, tuple[Status, Tensor]]:
    """The status and the mask of invalid entries of every argument, by name. Does not synchronise with the device."""
    tensors = problem.tensors
    masks = {}
    for name, x in tensors.items():
        if name.startswith("weights."):
            masks[name] = (Status.BAD_WEIGHT, ~(x.isfinite() & (x >= 0)))
        elif name == "steps":
            masks[name] = (Status.BAD_STEP, ~(x.isfinite() & (x > 0)))
        else:
            weight_name, missing = _DROPPED_BY[name]
            weight = tensors[weight_name]
            weight = weight.reshape(*weight.shape, *(1,) * missing)
            masks[name] = (Status.NON_FINITE, ~x.isfinite() & (weight != 0))
    return masks


def status(problem: LinearODE, deficient: Tensor) -> Tensor:
    """A `Status` per system (B), int8; invalid arguments take precedence over rank. Does not synchronise."""
    result = torch.where(deficient > 0, int(Status.RANK_DEFICIENT), int(Status.OK))
    result = torch.where(deficient < 0, int(Status.NON_FINITE), result)
    for name, (code, mask) in reversed(faults(problem).items()):
        rank = len(LAYOUT[name])
        per_system = mask.flatten(mask.ndim - rank).any(-1)
        result = torch.where(per_system, int(code), result)
    return result.to(torch.int8)


def _surely_valid(problem: LinearODE) -> bool:
    """A sufficient condition at a fifth of the cost of `faults`: a sum is finite only if every term is."""
    finite = torch.stack([x.sum() for x in problem.tensors.values()]).isfinite().all()
    weights = [(x >= 0).all() for name, x in problem.tensors.items() if name.startswith("weights.")]
    return bool(torch.stack([finite, (problem.steps > 0).all(), *weights]).all())


def require_good_values(problem: LinearODE) -> None:
    """Raise ValueError with the argument, batch index and grid point of the first invalid value, if there is one."""
    if _surely_valid(problem):
        return
    masks = faults(problem)
    if not bool(torch.stack([mask.any() for _, mask in masks.values()]).any()):
        return
    for name, (code, mask) in masks.items():
        if mask.any():
            index = tuple(mask.nonzero()[0].tolist())
            raise ValueError(_message(problem, name, code, index))


def _message(problem: LinearODE, name: str, code: Status, index: tuple[int, ...]) -> str:
    """The error message for the invalid value at `index` of the argument `name`."""
    dims = LAYOUT[name]
    x = problem.tensors[name]
    x = x.expand(broadcast_shapes(x.shape, (1,) * len(index)))
    split = len(index) - len(dims)
    batch, tail = index[:split], index[split:]
    point = f"grid point {tail[0]}" + (f" (step to {tail[0] + 1})" if dims[0] == "T-1" else "")
    others = ", ".join(f"{d} index {i}" for d, i in zip(dims[1:], tail[1:], strict=True))
    position = ", ".join(part for part in (f"batch index {batch}" if batch else "", point, others) if part)
    expected = {
        Status.NON_FINITE: "a finite value (or weight 0, which drops the row)",
        Status.BAD_STEP: "a positive, finite step",
        Status.BAD_WEIGHT: "a finite weight >= 0",
    }[code]
    value = x[tuple(min(i, size - 1) for i, size in zip(index, x.shape, strict=True))].item()
    return f"{name}: expected {expected} at {position}, found {value}"


def require_solved(problem: LinearODE, deficient: Tensor, method: str, methods: Sequence[str]) -> None:
    """Raise for the first failure: an invalid value, rank deficiency, or overflow of the solution."""
    if bool((deficient < 0).any()):
        require_good_values(problem)
    require_full_rank(problem, deficient, method, methods)
    if bool((deficient < 0).any()):
        index = tuple((deficient < 0).nonzero()[0].tolist())
        arithmetic = "float32 (method 'qr32')" if method == "qr32" else "float64"
        raise ValueError(
            f"the solution is not finite{f' at batch index {index}' if index else ''}, though every argument is: "
            f"expected coefficients, forcing, initial values and steps that do not overflow in {arithmetic}"
        )


_ADVICE = {
    "cholesky": "; otherwise its normal equations are too ill-conditioned for 'cholesky'",
    "qr32": "; otherwise they are too ill-conditioned for float32",
}


def require_full_rank(
    problem: LinearODE, deficient: Tensor, method: str, methods: Sequence[str] = ("qr", "cholesky")
) -> None:
    """Raise RankDeficient with the batch index, variable and derivative that is not determined, if there is one.

    methods: those of the backend; "qr" is advised if it is one of them.
    """
    if not bool((deficient > 0).any()):
        return
    index = tuple((deficient > 0).nonzero()[0].tolist())
    point, unknown = divmod(int(deficient[index]) - 1, problem.R)
    variable, derivative = divmod(unknown, problem.K)
    advice = _ADVICE.get(method, "") + (": use method='qr'" if method in _ADVICE and "qr" in methods else "")
    system = f"the system at batch index {index}" if index else "the system"
    raise RankDeficient(
        f"coefficients, initial: expected rows that determine every unknown, but {system} is rank-deficient: no row "
        f"determines derivative {derivative} of variable {variable} (detected at grid point {point}); add an equation, "
        f"an initial value, or a weight above 0 for it{advice}"
    )
