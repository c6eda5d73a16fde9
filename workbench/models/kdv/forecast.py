"""Training of a forecast: windows of known waves, Adam, a rate that falls when nothing improves any more."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from workbench.models.kdv.augmentation import Ranges, augment
from workbench.models.kdv.networks import FRAMES, PRESETS, WaveForecaster

WINDOW = 2 * FRAMES - 1
"""Frames of a sample: FRAMES in, FRAMES out, one of them in both."""


@dataclass(frozen=True, eq=False)
class Waves:
    """u (B, T, N), the step between frames and the length of the interval (B)."""

    u: Tensor
    step: Tensor
    length: Tensor

    def to(self, device: torch.device) -> "Waves":
        """The same in float32 on a device."""
        return Waves(*(x.to(device, torch.float32) for x in (self.u, self.step, self.length)))

    def __len__(self) -> int:
        return len(self.u)


@dataclass(frozen=True)
class TrainingPlan:
    """How to train: steps of Adam with `batch` samples; every `every` steps the validation; the rate is halved after
    `patience` validations without a better one, and training ends after `stop` of them."""

    preset: str = "small"
    steps: int = 3000
    batch: int = 16
    rate: float = 1e-3
    every: int = 100
    patience: int = 3
    stop: int = 12
    ranges: Ranges = field(default_factory=Ranges)
    half: bool = False
    device: str = "cpu"
    backend: str = "auto"
    method: str = "qr"
    seed: int = 0


HELD = 128
"""Samples of the validation."""
ROLLED = 8
"""Trajectories of the validation that are rolled out."""
AHEAD = 40
"""Frames that they are rolled out over."""


class Losses(nn.Module):
    """samples (B, WINDOW, N) -> mean over the frames ahead of sum_x |u - truth|, of each (B,)."""

    def __init__(self, network: WaveForecaster, half: bool) -> None:
        super().__init__()
        self.network, self.half = network, half

    def forward(self, samples: Tensor) -> Tensor:
        predicted = self.network(samples[:, :FRAMES], half=self.half)
        return (predicted - samples[:, FRAMES - 1 :]).abs().sum(dim=-1).mean(dim=-1)


def mean_loss(losses: nn.Module, samples: Tensor) -> Tensor:
    """(1/B) sum_i loss_i."""
    return losses(samples).mean()


class Forecast:
    """A `WaveForecaster` that learns the mean over frames of sum_x |u - truth|, as published.

    `monitor` is "nmse": of the validation trajectories rolled out over AHEAD frames.
    Raises ValueError for waves shorter than a window or a roll-out.
    """

    monitor = "nmse"
    era = 0

    def __init__(self, train: Waves, valid: Waves, plan: TrainingPlan) -> None:
        for name, waves, least in (("training", train, WINDOW), ("validation", valid, FRAMES + AHEAD)):
            if not len(waves) or waves.u.shape[1] < least:
                raise ValueError(
                    f"{name}: expected trajectories of {least} frames or more, found {list(waves.u.shape)}"
                )
        self.plan, self.total_steps = plan, plan.steps
        self.device = torch.device(plan.device)
        self._train, self._valid = train.to(self.device), valid.to(self.device)
        self._generator = torch.Generator().manual_seed(plan.seed)
        self.network = WaveForecaster(PRESETS[plan.preset], self._generator, backend=plan.backend, method=plan.method)
        self.network.to(self.device)
        self.losses, self.mean = Losses(self.network, plan.half), mean_loss  # as data-parallel training asks for
        self._adam = torch.optim.Adam(self.network.parameters(), lr=plan.rate)
        self._count, self._best, self._waited = 0, float("inf"), 0

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps or self._waited >= self.plan.stop

    @property
    def rate(self) -> float:
        """The present step size of Adam."""
        return self._adam.param_groups[0]["lr"]

    def step(self) -> dict[str, float]:
        """One step of Adam; loss: of its samples. Now and then `valid` and `nmse` as well."""
        self.network.train()
        loss = self.mean(self.losses, self._samples())
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        self._adam.step()
        self._count += 1
        metrics = {"loss": loss.item()}
        if self._count % self.plan.every == 0 or self._count == self.total_steps:
            metrics |= self._validate()
        return metrics

    def _samples(self) -> Tensor:
        """Random windows (batch, WINDOW, N) of random trajectories."""
        waves, (n, T, _) = self._train, self._train.u.shape
        which = torch.randint(n, (self.plan.batch,), generator=self._generator)
        first = torch.randint(T - WINDOW + 1, (self.plan.batch,), generator=self._generator)
        frames = first[:, None] + torch.arange(WINDOW)
        u = waves.u[which[:, None].to(self.device), frames.to(self.device)]
        own = which.to(self.device)
        return augment(u, waves.step[own], waves.length[own], self.plan.ranges, self._generator)

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """The loss on fixed windows, and the error of the roll-out; the rate falls where that has not improved."""
        self.network.eval()
        generator = torch.Generator().manual_seed(1)
        n, T, _ = self._valid.u.shape
        which = torch.randint(n, (HELD,), generator=generator)[:, None]
        frames = torch.randint(T - WINDOW + 1, (HELD,), generator=generator)[:, None] + torch.arange(WINDOW)
        held = self._valid.u[which.to(self.device), frames.to(self.device)]
        valid = torch.stack([self.mean(self.losses, part) for part in held.split(16)]).mean().item()
        u = self._valid.u[:ROLLED]
        ahead = self.network.roll_out(u[:, :FRAMES], AHEAD, half=self.plan.half)
        truth = u[:, FRAMES : FRAMES + AHEAD]
        nmse = ((ahead - truth).square().sum(-1) / truth.square().sum(-1)).mean().item()
        self._judge(nmse)
        return {"valid": valid, "nmse": nmse, "rate": self.rate}

    def _judge(self, value: float) -> None:
        if value < self._best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited % self.plan.patience == 0:
            for group in self._adam.param_groups:
                group["lr"] /= 2

    def coefficients(self) -> None:
        """None: what is learned belongs to the grid points and to the moment."""

    def predict(self, frames: np.ndarray, ahead: int) -> np.ndarray:
        """The `ahead` frames (B, ahead, N) after the FRAMES ones given (B, FRAMES, N)."""
        self.network.eval()
        x = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device, torch.float32)
        parts = [self.network.roll_out(part, ahead, half=self.plan.half) for part in x.split(32)]
        return torch.cat(parts).double().cpu().numpy()

    @torch.no_grad()
    def odes(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """What the networks say of one sample (FRAMES, N): coefficients (T, N, K), forcing (T, N), step."""
        self.network.eval()
        x = torch.from_numpy(np.ascontiguousarray(frames))[None].to(self.device, torch.float32)
        pieces = self.network.pieces(x, half=self.plan.half)
        return {
            "coefficients": pieces.coefficients[0].transpose(0, 1).double().cpu().numpy(),
            "forcing": pieces.forcing[0].T.double().cpu().numpy(),
            "step": pieces.steps.double().cpu().numpy(),
        }

    # the state

    def state(self) -> dict[str, np.ndarray]:
        counters = np.array([self._count, self._best, self._waited, self.rate], dtype=np.float64)
        found = {"counters": counters, "generator": self._generator.get_state().numpy().copy()}
        for name, parameter in self.network.named_parameters():
            found[name] = parameter.detach().cpu().numpy().copy()
            for moment, value in self._adam.state.get(parameter, {}).items():
                found[f"{name}.{moment}"] = torch.as_tensor(value).cpu().numpy().copy()
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        count, self._best, waited, rate = np.array(state["counters"]).tolist()
        self._count, self._waited = int(count), int(waited)
        self._generator.set_state(torch.from_numpy(np.array(state["generator"], dtype=np.uint8)))
        self._adam.state.clear()
        self._adam.param_groups[0]["lr"] = rate
        for name, parameter in self.network.named_parameters():
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(np.array(state[name])))
            for moment in ("step", "exp_avg", "exp_avg_sq") if f"{name}.exp_avg" in state else ():
                value = torch.from_numpy(np.array(state[f"{name}.{moment}"]))
                device = "cpu" if moment == "step" else self.device
                self._adam.state[parameter][moment] = value.to(device)
