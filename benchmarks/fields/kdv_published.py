"""The published KdV model, for `kdv.py step`."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from workbench.models.kdv.networks import FRAMES


class Published(nn.Module):
    """A reimplementation of the published model, with its sizes and padding and the given solver.

    Two ResNets of ten zero-padded blocks, and two convolutional networks with a dense output layer.
    """

    def __init__(self, ode_forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.ode_forward = ode_forward
        self.coefficients, self.forcing = self._residual(50), self._residual(10)
        self.initial = nn.Sequential(
            *self._plain((64, 128, 256, 256), 7, ()), *self._tail(7, (2, 2)),
            nn.Flatten(), nn.Linear(32 * 64, 256 * 3), nn.Unflatten(-1, (256, 3)),
        )  # fmt: skip
        self.step = nn.Sequential(
            *self._plain((64, 128, 256, 256), 5, (1,)), *self._tail(5, (1, 2)), nn.Flatten(), nn.Linear(32 * 64, 1)
        )
        nn.init.zeros_(self.step[-1].weight)
        nn.init.constant_(self.step[-1].bias, float(torch.tensor(0.05).logit()))

    @staticmethod
    def _circular(a: int, b: int, kernel: int, stride: int = 1) -> nn.Conv1d:
        return nn.Conv1d(a, b, kernel, padding=kernel // 2, stride=stride, padding_mode="circular")

    def _plain(self, widths: tuple[int, ...], kernel: int, strided: tuple[int, ...]) -> list[nn.Module]:
        sizes = (FRAMES, *widths)
        return [
            part
            for index, (a, b) in enumerate(pairwise(sizes))
            for part in (self._circular(a, b, kernel, 2 if index in strided else 1), nn.ReLU())
        ]

    def _tail(self, kernel: int, strides: tuple[int, int]) -> list[nn.Module]:
        first, second = strides
        return [
            self._circular(256, 128, kernel, first), nn.ReLU(),
            self._circular(128, 64, kernel, second), nn.ReLU(), self._circular(64, 32, kernel),
        ]  # fmt: skip

    def _residual(self, outputs: int) -> nn.Sequential:
        class Block(nn.Module):
            def __init__(self, a: int, b: int) -> None:
                super().__init__()
                self.one, self.two, self.more = nn.Conv1d(a, b, 9), nn.Conv1d(b, b, 9), (b - a) // 2

            def forward(self, x: Tensor) -> Tensor:
                y = self.one(nn.functional.pad(nn.functional.relu(x), (4, 4)))
                y = self.two(nn.functional.pad(nn.functional.relu(y), (4, 4)))
                return y + nn.functional.pad(x, (0, 0, self.more, self.more))

        widths = (64, 64, 64, 64, 64, 128, 128, 128, 128, 256, 256)
        blocks = [Block(a, b) for a, b in pairwise(widths)]
        first = nn.Sequential(nn.ZeroPad1d(4), nn.Conv1d(FRAMES, 64, 9), nn.ReLU())
        return nn.Sequential(first, *blocks, self._circular(256, outputs, 7))

    def odes(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        B, N = len(x), x.shape[-1]
        c = self.coefficients(x).mT.reshape(B, N, FRAMES, 1, 1, 5).double()
        r = self.forcing(x).mT.reshape(B, N, FRAMES, 1).double()
        v = torch.cat([x[:, -1, :, None], self.initial(x)], dim=-1).reshape(B, N, 1, 1, 4).double()
        h = self.step(x).sigmoid().clip(min=1e-3)[:, None].expand(B, N, FRAMES - 1).double()
        return c, r, v, h

    def solve(self, odes: tuple[Tensor, ...]) -> Tensor:
        u = self.ode_forward(*odes, is_step_dim_first=False, enable_central_smoothness=False)
        return u[..., 0, 0].mT
