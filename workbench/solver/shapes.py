"""Infer and check the sizes of a problem from the shapes of its tensors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ParamSpec, TypeVar

import torch

# argument -> names of its dimensions after the batch dimensions
LAYOUT = {
    "coefficients": ("T", "E", "D", "K"),
    "forcing": ("T", "E"),
    "initial": ("T0", "D", "K0"),
    "steps": ("T-1",),
    "weights.equation": ("T", "E"),
    "weights.initial": ("T0", "D", "K0"),
    "weights.taylor": ("T-1", "D"),
}
# dimensions that may have size 1 and then broadcast
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
"""The arguments of the right-hand side; all others belong to the left-hand side."""

Shape = tuple[int, ...]
Shapes = dict[str, Shape]
"""Shapes by argument, without those that are plain numbers."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of `LinearODE`, its batch shape and that of its left-hand side."""

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


def cached(function: Callable[P, Result]) -> Callable[P, Result]:
    """Cache the last 256 results of a function of shapes.

    Under torch.compile the cache is bypassed: sizes may be symbols, which are not hashable (TypeError).
    """
    with_cache = lru_cache(256)(function)

    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        try:
            return with_cache(*args, **kwargs)  # type: ignore[arg-type]
        except TypeError:
            return function(*args, **kwargs)

    return call


def broadcast_shapes(*shapes: Shape) -> torch.Size:
    """`torch.broadcast_shapes`, without loading symbolic algebra at the first call (a third of a second).

    Raises ValueError if two sizes differ and neither is 1.
    """
    sizes = [1] * max([0, *map(len, shapes)])
    for shape in shapes:
        for position, size in enumerate(shape, start=len(sizes) - len(shape)):
            if size != 1 and sizes[position] not in (1, size):
                raise ValueError(f"shapes {', '.join(str(tuple(s)) for s in shapes)} do not broadcast")
            sizes[position] = size if size != 1 else sizes[position]
    return torch.Size(sizes)


@cached
def sizes_of(shapes: Sequence[Shape | None], n_steps: int | None, n_initial: int | None, central: bool) -> Sizes:
    """The sizes of a problem from the shapes of its arguments, in the order of LAYOUT; None or () for a number.

    Raises ValueError, with the argument and the expected shape, if the shapes are inconsistent.
    """
    named = {name: shape for name, shape in zip(LAYOUT, shapes, strict=True) if shape}
    for name, shape in named.items():
        if len(shape) < len(LAYOUT[name]):
            raise ValueError(_expected(name, shape))
    for name in ("coefficients", "forcing", "initial", "steps"):
        if name not in named:
            raise ValueError(_expected(name, ()))
    E, D, K = named["coefficients"][-3:]
    sizes = {"E": E, "D": D, "K": K, "K0": named["initial"][-1]}
    sizes["T"] = _length("T", n_steps, "n_steps", named)
    sizes["T-1"] = sizes["T"] - 1
    sizes["T0"] = _length("T0", n_initial, "n_initial", named)
    _require_ranges(named, sizes, central)
    for name, shape in named.items():
        _require_shape(name, shape, sizes)
    left = {name: shape for name, shape in named.items() if name not in RIGHT}
    del sizes["T-1"]
    return Sizes(**sizes, batch=_batch(named), left_batch=_batch(left))


def _expected(name: str, shape: Shape) -> str:
    return f"{name}: expected shape ({', '.join(('...', *LAYOUT[name]))}), found {tuple(shape)}"


def _length(dim: str, explicit: int | None, argument: str, shapes: Shapes) -> int:
    """T or T0: the explicit value, or that of the first tensor which is not broadcast over it."""
    if explicit is not None:
        return explicit
    for name, shape in shapes.items():
        dims = LAYOUT[name]
        for own, size in zip(dims, shape[-len(dims) :], strict=True):
            if own == dim and size != 1:
                return size
            if dim == "T" and own == "T-1" and size != 1:
                return size + 1
    if dim == "T0":
        return shapes["initial"][-3]
    raise ValueError(f"{argument}: every tensor is broadcast over the grid points; specify their number")


def _require_ranges(shapes: Shapes, sizes: dict[str, int], central: bool) -> None:
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


def _require_shape(name: str, shape: Shape, sizes: dict[str, int]) -> None:
    dims, broadcast = LAYOUT[name], BROADCAST[name]
    for size, dim in zip(shape[-len(dims) :], dims, strict=True):
        if size != sizes[dim] and not (size == 1 and dim in broadcast):
            values = ", ".join(f"{d} = {sizes[d]}" for d in dims)
            expected = ", ".join(("...", *(f"{d} or 1" if d in broadcast else d for d in dims)))
            raise ValueError(
                f"{name}: expected shape ({expected}) with {values}, found {tuple(shape)}: {dim} is {size}"
            )


def _batch(shapes: Shapes) -> torch.Size:
    batch = torch.Size()
    for name, shape in shapes.items():
        own = shape[: len(shape) - len(LAYOUT[name])]
        try:
            batch = broadcast_shapes(batch, own)
        except ValueError:
            text = f"{name}: batch shape {tuple(own)} does not broadcast with {tuple(batch)}"
            raise ValueError(f"{text} of the arguments before it") from None
    return batch
