"""The kernels of the GPU backend on the CPU (gpu_host.cpp), in the place of a GPU.

As a plugin of pytest (`-p tests.solver.gpu_host`, with the path of the compiled library in SMNN_GPU_HOST) it puts
`cuda` among the backends of every solver test.
"""

import ctypes
import os
from array import array
from collections.abc import Callable
from pathlib import Path

import torch

from workbench.solver import launcher
from workbench.solver.backends import cuda

Launch = Callable[[torch.device, launcher.Instance, "array[int]", int], None]


def name(instance: launcher.Instance) -> str:
    """What the kernel is called in gpu_host.cpp."""
    shape = "any" if instance.general else f"{instance.D}{instance.K}{instance.E}"
    if instance.kernel == "Gradient":
        return f"Gradient_{int(instance.central)}_{shape}"
    if instance.central:
        return f"{instance.kernel}Central_{str(instance.method == 'qr').lower()}_{shape}"
    return f"{instance.kernel}_{instance.method.capitalize()}_{shape}"


def launch_by(path: Path) -> Launch:
    """`launcher.launch` by the library at this path."""
    library = ctypes.CDLL(str(path))

    def launch(device: torch.device, instance: launcher.Instance, words: "array[int]", threads: int) -> None:
        assert len(words) == library.call_words()
        getattr(library, name(instance))(ctypes.c_void_p(words.buffer_info()[0]))

    return launch


def pytest_configure() -> None:
    path = os.environ.get("SMNN_GPU_HOST")
    if path:
        launcher.launch, launcher.UNROLLED = launch_by(Path(path)), 0
        cuda.unfit = lambda device: ""
