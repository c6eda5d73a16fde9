"""The sweep on an NVIDIA GPU: the headers of `native`, compiled at run time for the shape and the GPU at hand.

The mathematics is that of `native` (kernels/sweep.hpp); the arrangement (`Plan`) is chosen by shape alone:

    systems side by side     a thread each.
    columns                  systems that share coefficients, steps and weights are factored once; their right-hand
                             sides are the threads, and take the reflections that are kept with the factor.
    pieces                   few systems of many grid points: each record is cut into pieces, a thread each; so is the
                             chain of their ends; a thread per system solves what is left of that.

Gradients are a pass of their own, over all grid points at once. Central rows know the first arrangement only. Matrices
of up to 9 unknowns per grid point live in registers, larger ones in memory; one thread serves a system either way.

Nothing waits for the device (workbench/solver/launcher.py). What is kept for a backward pass is the whole factor, or
with `checkpoint` nothing: it is computed again. float32 problems are computed in float64.
"""

from array import array
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from workbench.solver import launcher
from workbench.solver.backends.cuda_plan import GROUP, MOST_BATCH_DIMS, padded, plan_of
from workbench.solver.launcher import INSTALL
from workbench.solver.problem import LinearODE

METHODS = ("qr", "cholesky")
GRADIENTS = ("coefficients", "forcing", "initial", "steps")
SCREENS = True
"""Bad values are found on the way: `deficient` is -1 there."""
OLDEST = (8, 0)
"""Compute capability: the oldest that the tests compile for."""
MOST_DERIVATIVES = 12
MOST_THREADS = 8192
"""Threads that work from scratch memory, so that it stays in the second-level cache; each takes several systems."""
SPAN = 32
"""Grid points that one thread sums a gradient over, where it is summed over them."""
OTHERS = "on other accelerators 'banded' serves"
HINT = "solve a smaller batch at a time, or keep no factor between forward and backward pass (checkpoint=True)"
# The words of `Call` in kernels/gpu.hpp between the arguments and the gradients.
_WORDS = (
    *("records", "reflections", "merged", "z", "out", "deficient", "scratch", "workspace", "pieces", "length"),
    *("carry", "beside", "alone", "own", "following", "chain", "chain_z", "sound"),
    *("joined", "joined_carry", "joined_beside", "joined_alone", "joined_own", "joined_following", "links", "links_z"),
    *("joined_deficient", "u", "lambda", "span", "group"),
)


def _missing() -> bool:
    try:
        return find_spec("cuda.core") is None or find_spec("cuda.bindings") is None
    except ModuleNotFoundError:
        return True


_MISSING = _missing()


def unfit(device: torch.device) -> str:
    """Why this backend cannot serve on `device`."""
    if device.type != "cuda" or torch.version.hip:
        return f"the GPU kernel runs on NVIDIA GPUs only; {OTHERS}"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    if _MISSING:
        return f"the packages that compile the GPU kernel are missing: {INSTALL}"
    found = torch.cuda.get_device_capability(device)
    return "" if found >= OLDEST else f"the GPU kernel needs compute capability {OLDEST}, found {found}"


def refusal(problem: LinearODE, method: str) -> str:
    """Why this backend cannot solve `problem`."""
    if problem.K > MOST_DERIVATIVES:
        return f"the GPU kernel knows at most {MOST_DERIVATIVES} derivatives, found K = {problem.K}"
    if len(problem.batch) > MOST_BATCH_DIMS:
        return f"the GPU kernel knows at most {MOST_BATCH_DIMS} batch dimensions, found {len(problem.batch)}"
    return ""


class Call:
    """A problem on its way through the kernels; `buffers` are what they write and read again, by the name in `Call` of
    kernels/gpu.hpp."""

    def __init__(self, problem: LinearODE, method: str) -> None:
        self.tensors = list(problem.tensors.values())
        layout = tuple([(x.shape, x.stride()) for x in self.tensors])
        self.plan = plan_of(layout, problem.T, problem.T0, problem.central, method)
        self.device, self.pieced = problem.device, self.plan.pieces > 1
        self.R, self.shape = problem.R, (*self.plan.batch, problem.T, problem.D, problem.K)
        self.buffers: dict[str, Tensor] = {}

    def empty(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Memory of the device. Raises torch.OutOfMemoryError with what helps."""
        try:
            return torch.empty(shape, dtype=dtype, device=self.device)
        except torch.OutOfMemoryError as error:
            raise torch.OutOfMemoryError(f"{error}\n{HINT}") from error

    def run(self, name: str, threads: int, more: dict[str, Any], g: Tensor | None = None) -> None:
        """Queue the kernel of that name; `more` are words of `Call` in kernels/gpu.hpp beside the buffers."""
        if not threads:
            return
        plan = self.plan
        if plan.general:
            threads = min(threads, MOST_THREADS)
            self.buffers["scratch"] = self.empty(-(-threads // launcher.BLOCK) * launcher.BLOCK, plan.workspace)
            more = {**more, "workspace": plan.workspace}
        launcher.launch(self.device, plan.instance(name), array("q", self.words(g, more)), threads)

    def words(self, g: Tensor | None, more: dict[str, Any]) -> list[int]:
        """`Call` in kernels/gpu.hpp, word by word."""
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
        self.pieced = not shared and plan.pieces > 1
        names = ("records", "reflections", "merged") if shared else ("records", "links", "chain")
        self.buffers |= dict(zip(names, factor, strict=False))
        return True

    def factor(self) -> list[Tensor]:
        """Of every left-hand side, for any number of columns: `Plan.shared`."""
        made = [self.empty(*shape) for shape in self.plan.shared()[:3]]
        self.take([*made, made[0].new_empty(self.plan.lefts)])
        deficient = self.empty(self.plan.lefts, dtype=torch.int64)
        self.run("Factor", self.plan.lefts, {"deficient": deficient.data_ptr()})
        return [*made, deficient.to(torch.float64)]

    # passes

    def resolve(self, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
        """u and the rank indicator, of right-hand sides that ride through the factor of their left-hand side."""
        plan = self.plan
        u = self.empty(*self.shape)
        deficient = factor[3].to(torch.int64)[:, None].expand(plan.lefts, plan.columns).contiguous()
        self.buffers["z"] = self.empty(plan.sizes.T, self.R, plan.systems)
        self.run("Resolve", plan.systems, {"out": u.data_ptr(), "deficient": deficient.data_ptr()})
        return u, deficient.view(plan.batch)

    def eliminate(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """u, the rank indicator and the factor, of systems that share none."""
        plan = self.plan
        u, made = self.empty(*self.shape), [self.empty(*shape) for shape in plan.own()]
        self.buffers |= dict(zip(("records", "links", "chain"), made, strict=False))
        if not self.pieced:
            self.buffers["z"] = self.empty(plan.sizes.T, self.R, plan.systems)
            deficient = self.empty(*plan.batch, dtype=torch.int64)
            self.run("Solve", plan.systems, {"out": u.data_ptr(), "deficient": deficient.data_ptr()})
            return u, deficient, made
        self._make_room()
        threads, links, riding = plan.systems * plan.pieces, plan.systems * plan.links, self.R * (self.R + 1)
        for name in ("carry", "beside", "alone"):
            self.buffers[name], self.buffers[f"joined_{name}"] = self.empty(riding, threads), self.empty(riding, links)
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
            self.buffers[name], self.buffers[f"joined_{name}"] = self.empty(self.R, threads), self.empty(self.R, links)
        self.buffers["z"] = self.empty(plan.length, self.R, threads)
        self.buffers["links_z"] = self.empty(plan.joined, self.R, links)
        self.buffers["chain_z"] = self.empty(plan.links + 1, self.R, plan.systems)
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
            self.buffers["z"] = self.empty(plan.sizes.T, self.R, plan.systems)
            self.run("Adjoint", plan.systems, {"out": lam.data_ptr()}, g)
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


def factor_shapes(problem: LinearODE, method: str, keep: str) -> list[tuple[int, ...]]:
    """Those of `Plan.own`, or of `Plan.shared` where left-hand sides are shared or to be used again."""
    return Call(problem, method).plan.kept(keep)


def solve(problem: LinearODE, method: str, keep: str) -> tuple[Tensor, Tensor, list[Tensor]]:
    """u minimising |A u - b|, the rank indicator (-1: a value is not what it should be), and what is kept."""
    call = Call(problem, method)
    kept = call.plan.kept(keep)
    if call.plan.columns > 1 or (keep == "resolve" and kept):
        factor = call.factor()
        u, deficient = call.resolve(factor)
    else:
        u, deficient, factor = call.eliminate()
    return call.plan.restored(u), call.plan.restored(deficient), factor if kept else []


def resolve(problem: LinearODE, method: str, factor: list[Tensor]) -> tuple[Tensor, Tensor]:
    """`solve` with a factor that is kept; where it is not one for other right-hand sides, a new one is made."""
    call = Call(problem, method)
    if len(factor) != len(call.plan.shared()) or not call.take(factor):
        return solve(problem, method, "nothing")[:2]
    u, deficient = call.resolve(factor)
    return call.plan.restored(u), call.plan.restored(deficient)


def normal_solve(problem: LinearODE, method: str, factor: list[Tensor], g: Tensor) -> Tensor:
    """(A^T A)^-1 g for g (B, T, D, K)."""
    call = Call(problem, method)
    return call.plan.restored(call.adjoint(factor, g))


def vjp(
    problem: LinearODE, method: str, factor: list[Tensor], u: Tensor, g: Tensor, wanted: Sequence[str]
) -> tuple[Tensor | None, dict[str, Tensor]]:
    """The gradients of <g, u>, all in one pass over the grid points; lam = (A^T A)^-1 g where others need it too."""
    call = Call(problem, method)
    mine = [name for name in GRADIENTS if name in wanted]
    lam = call.adjoint(factor, g)
    found = call.gradients(u, lam, mine) if mine else {}
    shapes = {name: problem.tensors[name].shape for name in mine}
    gradients = {name: x if x.shape == shapes[name] else x.sum_to_size(shapes[name]) for name, x in found.items()}
    return None if len(mine) == len(wanted) else call.plan.restored(lam), gradients
