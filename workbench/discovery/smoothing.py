"""Smoothing splines by the Taylor rows of the solver, to denoise data for the candidate functions."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from workbench.discovery.data import Segment, steps_of
from workbench.discovery.engine.responses import Integrator

PIECE = 128
"""Grid points smoothed at once; the middle half of each piece is used. The smoother extends over about 20 points."""
SELECTION_PIECES = 32
"""Pieces on which the stiffness is selected; a quarter of them if each has a different grid."""
STIFFNESSES = tuple(3.0**k for k in range(-6, 9))


def smooth(segment: Segment, integrator: Integrator) -> tuple[Tensor, Tensor]:
    """Smoothed states and their derivatives (N, D, 2), and the selected stiffness (D) of each variable.

    The stiffness minimises the leave-one-out error, which depends neither on units nor on the noise level. The smoother
    is linear, u = S x, so that the error at grid point t is (x - u)_t / (1 - S_tt); S_tt results from smoothing unit
    vectors. The step of the `integrator` is ignored. Segments with at most twice as many grid points as derivatives are
    smoothed with the smallest stiffness.
    Source: Wahba, "Spline Models for Observational Data" (1990).
    """
    pieces, times, starts = _pieces(segment)
    steps = steps_of(times)
    steps = steps if len(steps) == 1 else steps[:, None]
    # few values do not determine more derivatives
    smoother = replace(integrator, step=steps, derivatives=min(integrator.derivatives, max(2, len(segment) // 2)))
    candidates = segment.values.new_tensor(STIFFNESSES)
    if len(segment) > 2 * integrator.derivatives:
        same_grid = len(steps) == 1 and not pieces.isnan().any()
        stride = -(-len(pieces) // (SELECTION_PIECES if same_grid else SELECTION_PIECES // 4))
        subset = replace(smoother, step=steps if len(steps) == 1 else steps[::stride])
        stiffness = candidates[leave_one_out(pieces[::stride], candidates, subset).argmin(dim=0)]
    else:
        stiffness = candidates[:1].expand(segment.values.shape[1])
    missing = pieces.isnan()
    smoothed = smoother.smooth(pieces, stiffness, ~missing if missing.any() else None).transpose(1, 2)
    states = torch.empty(*segment.values.shape, 2, dtype=smoothed.dtype)
    margin = pieces.shape[-1] // 4
    for start, piece in zip(starts, smoothed, strict=True):
        skip = margin if start else 0
        states[start + skip : start + len(piece)] = piece[skip:]
    return states, stiffness


def leave_one_out(pieces: Tensor, stiffness: Tensor, integrator: Integrator) -> Tensor:
    """Mean squared leave-one-out error (J, D) of pieces (W, D, P) for each stiffness (J) and variable.

    Missing (NaN) values are excluded from the fit and from the mean.
    """
    W, D, P = pieces.shape
    missing = pieces.isnan()
    units = torch.eye(P, dtype=pieces.dtype, device=pieces.device)
    if missing.any() or integrator.steps(pieces).shape[0] > 1:
        # every piece has a different left-hand side
        both = torch.cat([pieces[None], units[:, None, None, :].expand(P, W, D, P)])
        smoothed = torch.stack([integrator.smooth(both, s.expand(D), ~missing)[..., 0] for s in stiffness])
        leverage = smoothed[:, 1:].diagonal(dim1=1, dim2=-1)
        left_out = (pieces - smoothed[:, 0]) / (1 - leverage)
        return left_out.square().nanmean(dim=(1, 3))
    smoothed = integrator.smooth(torch.cat([pieces.flatten(0, 1), units]), stiffness[:, None])[..., 0]
    leverage = smoothed[:, W * D :].diagonal(dim1=-2, dim2=-1)
    left_out = (pieces - smoothed[:, : W * D].unflatten(1, (W, D))) / (1 - leverage)[:, None, None, :]
    return left_out.square().mean(dim=(1, 3))


def _pieces(segment: Segment) -> tuple[Tensor, Tensor, Sequence[int]]:
    """Half-overlapping pieces (W, D, P) up to the end of the segment, their times (W, P) and start indices."""
    N = len(segment)
    P = min(PIECE, N)
    starts = [*range(0, N - P, P // 2), N - P]
    pieces = torch.stack([segment.values[start : start + P] for start in starts]).mT.contiguous()
    return pieces, torch.stack([segment.times[start : start + P] for start in starts]), starts
