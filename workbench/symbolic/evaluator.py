"""Evaluate several expressions with common subexpressions shared, on torch tensors, NumPy arrays or floats."""

import math
import operator
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from workbench._deprecated import moved_names
from workbench.symbolic import expr
from workbench.symbolic.expr import ARITHMETIC, FUNCTIONS, TIME, Node
from workbench.symbolic.printers import short

Array = TypeVar("Array", Tensor, np.ndarray)


def _operations(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {**ARITHMETIC, "power": operator.pow, **{function: getattr(module, function) for function in FUNCTIONS}}


_TORCH, _NUMPY, _FLOAT = _operations(torch), _operations(np), {**ARITHMETIC, **FUNCTIONS}


class Evaluator:
    """Evaluates the expressions `outputs` of the variables `inputs` and time; each subexpression is computed once.

    Integer powers are computed as products, so that tensors, arrays and floats round alike.
    Raises ValueError for a name that is neither an input nor time, or a constant without a value, such as log(-1).
    """

    def __init__(self, outputs: Sequence[Node], inputs: tuple[str, ...]) -> None:
        self._inputs = inputs
        self._initial: list[float | None] = []
        self._reads: list[tuple[int, int | None]] = []
        self._steps: list[tuple[str, tuple[int, ...], int]] = []
        self._slots: dict[Node, int] = {}
        self._outputs = [self._slot(node) for node in outputs]
        self.uses_time = any(column is None for _, column in self._reads)

    def __len__(self) -> int:
        return len(self._outputs)

    def __call__(self, x: Array, time: Array | float | None = None) -> Array:
        """The outputs (..., C) at states x (..., inputs) and broadcastable times (...); differentiable for tensors.

        Non-finite values are returned as they are. Raises ValueError for a missing time or a wrong number of columns.
        """
        self._check(x.shape[-1], time)
        if isinstance(x, Tensor):
            time = None if time is None else torch.as_tensor(time, dtype=x.dtype, device=x.device)
            results = self._run(_TORCH, [x[..., i] for i in range(len(self._inputs))], time)
            shape: tuple[int, ...] = torch.broadcast_shapes(
                x.shape[:-1], *(r.shape for r in results if isinstance(r, Tensor))
            )
            full = [r.expand(shape) if isinstance(r, Tensor) else x.new_full(shape, r) for r in results]
            return torch.stack(full, dim=-1) if full else x.new_empty(*shape, 0)
        time = None if time is None else np.asarray(time, dtype=x.dtype)
        with np.errstate(all="ignore"):
            results = self._run(_NUMPY, [x[..., i] for i in range(len(self._inputs))], time)
        shape = np.broadcast_shapes(x.shape[:-1], *(np.shape(result) for result in results))
        full = [np.broadcast_to(result, shape) for result in results]
        return np.stack(full, axis=-1).astype(x.dtype, copy=False) if full else np.empty((*shape, 0))

    def at(self, state: Sequence[float], time: float | np.ndarray | None = None) -> list[float]:
        """The outputs at a single state of floats, fast enough for integrators; all NaN if one of them is undefined."""
        self._check(len(state), time)
        try:
            return self._run(_FLOAT, state, time)
        except (ArithmeticError, ValueError):
            return [math.nan] * len(self)

    def _run(self, operations: dict[str, Callable[..., Any]], columns: Sequence[Any], time: object) -> list[Any]:
        values: list[Any] = self._initial.copy()
        for slot, column in self._reads:
            values[slot] = time if column is None else columns[column]
        for operation, arguments, slot in self._steps:
            values[slot] = operations[operation](*[values[argument] for argument in arguments])
        return [values[slot] for slot in self._outputs]

    def _check(self, columns: int, time: object) -> None:
        if columns != len(self._inputs):
            raise ValueError(f"states: expected {len(self._inputs)} columns {self._inputs}, found {columns}")
        if self.uses_time and time is None:
            raise ValueError("the expressions contain time (t): expected the times of the states")

    # compilation

    def _slot(self, node: Node) -> int:
        """The slot of the value of `node`."""
        if node not in self._slots:
            self._slots[node] = self._compile(node)
        return self._slots[node]

    def _compile(self, node: Node) -> int:
        try:
            constant = expr.value(node)
        except ArithmeticError as error:
            raise ValueError(f"{short(node)} is undefined: {error}") from None
        if constant is None and node.operation == "name":
            self._reads.append((len(self._initial), self._column(str(node.leaf))))
        elif constant is None:
            step = self._step(node)  # first, because it allocates the slots of the arguments
            self._steps.append((*step, len(self._initial)))
        self._initial.append(constant)
        return len(self._initial) - 1

    def _step(self, node: Node) -> tuple[str, tuple[int, ...]]:
        if node.operation == "power":
            base, exponent = node.arguments[0], float(node.arguments[1].leaf)
            if exponent.is_integer() and exponent > 1:
                return "multiply", (self._slot(expr.power(base, exponent - 1)), self._slot(base))
            if exponent.is_integer():
                return "divide", (self._slot(expr.ONE), self._slot(expr.power(base, -exponent)))
        return node.operation, tuple(self._slot(argument) for argument in node.arguments)

    def _column(self, name: str) -> int | None:
        if name == TIME:
            return None
        if name not in self._inputs:
            raise ValueError(f"unknown variable {name}: expected one of {', '.join(self._inputs)}")
        return self._inputs.index(name)


__getattr__ = moved_names(
    __name__,
    {
        "Program": "symbolic.evaluator:Evaluator",
    },
)
