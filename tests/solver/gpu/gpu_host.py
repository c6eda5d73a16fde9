"""Run the kernels of the GPU backend on the CPU (gpu_host.cpp).

As a pytest plugin (`-p tests.solver.gpu.gpu_host`, with the compiled libraries in SMNN_GPU_HOST, float64 first) it adds
`cuda` to the backends of every solver test. Default rows use a warp per system, central rows a thread with matrices in
memory.
"""

import ctypes
import os
from array import array
from collections.abc import Callable
from pathlib import Path

import torch

from workbench.solver.backends import cuda
from workbench.solver.backends.cuda import nvrtc

Launch = Callable[..., None]


def name(instance: nvrtc.Instance) -> str:
    """The name of the kernel in gpu_host.cpp."""
    shape = "any" if instance.general else f"{instance.D}{instance.K}{instance.E}"
    method = "Cholesky" if instance.method == "cholesky" else "Qr"
    if instance.kernel == "Gradient":
        return f"Gradient_{int(instance.central)}_{shape}"
    if instance.central:
        return f"{instance.kernel}Central_{str(method == 'Qr').lower()}_{shape}"
    return f"{instance.kernel}_{method}_{shape}"


def launch_by(double: Path, single: Path) -> Launch:
    """A replacement of `nvrtc.launch` that uses these libraries, the second one for "qr32"."""
    libraries = ctypes.CDLL(str(double)), ctypes.CDLL(str(single))

    def launch(
        device: torch.device, instance: nvrtc.Instance, words: "array[int]", threads: int, shared: int = 0
    ) -> None:
        library = libraries[instance.method == "qr32"]
        assert len(words) == library.call_words()
        call = ctypes.c_void_p(words.buffer_info()[0])
        kernel = getattr(library, name(instance))
        fits = kernel(call, shared) if instance.warp else kernel(call) is not None
        assert fits, "a kernel wrote beyond its shared memory"

    return launch


def pytest_configure() -> None:
    paths = os.environ.get("SMNN_GPU_HOST")
    if paths:
        nvrtc.launch, nvrtc.UNROLLED = launch_by(*map(Path, paths.split(os.pathsep))), 0
        cuda.unavailable_reason = lambda device: ""
