"""Fake experiment for the tests of data-parallel training: a network that fits a curve, with Adam in float64."""

import time

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.experiments import protocol
from workbench.experiments.protocol import setting
from workbench.experiments.report import Report
from workbench.training.distributed import mean_loss

name = "fit"
title = "Fit"
summary = "A network fits a curve."


class Config(protocol.Config):
    length: int = setting(12, "Number of steps.", ge=1)
    batch: int = setting(7, "Samples per step.", ge=1)
    delay: float = setting(0.0, "Additional duration of a step.", unit="s", ge=0)
    alone: bool = setting(False, "Provide no loss per sample.")
    norm: bool = setting(False, "Use batch statistics.")


class Losses(nn.Module):
    """(x, y) -> (net(x) - y)^2 of every sample."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        middle = [nn.BatchNorm1d(16)] if norm else []
        self.net = nn.Sequential(nn.Linear(1, 16), *middle, nn.Tanh(), nn.Linear(16, 1)).double()

    def forward(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        return (self.net(x) - y).square().mean(dim=-1)


class Fit:
    monitored_metric = None
    stage = 0

    def __init__(self, config: Config) -> None:
        self.config = config
        self.total_steps = config.length
        self.count = 0
        self.generator = torch.Generator().manual_seed(config.seed)
        network = Losses(config.norm)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.uniform_(-1, 1, generator=self.generator)
        self.network = network
        if not config.alone:
            self.losses = network
        self.mean = mean_loss
        self.optimiser = torch.optim.Adam(network.parameters(), lr=0.05)

    @property
    def done(self) -> bool:
        return self.count >= self.total_steps

    def step(self) -> dict[str, float]:
        time.sleep(self.config.delay)
        x = torch.rand(self.config.batch, 1, generator=self.generator, dtype=torch.float64)
        loss = self.mean(self.network, (x, torch.sin(6 * x)))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.count += 1
        return {"loss": loss.item()}

    def coefficients(self) -> None:
        return None

    def state(self) -> dict[str, np.ndarray]:
        arrays = {"count": torch.tensor(self.count), "generator": self.generator.get_state()}
        for number, parameter in enumerate(self.network.parameters()):
            arrays[f"parameter_{number}"] = parameter.detach()
            for key, value in self.optimiser.state.get(parameter, {}).items():
                arrays[f"{key}_{number}"] = value
        return {key: value.numpy().copy() for key, value in arrays.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        tensors = {key: torch.from_numpy(np.array(value)) for key, value in state.items()}
        self.count = int(tensors["count"])
        self.generator.set_state(tensors["generator"])
        for number, parameter in enumerate(self.network.parameters()):
            with torch.no_grad():
                parameter.copy_(tensors[f"parameter_{number}"])
            if self.count:
                self.optimiser.state[parameter] = {
                    key: tensors[f"{key}_{number}"] for key in ("step", "exp_avg", "exp_avg_sq")
                }


def data(config: Config) -> xr.Dataset:
    return xr.Dataset({"data": (("time", "variable"), np.zeros((4, 1)))})


def model(config: Config, data: xr.Dataset) -> Fit:
    return Fit(config)


def report(model: Fit, data: xr.Dataset) -> Report:
    return Report(metrics={"rmse": sum(p.square().sum().item() for p in model.network.parameters())})
