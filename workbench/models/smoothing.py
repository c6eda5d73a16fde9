"""Noise taken off a record before it enters the candidate functions, by the solver's own Taylor rows."""

import torch
from torch import Tensor

from workbench.models.responses import Integrator

PIECE = 128
"""Grid points smoothed at once; the middle half of every piece is kept. The smoother looks about 20 grid points far."""
JUDGED = 32
"""Pieces on which the stiffness is chosen."""


def smooth(record: Tensor, integrator: Integrator) -> tuple[Tensor, Tensor]:
    """States (N, D) without most of their noise, and the stiffness (D) that was chosen for each variable.

    The stiffness minimises the leave-one-out error: how badly a grid point is told by the smooth curve through the
    others. It knows neither units nor the size of the noise. The smoother is linear, u = S x, so that the error of
    leaving out grid point t is (x - u)_t / (1 - S_tt); S_tt comes from pushing unit vectors through the solver.
    A record too short to be judged, of no more than twice the derivatives kept, is given back as it is (stiffness 0).
    Source: Wahba, "Spline Models for Observational Data" (1990).
    """
    if len(record) <= 2 * integrator.derivatives:
        return record.clone(), record.new_zeros(record.shape[1])
    pieces, starts = _pieces(record)
    candidates = record.new_tensor([3.0**k for k in range(-6, 9)])
    errors = leave_one_out(pieces[:: -(-len(pieces) // JUDGED)], candidates, integrator)
    stiffness = candidates[errors.argmin(dim=0)]
    smoothed = integrator.smooth(pieces, stiffness).mT
    states = torch.empty_like(record)
    margin = pieces.shape[-1] // 4
    for start, piece in zip(starts, smoothed, strict=True):
        skip = margin if start else 0
        states[start + skip : start + len(piece)] = piece[skip:]
    return states, stiffness


def leave_one_out(pieces: Tensor, stiffness: Tensor, integrator: Integrator) -> Tensor:
    """Mean squared error of leaving out a grid point, per stiffness (J) and variable: pieces (W, D, P) -> (J, D)."""
    W, D, P = pieces.shape
    units = torch.eye(P, dtype=pieces.dtype, device=pieces.device)
    smoothed = integrator.smooth(torch.cat([pieces.flatten(0, 1), units]), stiffness[:, None])
    own = smoothed[:, W * D :].diagonal(dim1=-2, dim2=-1)
    left_out = (pieces - smoothed[:, : W * D].unflatten(1, (W, D))) / (1 - own)[:, None, None, :]
    return left_out.square().mean(dim=(1, 3))


def _pieces(record: Tensor) -> tuple[Tensor, list[int]]:
    """Half-overlapping pieces (W, D, P), the last one flush with the end, and where they start."""
    N = len(record)
    P = min(PIECE, N)
    starts = [*range(0, N - P, P // 2), N - P]
    return torch.stack([record[start : start + P] for start in starts]).mT.contiguous(), starts
