"""Discovery of u' = Theta(u) Xi by the published model: two networks, the solver, and Adam.

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
from workbench.discovery.neural.networks import Coefficients, Denoiser
from workbench.symbolic.library import Library, Polynomials

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What torch's Adam remembers of every parameter, besides the number of steps."""


@dataclass(frozen=True)
class EpochSchedule:
    """How `Adam` goes through the windows: `cycles` of `epochs`, each of all whole batches of `batch` windows."""

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
    """One network denoises a window, another makes Xi, and the solver leads from the first denoised state through it.

    u' = Theta(net(x)) Xi, u(0) = net(x)(0), loss = mean (u - x)^2 + mean (net(x) - x)^2 over batches of windows x. From
    the second cycle on, terms whose standardised coefficient is below `threshold` (standard deviations of the variable
    per unit of time) are masked for good at the start of a cycle.

    record: (N, D), evenly sampled. The networks run in float32; the solver takes float32 and works in float64.
    Raises ValueError if there are fewer windows than one batch.
    """

    monitor = "epoch_loss"

    def __init__(self, record: Tensor, library: Library, integrator: Integrator, schedule: EpochSchedule) -> None:
        self.library = library
        self.schedule = schedule
        self._integrator = integrator
        self._units = _units(record, library)
        self._single = self._units.to(torch.float32)
        states = (record / self._units.scale).float()
        self._centre = states.mean(dim=0)
        self._windows = states.unfold(0, schedule.window, schedule.stride).mT
        self._batches = len(self._windows) // schedule.batch
        if not self._batches:
            raise ValueError(
                f"the batch ({schedule.batch} windows) is larger than the record ({len(self._windows)} windows)"
            )
        self.total_steps = schedule.cycles * schedule.epochs * self._batches
        D = record.shape[1]
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
    def era(self) -> int:
        """How often terms were masked."""
        return max(0, self._count - 1) // (self.schedule.epochs * self._batches)

    def step(self) -> dict[str, float]:
        """One optimiser step on one batch; the last one of an epoch also reports `epoch_loss`, the mean over it."""
        cycle, within = divmod(self._count, self.schedule.epochs * self._batches)
        position = self._count % self._batches
        x = self._windows[self._order[position]]
        if cycle and not within:
            self._mask = self._mask * self._kept(x)
        fit, denoising = self._losses(x)
        loss = fit + denoising
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.param_groups[0]["lr"] = self._rate()
        self._optimiser.step()
        self._count += 1
        metrics = {"loss": loss.item(), "fit": fit.item(), "denoising": denoising.item()}
        metrics |= {"cycle": float(cycle + 1), "terms": float(self._mask.sum())}
        self._epoch_loss += metrics["loss"] / self._batches
        if position + 1 == self._batches:
            metrics["epoch_loss"] = self._epoch_loss
            self._shuffle()
        return metrics

    def _rate(self) -> float:
        """The step size of Adam."""
        return self.schedule.learning_rate

    def _kept(self, x: Tensor) -> Tensor:
        """Which terms (C, D) stay, at the start of a cycle whose first windows are x."""
        return self._standardised().abs() >= self.schedule.threshold

    def _losses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squares of u - x and of net(x) - x for windows x (B, T, D)."""
        denoised = self._denoised(x)
        forcing = self._single.candidates(denoised) @ (self._xi() * self._mask)
        u = self._integrator(forcing.mT, denoised[:, 0])
        return (u.mT - x).square().mean(), (denoised - x).square().mean()

    def _denoised(self, x: Tensor) -> Tensor:
        return self._centre + self._denoiser(x - self._centre)

    def _standardised(self) -> Tensor:
        with torch.no_grad():
            return self._xi() * self._mask

    def coefficients(self) -> np.ndarray:
        return self._units.physical(self._standardised().double()).numpy()

    # the state

    def _shuffle(self) -> None:
        """A new order of the windows for one epoch; what is left after the last whole batch is not used in it."""
        self._epoch_loss = 0.0
        self._before_shuffle = self._generator.get_state()
        order = torch.randperm(len(self._windows), generator=self._generator)
        self._order = order[: self._batches * self.schedule.batch].reshape(self._batches, self.schedule.batch)

    def state(self) -> dict[str, np.ndarray]:
        """The parameters, and what Adam remembers of them, as one vector each: few large arrays are saved faster."""
        arrays = {
            "mask": self._mask,
            "count": torch.tensor(self._count),
            "epoch_loss": torch.tensor(self._epoch_loss, dtype=torch.float64),
            "generator": self._before_shuffle,
            "parameters": parameters_to_vector(self._parameters).detach(),
        }
        if self._count:
            for moment in MOMENTS:
                arrays[moment] = parameters_to_vector([self._moment(p, moment) for p in self._parameters])
        return {name: array.numpy().copy() for name, array in arrays.items()}

    def _moment(self, parameter: Tensor, name: str) -> Tensor:
        """What the optimiser remembers of a parameter; nothing of one that no gradient has reached."""
        return self._optimiser.state[parameter].get(name, torch.zeros_like(parameter))

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        given = {name: torch.from_numpy(np.array(array)) for name, array in state.items()}
        self._generator.set_state(given["generator"])
        self._shuffle()
        self._mask, self._count = given["mask"], int(given["count"])
        self._epoch_loss = float(given["epoch_loss"])
        self._optimiser.state.clear()
        with torch.no_grad():
            for parameter, values in zip(self._parameters, self._split(given["parameters"]), strict=True):
                parameter.copy_(values)
        if self._count:
            for moment in MOMENTS:
                for parameter, values in zip(self._parameters, self._split(given[moment]), strict=True):
                    # torch keeps the number of steps beside each parameter
                    remembered = self._optimiser.state.setdefault(parameter, {"step": torch.tensor(float(self._count))})
                    remembered[moment] = values.clone()

    def _split(self, vector: Tensor) -> list[Tensor]:
        """One vector of everything -> a tensor per parameter."""
        pieces = vector.split([parameter.numel() for parameter in self._parameters])
        return [piece.view_as(parameter) for piece, parameter in zip(pieces, self._parameters, strict=True)]


def _units(record: Tensor, library: Library) -> Scaler:
    """Products of variables are divided by those of their scales, as published; other candidates by their size."""
    units = Scaler.of(record, library)
    return replace(units, sizes=library.scales(units.own)) if isinstance(library, Polynomials) else units
