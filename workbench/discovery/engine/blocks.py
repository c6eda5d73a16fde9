"""Variable projection: linear least squares for the coefficients, with the initial values projected out.

Variables are divided by their standard deviation and candidates by their root mean square, so that results do not
depend on units.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from workbench.discovery.data import Windows
from workbench.discovery.engine.tangent import Rows, Tangent
from workbench.symbolic.library import Library

CHUNK = 2**20
"""Right-hand side values per call of the solver. It bounds the memory; larger chunks are slower because the solutions
exceed the cache, much smaller ones leave too little work per thread."""
Answers = Callable[[np.ndarray, slice], tuple[Tensor, Tensor, Tensor]]
"""(labels, variables) -> responses to initial values (I, W, T, D), to candidates (P, W, T, D), and the fixed part."""


@dataclass(frozen=True, eq=False)
class Scaler:
    """Conversion of physical and standardised coefficients: `scale` (S) of inputs, `sizes` (C) of candidates."""

    library: Library
    scale: Tensor
    sizes: Tensor

    @classmethod
    def of(cls, states: Tensor, library: Library, times: Tensor | None = None) -> "Scaler":
        """The scaler of states (N, S) at times (N); for order 2, derivatives have the scale of their variable.

        Raises ValueError for a constant variable, or a candidate that is non-finite or zero on the whole data set.
        """
        D = len(library.variables)
        scale = states[:, :D].std(dim=0)
        # constant data may vary by rounding
        floor = 1e-12 * states[:, :D].abs().amax(dim=0)
        for name, moves in zip(library.variables, (scale > floor).tolist(), strict=True):
            if not moves:
                raise ValueError(f"variable {name} is constant: there is no equation to discover for it")
        sizes = library.sizes(states, times)
        for name, value in zip(library.names, sizes.tolist(), strict=True):
            if not value > 0:
                raise ValueError(f"candidate {name} is zero on the whole data set")
        return cls(library, scale.repeat(library.order), sizes)

    @property
    def own(self) -> Tensor:
        """Scale (D) of the variables without derivatives."""
        return self.scale[: len(self.library.variables)]

    def physical(self, coefficients: Tensor) -> Tensor:
        """Convert standardised coefficients (C, D) to physical units."""
        return coefficients * self.own / self.sizes[:, None]

    def standardised(self, coefficients: Tensor) -> Tensor:
        """Convert physical coefficients (C, D) to standardised ones."""
        return coefficients * self.sizes[:, None] / self.own

    def to(self, dtype: torch.dtype) -> "Scaler":
        """The scaler in another floating-point type."""
        return Scaler(self.library, self.scale.to(dtype), self.sizes.to(dtype))

    def candidates(self, states: Tensor, times: Tensor | None = None) -> Tensor:
        """Standardised candidates (..., C) at standardised states (..., S)."""
        return self.library(states * self.scale, times) / self.sizes

    def slopes(self, states: Tensor, times: Tensor, coefficients: Tensor) -> Tensor:
        """Jacobian (..., D, S) of candidates @ coefficients with respect to the states."""
        flow = self.library.right_hand_side(self.physical(coefficients).numpy())
        jacobian = flow.jacobian(times, states * self.scale)[..., -len(self.own) :, :]
        return jacobian * self.scale / self.own[:, None]


@dataclass(frozen=True, eq=False)
class Block:
    """Least-squares problem of P coefficients, as a triangle over [initial values | candidates | data] per window.

    labels (P, 2): candidate and variable of each coefficient. triangles (W, I + P + 1, I + P + 1): of rows divided by
    the noise level.
    """

    labels: np.ndarray
    triangles: Tensor

    @property
    def initials(self) -> int:
        return self.triangles.shape[-1] - len(self.labels) - 1

    @property
    def reduced(self) -> Tensor:
        """Triangles (W, P + 1, P + 1) with the initial values projected out."""
        return self.triangles[:, self.initials :, self.initials :]

    @cached_property
    def grams(self) -> np.ndarray:
        """Gram matrices [candidates | data]^T [candidates | data] (W, P + 1, P + 1) of the windows."""
        return (self.reduced.mT @ self.reduced).numpy()

    @cached_property
    def triangle(self) -> np.ndarray:
        """Triangle (P + 1, P + 1) of all windows."""
        return _triangle(self.reduced.flatten(0, 1)).numpy()

    def initial(self, values: Tensor) -> Tensor:
        """Optimal initial values (W, I) for coefficients (P)."""
        I = self.initials
        right = self.triangles[:, :I, -1:] - self.triangles[:, :I, I:-1] @ values[:, None]
        return torch.from_numpy(np.linalg.solve(self.triangles[:, :I, :I].numpy(), right.numpy()))[..., 0]


@dataclass(frozen=True, eq=False)
class Linearised:
    """The equations linearised about standardised `states` (W, T, S) of `windows` with standardised values.

    coefficients (C, D): of the present equations, for J; None: J = 0, so that candidates are functions of time. known
    (C, D): the fixed part of Xi. noise (D): noise level of each variable.
    """

    units: Scaler
    rows: Rows
    windows: Windows
    states: Tensor
    coefficients: Tensor | None
    known: Tensor
    noise: Tensor

    def blocks(self, free: np.ndarray) -> list[Block]:
        """Problems of the coefficients where `free` (C, D): one per variable if J = 0, else one for all.

        Raises FloatingPointError for non-finite responses.
        """
        D = free.shape[1]
        if self.coefficients is None:
            groups = [np.array([(c, d) for c in np.flatnonzero(free[:, d])], int).reshape(-1, 2) for d in range(D)]
        else:
            groups = [np.argwhere(free.T)[:, ::-1]]
        columns = sum(map(len, groups)) if self.coefficients is not None else len(free) + 1
        at_once = max(1, CHUNK // (self.windows.length * D * (columns + 1)))
        parts = [self._triangles(part, groups) for part in torch.arange(len(self.windows)).split(at_once)]
        found = [Block(labels, torch.cat(own)) for labels, own in zip(groups, zip(*parts, strict=True), strict=True)]
        if not all(block.triangles.isfinite().all() for block in found):
            raise FloatingPointError("the responses to the candidates are not finite")
        return found

    def follow(self, blocks: list[Block], coefficients: Tensor) -> Tensor:
        """States (W, T, S) of the linearised equations with Xi (C, D), from the optimal initial values."""
        order, D = self.rows.order, coefficients.shape[1]
        starts = [b.initial(coefficients[b.labels[:, 0], b.labels[:, 1]]) for b in blocks]
        # problems of single variables have initial values (W, order)
        initial = torch.stack(starts, dim=-1).flatten(-2) if self.coefficients is None else starts[0]
        at_once = max(1, CHUNK // (self.windows.length * D * order))
        found = []
        for part in torch.arange(len(self.windows)).split(at_once):
            slopes = self._slopes(part)
            forcing = self._candidates(part) @ (coefficients + self.known) - self._pull(part, slopes)
            found.append(self._tangent(part, slopes)(forcing[None], initial[None, part])[0])
        return torch.cat(found)

    # one part of the windows

    def _candidates(self, part: Tensor) -> Tensor:
        return self.units.candidates(self.states[part], self.windows.times[part])

    def _slopes(self, part: Tensor) -> Tensor | None:
        if self.coefficients is None:
            return None
        return self.units.slopes(self.states[part], self.windows.times[part], self.coefficients)

    def _pull(self, part: Tensor, slopes: Tensor | None) -> Tensor | float:
        """J u, the correction of the linearised forcing."""
        return 0.0 if slopes is None else (slopes @ self.states[part][..., None])[..., 0]

    def _tangent(self, part: Tensor, slopes: Tensor | None) -> Tangent:
        steps = self.windows.steps
        return Tangent(self.rows, steps if len(steps) == 1 else steps[part], slopes)

    def _triangles(self, part: Tensor, groups: list[np.ndarray]) -> list[Tensor]:
        weight = self.windows.present[part] / self.noise
        data = self.windows.values[part]
        answers = self._separate(part) if self.coefficients is None else self._joint(part, groups[0])
        found = []
        for variable, labels in enumerate(groups):
            own = slice(variable, variable + 1) if self.coefficients is None else slice(None)
            initial, responses, offset = answers(labels, own)
            columns = torch.cat([initial, responses, (data[..., own] - offset)[None]]) * weight[..., own]
            found.append(_triangle(columns.movedim(0, -1).flatten(1, 2)))
        return found

    def _separate(self, part: Tensor) -> Answers:
        """Responses for J = 0, which are equal for all variables, so that each candidate is integrated once."""
        theta, order = self._candidates(part), self.rows.order
        C, (W, T) = theta.shape[-1], theta.shape[:2]
        forcing = torch.cat([theta.movedim(-1, 0), theta.new_zeros(order, W, T)])[..., None]
        initial = torch.cat([theta.new_zeros(C, order), torch.eye(order, dtype=theta.dtype)])[:, None].expand(-1, W, -1)
        u = self._tangent(part, None)(forcing, initial)[..., :1]

        def answers(labels: np.ndarray, own: slice) -> tuple[Tensor, Tensor, Tensor]:
            offset = torch.einsum("cwti,ci->wti", u[:C], self.known[:, own])
            return u[C:], u[labels[:, 0]], offset

        return answers

    def _joint(self, part: Tensor, labels: np.ndarray) -> Answers:
        """Responses of the coupled variables."""
        theta, slopes = self._candidates(part), self._slopes(part)
        (W, T, _), S, P, D = theta.shape, self.states.shape[-1], len(labels), self.known.shape[1]
        forcing = theta.new_zeros(S + P + 1, W, T, D)
        for place, (candidate, variable) in enumerate(labels.tolist()):
            forcing[S + place, ..., variable] = theta[..., candidate]
        forcing[-1] = theta @ self.known - self._pull(part, slopes)
        initial = theta.new_zeros(S + P + 1, W, S)
        initial[:S] = torch.eye(S, dtype=theta.dtype)[:, None]
        u = self._tangent(part, slopes)(forcing, initial)[..., :D]
        return lambda labels, own: (u[:S], u[S:-1], u[-1])


def _triangle(columns: Tensor) -> Tensor:
    """Triangle R (..., n, n) with R^T R = A^T A for columns A (..., m, n), by shifted Cholesky QR in three passes.

    As accurate as Householder QR for a condition below 1e12; a linearly dependent column gets a diagonal of 1e-13 of
    its length. It uses matrix products and small factorisations by NumPy: the LAPACK of torch synchronises its threads
    for each of many small matrices, which takes seconds instead of milliseconds on a shared machine.
    Source: Fukaya, Kannan, Nakatsukasa, Yamamoto, Yanagisawa, "Shifted Cholesky QR for computing the QR factorization
    of ill-conditioned matrices" (2020).
    """
    lengths = columns.norm(dim=-2, keepdim=True).clamp(min=1e-300)
    if not lengths.isfinite().all():
        return columns.new_full((*columns.shape[:-2], *2 * columns.shape[-1:]), torch.nan)
    q, triangle = columns / lengths, torch.diag_embed(lengths[..., 0, :])
    for shift in (1e-13, 1e-15, 1e-15):
        gram = q.mT @ q
        gram.diagonal(dim1=-2, dim2=-1).add_(shift * q.shape[-1])
        factor = np.linalg.cholesky(gram.numpy())
        q = q @ torch.from_numpy(np.linalg.inv(factor)).mT
        triangle = torch.from_numpy(factor).mT @ triangle
    return triangle
