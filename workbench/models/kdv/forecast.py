"""Training of a `WaveForecaster` by Adam, with validation, learning-rate decay and early stopping."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from workbench.discovery.neural.adam_state import MOMENTS, adam_state, load_adam_state
from workbench.models.kdv.augmentation import Ranges, augment
from workbench.models.kdv.networks import FRAMES, PRESETS, WaveForecaster

WINDOW = 2 * FRAMES - 1
"""Frames of a sample: FRAMES inputs and FRAMES outputs, which share one frame."""


@dataclass(frozen=True, eq=False)
class Waves:
    """Fields u (B, T, N), with the step between frames and the interval length (B)."""

    u: Tensor
    step: Tensor
    length: Tensor

    def to(self, device: torch.device) -> "Waves":
        """Convert to float32 on a device."""
        return Waves(*(x.to(device, torch.float32) for x in (self.u, self.step, self.length)))

    def __len__(self) -> int:
        return len(self.u)


@dataclass(frozen=True)
class TrainingPlan:
    """Training options: `steps` of Adam with `batch` samples, validation every `every` steps.

    The learning rate is halved after `patience` validations without improvement; training stops after `stop` of them.
    """

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


VALIDATION_SAMPLES = 128
ROLL_OUTS = 8
"""Validation trajectories that are rolled out."""
AHEAD = 40
"""Frames of a roll-out."""


class Losses(nn.Module):
    """samples (B, WINDOW, N) -> mean over the output frames of sum_x |u - truth| (B,)."""

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
    """Training of a `WaveForecaster` on the mean over frames of sum_x |u - truth|, as published.

    `monitored_metric` is "nmse", of the validation trajectories rolled out over AHEAD frames.
    Raises ValueError for waves shorter than a window or a roll-out.
    """

    monitored_metric = "nmse"
    stage = 0

    def __init__(self, train: Waves, valid: Waves, plan: TrainingPlan) -> None:
        for name, waves, least in (("training", train, WINDOW), ("validation", valid, FRAMES + AHEAD)):
            if not len(waves) or waves.u.shape[1] < least:
                raise ValueError(
                    f"{name}: expected trajectories of at least {least} frames, found {list(waves.u.shape)}"
                )
        self.plan, self.total_steps = plan, plan.steps
        self.device = torch.device(plan.device)
        self._train, self._valid = train.to(self.device), valid.to(self.device)
        self._generator = torch.Generator().manual_seed(plan.seed)
        self.network = WaveForecaster(PRESETS[plan.preset], self._generator, backend=plan.backend, method=plan.method)
        self.network.to(self.device)
        self.losses, self.mean = Losses(self.network, plan.half), mean_loss  # required by data-parallel training
        self._adam = torch.optim.Adam(self.network.parameters(), lr=plan.rate)
        self._count, self._best, self._waited = 0, float("inf"), 0

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps or self._waited >= self.plan.stop

    @property
    def rate(self) -> float:
        """The present learning rate of Adam."""
        return self._adam.param_groups[0]["lr"]

    def step(self) -> dict[str, float]:
        """Run one step of Adam; loss: of its batch. Validation steps also return `valid`, `nmse` and `rate`."""
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
        """Draw random windows (batch, WINDOW, N) of random trajectories."""
        waves, (n, T, _) = self._train, self._train.u.shape
        index = torch.randint(n, (self.plan.batch,), generator=self._generator)
        first = torch.randint(T - WINDOW + 1, (self.plan.batch,), generator=self._generator)
        frames = first[:, None] + torch.arange(WINDOW)
        index = index.to(self.device)
        u = waves.u[index[:, None], frames.to(self.device)]
        return augment(u, waves.step[index], waves.length[index], self.plan.ranges, self._generator)

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Loss of fixed windows and error of the roll-outs; updates the learning rate."""
        self.network.eval()
        generator = torch.Generator().manual_seed(1)
        n, T, _ = self._valid.u.shape
        index = torch.randint(n, (VALIDATION_SAMPLES,), generator=generator)[:, None]
        first = torch.randint(T - WINDOW + 1, (VALIDATION_SAMPLES,), generator=generator)[:, None]
        frames = first + torch.arange(WINDOW)
        samples = self._valid.u[index.to(self.device), frames.to(self.device)]
        valid = torch.stack([self.mean(self.losses, part) for part in samples.split(16)]).mean().item()
        u = self._valid.u[:ROLL_OUTS]
        forecast = self.network.roll_out(u[:, :FRAMES], AHEAD, half=self.plan.half)
        truth = u[:, FRAMES : FRAMES + AHEAD]
        nmse = ((forecast - truth).square().sum(-1) / truth.square().sum(-1)).mean().item()
        self._update_rate(nmse)
        return {"valid": valid, "nmse": nmse, "rate": self.rate}

    def _update_rate(self, value: float) -> None:
        """Count validations without improvement and halve the learning rate after `patience` of them."""
        if value < self._best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited % self.plan.patience == 0:
            for group in self._adam.param_groups:
                group["lr"] /= 2

    def coefficients(self) -> None:
        """None: the coefficients vary with grid point and time."""

    def predict(self, frames: np.ndarray, ahead: int) -> np.ndarray:
        """Predict the `ahead` frames (B, ahead, N) after frames (B, FRAMES, N)."""
        self.network.eval()
        x = torch.from_numpy(np.ascontiguousarray(frames)).to(self.device, torch.float32)
        parts = [self.network.roll_out(part, ahead, half=self.plan.half) for part in x.split(32)]
        return torch.cat(parts).double().cpu().numpy()

    @torch.no_grad()
    def odes(self, frames: np.ndarray) -> dict[str, np.ndarray]:
        """The ODEs of one sample (FRAMES, N): coefficients (T, N, K), forcing (T, N), step."""
        self.network.eval()
        x = torch.from_numpy(np.ascontiguousarray(frames))[None].to(self.device, torch.float32)
        odes = self.network.odes(x, half=self.plan.half)
        return {
            "coefficients": odes.coefficients[0].transpose(0, 1).double().cpu().numpy(),
            "forcing": odes.forcing[0].T.double().cpu().numpy(),
            "step": odes.steps.double().cpu().numpy(),
        }

    # state

    def state(self) -> dict[str, np.ndarray]:
        counters = np.array([self._count, self._best, self._waited, self.rate], dtype=np.float64)
        arrays = {"counters": counters, "generator": self._generator.get_state().numpy().copy()}
        for (name, parameter), state in zip(self.network.named_parameters(), adam_state(self._adam), strict=True):
            arrays[name] = parameter.detach().cpu().numpy().copy()
            arrays |= {f"{name}.{key}": value.cpu().numpy().copy() for key, value in state.items()}
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        count, self._best, waited, rate = np.array(state["counters"]).tolist()
        self._count, self._waited = int(count), int(waited)
        self._generator.set_state(torch.from_numpy(np.array(state["generator"], dtype=np.uint8)))
        self._adam.param_groups[0]["lr"] = rate
        adam = []
        for name, parameter in self.network.named_parameters():
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(np.array(state[name])))
            keys = ("step", *MOMENTS) if f"{name}.exp_avg" in state else ()
            adam.append({key: torch.from_numpy(np.array(state[f"{name}.{key}"])) for key in keys})
        load_adam_state(self._adam, adam)
