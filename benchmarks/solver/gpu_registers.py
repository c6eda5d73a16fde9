"""Tabulate registers and local memory of the GPU kernels from the binaries of NVRTC; needs no GPU.

    python benchmarks/solver/gpu_registers.py    # writes results/gpu_registers.json; a few minutes

Local memory is in bytes per thread: spills beyond the 255 registers of a thread.
"""

import json
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from workbench.solver.backends.cuda.nvrtc import Instance, compiled

ARCHITECTURES = ("sm_80", "sm_90", "sm_120")
SHAPES = ((1, 3, 1), (1, 5, 1), (2, 3, 2), (3, 3, 3), (4, 5, 3))  # D, K, E
SINGLE = ((1, 3, 1),)  # in float32
CENTRAL = ((2, 3, 2),)
PLAIN = ("Solve", "Adjoint", "Gradient")
WARPS = ("SolveWarp", "AdjointWarp", "FactorWarp")
SHARED = ("Factor", "Resolve")
PIECES = ("EliminatePieces", "JoinPieces", "SolveChain", "BackJoined", "BackPieces")
PIECES += ("AdjointPieces", "AdjointJoined", "AdjointChain")
RESULT = Path(__file__).parents[1] / "results" / "gpu_registers.json"
# constants of the ELF format, and of the records in section .nv.info
_SECTION, _SYMBOL = struct.Struct("<IIQQQQIIQQ"), 24
_SYMTAB, _WORDS, _REGISTERS, _FRAME = 2, 4, 0x2F, 0x11


def resources(code: bytes) -> dict[str, dict[str, int]]:
    """Registers and local memory in bytes by kernel."""
    start, (size, count, names) = struct.unpack_from("<Q", code, 0x28)[0], struct.unpack_from("<HHH", code, 0x3A)
    sections = [_SECTION.unpack_from(code, start + i * size) for i in range(count)]

    def name(table: int, at: int) -> str:
        begin = sections[table][4] + at
        return code[begin : code.index(b"\0", begin)].decode()

    symbols = next(section for section in sections if section[1] == _SYMTAB)
    info = next(section for section in sections if name(names, section[0]) == ".nv.info")
    result: dict[str, dict[str, int]] = {}
    for kind, symbol, value in _records(code[info[4] : info[4] + info[5]]):
        if kind in (_REGISTERS, _FRAME):
            at = struct.unpack_from("<I", code, symbols[4] + _SYMBOL * symbol)[0]
            result.setdefault(name(symbols[6], at), {})["registers" if kind == _REGISTERS else "local_bytes"] = value
    return {kernel: values for kernel, values in result.items() if "registers" in values}


def _records(info: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, symbol and value of each record."""
    at = 0
    while at < len(info):
        form, kind, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form == _WORDS:
            if size == 8:
                yield kind, *struct.unpack_from("<II", info, at)
            at += size


def instances(
    shapes: Iterable[tuple[int, int, int]], central: bool = False, methods: Iterable[str] = ("qr", "cholesky")
) -> Iterator[Instance]:
    """Every kernel for these shapes; the gradient kernel is the same for all methods."""
    for method in methods:
        for D, K, E in shapes:
            for kernel in PLAIN if central else PLAIN + SHARED + PIECES + WARPS:
                instance = Instance(kernel, method, D, K, E, central)
                unused = instance.general if kernel in PIECES else kernel in WARPS and not instance.general
                if not unused and (kernel != "Gradient" or method == "qr"):
                    yield instance


def table(chosen: Iterable[Instance], architectures: tuple[str, ...]) -> list[dict[str, object]]:
    """A row per kernel and architecture."""
    rows = []
    for instance in chosen:
        for arch in architectures:
            start = time.perf_counter()
            binary = compiled(instance, arch)
            seconds = round(time.perf_counter() - start, 1)
            row = {**asdict(instance), "general": instance.general, "arch": arch}
            rows.append({**row, **resources(binary.code)[binary.name], "seconds_to_compile": seconds})
    return rows


if __name__ == "__main__":
    packages = {name: version(name) for name in ("cuda-core", "nvidia-cuda-nvrtc")}
    chosen = [*instances(SHAPES), *instances(CENTRAL, True), *instances(SINGLE, methods=["qr32"])]
    rows = table(chosen, ARCHITECTURES)
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    RESULT.write_text(f'{{"packages": {json.dumps(packages)},\n "kernels": [\n{lines}\n]}}\n')
    for row in rows:
        print(*row.values())
