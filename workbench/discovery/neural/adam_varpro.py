"""Adam with variable projection inside: a network takes the noise off, coefficients are solved for at every step."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from workbench.discovery.data import Windows
from workbench.discovery.engine.blocks import Block, Linearised
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.engine.selection import Criterion, backward, exchanged, fit
from workbench.discovery.engine.tangent import Rows, Tangent
from workbench.discovery.neural.adam import Adam, EpochSchedule
from workbench.symbolic.library import Library


class SolvedAdam(Adam):
    """u' = Theta(z) Xi with z = x + net(x), Xi and u(0) the best for these z: loss = mean (u - x)^2 + mean (z - x)^2.

    Xi minimises sum |u - x|^2 over the batch, initial values projected out; it and they are held constant in the
    gradient, which reaches the network only. At their minimum that is the gradient of the projected problem: the loss
    does not change to first order when Xi does. The network starts at 0, so that z starts as the data. From the second
    cycle on, terms are selected for good at the start of a cycle, as `Projection` does.
    Raises ValueError as `Adam` does.
    Source: Golub & Pereyra (1973), Kaufman, "A variable projection method for solving separable nonlinear least squares
    problems" (1975), for the constant.
    """

    def __init__(
        self,
        record: Tensor,
        library: Library,
        integrator: Integrator,
        schedule: EpochSchedule,
        *,
        min_contribution: float,
    ) -> None:
        super().__init__(record, library, integrator, schedule)
        last = [layer for layer in self._denoiser.net if isinstance(layer, nn.Linear)][-1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
        self._rows = Rows(integrator.derivatives, library.order, integrator.backend, integrator.method)
        self._min_contribution, self._points = min_contribution, len(record)
        self._solved = torch.zeros(len(library), record.shape[1], dtype=torch.float64)

    def _denoised(self, x: Tensor) -> Tensor:
        return x + self._denoiser(x - self._centre)

    def _linearised(self, x: Tensor, states: Tensor) -> Linearised:
        """Windows x (B, T, D) and their states, both standardised, as one problem with J = 0."""
        W, T, D = x.shape
        states, values, steps = states.detach().double(), x.double(), self._integrator.steps(x.double())
        times = (steps * torch.arange(T)).expand(W, T)
        places = torch.arange(W * T).reshape(W, T)
        windows = Windows(times, values, torch.ones(W, T, D), places, steps[None])
        nothing, noise = torch.zeros_like(self._solved), torch.ones(D)
        return Linearised(self._units, self._rows, windows, states, None, nothing, noise)

    def _losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        denoised = self._denoised(x)
        with torch.no_grad():
            problem = self._linearised(x, denoised)
            blocks = problem.blocks(self._mask.numpy() > 0)
            fits = [fit(block, np.ones(len(block.labels), dtype=bool)).values for block in blocks]
            self._solved = self._joined(blocks, fits)
            starts = [b.initial(torch.from_numpy(values)) for b, values in zip(blocks, fits, strict=True)]
            initial = torch.stack(starts, dim=-1).flatten(-2)
        forcing = self._units.candidates(denoised.double(), problem.windows.times) @ self._solved
        u = Tangent(self._rows, problem.windows.steps)(forcing[None], initial[None])[0]
        return (u[..., : x.shape[-1]] - x).square().mean(), (denoised - x).square().mean()

    def _rate(self) -> float:
        """Falls evenly to nothing: every coefficient follows each step of the network, and would never settle."""
        return self.schedule.learning_rate * (1 - self._count / self.total_steps)

    def _kept(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            problem = self._linearised(x, self._denoised(x))
            blocks = problem.blocks(self._mask.numpy() > 0)
        changes = (problem.windows.values - problem.windows.values.mean(dim=1, keepdim=True)).square().sum(dim=(0, 1))
        # windows overlap: there are no more independent samples than grid points
        criterion = Criterion(self._min_contribution, min(self._points, x.shape[0] * x.shape[1]), len(self.library))
        kept = []
        for block in blocks:
            totals = changes.numpy()[block.labels[:, 1]]
            found = exchanged(block, totals, criterion, backward(block, totals, criterion))
            kept.append(found.kept.astype(float))
        return self._joined(blocks, kept).float()

    def _joined(self, blocks: list[Block], values: list[np.ndarray]) -> Tensor:
        found = torch.zeros_like(self._solved)
        for block, own in zip(blocks, values, strict=True):
            found[block.labels[:, 0], block.labels[:, 1]] = torch.from_numpy(own)
        return found

    def _standardised(self) -> Tensor:
        return self._solved

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "solved": self._solved.numpy().copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        super().restore({name: array for name, array in state.items() if name != "solved"})
        self._solved = torch.from_numpy(np.array(state["solved"]))
