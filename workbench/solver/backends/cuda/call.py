"""Launch the GPU kernels of a problem and allocate their buffers."""

from array import array
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workbench.solver.backends.cuda import nvrtc
from workbench.solver.backends.cuda.plan import GROUP, MOST_BATCH_DIMS, padded, plan_of
from workbench.solver.problem import LinearODE

GRADIENTS = ("coefficients", "forcing", "initial", "steps")
MOST_THREADS = 8192
"""Largest number of threads with scratch memory, so that it fits the L2 cache; each thread takes several systems."""
SPAN = 32
"""Number of grid points over which one thread sums a gradient that is summed over time."""
HINT = "solve smaller batches, or keep no factor between forward and backward pass (checkpoint=True)"
# The fields of `Call` in kernels/gpu/call.hpp between the arguments and the gradients.
_FIELDS = (
    *("records", "reflections", "merged", "z", "out", "deficient", "scratch", "workspace", "pieces", "length"),
    *("carry", "coupling", "separator_rows", "separator", "following", "chain", "chain_z", "nan_check"),
    *("joined", "joined_carry", "joined_coupling", "joined_separator_rows", "joined_separator", "joined_following"),
    *("links", "links_z", "joined_deficient", "u", "lambda", "span", "group"),
)


class CudaCall:
    """The kernel launches for one problem.

    buffers: intermediate results by their name in `Call` of kernels/gpu/call.hpp.
    """

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.tensors = list(problem.tensors.values())
        layout = tuple([(x.shape, x.stride()) for x in self.tensors])
        self.plan = plan_of(layout, problem.T, problem.T0, problem.central, method)
        self.device, self.pieced, self.warp = problem.device, self.plan.pieces > 1, self.plan.warp
        self.R, self.shape = problem.R, (*self.plan.batch, problem.T, problem.D, problem.K)
        self.buffers: dict[str, Tensor] = {}

    def empty(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Device memory. Raises torch.OutOfMemoryError with a hint."""
        try:
            return torch.empty(shape, dtype=dtype, device=self.device)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(f"{error}\n{HINT}") from error

    def empty_real(self, *shape: int) -> Tensor:
        """Device memory for intermediate results, in the dtype of the arithmetic."""
        return self.empty(*shape, dtype=self.plan.real)

    def run(self, name: str, workers: int, fields: dict[str, Any], g: Tensor | None = None) -> None:
        """Launch the kernel `name` with `workers` threads or warps; `fields` of `Call` take precedence over buffers."""
        if not workers:
            return
        plan, instance = self.plan, self.plan.instance(name)
        if instance.warp:
            words = array("q", self.words(g, fields))
            nvrtc.launch(self.device, instance, words, workers * nvrtc.BLOCK, plan.shared_bytes)
            return
        if plan.general:
            workers = min(workers, MOST_THREADS)
            allocate = self.empty if name == "Gradient" else self.empty_real
            self.buffers["scratch"] = allocate(-(-workers // nvrtc.BLOCK) * nvrtc.BLOCK, plan.workspace)
            fields = {**fields, "workspace": plan.workspace}
        nvrtc.launch(self.device, instance, array("q", self.words(g, fields)), workers)

    def words(self, g: Tensor | None, fields: dict[str, Any]) -> list[int]:
        """The struct `Call` in kernels/gpu/call.hpp as 8-byte words."""
        plan, s = self.plan, self.plan.sizes
        words = [s.T, s.T0, s.E, s.D, s.K, s.K0, plan.systems, plan.columns]
        words += [len(plan.batch), *padded(plan.batch, MOST_BATCH_DIMS)]
        for x, strides in zip(self.tensors, plan.strides, strict=True):
            words += [x.data_ptr(), *strides]
        words += [0] * 21 if g is None else [g.data_ptr(), *plan.padded_strides(tuple(g.shape), tuple(g.stride()), 3)]
        buffers = {name: x.data_ptr() for name, x in self.buffers.items()}
        values = {"pieces": plan.pieces, "length": plan.length, "joined": plan.joined, **buffers, **fields}
        words += [values.get(name, 0) for name in _FIELDS]
        for name in GRADIENTS:
            words += values.get(f"d_{name}", [0, 0, 0])
        return words

    # factor

    def use_factor(self, factor: Sequence[Tensor]) -> bool:
        """Use this factor in its arrangement; False if its shapes do not match these left-hand sides."""
        plan, shapes = self.plan, [tuple(x.shape) for x in factor]
        shared = not plan.central and shapes == plan.shared_factor_shapes()
        if not shared and (plan.columns > 1 or not plan.keeps_factor or shapes != plan.system_factor_shapes()):
            return False
        self.pieced, self.warp = not shared and plan.pieces > 1, not shared and plan.warp
        names = ("records", "reflections", "merged") if shared else ("records", "links", "chain")
        self.buffers |= dict(zip(names, factor, strict=False))
        return True

    def factor(self) -> list[Tensor]:
        """The factor of every left-hand side, for any number of columns: `CudaPlan.shared_factor_shapes`."""
        factor = [self.empty_real(*shape) for shape in self.plan.shared_factor_shapes()]
        self.use_factor(factor)
        deficient = factor[3].view(torch.int64)
        self.run("FactorWarp" if self.plan.warp else "Factor", self.plan.n_left, {"deficient": deficient.data_ptr()})
        return factor

    # passes

    def resolve(self, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
        """u and the rank indicator from the factors of the left-hand sides."""
        plan = self.plan
        u = self.empty(*self.shape)
        deficient = factor[3].view(torch.int64)[:, None].expand(plan.n_left, plan.columns).contiguous()
        self.buffers["z"] = self.empty_real(plan.sizes.T, self.R, plan.systems)
        self.run("Resolve", plan.systems, {"out": u.data_ptr(), "deficient": deficient.data_ptr()})
        return u, deficient.view(plan.batch)

    def eliminate(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """u, the rank indicator and the factor, for systems that do not share one."""
        plan = self.plan
        u, factor = self.empty(*self.shape), [self.empty_real(*shape) for shape in plan.system_factor_shapes()]
        self.buffers |= dict(zip(("records", "links", "chain"), factor, strict=False))
        if not self.pieced:
            self.buffers["z"] = self.empty_real(plan.sizes.T, self.R, plan.systems)
            deficient = self.empty(*plan.batch, dtype=torch.int64)
            self.run(
                "SolveWarp" if self.warp else "Solve",
                plan.systems,
                {"out": u.data_ptr(), "deficient": deficient.data_ptr()},
            )
            return u, deficient, factor
        self._allocate_pieces()
        threads, links, width = plan.systems * plan.pieces, plan.systems * plan.links, self.R * (self.R + 1)
        for name in ("carry", "coupling", "separator_rows"):
            self.buffers[name] = self.empty_real(width, threads)
            self.buffers[f"joined_{name}"] = self.empty_real(width, links)
        self.buffers["deficient"] = self.empty(threads, dtype=torch.int64)
        deficient = self.buffers["joined_deficient"] = self.empty(plan.systems, plan.links, dtype=torch.int64)
        self.run("EliminatePieces", threads, {})
        self.run("JoinPieces", links, {})
        self.run("SolveChain", plan.systems, self._joined())
        self.run("BackJoined", links, {})
        self.run("BackPieces", threads, {"out": u.data_ptr()})
        nan_check = (
            self.buffers["nan_check"].view(plan.systems, -1).sum(1)
            + self.buffers["joined_nan_check"].view(-1, plan.links)[:, 0]
        )
        return u, deficient[:, 0].masked_fill(nan_check != 0, -1).view(plan.batch), factor

    def _allocate_pieces(self) -> None:
        """Allocate the intermediate results of pieces, links and chain."""
        plan = self.plan
        threads, links = plan.systems * plan.pieces, plan.systems * plan.links
        for name in ("separator", "following"):
            self.buffers[name] = self.empty_real(self.R, threads)
            self.buffers[f"joined_{name}"] = self.empty_real(self.R, links)
        self.buffers["z"] = self.empty_real(plan.length, self.R, threads)
        self.buffers["links_z"] = self.empty_real(plan.joined, self.R, links)
        self.buffers["chain_z"] = self.empty_real(plan.links + 1, self.R, plan.systems)
        self.buffers["nan_check"], self.buffers["joined_nan_check"] = self.empty(threads), self.empty(links).zero_()

    def _joined(self) -> dict[str, Any]:
        """The fields of `Call` for the chain of links instead of pieces."""
        plan = self.plan
        names = ("carry", "coupling", "separator_rows", "separator", "following", "nan_check", "deficient")
        fields = {name: self.buffers[f"joined_{name}"].data_ptr() for name in names if f"joined_{name}" in self.buffers}
        return {"pieces": plan.links, "length": plan.joined * plan.length, **fields}

    def adjoint(self, factor: list[Tensor], g: Tensor) -> Tensor:
        """lam = (A^T A)^-1 g, in the batch order of the plan."""
        plan = self.plan
        if not self.use_factor(factor):
            if plan.columns > 1:
                self.factor()
            else:
                self.eliminate()
        lam = self.empty(*self.shape)
        if not self.pieced:
            self.buffers["z"] = self.empty_real(plan.sizes.T, self.R, plan.systems)
            self.run("AdjointWarp" if self.warp else "Adjoint", plan.systems, {"out": lam.data_ptr()}, g)
            return lam
        self._allocate_pieces()
        threads = plan.systems * plan.pieces
        self.run("AdjointPieces", threads, {}, g)
        self.run("AdjointJoined", plan.systems * plan.links, {}, g)
        self.run("AdjointChain", plan.systems, self._joined(), g)
        self.run("BackJoined", plan.systems * plan.links, {})
        self.run("BackPieces", threads, {"out": lam.data_ptr()})
        return lam

    def gradients(self, u: Tensor, lam: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Gradients of <g, u>, in the batch order of the problem, not yet summed over broadcast batch dimensions."""
        plan = self.plan
        u = u.permute(*plan.order, *range(len(plan.order), u.ndim)).contiguous()
        summed = any(not plan.gradient_layout(name, 1).stride for name in names if name != "initial")
        span = SPAN if summed else 1
        layouts = {name: plan.gradient_layout(name, span) for name in names}
        out: dict[str, Tensor] = {}
        fields: dict[str, Any] = {"u": u.data_ptr(), "lambda": lam.data_ptr(), "span": span, "group": GROUP}
        for name, layout in layouts.items():
            accumulates = not layout.stride or (plan.columns > 1 and name in ("coefficients", "steps"))
            buffer = self.empty(layout.parts, layout.spans, layout.width)
            out[name] = buffer.zero_() if accumulates else buffer
            fields[f"d_{name}"] = [out[name].data_ptr(), layout.stride, layout.spans * layout.width]
        threads = plan.n_left * -(-plan.columns // GROUP) * -(-plan.sizes.T // span)
        self.run("Gradient", threads, fields)
        return {name: plan.reduce_gradient(name, x, layouts[name]) for name, x in out.items()}
