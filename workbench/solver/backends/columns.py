"""Group systems that share a left-hand side as columns of right-hand sides."""

from math import prod

import torch
from torch import Tensor

from workbench.solver.problem import LinearODE


class Columns:
    """Split the batch into L left-hand sides with C right-hand sides each.

    Batch dimensions over which coefficients, steps and weights are all broadcast become columns: their systems are
    factored once. `pack` converts (B, ...) to (L, ..., C), `unpack` converts back.
    """

    def __init__(self, problem: LinearODE) -> None:
        self.batch = problem.batch
        rank = len(self.batch)
        self.left = (1,) * (rank - len(problem.left_batch)) + tuple(problem.left_batch)
        self._column_dims = [i for i in range(rank) if self.left[i] == 1 and self.batch[i] != 1]
        self._left_dims = [i for i in range(rank) if i not in self._column_dims]
        self.L = prod(self.batch[i] for i in self._left_dims)
        self.C = prod(self.batch[i] for i in self._column_dims)

    def pack(self, x: Tensor, n: int) -> Tensor:
        """x (B, ...) with n trailing dimensions -> (L, ..., C)."""
        rank = len(self.batch)
        tail = x.shape[x.ndim - n :]
        order = [*self._left_dims, *range(rank, rank + n), *self._column_dims]
        return x.expand(*self.batch, *tail).permute(order).reshape(self.L, *tail, self.C)

    def unpack(self, x: Tensor) -> Tensor:
        """x (L, ..., C) -> (B, ...)."""
        tail = x.shape[1:-1]
        order = [*self._left_dims, *range(len(self.batch), len(self.batch) + len(tail)), *self._column_dims]
        shape = [*(self.batch[i] for i in self._left_dims), *tail, *(self.batch[i] for i in self._column_dims)]
        inverse = sorted(range(len(order)), key=order.__getitem__)
        return x.reshape(shape).permute(inverse).contiguous()

    def pack_left(self, x: Tensor, n: int) -> Tensor:
        """x (left batch, ...) with n trailing dimensions -> (L, ...)."""
        tail = x.shape[x.ndim - n :]
        return x.expand(*self.left, *tail).reshape(self.L, *tail)

    def unpack_left(self, x: Tensor) -> Tensor:
        """x (L) -> (B)."""
        return torch.as_tensor(x).reshape(self.left).expand(self.batch).contiguous()
