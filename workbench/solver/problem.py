"""The problem: a batch of linear ordinary differential equations on a time grid, each one sparse least squares."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from workbench.solver.shapes import LAYOUT, Sizes, sizes_of


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of the rows; they multiply rows, so they enter the sum of squares squared.

    equation: scalar or (B, T or 1, E or 1); 0 drops the row, whose coefficients and forcing are then never read.
    initial: scalar or (B, T0 or 1, D or 1, K0 or 1); 0 drops the row, whose initial value is then never read.
    taylor: scalar or (B, T-1 or 1, D or 1), for the Taylor rows and the central rows.

    A dropped datum may be NaN: that is how gaps in data are said. Tensors are differentiable.
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

    The unknown u (B, T, D, K) minimises the sum of squares of the equation rows, the rows of the initial values and the
    Taylor rows that tie neighbouring grid points (`workbench.solver.rows` is their definition).

    coefficients: (B, T or 1, E, D, K). forcing: (B, T or 1, E).
    initial: (B, T0 or 1, D, K0), prescribed derivatives k < K0 at the first T0 grid points; T0 = 0 or K0 = 0: none.
    steps: (B, T-1 or 1), > 0, in the unit of time.
    B is any batch shape; batch dimensions broadcast by the usual rules. T >= 2, K >= 1.
    central: add the central rows; the Taylor rows of the top derivative are then left out. Needs K >= 2.
    n_steps, n_initial: T and T0 where every tensor is broadcast over them.

    Tensors are float32 or float64, all alike. Inside torch.autocast half precision and mixtures come in as float32.

    Raises TypeError for a wrong type or mixed dtypes or devices, ValueError for shapes that do not fit; both name the
    argument and say what was expected.
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
    """Batch shape of what the matrix depends on: coefficients, steps and weights. The rest may share a factor."""
    tensors: dict[str, Tensor] = field(init=False, repr=False)
    """Every argument by name, weights included, as tensors of at least their row dimensions."""

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
        """The problem whose `tensors` these are, in the order of LAYOUT, already checked."""
        problem = object.__new__(cls)
        c, r, v, h, *w = tensors
        given = (c, r, v, h, Weights(*w), central, n_steps, n_initial)
        for name, value in zip(_GIVEN, given, strict=True):
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
        """How many Taylor rows a variable has per interval and direction: K, or K - 1 with central rows."""
        return self.K - 1 if self.central else self.K

    def to(self, dtype: torch.dtype) -> "LinearODE":
        """The same problem in another floating-point type; differentiable."""
        if dtype == self.dtype:
            return self

        return replace(self, **self._cast(dtype))

    def _cast(self, dtype: torch.dtype) -> dict[str, Any]:
        """The fields that hold tensors, in another floating-point type."""

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
        """Inside torch.autocast a problem comes in as float32, unless all of it is float64."""
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
                raise TypeError(f"{name}: expected dtype {dtype} as coefficients have, found {value.dtype}")
            elif value.device != device:
                raise TypeError(f"{name}: expected device {device} as coefficients have, found {value.device}")
        for name, given in (("n_steps", self.n_steps), ("n_initial", self.n_initial)):
            if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
                raise TypeError(f"{name}: expected an int, found {type(given).__name__} {given!r}")

    def _arguments(self) -> tuple[Tensor | float, ...]:
        """In the order of LAYOUT."""
        w = self.weights
        return self.coefficients, self.forcing, self.initial, self.steps, w.equation, w.initial, w.taylor


def _require_weight(name: str, value: object) -> None:
    """Only a weight may be a plain number."""
    if "." not in name:
        raise TypeError(f"{name}: expected a torch.Tensor, found {type(value).__name__}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a number or a torch.Tensor, found {type(value).__name__}")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}: expected a finite number >= 0, found {value}")


_GIVEN = ("coefficients", "forcing", "initial", "steps", "weights", "central", "n_steps", "n_initial")
_SIZES = ("T", "T0", "E", "D", "K", "K0", "batch", "left_batch")
