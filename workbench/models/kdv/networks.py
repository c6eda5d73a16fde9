"""Networks that predict one linear ODE per grid point from ten frames of a periodic field.

All networks are translation equivariant: a field shifted by whole grid points has the shifted forecast.
Source: the KdV example of "Scalable Mechanistic Neural Networks", ICLR 2025.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from workbench.solver import LinearODE, solve

FRAMES = 10
"""Frames of input and output; the first output frame is the last input frame."""
ORDER = 4
START_STEP = 0.05
LEAST_STEP = 1e-3


@dataclass(frozen=True)
class Preset:
    """Sizes of the networks.

    widths: channels of the residual blocks. initial, step: channels of the plain networks for initial values and step;
    dense: dense layers after those of the step. shared: one residual network for coefficients and forcing plus a linear
    filter `reach` points wide, initialized to persistence; else two randomly initialized networks, as published.
    """

    widths: tuple[int, ...]
    kernel: int
    initial: tuple[int, ...]
    step: tuple[int, ...]
    shared: bool
    dense: tuple[int, ...] = ()
    reach: int = 0


PRESETS = {
    "small": Preset((48,) * 6, 7, (32, 32), (32, 32), shared=True, reach=65),
    # the published dense layer from all grid points to every initial value is not translation equivariant; its
    # parameters are in the dense layers of the step, where they cost nothing
    "paper": Preset(
        (64,) * 4 + (128,) * 4 + (256,) * 2, 9, (64, 128, 256, 256, 128, 64, 32), (64, 128), shared=False,
        dense=(1440, 1440),
    ),
}  # fmt: skip


class Convolution(nn.Conv1d):
    """Circular convolution (B, C, N) -> (B, C', N) with an odd kernel."""

    def forward(self, x: Tensor) -> Tensor:
        reach = self.kernel_size[0] // 2
        return super().forward(functional.pad(x, (reach, reach), mode="circular"))


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))); additional channels of x are zero-padded on both sides."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.inner = Convolution(inputs, outputs, kernel)
        self.outer = Convolution(outputs, outputs, kernel)
        self.more = ((outputs - inputs) // 2, outputs - inputs - (outputs - inputs) // 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.outer(functional.relu(self.inner(x if self.first else functional.relu(x))))
        return y + (functional.pad(x, (0, 0, *self.more)) if any(self.more) else x)


def residual(widths: tuple[int, ...], kernel: int, outputs: int, head: int) -> nn.Sequential:
    """(B, FRAMES, N) -> (B, outputs, N): convolution, pre-activation residual blocks, convolution of width `head`."""
    parts = [Convolution(FRAMES, widths[0], kernel), nn.ReLU()]
    for index, outputs_of_block in enumerate(widths):
        parts.append(ResidualBlock(widths[max(index - 1, 0)], outputs_of_block, kernel, first=index == 0))
    return nn.Sequential(*parts, Convolution(widths[-1], outputs, head))


def plain(widths: tuple[int, ...], kernel: int, outputs: int) -> nn.Sequential:
    """(B, FRAMES, N) -> (B, outputs, N): convolutions and ReLUs."""
    sizes = (FRAMES, *widths, outputs)
    parts = [part for a, b in pairwise(sizes) for part in (Convolution(a, b, kernel), nn.ReLU())]
    return nn.Sequential(*parts[:-1])


class Step(nn.Module):
    """(B, FRAMES, N) -> (B,): convolutions, mean over grid points, dense layers; translation invariant."""

    def __init__(self, widths: tuple[int, ...], dense: tuple[int, ...]) -> None:
        super().__init__()
        self.local = plain(widths[:-1], 5, widths[-1]) if dense else plain(widths, 5, 1)
        sizes = (widths[-1], *dense, 1) if dense else ()
        self.whole = nn.Sequential(*(part for a, b in pairwise(sizes) for part in (nn.ReLU(), nn.Linear(a, b))))

    @property
    def last(self) -> nn.Module:
        """The output layer."""
        return self.whole[-1] if len(self.whole) else self.local[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.whole(self.local(x).mean(dim=-1))[:, 0]


@dataclass(frozen=True, eq=False)
class PointODEs:
    """ODEs sum_k c_k(t) u_k = r(t) per grid point: c (B, N, T, K), r (B, N, T), initial (B, N, ORDER), steps (B)."""

    coefficients: Tensor
    forcing: Tensor
    initial: Tensor
    steps: Tensor

    def problem(self) -> LinearODE:
        """The ODEs in float64, one system per sample and grid point."""
        c, r, v, h = (x.double() for x in (self.coefficients, self.forcing, self.initial, self.steps))
        return LinearODE(c[..., None, None, :], r[..., None], v[..., None, None, :], h[:, None, None], n_steps=FRAMES)


class WaveForecaster(nn.Module):
    """Frames x (B, FRAMES, N) -> frames (B, FRAMES, N), the first of which is the last of x.

    Parameters are initialized by PyTorch's defaults from `generator`.
    """

    def __init__(
        self, preset: Preset, generator: torch.Generator, *, backend: str = "auto", method: str = "qr"
    ) -> None:
        super().__init__()
        K = ORDER + 1
        self.preset, self.backend, self.method = preset, backend, method
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            if preset.shared:
                self.both = residual(preset.widths, preset.kernel, FRAMES * (K + 1), 1)
                self.linear = Convolution(FRAMES, FRAMES, preset.reach, bias=False)
            else:
                self.coefficients = residual(preset.widths, preset.kernel, FRAMES * K, 7)
                self.forcing = residual(preset.widths, preset.kernel, FRAMES, 7)
            self.initial = plain(preset.initial, 7, ORDER - 1)
            self.step = Step(preset.step, preset.dense)
        self._initialize()

    def _initialize(self) -> None:
        """Initialize the step to START_STEP, and shared networks to persistence, u = the last frame."""
        with torch.no_grad():
            self.step.last.weight.zero_()
            self.step.last.bias.fill_(torch.tensor(START_STEP).logit())
            if self.preset.shared:
                for layer in (self.both[-1], self.initial[-1]):
                    layer.weight.zero_()
                    layer.bias.zero_()
                self.linear.weight.zero_()

    def networks(self, x: Tensor) -> tuple[Tensor, ...]:
        """Network outputs: coefficients and forcing (B, FRAMES (K + 1), N), initial values, step."""
        both = self.both(x) if self.preset.shared else torch.cat([self.coefficients(x), self.forcing(x)], dim=1)
        return both, self.initial(x), self.step(x)

    def odes(self, x: Tensor, *, half: bool = False) -> PointODEs:
        """The ODEs of all grid points; half: evaluate the networks in bfloat16."""
        K = ORDER + 1
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=half):
            both, initial, step = (part.float() for part in self.networks(x))
        c = both[:, : FRAMES * K].unflatten(1, (FRAMES, K)).permute(0, 3, 1, 2)
        r = both[:, FRAMES * K :].mT
        if self.preset.shared:
            c, r, initial = self._shared(x, c, r, initial)
        v = torch.cat([x[:, -1:], initial], dim=1).mT
        return PointODEs(c, r, v, step.sigmoid().clamp(min=LEAST_STEP))

    def _shared(self, x: Tensor, c: Tensor, r: Tensor, initial: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(1 + c_0) u + sum_k c_k START_STEP^k u_k = last frame + linear filter + r.

        The outputs of the networks are per frame; powers of START_STEP convert them to the time unit of the ODE.
        Initial derivatives are backward differences of the frames plus the network output.
        """
        scale = START_STEP ** torch.arange(ORDER + 1, device=x.device)
        c = (c + torch.eye(ORDER + 1, device=x.device)[0]) * scale
        r = r + (x[:, -1:] + self.linear(x)).mT
        differences = torch.stack([x[:, -1 - n :].diff(n=n, dim=1)[:, -1] for n in range(1, ORDER)], dim=1)
        return c, r, (initial + differences) / scale[1:ORDER, None]

    def forward(self, x: Tensor, *, half: bool = False) -> Tensor:
        u = solve(self.odes(x, half=half).problem(), backend=self.backend, method=self.method, check=False).u
        return u[..., 0, 0].mT.to(x.dtype)

    @torch.no_grad()
    def roll_out(self, x: Tensor, frames: int, *, half: bool = False) -> Tensor:
        """Predict the `frames` frames after x (B, FRAMES, N) autoregressively."""
        u = x
        while u.shape[1] < frames + FRAMES:
            u = torch.cat([u, self(u[:, -FRAMES:], half=half)[:, 1:]], dim=1)
        return u[:, FRAMES : FRAMES + frames]


def count(module: nn.Module) -> int:
    """Number of parameters of a module."""
    return sum(prod(parameter.shape) for parameter in module.parameters())
