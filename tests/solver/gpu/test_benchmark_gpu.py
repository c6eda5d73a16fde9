"""The benchmark of the GPU backend, on the CPU at sizes that take no time: that it runs counts, not what it finds."""

import json

import pytest
import torch

from benchmarks import gpu
from tests.solver.native.test_native import arguments, ode
from workbench.scaling import Case, JobStatus


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_section():
    """`native` in the place of `cuda`; what it refuses is told."""
    options = gpu.asked(["--device", "cpu", "--quick", "--seconds", "5"])
    options.repeats, options.last = 1, 100
    found = gpu.everything(options, {"many short": Case(T=5, B=3), "shared left side": Case(T=5, shared=4)}, "native")
    timed = {(row["shape"], row["variant"]): row for row in found["speed"]}
    assert {variant for _, variant in timed} == {"native qr", "native cholesky", "native qr32", "banded qr"}
    assert len(timed) == 8
    assert timed["many short", "native qr32"]["status"] is JobStatus.REFUSED
    assert all(ms > 0 for ms in timed["shared left side", "native qr"]["ms"])
    assert found["growth, B = 1"][0]["points"][0]["T"] == 100
    assert all(row["u"] == row["gradients"] == 0 for row in found["agreement"])
    assert found["copy bandwidth"] > 0
    assert found["accuracy"][0]["error"] < 1e-6
    assert json.loads(json.dumps(gpu.plain(found), allow_nan=False))["commit"]


def test_agreement_tells_a_difference():
    """`cholesky` beside itself by another backend: rounding, on systems that are told apart by their condition."""
    rows = gpu.agreement("cpu", "banded", T=6, B=4)
    assert all(0 < row["u"] < 1e-9 for row in rows if row["systems"])


def test_condition():
    """That of A, written out."""
    x = {name: value.detach() for name, value in arguments((3,), 2, 2, 2, 5).items()}
    problem = ode(x)
    unit = torch.eye(5 * 4, dtype=torch.float64).reshape(20, 5, 2, 2)
    A = torch.stack([gpu.rows(problem, e.expand(3, -1, -1, -1)) for e in unit], -1)
    torch.testing.assert_close(gpu.condition(problem), torch.linalg.cond(A))


def test_bandwidth():
    """A row that takes as long as its bytes in a copy has the share 1."""
    case = Case(T=7, B=4, K=2)
    forward, backward = gpu.traffic(case.problem(), "qr")
    # per grid point: 7 numbers of factor and 2 of z, twice; 2 of c, 1 of r; u; steps and initial values
    assert forward == 8 * (4 * 7 * (2 * 7 + 2 * 2 + 2 + 1 + 2) + 4 * (6 + 1))
    row = {"shape": "it", "variant": "cuda qr", "ms": [1e3 * forward / 2e9, 1e3 * backward / 1e9]}
    others = [{**row, "variant": "native qr"}, {"shape": "it", "variant": "cuda cholesky", "status": "refused"}]
    (found,) = gpu.bandwidth([row, *others], 1e9, {"it": case})
    assert found["share"] == pytest.approx([2, 1])


def test_float32_moves_half_of_what_is_kept():
    case = Case(T=7, B=4, K=2)
    forward, single = (gpu.traffic(case.problem(), method)[0] for method in ("qr", "qr32"))
    assert forward - single == 4 * 4 * 7 * (2 * 7 + 2 * 2)


def test_needs_a_gpu():
    if torch.cuda.is_available():
        return
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu.main([])
