"""Mechanistic identifier: an encoder of series and decoders to an ODE that reconstructs them.

A chunk y (T) of a standardized series -> first quarter of its DCT-II -> encoder -> theta (20) -> decoders -> forcing
(T), coefficients (T, 3) of a second-order ODE and steps (T - 1); its first grid points are given as initial rows.
Half of theta is shared by neighboring places at the same latitude.
Source: Yao et al., "Marrying Causal Representation Learning with Dynamical Systems for Science", NeurIPS 2024, and the
SST experiment of "Scalable Mechanistic Neural Networks", ICLR 2025. With `varying=False` the coefficients are constant
in time: the time-invariant Mechanistic Neural Network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from torch import Tensor, nn

from workbench.discovery.neural.adam_state import MOMENTS, adam_state, load_adam_state
from workbench.discovery.neural.networks import layers
from workbench.solver import LinearODE, solve

LATENT, SHARED = 20, 10
GIVEN = 10
"""Initial grid points given to the decoder."""
NEAR = 5.0
"""Largest distance of neighbors, in degrees of longitude."""
ALIGNMENT = 10.0
"""Weight of the alignment loss."""
SHORTEST, LONGEST = 1e-3, 0.999
"""Bounds of the learned steps."""
DCT_SHARE = 0.25
"""Share of the DCT coefficients in the encoder input and the loss."""


def dct_matrix(points: int) -> Tensor:
    """The first DCT_SHARE of the rows of the orthonormal DCT-II (k, points)."""
    k = torch.arange(max(int(DCT_SHARE * points), 2), dtype=torch.float64)[:, None]
    n = torch.arange(points, dtype=torch.float64)
    rows = (pi * (n + 0.5) * k / points).cos() * (2 / points) ** 0.5
    rows[0] *= 0.5**0.5
    return rows.float()


def neighbors(latitude: Tensor, longitude: Tensor) -> list[Tensor]:
    """Indices of the places at the same latitude within NEAR degrees of each place; itself if there are none.

    Raises ValueError if no place has a neighbor.
    """
    groups = []
    for lat, lon in zip(latitude.tolist(), longitude.tolist(), strict=True):
        distance = (longitude - lon).abs() % 360
        distance = torch.minimum(distance, 360 - distance)
        groups.append(((latitude == lat) & (distance <= NEAR) & (distance > 0)).nonzero()[:, 0])
    if not any(len(group) for group in groups):
        raise ValueError(
            f"no places at the same latitude within {NEAR:g} degrees, which the identifier compares: choose a source "
            "with a finer grid, or the direct mode"
        )
    return [group if len(group) else torch.tensor([index]) for index, group in enumerate(groups)]


class Networks(nn.Module):
    """Encoder with `depth` hidden layers and decoders with two each, all ReLU networks."""

    def __init__(self, points: int, hidden: int, depth: int, *, varying: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.points, self.rows = points, points if varying else 1
        self.register_buffer("dct", dct_matrix(points), persistent=False)
        inner = (hidden,) * 2
        self.encoder = layers((len(self.dct), *(hidden,) * depth, LATENT), generator)
        self.forcing = layers((LATENT, *inner, points), generator)
        self.coefficients = layers((LATENT, *inner, 3 * self.rows), generator)
        self.steps = layers((LATENT, *inner, points - 1), generator)

    def encode(self, chunk: Tensor) -> Tensor:
        """theta (B, LATENT) of chunks (B, T)."""
        return self.encoder(chunk @ self.dct.T)

    def decode(self, theta: Tensor, first: Tensor, backend: str = "auto", method: str = "qr") -> Tensor:
        """The series (B, T) with the initial points `first` (B, given)."""
        c = self.coefficients(theta).unflatten(-1, (self.rows, 1, 1, 3))
        h = SHORTEST + (LONGEST - SHORTEST) * self.steps(theta).sigmoid()
        problem = LinearODE(c, self.forcing(theta)[..., None], first[..., None, None], h)
        return solve(problem, backend=backend, method=method, check=False).u[..., 0, 0]


@dataclass(frozen=True)
class IdentifierSettings:
    """Training options: chunk and training length in grid points, sizes of networks and batches."""

    chunk: int
    training: int
    hidden: int
    depth: int
    epochs: int
    batch: int
    learning_rate: float
    varying: bool
    seed: int
    backend: str = "auto"
    method: str = "qr"


class Identifier:
    """Training of `Networks` by Adam on chunks of the training period; a step uses one chunk of each place of a batch.

    values (T, D), latitude and longitude (D). Values are standardized by the training period alone.
    loss: mean squared error of the leading DCT coefficients + ALIGNMENT times that of the shared halves of theta.
    Raises ValueError if the training period is shorter than a chunk and its given points.
    """

    monitored_metric = "loss"
    stage = 0

    def __init__(self, values: Tensor, latitude: Tensor, longitude: Tensor, schedule: IdentifierSettings) -> None:
        self.schedule = schedule
        N, T = schedule.training, schedule.chunk
        if N < T + GIVEN:
            raise ValueError(
                f"the training period ({N} grid points) is shorter than a chunk ({T}) and {GIVEN} points: "
                "choose a shorter chunk or hold out less"
            )
        self.mean, self.deviation = values[:N].mean(0), values[:N].std(0).clamp(min=1e-6)
        self._series = ((values - self.mean) / self.deviation).float().T.contiguous()
        self._near = neighbors(latitude, longitude)
        self._generator = torch.Generator().manual_seed(schedule.seed)
        self.networks = Networks(
            T, schedule.hidden, schedule.depth, varying=schedule.varying, generator=self._generator
        )
        self._optimiser = torch.optim.Adam(self.networks.parameters(), lr=schedule.learning_rate)
        self._batch = min(schedule.batch, values.shape[1])
        self.total_steps = schedule.epochs * -(-values.shape[1] // self._batch)
        self._count = 0

    @property
    def done(self) -> bool:
        return self._count >= self.total_steps

    def step(self) -> dict[str, float]:
        """Run one step of Adam; returns the loss before it and its two parts."""
        a, b = self._views()
        theta_a, theta_b = self.networks.encode(a), self.networks.encode(b)
        alignment = (theta_a[:, :SHARED] - theta_b[:, :SHARED]).square().mean()
        common = (theta_a[:, :SHARED] + theta_b[:, :SHARED]) / 2
        theta = torch.cat([torch.cat([common, code[:, SHARED:]], dim=1) for code in (theta_a, theta_b)])
        chunk = torch.cat([a, b])
        error = (self._decode(theta, chunk[:, :GIVEN]) - chunk) @ self.networks.dct.T
        reconstruction = error.square().mean()
        loss = reconstruction + ALIGNMENT * alignment
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._count += 1
        return {"loss": loss.item(), "misfit": reconstruction.item(), "alignment": alignment.item()}

    def _views(self) -> tuple[Tensor, Tensor]:
        """Draw chunks (B, T) of random places and of a neighbor of each, at the same times."""
        D, T = len(self._series), self.schedule.chunk
        places = torch.randint(D, (self._batch,), generator=self._generator)
        picks = torch.rand(self._batch, generator=self._generator)
        others = [self._near[p][int(u * len(self._near[p]))] for p, u in zip(places.tolist(), picks, strict=True)]
        starts = torch.randint(self.schedule.training - T + 1, (self._batch, 1), generator=self._generator)
        index = starts + torch.arange(T)
        return self._series[places[:, None], index], self._series[torch.stack(others)[:, None], index]

    def _decode(self, theta: Tensor, first: Tensor) -> Tensor:
        return self.networks.decode(theta, first, self.schedule.backend, self.schedule.method)

    @torch.no_grad()
    def path(self, *, given: int = 0) -> Tensor:
        """Forecast of the test period (T - training, D); NaN after the end of the chunk.

        given = GIVEN: the published protocol, with the first true points of the test period as initial points.
        given = 0: out of sample, with a chunk that starts GIVEN points before the test period.
        """
        N, T = self.schedule.training, self.schedule.chunk
        begin = N if given else N - GIVEN
        theta = self.networks.encode(self._series[:, begin - T : begin])
        decoded = self._decode(theta, self._series[:, begin : begin + GIVEN]).T.double()
        ahead = decoded[N - begin :]
        forecast = torch.full((self._series.shape[1] - N, len(self._series)), torch.nan, dtype=torch.float64)
        count = min(len(forecast), len(ahead))
        forecast[:count] = ahead[:count] * self.deviation + self.mean
        return forecast

    @torch.no_grad()
    def codes(self) -> Tensor:
        """theta (D, LATENT) of the last training chunk of every place."""
        N, T = self.schedule.training, self.schedule.chunk
        return self.networks.encode(self._series[:, N - T : N]).double()

    def coefficients(self) -> None:
        """None: the coefficients vary from place to place."""

    def state(self) -> dict[str, np.ndarray]:
        arrays = {"count": np.array(self._count), "generator": self._generator.get_state().numpy().copy()}
        for (name, x), state in zip(self.networks.named_parameters(), adam_state(self._optimiser), strict=True):
            arrays[f"p.{name}"] = x.detach().numpy().copy()
            for moment in MOMENTS if self._count else ():
                arrays[f"{moment}.{name}"] = state[moment].numpy().copy()
        return arrays

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count = int(state["count"])
        self._generator.set_state(torch.from_numpy(np.array(state["generator"])))
        step, adam = torch.tensor(float(self._count)), []
        for name, x in self.networks.named_parameters():
            with torch.no_grad():
                x.copy_(torch.from_numpy(np.array(state[f"p.{name}"])))
            if self._count:
                moments = {m: torch.from_numpy(np.array(state[f"{m}.{name}"])) for m in MOMENTS}
                adam.append({"step": step, **moments})
        load_adam_state(self._optimiser, adam)
