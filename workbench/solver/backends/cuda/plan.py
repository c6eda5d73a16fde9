"""How problems are handed to the kernels of `cuda`: all that follows from shapes and strides alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt, prod

import torch
from torch import Tensor

from workbench.solver.backends.cuda.nvrtc import Instance
from workbench.solver.shapes import LAYOUT, Shape, Sizes, remembered, sizes_of

MOST_BATCH_DIMS = 16
PIECED = 32768
"""Threads that pieces may make: a warp on every scheduler of a large GPU. Estimated, not measured."""
SHORTEST = 64
"""Grid points of the shortest piece. Shorter ones cost digits: of u'' + 0.1 u' + u = 0, K = 3, h = 1e-4, T = 10,000,
`qr` on pieces of 16, 64 and 256 grid points is 4.5e-11, 2.6e-11 and 2.2e-12 away from the record as a whole."""
FEWEST = 4
"""Pieces for which cutting a record pays, as what rides along doubles the work. Estimated, not measured."""
MOST_SHARED = 48 * 1024
"""Bytes of shared memory that every GPU gives a block unasked: `qr` fits up to R = 30, `cholesky` up to 37, at E = R. A
warp per system takes 6 kB at R = 10, so that an SM of 228 kB holds 32 warps (its most) there, and 4 at R = 32; its 64
to 128 registers per lane bound it less. One thread per system would work in memory instead, where every number that a
warp touches is a transaction of its own, and leave most of a GPU idle below some ten thousand systems. Estimated, not
measured."""
GROUP = 32
"""Columns that one thread sums a gradient over."""

Layout = tuple[tuple[Shape, Shape], ...]
"""Shape and strides of every argument, in the order of LAYOUT."""


def padded(numbers: Sequence[int], length: int) -> list[int]:
    """The numbers, and zeros up to that length."""
    return [*numbers, *(0,) * (length - len(numbers))]


@dataclass(frozen=True)
class GradientLayout:
    """How a gradient leaves the kernel: `parts` times `places` times `width` numbers, to be summed over part and place.

    along: numbers from one grid point to the next, 0 where a place is a sum over a span of them.
    """

    parts: int
    places: int
    width: int
    along: int


class CudaPlan:
    """How problems of one layout are handed to the kernels: all that follows from shapes and strides alone.

    Systems that share coefficients, steps and weights are neighbours there: the batch is permuted so that its
    dimensions of left-hand sides come first. With central rows each has a factor of its own, which is not kept where
    they share one.
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
        self.keeps = self.columns == columns
        self.systems = prod(self.batch)
        self.lefts = self.systems // self.columns
        self.orthogonal, self.real = method != "cholesky", torch.float32 if method == "qr32" else torch.float64
        self.general = self.instance("Solve").general
        self.warp = self.general and not central and self.shared_bytes <= MOST_SHARED
        self.pieces, self.length, self.joined = self._cut()
        self.links = -(-self.pieces // self.joined)
        self.fields = [
            self.field(shape, stride, len(LAYOUT[name])) for name, (shape, stride) in zip(LAYOUT, layout, strict=True)
        ]
        self.tails = {
            name: tuple(shape[len(shape) - len(LAYOUT[name]) :])
            for name, (shape, _) in zip(LAYOUT, layout, strict=True)
        }

    def _cut(self) -> tuple[int, int, int]:
        """Pieces of a record, their length, and how many make one link of the chain of their ends; (1, T, 1): none.

        Three passes follow each other, over the grid points of a piece, the pieces of a link and the links: for one
        long record each gets the cube root of T.
        """
        T, third = self.sizes.T, round(self.sizes.T ** (1 / 3))
        length = max(SHORTEST, third, -(-T * self.systems // PIECED))
        pieces = -(-T // length)
        if self.general or self.columns > 1 or self.sizes.T0 > 1 or pieces < FEWEST or not self.systems:
            return 1, T, 1
        return pieces, length, isqrt(pieces)

    def field(self, shape: Shape, strides: Shape, n: int) -> list[int]:
        """Strides along the grid points, the dimensions after them, and the batch: 0 where broadcast."""
        own = [stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True)]
        split = len(own) - n
        rows, batch = own[split:], [0] * (len(self.batch) - split) + own[:split]
        batch = [batch[i] for i in self.order]
        return [rows[0], *padded(rows[1:], 3), *padded(batch, MOST_BATCH_DIMS)]

    # sizes

    def record(self, pieced: bool) -> int:
        """Numbers of factor per grid point (kernels/sweep.hpp, central.hpp), in pieces also over the separator."""
        D, R = self.sizes.D, self.sizes.D * self.sizes.K
        if self.central:
            return R * (R + 1) // 2 + R * (R + D)
        return R * (R + 1) // 2 + R * R * (int(self.orthogonal) + int(pieced))

    @property
    def workspace(self) -> int:
        """Numbers of scratch of a thread; 0 where sizes are known at compile time."""
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
        """Shared memory of a warp: `Shared` of kernels/gpu/warp.hpp."""
        D, K, E, R = self.sizes.D, self.sizes.K, self.sizes.E, self.sizes.D * self.sizes.K
        stack = 2 * R * (2 * R + 1 if self.orthogonal else R + 1)
        numbers = stack + (E + R + 1) * (R + 1) + 10 * R + 2 * K + D + E + 33
        return numbers * self.real.itemsize

    def kept(self, keep: str) -> list[tuple[int, ...]]:
        """The shapes of what is kept."""
        if keep in ("nothing", "carry") or not self.keeps or (self.central and keep == "resolve"):
            return []
        return self.shared() if self.columns > 1 or keep == "resolve" else self.own()

    def own(self) -> list[tuple[int, ...]]:
        """The factor of systems that share none: records, and of pieces also the links and the chain of their ends."""
        if self.warp:
            return [(self.systems, self.sizes.T, self.record(False))]
        if self.pieces == 1:
            return [(self.sizes.T, self.record(False), self.systems)]
        R, threads = self.sizes.D * self.sizes.K, self.systems * self.pieces
        links = (self.joined, 3 * R * R, self.systems * self.links)
        return [(self.length, self.record(True), threads), links, (self.links + 1, 2 * R * R, self.systems)]

    def shared(self) -> list[tuple[int, ...]]:
        """Of every left-hand side: records, reflections, those of the initial rows, and the rank indicator."""
        s, R = self.sizes, self.sizes.D * self.sizes.K
        reflections, merged = (R * (R + s.E + 4), 3 * R) if self.orthogonal else (0, 0)
        return [
            (s.T, self.record(False), self.lefts),
            (s.T, reflections, self.lefts),
            (s.T0 * s.D * s.K0, merged, self.lefts),
            (self.lefts * torch.int64.itemsize // self.real.itemsize,),
        ]

    def instance(self, kernel: str) -> Instance:
        """The kernel of that name for problems of this shape."""
        s = self.sizes
        method = "qr" if kernel == "Gradient" else self.method  # which is the same for all, and in float64
        return Instance(kernel, method, s.D, s.K, s.E, self.central)

    # results

    def result(self, name: str, span: int) -> GradientLayout:
        """How the gradient of this argument leaves the kernel."""
        tail = self.tails[name]
        width = prod(tail[1:])
        left = name in ("coefficients", "steps")
        parts = self.lefts * -(-self.columns // GROUP) if left else self.systems
        points = {"initial": self.sizes.T0, "steps": self.sizes.T - 1}.get(name, self.sizes.T)
        if tail[0] == points and points > 1:
            return GradientLayout(parts, points, width, width)
        return GradientLayout(parts, -(-points // span), width, 0)

    def restored(self, x: Tensor) -> Tensor:
        """A result in the order of the batch."""
        n = len(self.order)
        if self.order == list(range(n)):
            return x
        inverse = sorted(range(n), key=self.order.__getitem__)
        return x.permute(*inverse, *range(n, x.ndim)).contiguous()

    def summed(self, name: str, x: Tensor, how: GradientLayout) -> Tensor:
        """A gradient, by part and place, in the order of the batch."""
        if how.places and not how.along:
            x = x.sum(1, keepdim=True)
        tail = self.tails[name]
        if name in ("coefficients", "steps"):
            return x.reshape(self.lefts, how.parts // max(self.lefts, 1), -1).sum(1).reshape(*self._left_batch(), *tail)
        return self.restored(x.reshape(*self.batch, *tail))

    def _left_batch(self) -> tuple[int, ...]:
        return self.left if self.columns > 1 else tuple(self.sizes.batch)


@remembered
def plan_of(layout: Layout, T: int, T0: int, central: bool, method: str) -> CudaPlan:
    """The plan of a layout."""
    return CudaPlan(layout, sizes_of(tuple([shape for shape, _ in layout]), T, T0, central), central, method)
