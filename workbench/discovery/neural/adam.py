"""Discovery of u' = Theta(u) Xi by the published model: two networks, the solver and Adam.

Source: Chen, Yao, Locatello, Alistarh et al., "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from workbench.discovery.engine.blocks import Scaler
from workbench.discovery.engine.responses import Integrator
from workbench.discovery.neural.adam_state import MOMENTS, adam_state, load_adam_state
from workbench.discovery.neural.networks import Coefficients, Denoiser
from workbench.symbolic.library import Library, Polynomials


@dataclass(frozen=True)
class EpochSchedule:
    """Training schedule of `Adam`: `cycles` of `epochs`, each with all full batches of `batch` windows."""

    window: int
    stride: int
    batch: int
    epochs: int
    cycles: int
    learning_rate: float
    threshold: float
    hidden: int
    seed: int


class Adam:
    """Training of two networks: one denoises windows, one gives Xi; the solver integrates the equations.

    u' = Theta(net(x)) Xi, u(0) = net(x)(0), loss = mean (u - x)^2 + mean (net(x) - x)^2 over batches of windows x. From
    the second cycle on, terms whose standardised coefficient is below `threshold` (standard deviations of the variable
    per unit of time) are masked permanently at the start of a cycle.

    data: (N, D), evenly sampled. The networks use float32; the solver takes float32 and computes in float64.
    Raises ValueError for fewer windows than one batch.
    """

    monitored_metric = "epoch_loss"

    def __init__(self, data: Tensor, library: Library, integrator: Integrator, schedule: EpochSchedule) -> None:
        self.library = library
        self.schedule = schedule
        self._integrator = integrator
        self._scaler = _scaler(data, library)
        self._single = self._scaler.to(torch.float32)
        states = (data / self._scaler.scale).float()
        self._mean = states.mean(dim=0)
        self._windows = states.unfold(0, schedule.window, schedule.stride).mT
        self._batches = len(self._windows) // schedule.batch
        if not self._batches:
            raise ValueError(
                f"the batch ({schedule.batch} windows) is larger than the record ({len(self._windows)} windows)"
            )
        self.total_steps = schedule.cycles * schedule.epochs * self._batches
        D = data.shape[1]
        self._generator = torch.Generator().manual_seed(schedule.seed)
        self._denoiser = Denoiser(schedule.window, D, schedule.hidden, self._generator)
        self._xi = Coefficients(len(library), D, schedule.hidden, self._generator)
        self._parameters = [*self._denoiser.parameters(), *self._xi.parameters()]
        self._optimiser = torch.optim.Adam(self._parameters, lr=schedule.learning_rate, fused=True)
        self._mask = torch.ones(len(library), D)
        self._count = 0
        self._epoch_loss = 0.0
        self._shuffle()

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    @property
    def stage(self) -> int:
        """Number of times that terms were masked."""
        return max(0, self._count - 1) // (self.schedule.epochs * self._batches)

    def step(self) -> dict[str, float]:
        """One optimiser step on one batch; the last step of an epoch also reports the mean loss `epoch_loss`."""
        cycle, within = divmod(self._count, self.schedule.epochs * self._batches)
        position = self._count % self._batches
        x = self._windows[self._order[position]]
        if cycle and not within:
            self._mask = self._mask * self._selected(x)
        fit, denoising = self._losses(x)
        loss = fit + denoising
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.param_groups[0]["lr"] = self._learning_rate()
        self._optimiser.step()
        self._count += 1
        metrics = {"loss": loss.item(), "fit": fit.item(), "denoising": denoising.item()}
        metrics |= {"cycle": float(cycle + 1), "terms": float(self._mask.sum())}
        self._epoch_loss += metrics["loss"] / self._batches
        if position + 1 == self._batches:
            metrics["epoch_loss"] = self._epoch_loss
            self._shuffle()
        return metrics

    def _learning_rate(self) -> float:
        return self.schedule.learning_rate

    def _selected(self, x: Tensor) -> Tensor:
        """Terms (C, D) to keep at the start of a cycle whose first windows are x."""
        return self._standardised_coefficients().abs() >= self.schedule.threshold

    def _losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squares of u - x and of net(x) - x for windows x (B, T, D)."""
        denoised = self._denoised(x)
        forcing = self._single.candidates(denoised) @ (self._xi() * self._mask)
        u = self._integrator(forcing.mT, denoised[:, 0])
        return (u.mT - x).square().mean(), (denoised - x).square().mean()

    def _denoised(self, x: Tensor) -> Tensor:
        return self._mean + self._denoiser(x - self._mean)

    def _standardised_coefficients(self) -> Tensor:
        with torch.no_grad():
            return self._xi() * self._mask

    def coefficients(self) -> np.ndarray:
        return self._scaler.physical(self._standardised_coefficients().double()).numpy()

    # state

    def _shuffle(self) -> None:
        """Draw the order of the windows in one epoch; windows beyond the last full batch are unused."""
        self._epoch_loss = 0.0
        self._before_shuffle = self._generator.get_state()
        order = torch.randperm(len(self._windows), generator=self._generator)
        self._order = order[: self._batches * self.schedule.batch].reshape(self._batches, self.schedule.batch)

    def state(self) -> dict[str, np.ndarray]:
        """The parameters and the moments of Adam as one vector each, as few large arrays are saved faster."""
        arrays = {
            "mask": self._mask,
            "count": torch.tensor(self._count),
            "epoch_loss": torch.tensor(self._epoch_loss, dtype=torch.float64),
            "generator": self._before_shuffle,
            "parameters": parameters_to_vector(self._parameters).detach(),
        }
        if self._count:
            pairs = list(zip(adam_state(self._optimiser), self._parameters, strict=True))
            for moment in MOMENTS:
                arrays[moment] = parameters_to_vector([state.get(moment, torch.zeros_like(p)) for state, p in pairs])
        return {name: array.numpy().copy() for name, array in arrays.items()}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        self._generator.set_state(tensors["generator"])
        self._shuffle()
        self._mask, self._count = tensors["mask"], int(tensors["count"])
        self._epoch_loss = float(tensors["epoch_loss"])
        with torch.no_grad():
            for parameter, values in zip(self._parameters, self._split(tensors["parameters"]), strict=True):
                parameter.copy_(values)
        step = torch.tensor(float(self._count))
        moments = [self._split(tensors[name]) for name in MOMENTS] if self._count else []
        load_adam_state(
            self._optimiser,
            [{"step": step, **dict(zip(MOMENTS, pair, strict=True))} for pair in zip(*moments, strict=True)],
        )

    def _split(self, vector: Tensor) -> list[Tensor]:
        """Split a vector of all parameters into one tensor per parameter."""
        pieces = vector.split([parameter.numel() for parameter in self._parameters])
        return [piece.view_as(parameter) for piece, parameter in zip(pieces, self._parameters, strict=True)]


def _scaler(data: Tensor, library: Library) -> Scaler:
    """Scale monomials by those of the scales, as published, and other candidates by their root mean square."""
    scaler = Scaler.of(data, library)
    return replace(scaler, sizes=library.scales(scaler.own)) if isinstance(library, Polynomials) else scaler
