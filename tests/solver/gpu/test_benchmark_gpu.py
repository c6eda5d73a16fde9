"""Smoke tests of the benchmark of the GPU backend, on the CPU with small problems."""

import json

import pytest
import torch

from benchmarks.solver import gpu
from tests.solver.native.problems import arguments, ode
from workbench.scaling import Case, JobStatus


@pytest.mark.exhaustive
@pytest.mark.slow
def test_every_section():
    """`native` replaces `cuda`; unsupported methods have a status."""
    options = gpu.parse_arguments(["--device", "cpu", "--quick", "--seconds", "5"])
    options.repeats, options.last = 1, 100
    result = gpu.run_sections(
        options, {"many short": Case(T=5, B=3), "shared left side": Case(T=5, shared=4)}, "native"
    )
    timed = {(row["shape"], row["variant"]): row for row in result["speed"]}
    assert {variant for _, variant in timed} == {"native qr", "native cholesky", "native qr32", "banded qr"}
    assert len(timed) == 8
    assert timed["many short", "native qr32"]["status"] is JobStatus.REFUSED
    assert all(ms > 0 for ms in timed["shared left side", "native qr"]["ms"])
    assert result["growth, B = 1"][0]["points"][0]["T"] == 100
    assert all(row["u"] == row["gradients"] == 0 for row in result["agreement"])
    assert result["copy bandwidth"] > 0
    assert result["accuracy"][0]["error"] < 1e-6
    assert json.loads(json.dumps(gpu.plain(result), allow_nan=False))["commit"]


def test_agreement_reports_rounding_differences():
    """Between two backends, for systems selected by condition number."""
    rows = gpu.agreement("cpu", "banded", T=6, B=4)
    assert all(0 < row["u"] < 1e-9 for row in rows if row["systems"])


def test_condition():
    """Against cond(A) of the dense matrix."""
    x = {name: value.detach() for name, value in arguments((3,), 2, 2, 2, 5).items()}
    problem = ode(x)
    unit = torch.eye(5 * 4, dtype=torch.float64).reshape(20, 5, 2, 2)
    A = torch.stack([gpu.rows(problem, e.expand(3, -1, -1, -1)) for e in unit], -1)
    torch.testing.assert_close(gpu.condition(problem), torch.linalg.cond(A))


def test_bandwidth():
    """A pass that takes as long as a copy of its bytes has the share 1."""
    case = Case(T=7, B=4, K=2)
    forward, backward = gpu.traffic(case.problem(), "qr")
    # per grid point: 7 numbers of factor and 2 of z, twice; 2 of c, 1 of r; u; steps and initial values
    assert forward == 8 * (4 * 7 * (2 * 7 + 2 * 2 + 2 + 1 + 2) + 4 * (6 + 1))
    row = {"shape": "it", "variant": "cuda qr", "ms": [1e3 * forward / 2e9, 1e3 * backward / 1e9]}
    others = [{**row, "variant": "native qr"}, {"shape": "it", "variant": "cuda cholesky", "status": "refused"}]
    (shares,) = gpu.bandwidth([row, *others], 1e9, {"it": case})
    assert shares["share"] == pytest.approx([2, 1])


def test_float32_halves_the_traffic_of_the_factor():
    case = Case(T=7, B=4, K=2)
    forward, single = (gpu.traffic(case.problem(), method)[0] for method in ("qr", "qr32"))
    assert forward - single == 4 * 4 * 7 * (2 * 7 + 2 * 2)


def test_needs_a_gpu():
    if torch.cuda.is_available():
        return
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu.main([])
