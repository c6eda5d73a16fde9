"""A problem on its way through the GPU kernels: their buffers, and the order in which they are launched."""

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
"""Threads that work from scratch memory, so that it stays in the second-level cache; each takes several systems."""
SPAN = 32
"""Grid points that one thread sums a gradient over, where it is summed over them."""
HINT = "solve a smaller batch at a time, or keep no factor between forward and backward pass (checkpoint=True)"
# The words of `Call` in kernels/gpu/call.hpp between the arguments and the gradients.
_WORDS = (
    *("records", "reflections", "merged", "z", "out", "deficient", "scratch", "workspace", "pieces", "length"),
    *("carry", "beside", "alone", "own", "following", "chain", "chain_z", "sound"),
    *("joined", "joined_carry", "joined_beside", "joined_alone", "joined_own", "joined_following", "links", "links_z"),
    *("joined_deficient", "u", "lambda", "span", "group"),
)


class CudaCall:
    """A problem on its way through the kernels; `buffers` are what they write and read again, by the name in `Call` of
    kernels/gpu/call.hpp."""

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.tensors = list(problem.tensors.values())
        layout = tuple([(x.shape, x.stride()) for x in self.tensors])
        self.plan = plan_of(layout, problem.T, problem.T0, problem.central, method)
        self.device, self.pieced, self.warp = problem.device, self.plan.pieces > 1, self.plan.warp
        self.R, self.shape = problem.R, (*self.plan.batch, problem.T, problem.D, problem.K)
        self.buffers: dict[str, Tensor] = {}

    def empty(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Memory of the device. Raises torch.OutOfMemoryError with what helps."""
        try:
            return torch.empty(shape, dtype=dtype, device=self.device)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(f"{error}\n{HINT}") from error

    def room(self, *shape: int) -> Tensor:
        """Memory for what kernels leave for each other."""
        return self.empty(*shape, dtype=self.plan.real)

    def run(self, name: str, workers: int, more: dict[str, Any], g: Tensor | None = None) -> None:
        """Queue the kernel of that name, in threads or warps; `more` are words of `Call` beside the buffers."""
        if not workers:
            return
        plan, instance = self.plan, self.plan.instance(name)
        if instance.warp:
            words = array("q", self.words(g, more))
            nvrtc.launch(self.device, instance, words, workers * nvrtc.BLOCK, plan.shared_bytes)
            return
        if plan.general:
            workers = min(workers, MOST_THREADS)
            room = self.empty if name == "Gradient" else self.room
            self.buffers["scratch"] = room(-(-workers // nvrtc.BLOCK) * nvrtc.BLOCK, plan.workspace)
            more = {**more, "workspace": plan.workspace}
        nvrtc.launch(self.device, instance, array("q", self.words(g, more)), workers)

    def words(self, g: Tensor | None, more: dict[str, Any]) -> list[int]:
        """`Call` in kernels/gpu/call.hpp, word by word."""
        plan, s = self.plan, self.plan.sizes
        words = [s.T, s.T0, s.E, s.D, s.K, s.K0, plan.systems, plan.columns]
        words += [len(plan.batch), *padded(plan.batch, MOST_BATCH_DIMS)]
        for x, field in zip(self.tensors, plan.fields, strict=True):
            words += [x.data_ptr(), *field]
        words += [0] * 21 if g is None else [g.data_ptr(), *plan.field(tuple(g.shape), tuple(g.stride()), 3)]
        buffers = {name: x.data_ptr() for name, x in self.buffers.items()}
        found = {"pieces": plan.pieces, "length": plan.length, "joined": plan.joined, **buffers, **more}
        words += [found.get(name, 0) for name in _WORDS]
        for name in GRADIENTS:
            words += found.get(f"d_{name}", [0, 0, 0])
        return words

    # factor

    def take(self, factor: Sequence[Tensor]) -> bool:
        """Use this factor, in the arrangement that it was made in, if it is one of these left-hand sides."""
        plan, shapes = self.plan, [tuple(x.shape) for x in factor]
        shared = not plan.central and shapes == plan.shared()
        if not shared and (plan.columns > 1 or not plan.keeps or shapes != plan.own()):
            return False
        self.pieced, self.warp = not shared and plan.pieces > 1, not shared and plan.warp
        names = ("records", "reflections", "merged") if shared else ("records", "links", "chain")
        self.buffers |= dict(zip(names, factor, strict=False))
        return True

    def factor(self) -> list[Tensor]:
        """Of every left-hand side, for any number of columns: `Plan.shared`."""
        made = [self.room(*shape) for shape in self.plan.shared()]
        self.take(made)
        deficient = made[3].view(torch.int64)
        self.run("FactorWarp" if self.plan.warp else "Factor", self.plan.lefts, {"deficient": deficient.data_ptr()})
        return made

    # passes

    def resolve(self, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
        """u and the rank indicator, of right-hand sides that ride through the factor of their left-hand side."""
        plan = self.plan
        u = self.empty(*self.shape)
        deficient = factor[3].view(torch.int64)[:, None].expand(plan.lefts, plan.columns).contiguous()
        self.buffers["z"] = self.room(plan.sizes.T, self.R, plan.systems)
        self.run("Resolve", plan.systems, {"out": u.data_ptr(), "deficient": deficient.data_ptr()})
        return u, deficient.view(plan.batch)

    def eliminate(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """u, the rank indicator and the factor, of systems that share none."""
        plan = self.plan
        u, made = self.empty(*self.shape), [self.room(*shape) for shape in plan.own()]
        self.buffers |= dict(zip(("records", "links", "chain"), made, strict=False))
        if not self.pieced:
            self.buffers["z"] = self.room(plan.sizes.T, self.R, plan.systems)
            deficient = self.empty(*plan.batch, dtype=torch.int64)
            self.run(
                "SolveWarp" if self.warp else "Solve",
                plan.systems,
                {"out": u.data_ptr(), "deficient": deficient.data_ptr()},
            )
            return u, deficient, made
        self._make_room()
        threads, links, riding = plan.systems * plan.pieces, plan.systems * plan.links, self.R * (self.R + 1)
        for name in ("carry", "beside", "alone"):
            self.buffers[name], self.buffers[f"joined_{name}"] = self.room(riding, threads), self.room(riding, links)
        self.buffers["deficient"] = self.empty(threads, dtype=torch.int64)
        deficient = self.buffers["joined_deficient"] = self.empty(plan.systems, plan.links, dtype=torch.int64)
        self.run("EliminatePieces", threads, {})
        self.run("JoinPieces", links, {})
        self.run("SolveChain", plan.systems, self._joined())
        self.run("BackJoined", links, {})
        self.run("BackPieces", threads, {"out": u.data_ptr()})
        sound = (
            self.buffers["sound"].view(plan.systems, -1).sum(1)
            + self.buffers["joined_sound"].view(-1, plan.links)[:, 0]
        )
        return u, deficient[:, 0].masked_fill(sound != 0, -1).view(plan.batch), made

    def _make_room(self) -> None:
        """What pieces, links and chain hand to each other."""
        plan = self.plan
        threads, links = plan.systems * plan.pieces, plan.systems * plan.links
        for name in ("own", "following"):
            self.buffers[name], self.buffers[f"joined_{name}"] = self.room(self.R, threads), self.room(self.R, links)
        self.buffers["z"] = self.room(plan.length, self.R, threads)
        self.buffers["links_z"] = self.room(plan.joined, self.R, links)
        self.buffers["chain_z"] = self.room(plan.links + 1, self.R, plan.systems)
        self.buffers["sound"], self.buffers["joined_sound"] = self.empty(threads), self.empty(links).zero_()

    def _joined(self) -> dict[str, Any]:
        """The words of a chain of links in place of pieces."""
        plan = self.plan
        names = ("carry", "beside", "alone", "own", "following", "sound", "deficient")
        found = {name: self.buffers[f"joined_{name}"].data_ptr() for name in names if f"joined_{name}" in self.buffers}
        return {"pieces": plan.links, "length": plan.joined * plan.length, **found}

    def adjoint(self, factor: list[Tensor], g: Tensor) -> Tensor:
        """lam = (A^T A)^-1 g, in the order of `Plan`."""
        plan = self.plan
        if not self.take(factor):
            if plan.columns > 1:
                self.factor()
            else:
                self.eliminate()
        lam = self.empty(*self.shape)
        if not self.pieced:
            self.buffers["z"] = self.room(plan.sizes.T, self.R, plan.systems)
            self.run("AdjointWarp" if self.warp else "Adjoint", plan.systems, {"out": lam.data_ptr()}, g)
            return lam
        self._make_room()
        threads = plan.systems * plan.pieces
        self.run("AdjointPieces", threads, {}, g)
        self.run("AdjointJoined", plan.systems * plan.links, {}, g)
        self.run("AdjointChain", plan.systems, self._joined(), g)
        self.run("BackJoined", plan.systems * plan.links, {})
        self.run("BackPieces", threads, {"out": lam.data_ptr()})
        return lam

    def gradients(self, u: Tensor, lam: Tensor, wanted: Sequence[str]) -> dict[str, Tensor]:
        """The gradients of <g, u>, in the order of the batch, not yet summed over what is broadcast there."""
        plan = self.plan
        u = u.permute(*plan.order, *range(len(plan.order), u.ndim)).contiguous()
        summed = any(not plan.result(name, 1).along for name in wanted if name != "initial")
        span = SPAN if summed else 1
        results = {name: plan.result(name, span) for name in wanted}
        out: dict[str, Tensor] = {}
        more: dict[str, Any] = {"u": u.data_ptr(), "lambda": lam.data_ptr(), "span": span, "group": GROUP}
        for name, how in results.items():
            adds = not how.along or (plan.columns > 1 and name in ("coefficients", "steps"))
            made = self.empty(how.parts, how.places, how.width)
            out[name] = made.zero_() if adds else made
            more[f"d_{name}"] = [out[name].data_ptr(), how.along, how.places * how.width]
        threads = plan.lefts * -(-plan.columns // GROUP) * -(-plan.sizes.T // span)
        self.run("Gradient", threads, more)
        return {name: plan.summed(name, x, results[name]) for name, x in out.items()}
