"""Compile the GPU kernels (kernels/gpu) with NVRTC for the shape of a problem, cache them on disk, and launch them.

A launch uses torch's current stream of the device, does not synchronise, and leaves the current device unchanged. A
CUDA graph can capture it after a first launch: compiling and loading cannot be captured.
"""

import ctypes
import functools
import hashlib
import importlib
import logging
import os
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import torch

logger = logging.getLogger(__name__)

KERNELS = Path(__file__).parents[2] / "kernels"
SOURCES = (
    *("vec.hpp", "sweep.hpp", "taylor.hpp", "qr.hpp", "cholesky.hpp", "dense.hpp", "central.hpp", "gradients.hpp"),
    *("gpu/call.hpp", "gpu/system.hpp", "gpu/gradients.hpp", "gpu/entry.hpp", "gpu/sizes.hpp", "gpu/piece.hpp"),
    *("gpu/joined.hpp", "gpu/chain.hpp", "gpu/pieces.hpp", "gpu/central.hpp", "gpu/warp.hpp", "gpu/warp_methods.hpp"),
    "gpu/warp_system.hpp",
)
"""The headers of the kernels."""
BLOCK = 32
"""Threads per block: one warp, as in gpu/entry.hpp."""
INSTALL = "pip install 'smnn-workbench[cuda]' (the packages cuda-core and nvidia-cuda-nvrtc)"
UNROLLED = 9
"""Largest number of unknowns per grid point for which matrices are in registers. At 9 a kernel spills 1 kB (qr) and
takes up to ten seconds to compile; beyond, matrices are in shared memory (a warp per system) or in global memory."""
ROWS_UNROLLED = 12


@dataclass(frozen=True)
class Instance:
    """A kernel of kernels/gpu ("Solve", ..) for a method ("qr", "cholesky", or "qr32"), a shape and a row mode."""

    kernel: str
    method: str
    D: int
    K: int
    E: int
    central: bool = False

    @property
    def general(self) -> bool:
        """Whether the matrices are too large for registers."""
        R = self.D * self.K
        return self.central or R > UNROLLED or R + self.E > ROWS_UNROLLED

    @property
    def warp(self) -> bool:
        """Whether a warp, not a thread, solves a system."""
        return self.kernel.endswith("Warp")

    @property
    def expression(self) -> str:
        """The C++ expression that names the kernel."""
        sizes = f"{self.D}, {self.K}, {self.E}"
        shape = "smnn::AnyShape" if self.general else f"smnn::Shape<{sizes}>"
        method = "Cholesky" if self.method == "cholesky" else "Qr"
        if self.warp:
            return f"smnn::run_warp<smnn::{self.kernel}<smnn::{method}, {sizes}>>"
        if self.kernel == "Gradient":
            return f"smnn::run<smnn::Gradient<{int(self.central)}, {shape}, {sizes}>>"
        if self.central:
            return f"smnn::run<smnn::{self.kernel}Central<{str(method == 'Qr').lower()}, {sizes}>>"
        return f"smnn::run<smnn::{self.kernel}<smnn::{method}, {shape}, {sizes}>>"


@dataclass(frozen=True)
class Binary:
    """A compiled instance: machine code and the symbol of the kernel."""

    code: bytes
    name: str

    def to_bytes(self) -> bytes:
        """Digest, symbol, newline and code."""
        body = self.name.encode() + b"\n" + self.code
        return hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> "Binary | None":
        """The inverse of `to_bytes`; None if the digest does not match."""
        digest, body = data[:32], data[32:]
        if hashlib.sha256(body).digest() != digest:
            return None
        name, _, code = body.partition(b"\n")
        return cls(code, name.decode())


# compiling


def cache_folder() -> Path:
    """The folder of the compiled kernels of this user."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "smnn-workbench" / "cuda"


def binary(instance: Instance, arch: str) -> Binary:
    """The instance for an architecture ("sm_90"), from the cache or compiled; needs no GPU.

    Raises RuntimeError, with the installation command, if NVRTC cannot be loaded.
    """
    file = cache_folder() / f"{_key(instance, arch)}.bin"
    with suppress(OSError):
        cached = Binary.from_bytes(file.read_bytes())
        if cached:
            return cached
        logger.warning("%s is corrupt: recompiling", file)
    result = compiled(instance, arch)
    try:
        _write(file, result.to_bytes())
    except OSError as error:
        logger.warning("compiled GPU kernels cannot be cached: %s", error)
    return result


def compiled(instance: Instance, arch: str) -> Binary:
    """Compile the instance with NVRTC."""
    core = importlib.import_module("cuda.core")
    options = core.ProgramOptions(
        name="smnn",
        std="c++20",
        arch=arch,
        include_path=str(KERNELS),
        device_as_default_execution_space=True,
        define_macro=("SMNN_REAL", "Single" if instance.method == "qr32" else "double"),
    )
    header = "central" if instance.central else "warp_system" if instance.warp else "pieces"
    program = core.Program(f'#include "gpu/{header}.hpp"\n', "c++", options)
    cubin = program.compile("cubin", name_expressions=(instance.expression,))
    name = cubin.symbol_mapping[instance.expression]
    return Binary(bytes(cubin.code), name.decode() if isinstance(name, bytes) else name)


def _key(instance: Instance, arch: str) -> str:
    text = "\n".join([*((KERNELS / name).read_text() for name in SOURCES), repr(instance), arch, _versions()])
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _versions() -> str:
    core = importlib.import_module("cuda.core")
    try:
        version = _checked(importlib.import_module("cuda.bindings.nvrtc").nvrtcVersion())
    except Exception as error:
        raise RuntimeError(f"NVRTC cannot be loaded ({error}): {INSTALL}") from error
    return f"{core.__version__} {version}"


def _write(file: Path, data: bytes) -> None:
    """Write a file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        os.replace(name, file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


# launching


def _checked(result: tuple[Any, ...]) -> Any:
    """The result of a call of the CUDA bindings. Raises RuntimeError if it failed."""
    error, *values = result
    if int(error):
        raise RuntimeError(f"CUDA: {error.name}")
    return values[0] if len(values) == 1 else tuple(values)


@dataclass(frozen=True)
class _Loaded:
    function: Any
    owner: Any
    """The library, which must outlive the function."""


_contexts: dict[int, Any] = {}
_loaded: dict[tuple[Instance, int], _Loaded] = {}
_lock = Lock()


@contextmanager
def _context(driver: Any, device: int) -> Iterator[None]:
    """Make the primary context of the device, which torch uses, current; restore that of the caller on exit."""
    if device not in _contexts:
        with _lock:
            if device not in _contexts:
                _contexts[device] = _checked(driver.cuDevicePrimaryCtxRetain(_checked(driver.cuDeviceGet(device))))
    _checked(driver.cuCtxPushCurrent(_contexts[device]))
    try:
        yield
    finally:
        _checked(driver.cuCtxPopCurrent())


def _load(driver: Any, instance: Instance, device: int) -> _Loaded:
    """The kernel on this device, compiled and loaded at the first call."""
    loaded = _loaded.get((instance, device))
    if loaded:
        return loaded
    with _lock:
        if (instance, device) not in _loaded:
            major, minor = torch.cuda.get_device_capability(device)
            cubin = binary(instance, f"sm_{major}{minor}")
            code = importlib.import_module("cuda.core").ObjectCode.from_cubin(cubin.code)
            kernel = code.get_kernel(cubin.name)
            _loaded[instance, device] = _Loaded(_checked(driver.cuKernelGetFunction(kernel.handle)), (code, kernel))
        return _loaded[instance, device]


def launch(device: torch.device, instance: Instance, words: "array[int]", threads: int, shared: int = 0) -> None:
    """Launch a kernel.

    words: its argument, the struct `Call` of gpu/call.hpp. threads: the smallest number of threads.
    shared: bytes of shared memory per block.
    """
    driver = importlib.import_module("cuda.bindings.driver")
    stream = torch.cuda.current_stream(device).cuda_stream
    with _context(driver, device.index):
        function = _load(driver, instance, device.index).function
        arguments = (ctypes.c_void_p * 1)(words.buffer_info()[0])
        shape = (-(-threads // BLOCK), 1, 1, BLOCK, 1, 1)
        _checked(driver.cuLaunchKernel(function, *shape, shared, stream, ctypes.addressof(arguments), 0))
