"""Adam with variable projection: a network denoises the data, coefficients are solved for in each step."""

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


class VarProAdam(Adam):
    """u' = Theta(z) Xi with z = x + net(x), and optimal Xi and u(0): loss = mean (u - x)^2 + mean (z - x)^2.

    Xi minimises sum |u - x|^2 over the batch, with the initial values projected out. Xi and u(0) are constants in the
    gradient with respect to the network, which equals that of the projected problem, as the loss is stationary in Xi.
    The output of the network starts at 0, so that z starts as the data. From the second cycle on, terms are selected
    permanently at the start of a cycle, as by `Projection`.
    Raises ValueError as `Adam` does.
    Source: Golub & Pereyra (1973), Kaufman, "A variable projection method for solving separable nonlinear least squares
    problems" (1975), for the constant Xi.
    """

    def __init__(
        self,
        data: Tensor,
        library: Library,
        integrator: Integrator,
        schedule: EpochSchedule,
        *,
        min_contribution: float,
    ) -> None:
        super().__init__(data, library, integrator, schedule)
        last = [layer for layer in self._denoiser.net if isinstance(layer, nn.Linear)][-1]
        with torch.no_grad():
            last.weight.zero_()
            last.bias.zero_()
        self._rows = Rows(integrator.derivatives, library.order, integrator.backend, integrator.method)
        self._min_contribution, self._points = min_contribution, len(data)
        self._solved = torch.zeros(len(library), data.shape[1], dtype=torch.float64)

    def _denoised(self, x: Tensor) -> Tensor:
        return x + self._denoiser(x - self._mean)

    def _linearised(self, x: Tensor, states: Tensor) -> Linearised:
        """The linear problem, with J = 0, of standardised windows x (B, T, D) and their standardised states."""
        W, T, D = x.shape
        states, values, steps = states.detach().double(), x.double(), self._integrator.steps(x.double())
        times = (steps * torch.arange(T)).expand(W, T)
        indices = torch.arange(W * T).reshape(W, T)
        windows = Windows(times, values, torch.ones(W, T, D), indices, steps[None])
        fixed, noise = torch.zeros_like(self._solved), torch.ones(D)
        return Linearised(self._scaler, self._rows, windows, states, None, fixed, noise)

    def _losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        denoised = self._denoised(x)
        with torch.no_grad():
            problem = self._linearised(x, denoised)
            blocks = problem.blocks(self._mask.numpy() > 0)
            fits = [fit(block, np.ones(len(block.labels), dtype=bool)).values for block in blocks]
            self._solved = self._joined(blocks, fits)
            starts = [b.initial(torch.from_numpy(values)) for b, values in zip(blocks, fits, strict=True)]
            initial = torch.stack(starts, dim=-1).flatten(-2)
        forcing = self._scaler.candidates(denoised.double(), problem.windows.times) @ self._solved
        u = Tangent(self._rows, problem.windows.steps)(forcing[None], initial[None])[0]
        return (u[..., : x.shape[-1]] - x).square().mean(), (denoised - x).square().mean()

    def _learning_rate(self) -> float:
        """Linear decay to 0: the coefficients follow every step of the network and would not converge otherwise."""
        return self.schedule.learning_rate * (1 - self._count / self.total_steps)

    def _selected(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            problem = self._linearised(x, self._denoised(x))
            blocks = problem.blocks(self._mask.numpy() > 0)
        changes = (problem.windows.values - problem.windows.values.mean(dim=1, keepdim=True)).square().sum(dim=(0, 1))
        # overlapping windows have at most as many independent samples as grid points
        criterion = Criterion(self._min_contribution, min(self._points, x.shape[0] * x.shape[1]), len(self.library))
        selected = []
        for block in blocks:
            totals = changes.numpy()[block.labels[:, 1]]
            best = exchanged(block, totals, criterion, backward(block, totals, criterion))
            selected.append(best.kept.astype(float))
        return self._joined(blocks, selected).float()

    def _joined(self, blocks: list[Block], values: list[np.ndarray]) -> Tensor:
        coefficients = torch.zeros_like(self._solved)
        for block, block_values in zip(blocks, values, strict=True):
            coefficients[block.labels[:, 0], block.labels[:, 1]] = torch.from_numpy(block_values)
        return coefficients

    def _standardised_coefficients(self) -> Tensor:
        return self._solved

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "solved": self._solved.numpy().copy()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        super().restore({name: array for name, array in state.items() if name != "solved"})
        self._solved = torch.from_numpy(np.array(state["solved"]))
