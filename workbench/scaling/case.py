"""What is measured, and what comes back: the records that a study is made of."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from math import nan
from pathlib import Path

import torch

from workbench.jobs.budget import JobStatus
from workbench.solver import LinearODE, available
from workbench.solver.backends import load

AXES = ("T", "B")
"""What a study may grow: the grid points or the systems."""


@dataclass(frozen=True)
class Case:
    """A random problem of these sizes and who solves it, forward and backward.

    T grid points, B left-hand sides with `shared` right-hand sides each, E equations, D variables, K derivatives;
    `central` rows. dtype "float64" or "float32". backend: "auto", a name of `workbench.solver.available()`, or
    "module:function" for a function with the arguments of `workbench.solver.ode_forward` (`method` is then only a
    name). threads: 0 for as many as the
    calling process gives torch. Coefficients, forcing and initial values (K0 = K - 1, T0 = 1) are
    standard normal, steps uniform in 0.05 .. 0.1, the same for the same sizes and seed.

    Raises ValueError for a size below its least or an unknown dtype, naming the field.
    """

    T: int
    B: int = 1
    E: int = 1
    D: int = 1
    K: int = 3
    shared: int = 1
    central: bool = False
    dtype: str = "float64"
    backend: str = "auto"
    method: str = "qr"
    threads: int = 0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"T": 2, "B": 1, "E": 1, "D": 1, "K": 1, "shared": 1, "threads": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name}: expected at least {bound}, found {getattr(self, name)}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype: expected 'float32' or 'float64', found {self.dtype!r}")

    @property
    def label(self) -> str:
        """Who solves it, for a legend: backend, method and what differs from the default."""
        parts = [self.backend.partition(":")[0], self.method]
        parts += ["central"] if self.central else []
        parts += [self.dtype] if self.dtype != "float64" else []
        parts += [self.device] if self.device != "cpu" else []
        return " ".join(part for part in parts if part)

    @property
    def input_bytes(self) -> int:
        """Size of coefficients, forcing, initial values and steps."""
        systems = self.B * self.shared
        left = self.B * (self.T * self.E * self.D * self.K + self.T - 1)
        numbers = left + systems * (self.T * self.E + self.D * (self.K - 1))
        return numbers * (4 if self.dtype == "float32" else 8)

    def problem(self) -> LinearODE:
        """The random problem; its tensors want gradients. Batch shape (shared, B) where both are above 1, else one."""
        generator = torch.Generator().manual_seed(self.seed)
        both = self.shared > 1 and self.B > 1
        batch, left = ((self.shared, self.B), (1, self.B)) if both else ((self.shared * self.B,), (self.B,))

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator)

        steps = torch.rand(*left, self.T - 1, dtype=torch.float64, generator=generator).mul_(0.05).add_(0.05)
        coefficients = draw(*left, self.T, self.E, self.D, self.K)
        forcing, initial = draw(*batch, self.T, self.E), draw(*batch, 1, self.D, self.K - 1)
        tensors = [x.to(self.device, getattr(torch, self.dtype)) for x in (coefficients, forcing, initial, steps)]
        return LinearODE(*(x.requires_grad_() for x in tensors), central=self.central, n_steps=self.T)


@dataclass(frozen=True)
class Point:
    """What one case cost.

    forward, backward: seconds, the median of `repeats` passes; `_best`: the least; `_spread`: the distance between the
    quartiles (0 where there is one pass). memory_forward, memory: peak bytes above the inputs, after the forward and
    after the backward pass. NaN: not known. `words` says why a point is not OK.
    """

    case: Case
    status: JobStatus = JobStatus.OK
    words: str = ""
    forward: float = nan
    backward: float = nan
    forward_best: float = nan
    backward_best: float = nan
    forward_spread: float = nan
    backward_spread: float = nan
    memory_forward: float = nan
    memory: float = nan
    repeats: int = 0

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward

    @property
    def best(self) -> float:
        """Forward and backward together, each at its best: what a busy machine disturbs least."""
        return self.forward_best + self.backward_best


def variants(device: str = "cpu") -> list[tuple[str, str]]:
    """(backend, method) of all that can serve on `device`, by the table of backends."""
    fit = [name for name, reason in available(device).items() if not reason]
    return [(name, method) for name in fit for method in load(name).METHODS]


def machine() -> dict[str, str | int]:
    """Where and when: date, processor, cores, instruction set that torch uses, flags of the processor, versions."""
    facts = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "flags": "",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        lines = (line.partition(":") for line in listing.read_text(encoding="utf-8").splitlines())
        known = {name.strip(): value.strip() for name, _, value in lines}
        facts["processor"] = known.get("model name", facts["processor"])
        flags = known.get("flags", known.get("Features", "")).split()
        wanted = ("avx", "fma", "sse4", "neon", "asimd", "sve")
        facts["flags"] = " ".join(flag for flag in flags if flag.startswith(wanted))
    return facts
