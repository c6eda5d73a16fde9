"""The problem class: a batch of linear ODEs on a time grid, each a sparse least-squares problem."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from workbench.solver.shapes import LAYOUT, Sizes, sizes_of


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of the rows; they multiply the rows, so the sum of squares contains their squares.

    equation: scalar or (B, T or 1, E or 1); 0 drops the row, whose coefficients and forcing are then ignored.
    initial: scalar or (B, T0 or 1, D or 1, K0 or 1); 0 drops the row, whose initial value is then ignored.
    taylor: scalar or (B, T-1 or 1, D or 1), for the Taylor rows and the central rows.

    Ignored values may be NaN, which is how gaps in data are represented. Tensors are differentiable.
    """

    equation: Tensor | float = 1.0
    initial: Tensor | float = 1.0
    taylor: Tensor | float = 1.0


AUTOCAST = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def _autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


@dataclass(frozen=True, eq=False)
class LinearODE:
    """sum_{d,k} c[t,e,d,k] u[t,d,k] = r[t,e], with u[t,d,k] the k-th derivative of variable d at grid point t.

    The unknown u (B, T, D, K) minimises the sum of squares of the equation rows, the initial-value rows and the Taylor
    rows that couple neighbouring grid points (defined in `workbench.solver.rows`).

    coefficients: (B, T or 1, E, D, K). forcing: (B, T or 1, E).
    initial: (B, T0 or 1, D, K0), derivatives k < K0 at the first T0 grid points; T0 = 0 or K0 = 0 for none.
    steps: (B, T-1 or 1), > 0, in the unit of time.
    B is any batch shape; batch dimensions broadcast by the usual rules. T >= 2, K >= 1.
    central: add the central rows and omit the Taylor rows of the highest derivative. Requires K >= 2.
    n_steps, n_initial: T and T0, if every tensor is broadcast over them.

    Tensors are float32 or float64, all of the same dtype. Inside torch.autocast half precision and mixed dtypes are
    cast to float32.

    Raises TypeError for a wrong type or mixed dtypes or devices, ValueError for inconsistent shapes; both messages
    contain the argument and what was expected.
    """

    coefficients: Tensor
    forcing: Tensor
    initial: Tensor
    steps: Tensor
    weights: Weights = field(default=None, kw_only=True)  # type: ignore[assignment]  # an instance stops torch.compile
    central: bool = field(default=False, kw_only=True)
    n_steps: int | None = field(default=None, kw_only=True)
    n_initial: int | None = field(default=None, kw_only=True)

    T: int = field(init=False)
    T0: int = field(init=False)
    E: int = field(init=False)
    D: int = field(init=False)
    K: int = field(init=False)
    K0: int = field(init=False)
    batch: torch.Size = field(init=False)
    left_batch: torch.Size = field(init=False)
    """Batch shape of the left-hand side (coefficients, steps and weights); systems that share one share a factor."""
    tensors: dict[str, Tensor] = field(init=False, repr=False)
    """Every argument by name, including weights, as a tensor with at least its row dimensions."""

    def __post_init__(self) -> None:
        if self.weights is None:
            object.__setattr__(self, "weights", Weights())
        self._cast_under_autocast()
        self._check_types()
        arguments = self._arguments()
        shapes = tuple([x.shape if isinstance(x, Tensor) else None for x in arguments])
        sizes = sizes_of(shapes, self.n_steps, self.n_initial, self.central)
        tensors = [self._as_tensor(x, len(dims)) for x, dims in zip(arguments, LAYOUT.values(), strict=True)]
        self._derive(tensors, sizes)

    @classmethod
    def from_tensors(cls, tensors: Sequence[Tensor], n_steps: int, n_initial: int, central: bool) -> "LinearODE":
        """The problem from its `tensors`, in the order of LAYOUT, which must be valid."""
        problem = object.__new__(cls)
        c, r, v, h, *w = tensors
        values = (c, r, v, h, Weights(*w), central, n_steps, n_initial)
        for name, value in zip(_INIT_FIELDS, values, strict=True):
            object.__setattr__(problem, name, value)
        problem._derive(tensors, sizes_of(tuple([x.shape for x in tensors]), n_steps, n_initial, central))
        return problem

    def _derive(self, tensors: Sequence[Tensor], sizes: Sizes) -> None:
        object.__setattr__(self, "tensors", dict(zip(LAYOUT, tensors, strict=True)))
        for name in _SIZES:
            object.__setattr__(self, name, getattr(sizes, name))

    # sizes and derived quantities

    @property
    def R(self) -> int:
        """Unknowns per grid point, D * K, variable-major."""
        return self.D * self.K

    @property
    def dtype(self) -> torch.dtype:
        return self.coefficients.dtype

    @property
    def device(self) -> torch.device:
        return self.coefficients.device

    @property
    def taylor_orders(self) -> int:
        """Number of Taylor rows per variable, step and direction: K, or K - 1 with central rows."""
        return self.K - 1 if self.central else self.K

    def to(self, dtype: torch.dtype) -> "LinearODE":
        """The problem in another floating-point type; differentiable."""
        if dtype == self.dtype:
            return self

        return replace(self, **self._cast(dtype))

    def _cast(self, dtype: torch.dtype) -> dict[str, Any]:
        """The fields that hold tensors, cast to `dtype`."""

        def cast(x: Tensor | float) -> Tensor | float:
            return x.to(dtype) if isinstance(x, Tensor) else x

        w = self.weights
        weights = Weights(cast(w.equation), cast(w.initial), cast(w.taylor))
        named = {name: cast(getattr(self, name)) for name in ("coefficients", "forcing", "initial", "steps")}
        return {**named, "weights": weights}

    # checks

    def _as_tensor(self, value: Tensor | float, rank: int) -> Tensor:
        if not isinstance(value, Tensor):
            return torch.full((1,) * rank, float(value), dtype=self.dtype, device=self.device)
        return value.reshape((1,) * rank) if value.ndim == 0 else value

    def _cast_under_autocast(self) -> None:
        """Inside torch.autocast, cast the problem to float32 unless all of it is float64."""
        tensors = [x for x in self._arguments() if isinstance(x, Tensor)]
        dtypes = {x.dtype for x in tensors}
        if dtypes == {torch.float64} or not dtypes <= AUTOCAST or not any(_autocast(x.device.type) for x in tensors):
            return
        for name, value in self._cast(torch.float32).items():
            object.__setattr__(self, name, value)

    def _check_types(self) -> None:
        dtype, device = getattr(self.coefficients, "dtype", None), getattr(self.coefficients, "device", None)
        for name, value in zip(LAYOUT, self._arguments(), strict=True):
            if not isinstance(value, Tensor):
                _require_weight(name, value)
            elif name == "coefficients" and dtype not in (torch.float32, torch.float64):
                raise TypeError(f"coefficients: expected dtype torch.float32 or torch.float64, found {dtype}")
            elif value.dtype != dtype:
                raise TypeError(f"{name}: expected dtype {dtype} as for coefficients, found {value.dtype}")
            elif value.device != device:
                raise TypeError(f"{name}: expected device {device} as for coefficients, found {value.device}")
        for name, count in (("n_steps", self.n_steps), ("n_initial", self.n_initial)):
            if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
                raise TypeError(f"{name}: expected an int, found {type(count).__name__} {count!r}")

    def _arguments(self) -> tuple[Tensor | float, ...]:
        """The arguments in the order of LAYOUT."""
        w = self.weights
        return self.coefficients, self.forcing, self.initial, self.steps, w.equation, w.initial, w.taylor


def _require_weight(name: str, value: object) -> None:
    """Check an argument that is not a tensor: only weights may be plain numbers, finite and >= 0."""
    if "." not in name:
        raise TypeError(f"{name}: expected a torch.Tensor, found {type(value).__name__}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a number or a torch.Tensor, found {type(value).__name__}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}: expected a finite number >= 0, found {value}")


_INIT_FIELDS = ("coefficients", "forcing", "initial", "steps", "weights", "central", "n_steps", "n_initial")
_SIZES = ("T", "T0", "E", "D", "K", "K0", "batch", "left_batch")
