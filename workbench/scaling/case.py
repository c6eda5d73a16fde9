"""Cases and points of a scaling study."""

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
"""Sizes that a study may vary: grid points or systems."""


@dataclass(frozen=True)
class Case:
    """A random problem and its solver, forward and backward.

    T grid points, B left-hand sides with `shared` right-hand sides each, E equations, D variables, K derivatives;
    `central` rows. dtype "float64" or "float32". backend: "auto", a name of `workbench.solver.available()`, or
    "module:function" for a function with the arguments of `workbench.solver.ode_forward` (`method` is then only a
    label). threads: 0 for the number of torch threads of the calling process. Coefficients, forcing and initial values
    (K0 = K - 1, T0 = 1) are standard normal, steps uniform in 0.05 .. 0.1, reproducible for given sizes and seed.

    Raises ValueError naming the field for a size below its minimum or an unknown dtype.
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
        minimum = {"T": 2, "B": 1, "E": 1, "D": 1, "K": 1, "shared": 1, "threads": 0}
        for name, bound in minimum.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name}: expected at least {bound}, found {getattr(self, name)}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype: expected 'float32' or 'float64', found {self.dtype!r}")

    @property
    def label(self) -> str:
        """Label for a legend: backend, method and settings that differ from the default."""
        parts = [self.backend.partition(":")[0], self.method]
        parts += ["central"] if self.central else []
        parts += [self.dtype] if self.dtype != "float64" else []
        parts += [self.device] if self.device != "cpu" else []
        return " ".join(part for part in parts if part)

    @property
    def input_bytes(self) -> int:
        """Size of coefficients, forcing, initial values and steps, bytes."""
        systems = self.B * self.shared
        left = self.B * (self.T * self.E * self.D * self.K + self.T - 1)
        numbers = left + systems * (self.T * self.E + self.D * (self.K - 1))
        return numbers * (4 if self.dtype == "float32" else 8)

    def problem(self) -> LinearODE:
        """The random problem; its tensors require gradients. Batch shape (shared, B) if both exceed 1, else 1-D."""
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
    """Cost of one case.

    forward, backward: seconds, the median of `repeats` passes; `_best`: the minimum; `_spread`: the interquartile range
    (0 for a single pass). memory_forward, memory: peak bytes above the inputs, after the forward and after the backward
    pass. NaN: unknown. words: reason if the status is not OK.
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
        """Seconds of forward and backward pass."""
        return self.forward + self.backward

    @property
    def best(self) -> float:
        """Sum of the minima of forward and backward pass, which a busy machine disturbs least."""
        return self.forward_best + self.backward_best


def variants(device: str = "cpu") -> list[tuple[str, str]]:
    """(backend, method) of all backends available on `device`."""
    names = [name for name, reason in available(device).items() if not reason]
    return [(name, method) for name in names for method in load(name).METHODS]


def machine() -> dict[str, str | int]:
    """Date, processor, cores, instruction set that torch uses, flags of the processor, versions."""
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
        info = {name.strip(): value.strip() for name, _, value in lines}
        facts["processor"] = info.get("model name", facts["processor"])
        flags = info.get("flags", info.get("Features", "")).split()
        vector_flags = ("avx", "fma", "sse4", "neon", "asimd", "sve")
        facts["flags"] = " ".join(flag for flag in flags if flag.startswith(vector_flags))
    return facts
