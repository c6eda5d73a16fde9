"""Problems of random shapes from hypothesis, the same in every run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.solver.cases import conditions, draw, linear_ode, tensors
from tests.solver.oracle import NAMES, Arrays
from workbench.solver import solve


@dataclass(frozen=True)
class Shape:
    """Sizes of a batch of systems, and the seed of its values."""

    seed: int
    B: int
    T: int
    E: int
    D: int
    K: int
    T0: int
    K0: int


@st.composite
def shapes(draw: Any) -> Shape:
    """Sizes for which generic values give full rank: Taylor rows leave K unknowns per variable."""
    E, D, K = (draw(st.integers(low, high)) for low, high in ((1, 3), (1, 3), (2, 5)))
    K = min(K, 9 // D)
    T = draw(st.integers(2, 8))
    T0, K0 = draw(st.integers(0, min(T, 3))), draw(st.integers(0, K))
    missing = D * (K - min(K, T0 * K0))
    return Shape(draw(st.integers(0, 999)), draw(st.integers(1, 11)), max(T, -(-missing // E)), E, D, K, T0, K0)


def for_all_shapes(test: Callable[..., None], **more: st.SearchStrategy) -> Callable[..., None]:
    """Run the test on 15 fixed small shapes, without shrinking."""
    phases = (Phase.explicit, Phase.generate)
    fixed = settings(max_examples=15, deadline=None, derandomize=True, phases=phases)
    return fixed(given(shape=shapes(), **more)(test))


@cache
def system(shape: Shape, central: bool, index: int, gaps: bool = True) -> Arrays:
    """One system of the batch with unbroadcast arguments; gaps only if there is twice the necessary data."""
    sizes = {name: getattr(shape, name) for name in ("T", "E", "D", "K", "T0", "K0")}
    n_data = shape.T * shape.E + shape.D * min(shape.K, shape.T0 * shape.K0)
    gaps = gaps and n_data >= 2 * shape.D * shape.K
    fixed = {"batch": (), "whole": True, "scalars": False, "h": 1.0, "gaps": gaps}
    return draw(1000 * index + shape.seed, central=central, limit=1e4, **sizes, **fixed)


@cache
def batch(shape: Shape, central: bool, gaps: bool = True) -> Arrays:
    """All systems of the batch."""
    each = [system(shape, central, index, gaps) for index in range(shape.B)]
    return replace(each[0], **{name: np.stack([getattr(a, name) for a in each]) for name in NAMES})


@cache
def condition(shape: Shape, central: bool) -> float:
    """The largest cond(A) in the batch."""
    return float(conditions(batch(shape, central)).max())


def solution_and_gradients(
    a: Arrays, backend: str, method: str, values: dict[str, torch.Tensor] | None = None
) -> list[torch.Tensor]:
    """u, and the gradient of |u|^2 to every argument; `values` replaces the tensors."""
    leaves = {name: value.requires_grad_() for name, value in (values or tensors(a)).items()}
    u = solve(linear_ode(a, leaves), backend=backend, method=method).u
    return [u.detach(), *torch.autograd.grad(u.square().sum(), list(leaves.values()))]
