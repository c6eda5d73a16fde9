"""The mechanistic identifier of the paper: an encoder says what kind of place a series is from, an ODE plays it back.

A chunk y (T) of a standardised series -> first quarter of its DCT-II -> encoder -> theta (20) -> decoders -> forcing
(T), coefficients (T, 3) of a second-order ODE and steps (T - 1); its first grid points are given as initial rows.
Half of theta is shared by two places at the same latitude that lie close together.
Source: Yao et al., "Marrying Causal Representation Learning with Dynamical Systems for Science", NeurIPS 2024, and the
SST experiment of "Scalable Mechanistic Neural Networks", ICLR 2025. With `varying=False` the coefficients are three
numbers per series: the time-invariant Mechanistic Neural Network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi

import numpy as np
import torch
from torch import Tensor, nn

from workbench.discovery.neural.networks import layers
from workbench.solver import LinearODE, solve

LATENT, SHARED = 20, 10
GIVEN = 10
NEAR = 5.0
"""Degrees of longitude within which two places count as neighbours."""
ALIGNMENT = 10.0
SHORTEST, LONGEST = 1e-3, 0.999
"""Bounds of the learned steps."""
TAKEN = 0.25
"""The share of the DCT that the encoder sees and the loss compares."""


def cosines(points: int) -> Tensor:
    """The first TAKEN rows (k, points) of the orthonormal DCT-II."""
    k = torch.arange(max(int(TAKEN * points), 2), dtype=torch.float64)[:, None]
    n = torch.arange(points, dtype=torch.float64)
    rows = (pi * (n + 0.5) * k / points).cos() * (2 / points) ** 0.5
    rows[0] *= 0.5**0.5
    return rows.float()


def neighbours(latitude: Tensor, longitude: Tensor) -> list[Tensor]:
    """For every place the others at its latitude within NEAR degrees. Raises ValueError if a place has none."""
    found = []
    for lat, lon in zip(latitude.tolist(), longitude.tolist(), strict=True):
        apart = (longitude - lon).abs() % 360
        apart = torch.minimum(apart, 360 - apart)
        found.append(((latitude == lat) & (apart <= NEAR) & (apart > 0)).nonzero()[:, 0])
    alone = sum(not len(some) for some in found)
    if alone == len(found):
        raise ValueError(
            f"the identifier compares places at the same latitude within {NEAR:g} degrees, and there are none: "
            "choose a gridded source of a finer grid, or the direct mode"
        )
    # a place without a neighbour is compared with itself
    return [some if len(some) else torch.tensor([index]) for index, some in enumerate(found)]


class Networks(nn.Module):
    """Encoder and decoders; ReLU networks of `depth` hidden layers for the encoder and two for each decoder."""

    def __init__(self, points: int, hidden: int, depth: int, *, varying: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.points, self.rows = points, points if varying else 1
        self.register_buffer("dct", cosines(points), persistent=False)
        inner = (hidden,) * 2
        self.encoder = layers((len(self.dct), *(hidden,) * depth, LATENT), generator)
        self.forcing = layers((LATENT, *inner, points), generator)
        self.coefficients = layers((LATENT, *inner, 3 * self.rows), generator)
        self.steps = layers((LATENT, *inner, points - 1), generator)

    def encode(self, chunk: Tensor) -> Tensor:
        """theta (B, LATENT) of chunks (B, T)."""
        return self.encoder(chunk @ self.dct.T)

    def decode(self, theta: Tensor, first: Tensor, backend: str = "auto", method: str = "qr") -> Tensor:
        """The series (B, T) that begins with `first` (B, given)."""
        c = self.coefficients(theta).unflatten(-1, (self.rows, 1, 1, 3))
        h = SHORTEST + (LONGEST - SHORTEST) * self.steps(theta).sigmoid()
        problem = LinearODE(c, self.forcing(theta)[..., None], first[..., None, None], h)
        return solve(problem, backend=backend, method=method, check=False).u[..., 0, 0]


@dataclass(frozen=True)
class IdentifierSettings:
    """How the identifier is trained: chunk and training length in grid points, sizes of networks and batches."""

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
    """Trains `Networks` on chunks of the training times by Adam. A step: one batch of places, one chunk of each.

    values (T, D), latitude and longitude (D). Values are standardised by the training times alone.
    loss: mean squared difference of the leading DCT terms + ALIGNMENT times that of the shared halves of theta.
    Raises ValueError if the training times hold no chunk and its given points.
    """

    monitor = "loss"
    era = 0

    def __init__(self, values: Tensor, latitude: Tensor, longitude: Tensor, schedule: IdentifierSettings) -> None:
        self.schedule = schedule
        N, T = schedule.training, schedule.chunk
        if N < T + GIVEN:
            raise ValueError(
                f"the training period ({N} grid points) is shorter than a chunk ({T}) and the {GIVEN} points after it: "
                "choose a shorter chunk or hold out less"
            )
        self.mean, self.deviation = values[:N].mean(0), values[:N].std(0).clamp(min=1e-6)
        self._series = ((values - self.mean) / self.deviation).float().T.contiguous()
        self._near = neighbours(latitude, longitude)
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
        """One step of Adam; the loss before it and its two parts."""
        a, b = self._views()
        theta_a, theta_b = self.networks.encode(a), self.networks.encode(b)
        alignment = (theta_a[:, :SHARED] - theta_b[:, :SHARED]).square().mean()
        common = (theta_a[:, :SHARED] + theta_b[:, :SHARED]) / 2
        theta = torch.cat([torch.cat([common, own[:, SHARED:]], dim=1) for own in (theta_a, theta_b)])
        chunk = torch.cat([a, b])
        off = (self._decode(theta, chunk[:, :GIVEN]) - chunk) @ self.networks.dct.T
        misfit = off.square().mean()
        loss = misfit + ALIGNMENT * alignment
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._count += 1
        return {"loss": loss.item(), "misfit": misfit.item(), "alignment": alignment.item()}

    def _views(self) -> tuple[Tensor, Tensor]:
        """Chunks (B, T) of places drawn at random and of a neighbour of each, at the same times."""
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
        """The test period (T - training, D): NaN beyond what a chunk reaches.

        given = GIVEN: the published protocol, theta from the chunk before the test period and its first true points.
        given = 0: as honest as can be, a chunk that begins GIVEN points before the test period.
        """
        N, T = self.schedule.training, self.schedule.chunk
        begin = N if given else N - GIVEN
        theta = self.networks.encode(self._series[:, begin - T : begin])
        decoded = self._decode(theta, self._series[:, begin : begin + GIVEN]).T.double()
        ahead = decoded[N - begin :]
        found = torch.full((self._series.shape[1] - N, len(self._series)), torch.nan, dtype=torch.float64)
        reach = min(len(found), len(ahead))
        found[:reach] = ahead[:reach] * self.deviation + self.mean
        return found

    @torch.no_grad()
    def codes(self) -> Tensor:
        """theta (D, LATENT) of the last training chunk of every place."""
        N, T = self.schedule.training, self.schedule.chunk
        return self.networks.encode(self._series[:, N - T : N]).double()

    def coefficients(self) -> None:
        """None: every place has its own."""

    def state(self) -> dict[str, np.ndarray]:
        kept = {"count": np.array(self._count), "generator": self._generator.get_state().numpy().copy()}
        for name, x in self.networks.named_parameters():
            kept[f"p.{name}"] = x.detach().numpy().copy()
            for moment in ("exp_avg", "exp_avg_sq") if self._count else ():
                kept[f"{moment}.{name}"] = self._optimiser.state[x][moment].numpy().copy()
        return kept

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._count = int(state["count"])
        self._generator.set_state(torch.from_numpy(np.array(state["generator"])))
        self._optimiser.state.clear()
        for name, x in self.networks.named_parameters():
            with torch.no_grad():
                x.copy_(torch.from_numpy(np.array(state[f"p.{name}"])))
            if self._count:
                kept = {m: torch.from_numpy(np.array(state[f"{m}.{name}"])) for m in ("exp_avg", "exp_avg_sq")}
                self._optimiser.state[x] = {"step": torch.tensor(float(self._count)), **kept}
