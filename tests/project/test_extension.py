"""The compiled extension and the fallback without it."""

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from workbench.solver import LinearODE, available, solve
from workbench.solver.backends import native


def problem() -> LinearODE:
    c, one = torch.ones(1, 1, 1, 2, dtype=torch.float64), torch.ones(1, 1, 1, dtype=torch.float64)
    return LinearODE(c, one[0], one, torch.full((5,), 0.1, dtype=torch.float64))


def test_the_extension_is_built(required):
    required(not available()["native"], "install a C++ compiler (Debian: apt-get install g++), then make test again")
    assert solve(problem()).backend == "native"
    assert native.instruction_sets()


def compiled(interface: int, *sets: str) -> SimpleNamespace:
    """A compiled extension with this interface, for instruction sets that this machine lacks."""
    return SimpleNamespace(interface=interface, compiled_sets=lambda: list(sets), instruction_sets=lambda: [])


@pytest.mark.parametrize(
    "module, reason",
    [
        (None, "is missing"),
        (compiled(native.INTERFACE - 1), "another version"),
        (compiled(native.INTERFACE, "avx2", "avx512"), "requires avx2 or avx512, which this machine does not support"),
    ],
)
def test_an_unusable_extension_gives_the_reason(module, reason):
    assert reason in native._check(module)


def test_without_the_extension_auto_selects_banded_and_warns_once(monkeypatch, caplog):
    monkeypatch.setattr(native, "_MISSING", "the compiled extension is missing (simulated)")
    monkeypatch.setattr(native, "_warned", False)
    with caplog.at_level(logging.WARNING, logger="workbench.solver"):
        assert [solve(problem()).backend for _ in range(3)] == ["banded"] * 3
    assert len(caplog.records) == 1
    assert "C++ compiler" in caplog.text


def test_the_package_imports_without_the_extension():
    code = (
        "import sys; sys.modules['workbench.solver._native'] = None; import workbench.solver as s; "
        "assert 'missing' in s.available()['native']"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
