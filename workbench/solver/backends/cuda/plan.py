"""Choose the arrangement of a problem on the GPU from the shapes and strides of its tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod

import torch
from torch import Tensor

from workbench.solver.backends.cuda.nvrtc import Instance
from workbench.solver.shapes import LAYOUT, Shape, Sizes, cached, sizes_of

MOST_BATCH_DIMS = 16
PIECED = 32768
"""Largest number of threads over all pieces: a warp per scheduler of a large GPU. Estimated, not measured."""
SHORTEST = 64
"""Smallest number of grid points per piece. Shorter ones lose digits: for u'' + 0.1 u' + u = 0, K = 3, h = 1e-4, T =
10,000, `qr` on pieces of 16, 64 and 256 grid points differs by 4.5e-11, 2.6e-11 and 2.2e-12 from the whole record."""
FEWEST = 4
"""Smallest number of pieces; the columns of the separators double the work. Estimated, not measured."""
MOST_SHARED = 48 * 1024
"""Bytes of shared memory per block that every GPU provides by default: enough for `qr` up to R = 30 and `cholesky` up
to 37, at E = R. A warp per system takes 6 kB at R = 10, so that an SM of 228 kB holds 32 warps (the maximum), and 4 at
R = 32; its 64 to 128 registers per lane are a weaker bound. One thread per system would work in global memory, with one
transaction per number of a warp, and leave most of a GPU idle below some ten thousand systems. Estimated, not
measured."""
GROUP = 32
"""Number of columns over which one thread sums a gradient."""

Layout = tuple[tuple[Shape, Shape], ...]
"""Shape and strides of every argument, in the order of LAYOUT."""


def padded(numbers: Sequence[int], length: int) -> list[int]:
    """The numbers, padded with zeros to `length`."""
    return [*numbers, *(0,) * (length - len(numbers))]


@dataclass(frozen=True)
class GradientLayout:
    """The layout (parts, spans, width) of a gradient written by the kernel, to be summed over parts and spans.

    stride: between grid points; 0 if each span holds a sum over its grid points.
    """

    parts: int
    spans: int
    width: int
    stride: int


class CudaPlan:
    """The arrangement of the problems of one layout.

    The batch is permuted so that the dimensions of left-hand sides come first and systems that share a left-hand side
    are contiguous. With central rows such systems do not share a factor, and no factor is kept.
    """

    def __init__(self, layout: Layout, sizes: Sizes, central: bool, method: str) -> None:
        rank = len(sizes.batch)
        left = (1,) * (rank - len(sizes.left_batch)) + tuple(sizes.left_batch)
        shared = [left[i] == 1 and sizes.batch[i] != 1 for i in range(rank)]
        self.order = sorted(range(rank), key=shared.__getitem__)
        self.left = left
        self.batch = tuple(sizes.batch[i] for i in self.order)
        columns = prod(sizes.batch[i] for i in range(rank) if shared[i]) or 1
        self.sizes, self.central, self.method = sizes, central, method
        self.columns = 1 if central else columns
        self.keeps_factor = self.columns == columns
        self.systems = prod(self.batch)
        self.n_left = self.systems // self.columns
        self.orthogonal, self.real = method != "cholesky", torch.float32 if method == "qr32" else torch.float64
        self.general = self.instance("Solve").general
        self.warp = self.general and not central and self.shared_bytes <= MOST_SHARED
        self.pieces, self.length, self.joined = self._cut()
        self.links = -(-self.pieces // self.joined)
        self.strides = [
            self.padded_strides(shape, stride, len(LAYOUT[name]))
            for name, (shape, stride) in zip(LAYOUT, layout, strict=True)
        ]
        self.tails = {
            name: tuple(shape[len(shape) - len(LAYOUT[name]) :])
            for name, (shape, _) in zip(LAYOUT, layout, strict=True)
        }

    def _cut(self) -> tuple[int, int, int]:
        """The number of pieces of a record, their length, and the number of pieces per link; (1, T, 1) if not cut.

        Three sequential passes run over the grid points of a piece, the pieces of a link and the links of the chain;
        for a single long record each has length T^(1/3).
        """
        T, third = self.sizes.T, round(self.sizes.T ** (1 / 3))
        length = max(SHORTEST, third, -(-T * self.systems // PIECED))
        pieces = -(-T // length)
        if self.general or self.columns > 1 or self.sizes.T0 > 1 or pieces < FEWEST or not self.systems:
            return 1, T, 1
        return pieces, length, isqrt(pieces)

    def padded_strides(self, shape: Shape, strides: Shape, n: int) -> list[int]:
        """Strides along the grid points, the other n - 1 row dimensions and the batch; 0 if broadcast."""
        effective = [stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
        split = len(effective) - n
        rows, batch = effective[split:], [0] * (len(self.batch) - split) + effective[:split]
        batch = [batch[i] for i in self.order]
        return [rows[0], *padded(rows[1:], 3), *padded(batch, MOST_BATCH_DIMS)]

    # sizes

    def record(self, pieced: bool) -> int:
        """Size of the factor per grid point (kernels/sweep.hpp, central.hpp); in pieces also over the separator."""
        D, R = self.sizes.D, self.sizes.D * self.sizes.K
        if self.central:
            return R * (R + 1) // 2 + R * (R + D)
        return R * (R + 1) // 2 + R * R * (int(self.orthogonal) + int(pieced))

    @property
    def workspace(self) -> int:
        """Size of the scratch memory of a thread; 0 if the shape is known at compile time."""
        s = self.sizes
        D, E, R = s.D, s.E, s.D * s.K
        if not self.general:
            return 0
        if not self.central:
            return 4 * R * R + 4 * R * E + 24 * R + 8 * E + 2 * D
        Q, rows = R + D, E + D * s.K0
        matrices = rows * (R + 1) + (rows + 2 * Q + 2 * D) * (Q + 1) + (R + Q) * (R + Q + 2) + R * (R + Q)
        return matrices + 16 * R + 4 * (E + D)

    @property
    def shared_bytes(self) -> int:
        """Bytes of shared memory of a warp: `SharedMemory` of kernels/gpu/warp.hpp."""
        D, K, E, R = self.sizes.D, self.sizes.K, self.sizes.E, self.sizes.D * self.sizes.K
        stack = 2 * R * (2 * R + 1 if self.orthogonal else R + 1)
        numbers = stack + (E + R + 1) * (R + 1) + 10 * R + 2 * K + D + E + 33
        return numbers * self.real.itemsize

    def factor_shapes(self, keep: str) -> list[tuple[int, ...]]:
        """The shapes of the kept factor."""
        if keep in ("nothing", "carry") or not self.keeps_factor or (self.central and keep == "resolve"):
            return []
        shared = self.columns > 1 or keep == "resolve"
        return self.shared_factor_shapes() if shared else self.system_factor_shapes()

    def system_factor_shapes(self) -> list[tuple[int, ...]]:
        """Factors of systems that do not share one: records, and with pieces also the links and the chain."""
        if self.warp:
            return [(self.systems, self.sizes.T, self.record(False))]
        if self.pieces == 1:
            return [(self.sizes.T, self.record(False), self.systems)]
        R, threads = self.sizes.D * self.sizes.K, self.systems * self.pieces
        links = (self.joined, 3 * R * R, self.systems * self.links)
        return [(self.length, self.record(True), threads), links, (self.links + 1, 2 * R * R, self.systems)]

    def shared_factor_shapes(self) -> list[tuple[int, ...]]:
        """Factors of left-hand sides: records, reflections, those of the initial rows, and the rank indicator."""
        s, R = self.sizes, self.sizes.D * self.sizes.K
        reflections, merged = (R * (R + s.E + 4), 3 * R) if self.orthogonal else (0, 0)
        return [
            (s.T, self.record(False), self.n_left),
            (s.T, reflections, self.n_left),
            (s.T0 * s.D * s.K0, merged, self.n_left),
            (self.n_left * torch.int64.itemsize // self.real.itemsize,),
        ]

    def instance(self, kernel: str) -> Instance:
        """The kernel `kernel` for problems of this shape."""
        s = self.sizes
        method = "qr" if kernel == "Gradient" else self.method  # gradients: the same kernel for all methods, in float64
        return Instance(kernel, method, s.D, s.K, s.E, self.central)

    # results

    def gradient_layout(self, name: str, span: int) -> GradientLayout:
        """The layout in which the kernel writes the gradient of this argument."""
        tail = self.tails[name]
        width = prod(tail[1:])
        left = name in ("coefficients", "steps")
        parts = self.n_left * -(-self.columns // GROUP) if left else self.systems
        points = {"initial": self.sizes.T0, "steps": self.sizes.T - 1}.get(name, self.sizes.T)
        if tail[0] == points and points > 1:
            return GradientLayout(parts, points, width, width)
        return GradientLayout(parts, -(-points // span), width, 0)

    def unpermute(self, x: Tensor) -> Tensor:
        """A result in the batch order of the problem."""
        n = len(self.order)
        if self.order == list(range(n)):
            return x
        inverse = sorted(range(n), key=self.order.__getitem__)
        return x.permute(*inverse, *range(n, x.ndim)).contiguous()

    def reduce_gradient(self, name: str, x: Tensor, layout: GradientLayout) -> Tensor:
        """A gradient (parts, spans, width) in the batch order of the problem."""
        if layout.spans and not layout.stride:
            x = x.sum(1, keepdim=True)
        tail = self.tails[name]
        if name in ("coefficients", "steps"):
            return (
                x.reshape(self.n_left, layout.parts // max(self.n_left, 1), -1)
                .sum(1)
                .reshape(*self._left_batch(), *tail)
            )
        return self.unpermute(x.reshape(*self.batch, *tail))

    def _left_batch(self) -> tuple[int, ...]:
        return self.left if self.columns > 1 else tuple(self.sizes.batch)


@cached
def plan_of(layout: Layout, T: int, T0: int, central: bool, method: str) -> CudaPlan:
    """The plan of a layout, cached."""
    return CudaPlan(layout, sizes_of(tuple([shape for shape, _ in layout]), T, T0, central), central, method)
