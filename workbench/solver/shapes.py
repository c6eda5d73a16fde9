"""The sizes of a problem, from the shapes of its tensors alone: what fits, and in words what does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ParamSpec, TypeVar

import torch

# name -> what its dimensions after the batch dimensions are called in messages
LAYOUT = {
    "coefficients": ("T", "E", "D", "K"),
    "forcing": ("T", "E"),
    "initial": ("T0", "D", "K0"),
    "steps": ("T-1",),
    "weights.equation": ("T", "E"),
    "weights.initial": ("T0", "D", "K0"),
    "weights.taylor": ("T-1", "D"),
}
# dimensions that may be 1 and are then the same for every index
BROADCAST = {
    "coefficients": ("T",),
    "forcing": ("T",),
    "initial": ("T0",),
    "steps": ("T-1",),
    "weights.equation": ("T", "E"),
    "weights.initial": ("T0", "D", "K0"),
    "weights.taylor": ("T-1", "D"),
}
RIGHT = ("forcing", "initial")
"""The arguments that only the constants of the rows depend on; all others make the left-hand side."""

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
"""By name; the arguments that are plain numbers are left out."""


@dataclass(frozen=True)
class Sizes:
    """T, T0, E, D, K, K0 of `LinearODE`, and the batch shapes of all of it and of its left-hand side."""

    T: int
    T0: int
    E: int
    D: int
    K: int
    K0: int
    batch: torch.Size
    left_batch: torch.Size


P = ParamSpec("P")
Result = TypeVar("Result")


def remembered(function: Callable[P, Result]) -> Callable[P, Result]:
    """The function with a memory of its last 256 results; for functions of shapes, which a training repeats.

    Not while torch.compile looks on, where sizes may be symbols: those have no hash (TypeError).
    """
    remembering = lru_cache(256)(function)

    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        try:
            return remembering(*args, **kwargs)  # type: ignore[arg-type]
        except TypeError:
            return function(*args, **kwargs)

    return call


def broadcast_shapes(*shapes: Shape) -> torch.Size:
    """The usual rules. (`torch.broadcast_shapes` loads symbolic algebra at its first call, a third of a second.)

    Raises ValueError where two sizes differ and neither is 1.
    """
    sizes = [1] * max([0, *map(len, shapes)])
    for shape in shapes:
        for position, size in enumerate(shape, start=len(sizes) - len(shape)):
            if size != 1 and sizes[position] not in (1, size):
                raise ValueError(f"shapes {', '.join(str(tuple(s)) for s in shapes)} do not broadcast")
            sizes[position] = size if size != 1 else sizes[position]
    return torch.Size(sizes)


@remembered
def sizes_of(shapes: Sequence[Shape | None], n_steps: int | None, n_initial: int | None, central: bool) -> Sizes:
    """The sizes of a problem whose arguments, in the order of LAYOUT, have these shapes; None or () is a number.

    Raises ValueError, naming the argument and what was expected, where they do not fit each other.
    """
    found = {name: shape for name, shape in zip(LAYOUT, shapes, strict=True) if shape}
    for name, shape in found.items():
        if len(shape) < len(LAYOUT[name]):
            raise ValueError(_expected(name, shape))
    for name in ("coefficients", "forcing", "initial", "steps"):
        if name not in found:
            raise ValueError(_expected(name, ()))
    E, D, K = found["coefficients"][-3:]
    sizes = {"E": E, "D": D, "K": K, "K0": found["initial"][-1]}
    sizes["T"] = _length("T", n_steps, "n_steps", found)
    sizes["T-1"] = sizes["T"] - 1
    sizes["T0"] = _length("T0", n_initial, "n_initial", found)
    _require_sense(found, sizes, central)
    for name, shape in found.items():
        _require_fit(name, shape, sizes)
    left = {name: shape for name, shape in found.items() if name not in RIGHT}
    named = {name: sizes[name] for name in ("T", "T0", "E", "D", "K", "K0")}
    return Sizes(**named, batch=_batch(found), left_batch=_batch(left))


def _expected(name: str, shape: Shape) -> str:
    return f"{name}: expected shape ({', '.join(('...', *LAYOUT[name]))}), found {tuple(shape)}"


def _length(dim: str, given: int | None, argument: str, shapes: Shapes) -> int:
    """T or T0: what is given, else the first tensor that is not broadcast over it."""
    if given is not None:
        return given
    for name, shape in shapes.items():
        dims = LAYOUT[name]
        for found, size in zip(dims, shape[-len(dims) :], strict=True):
            if found == dim and size != 1:
                return size
            if dim == "T" and found == "T-1" and size != 1:
                return size + 1
    if dim == "T0":
        return shapes["initial"][-3]
    raise ValueError(f"{argument}: every tensor is broadcast over the grid points; say how many there are")


def _require_sense(shapes: Shapes, sizes: dict[str, int], central: bool) -> None:
    if sizes["T"] < 2:
        raise ValueError(f"n_steps: expected at least 2 grid points, found {sizes['T']}")
    for dim in ("E", "D", "K"):
        if sizes[dim] < 1:
            raise ValueError(f"coefficients: expected {dim} >= 1, found shape {tuple(shapes['coefficients'])}")
    if central and sizes["K"] < 2:
        raise ValueError(f"central: central rows need K >= 2 (last dimension of coefficients), found {sizes['K']}")
    if sizes["K0"] > sizes["K"]:
        raise ValueError(f"initial: expected K0 <= K = {sizes['K']} (its last dimension), found K0 = {sizes['K0']}")
    if sizes["T0"] < 0:
        raise ValueError(f"n_initial: expected n_initial >= 0, found {sizes['T0']}")
    if sizes["T0"] > sizes["T"]:
        raise ValueError(f"initial: expected T0 <= T = {sizes['T']} grid points, found T0 = {sizes['T0']}")


def _require_fit(name: str, shape: Shape, sizes: dict[str, int]) -> None:
    dims, free = LAYOUT[name], BROADCAST[name]
    for size, dim in zip(shape[-len(dims) :], dims, strict=True):
        if size != sizes[dim] and not (size == 1 and dim in free):
            known = ", ".join(f"{d} = {sizes[d]}" for d in dims)
            expected = ", ".join(("...", *(f"{d} or 1" if d in free else d for d in dims)))
            raise ValueError(f"{name}: expected shape ({expected}) with {known}, found {tuple(shape)}: {dim} is {size}")


def _batch(shapes: Shapes) -> torch.Size:
    batch = torch.Size()
    for name, shape in shapes.items():
        own = shape[: len(shape) - len(LAYOUT[name])]
        try:
            batch = broadcast_shapes(batch, own)
        except ValueError:
            found = f"{name}: batch shape {tuple(own)} does not broadcast with {tuple(batch)}"
            raise ValueError(f"{found} of the arguments before it") from None
    return batch
