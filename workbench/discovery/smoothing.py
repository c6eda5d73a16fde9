"""Noise taken off a record before it enters the candidate functions, by the solver's own Taylor rows."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from workbench.discovery.data import Segment, steps_of
from workbench.discovery.engine.responses import Integrator

PIECE = 128
"""Grid points smoothed at once; the middle half of every piece is kept. The smoother looks about 20 grid points far."""
JUDGED = 32
"""Pieces on which the stiffness is chosen; a quarter of them where each has its own grid."""
STIFFNESSES = tuple(3.0**k for k in range(-6, 9))


def smooth(run: Segment, integrator: Integrator) -> tuple[Tensor, Tensor]:
    """States and their derivatives (N, D, 2) without most of the noise, and the stiffness (D) chosen per variable.

    The stiffness minimises the leave-one-out error: how badly a grid point is told by the smooth curve through the
    others. It knows neither units nor the size of the noise. The smoother is linear, u = S x, so that the error of
    leaving out grid point t is (x - u)_t / (1 - S_tt); S_tt comes from pushing unit vectors through the solver.
    Of the `integrator` only its rows count, not its step. A run too short to be judged, of no more than twice the
    derivatives kept, is smoothed with the least stiffness.
    Source: Wahba, "Spline Models for Observational Data" (1990).
    """
    pieces, times, starts = _pieces(run)
    steps = steps_of(times)
    steps = steps if len(steps) == 1 else steps[:, None]
    # so few values do not determine more derivatives
    own = replace(integrator, step=steps, derivatives=min(integrator.derivatives, max(2, len(run) // 2)))
    candidates = run.values.new_tensor(STIFFNESSES)
    if len(run) > 2 * integrator.derivatives:
        every = -(-len(pieces) // (JUDGED if len(steps) == 1 and not pieces.isnan().any() else JUDGED // 4))
        judged = replace(own, step=steps if len(steps) == 1 else steps[::every])
        stiffness = candidates[leave_one_out(pieces[::every], candidates, judged).argmin(dim=0)]
    else:
        stiffness = candidates[:1].expand(run.values.shape[1])
    missing = pieces.isnan()
    smoothed = own.smooth(pieces, stiffness, ~missing if missing.any() else None).transpose(1, 2)
    states = torch.empty(*run.values.shape, 2, dtype=smoothed.dtype)
    margin = pieces.shape[-1] // 4
    for start, piece in zip(starts, smoothed, strict=True):
        skip = margin if start else 0
        states[start + skip : start + len(piece)] = piece[skip:]
    return states, stiffness


def leave_one_out(pieces: Tensor, stiffness: Tensor, integrator: Integrator) -> Tensor:
    """Mean squared error of leaving out a grid point, per stiffness (J) and variable: pieces (W, D, P) -> (J, D).

    Missing (NaN) values are not left out, they are absent.
    """
    W, D, P = pieces.shape
    missing = pieces.isnan()
    units = torch.eye(P, dtype=pieces.dtype, device=pieces.device)
    if missing.any() or integrator.steps(pieces).shape[0] > 1:
        # every piece has a left-hand side of its own
        both = torch.cat([pieces[None], units[:, None, None, :].expand(P, W, D, P)])
        smoothed = torch.stack([integrator.smooth(both, s.expand(D), ~missing)[..., 0] for s in stiffness])
        own = smoothed[:, 1:].diagonal(dim1=1, dim2=-1)
        left_out = (pieces - smoothed[:, 0]) / (1 - own)
        return left_out.square().nanmean(dim=(1, 3))
    smoothed = integrator.smooth(torch.cat([pieces.flatten(0, 1), units]), stiffness[:, None])[..., 0]
    own = smoothed[:, W * D :].diagonal(dim1=-2, dim2=-1)
    left_out = (pieces - smoothed[:, : W * D].unflatten(1, (W, D))) / (1 - own)[:, None, None, :]
    return left_out.square().mean(dim=(1, 3))


def _pieces(run: Segment) -> tuple[Tensor, Tensor, Sequence[int]]:
    """Half-overlapping pieces (W, D, P), the last one flush with the end, their times (W, P) and where they start."""
    N = len(run)
    P = min(PIECE, N)
    starts = [*range(0, N - P, P // 2), N - P]
    pieces = torch.stack([run.values[start : start + P] for start in starts]).mT.contiguous()
    return pieces, torch.stack([run.times[start : start + P] for start in starts]), starts
