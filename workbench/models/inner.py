"""Projection inside the training of a network: the coefficients are solved for at every step, none is trained."""

import torch
from torch import Tensor

from workbench.models.responses import Integrator

MEMORY = 0.95
"""Weight of what was known before a batch, beside that of the batch: about the last twenty count."""


class Inner:
    """Xi (C, D) from all batches so far, the older the lighter, with a fitted initial value per window and variable.

    Xi minimises sum_b MEMORY^(-b) |P (x - R Xi)|^2 for windows x (B, T, D) and the solver's answers R (B, T, C) to the
    candidates from u(0) = 0. P subtracts the mean over each window: u' = f answers to u(0) by a constant, so that this
    fits u(0). At the best Xi the derivative of the sum with respect to Xi is zero, so that a gradient that takes Xi as
    given is exact for a single batch.
    Source: Golub & Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems Whose
    Variables Separate" (1973).
    """

    def __init__(self, candidates: int, variables: int) -> None:
        self.gram = torch.zeros(candidates, candidates, dtype=torch.float64)
        self.right = torch.zeros(candidates, variables, dtype=torch.float64)

    def add(self, candidates: Tensor, windows: Tensor, integrator: Integrator) -> None:
        """Candidates (B, T, C) along denoised windows, and the windows (B, T, D) as they were measured."""
        forcing = candidates.detach().double().movedim(-1, 0)
        answers = centred(integrator(forcing, forcing.new_zeros(forcing.shape[:2])).movedim(0, -1)).flatten(0, 1)
        data = centred(windows.double()).flatten(0, 1)
        self.gram = MEMORY * self.gram + answers.mT @ answers
        self.right = MEMORY * self.right + answers.mT @ data

    def values(self, mask: Tensor) -> Tensor:
        """Xi (C, D), 0 where mask (C, D) is; all 0 before the first batch."""
        found = torch.zeros_like(self.right)
        lengths = self.gram.diagonal().sqrt().clamp(min=1e-300)
        scaled = self.gram / (lengths[:, None] * lengths)
        for variable in range(found.shape[1]):
            terms = mask[:, variable].nonzero()[:, 0]
            inverse = torch.linalg.pinv(scaled[terms[:, None], terms], hermitian=True)
            found[terms, variable] = inverse @ (self.right[terms, variable] / lengths[terms]) / lengths[terms]
        return found


def centred(windows: Tensor) -> Tensor:
    """Windows (B, T, D) less their mean over T."""
    return windows - windows.mean(dim=1, keepdim=True)
