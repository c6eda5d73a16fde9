"""The problem: a batch of linear ordinary differential equations on a time grid, each one sparse least squares."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor


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

AUTOCAST = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def _autocast(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def broadcast_shapes(*shapes: tuple[int, ...]) -> torch.Size:
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
        sizes = self._infer_sizes()
        self._check_shapes(sizes)
        derived: dict[str, Any] = {name: sizes[name] for name in ("T", "T0", "E", "D", "K", "K0")}
        derived["batch"] = self._broadcast_batch(*LAYOUT)
        derived["left_batch"] = self._broadcast_batch(*(name for name in LAYOUT if name not in RIGHT))
        derived["tensors"] = {name: self._as_tensor(self._raw(name), len(dims)) for name, dims in LAYOUT.items()}
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_tensors(cls, tensors: Sequence[Tensor], n_steps: int, n_initial: int, central: bool) -> "LinearODE":
        """The problem whose `tensors` these are, in the order of LAYOUT, already checked: nothing is checked again."""
        problem = object.__new__(cls)
        c, r, v, h, *w = tensors
        own = {name: x.shape[: x.ndim - len(LAYOUT[name])] for name, x in zip(LAYOUT, tensors, strict=True)}
        E, D, K = c.shape[-3:]
        values = {
            **{"coefficients": c, "forcing": r, "initial": v, "steps": h, "weights": Weights(*w)},
            **{"central": central, "n_steps": n_steps, "n_initial": n_initial},
            **{"T": n_steps, "T0": n_initial, "E": E, "D": D, "K": K, "K0": v.shape[-1]},
            "batch": broadcast_shapes(*own.values()),
            "left_batch": broadcast_shapes(*(shape for name, shape in own.items() if name not in RIGHT)),
            "tensors": dict(zip(LAYOUT, tensors, strict=True)),
        }
        for name, value in values.items():
            object.__setattr__(problem, name, value)
        return problem

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
        tensors = [x for x in map(self._raw, LAYOUT) if isinstance(x, Tensor)]
        dtypes = {x.dtype for x in tensors}
        if dtypes == {torch.float64} or not dtypes <= AUTOCAST or not any(_autocast(x.device.type) for x in tensors):
            return
        for name, value in self._cast(torch.float32).items():
            object.__setattr__(self, name, value)

    def _check_types(self) -> None:
        for name in ("coefficients", "forcing", "initial", "steps"):
            if not isinstance(getattr(self, name), Tensor):
                raise TypeError(f"{name}: expected a torch.Tensor, found {type(getattr(self, name)).__name__}")
        if self.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"coefficients: expected dtype torch.float32 or torch.float64, found {self.dtype}")
        for name in LAYOUT:
            value = self._raw(name)
            if isinstance(value, Tensor):
                if value.dtype != self.dtype:
                    raise TypeError(f"{name}: expected dtype {self.dtype} as coefficients have, found {value.dtype}")
                if value.device != self.device:
                    raise TypeError(f"{name}: expected device {self.device} as coefficients have, found {value.device}")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name}: expected a number or a torch.Tensor, found {type(value).__name__}")
            elif not 0 <= value < float("inf"):
                raise ValueError(f"{name}: expected a finite number >= 0, found {value}")

    def _raw(self, name: str) -> Tensor | float:
        owner, _, attribute = name.rpartition(".")
        return getattr(self.weights if owner else self, attribute)

    def _infer_sizes(self) -> dict[str, int]:
        for name, dims in LAYOUT.items():
            value = self._raw(name)
            if isinstance(value, Tensor) and value.ndim < len(dims) and (value.ndim > 0 or "." not in name):
                expected = ", ".join(("...", *dims))
                raise ValueError(f"{name}: expected shape ({expected}), found {tuple(value.shape)}")
        E, D, K = self.coefficients.shape[-3:]
        sizes = {"E": E, "D": D, "K": K, "K0": self.initial.shape[-1]}
        sizes["T"] = self._infer_length("T", self.n_steps, "n_steps")
        sizes["T-1"] = sizes["T"] - 1
        sizes["T0"] = self._infer_length("T0", self.n_initial, "n_initial")
        return sizes

    def _infer_length(self, dim: str, given: int | None, argument: str) -> int:
        """T or T0: what is given, else the first tensor that is not broadcast over it."""
        if given is not None:
            if isinstance(given, bool) or not isinstance(given, int):
                raise TypeError(f"{argument}: expected an int, found {type(given).__name__} {given!r}")
            return given
        for name, dims in LAYOUT.items():
            value = self._raw(name)
            if not isinstance(value, Tensor) or value.ndim == 0:
                continue
            for position, found in enumerate(dims, start=-len(dims)):
                size = value.shape[position]
                if found == dim and size != 1:
                    return size
                if dim == "T" and found == "T-1" and size != 1:
                    return size + 1
        if dim == "T0":
            return self.initial.shape[-3]
        raise ValueError(f"{argument}: every tensor is broadcast over the grid points; say how many there are")

    def _check_shapes(self, sizes: dict[str, int]) -> None:
        if sizes["T"] < 2:
            raise ValueError(f"n_steps: expected at least 2 grid points, found {sizes['T']}")
        for dim in ("E", "D", "K"):
            if sizes[dim] < 1:
                raise ValueError(f"coefficients: expected {dim} >= 1, found shape {tuple(self.coefficients.shape)}")
        if self.central and sizes["K"] < 2:
            raise ValueError(f"central: central rows need K >= 2 (last dimension of coefficients), found {sizes['K']}")
        if sizes["K0"] > sizes["K"]:
            raise ValueError(f"initial: expected K0 <= K = {sizes['K']} (its last dimension), found K0 = {sizes['K0']}")
        if sizes["T0"] < 0:
            raise ValueError(f"n_initial: expected n_initial >= 0, found {sizes['T0']}")
        if sizes["T0"] > sizes["T"]:
            raise ValueError(f"initial: expected T0 <= T = {sizes['T']} grid points, found T0 = {sizes['T0']}")
        for name, dims in LAYOUT.items():
            value = self._raw(name)
            if isinstance(value, Tensor) and value.ndim:
                self._check_shape(name, value, dims, sizes)

    @staticmethod
    def _check_shape(name: str, value: Tensor, dims: tuple[str, ...], sizes: dict[str, int]) -> None:
        for position, dim in enumerate(dims, start=-len(dims)):
            size = value.shape[position]
            if size != sizes[dim] and not (size == 1 and dim in BROADCAST[name]):
                known = ", ".join(f"{d} = {sizes[d]}" for d in dims)
                expected = ", ".join(("...", *(f"{d} or 1" if d in BROADCAST[name] else d for d in dims)))
                found = tuple(value.shape)
                raise ValueError(f"{name}: expected shape ({expected}) with {known}, found {found}: {dim} is {size}")

    def _broadcast_batch(self, *names: str) -> torch.Size:
        shapes = {
            value.shape[: value.ndim - len(LAYOUT[name])]
            for name in names
            for value in [self._raw(name)]
            if isinstance(value, Tensor) and value.ndim
        }
        if len(shapes) == 1:
            return shapes.pop()
        batch = torch.Size()
        for name in names:
            value = self._raw(name)
            if isinstance(value, Tensor) and value.ndim:
                own = value.shape[: value.ndim - len(LAYOUT[name])]
                try:
                    batch = broadcast_shapes(batch, own)
                except ValueError:
                    found = f"{name}: batch shape {tuple(own)} does not broadcast with {tuple(batch)}"
                    raise ValueError(f"{found} of the arguments before it") from None
        return batch
