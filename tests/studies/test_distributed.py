"""Data-parallel training: equality with one process, interchangeable checkpoints, and lost ranks."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.studies import fit
from tests.studies.processes import ENVIRONMENT, ROOT
from tests.waiting import PATIENCE
from workbench.training import Training, run_file
from workbench.training.distributed import Ranks, distribute_loss

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="needs a torch with torch.distributed")


def command(*arguments: str, ranks: int = 2) -> list[str]:
    """Command line of torchrun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, *launcher, *address, "-m", "tests.studies.rank", *arguments]


def environment() -> dict[str, str]:
    return {**ENVIRONMENT, "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else ENVIRONMENT


def distributed(*arguments: str) -> subprocess.CompletedProcess:
    options = {"cwd": ROOT, "env": environment(), "timeout": PATIENCE}
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **options)


def single(path: Path, **settings: int) -> run_file.Run:
    """Train in one process."""
    for _ in Training(fit, fit.Config(**settings), path=path):
        pass
    return run_file.read_run(path)


@pytest.mark.exhaustive
def test_two_processes_give_the_losses_of_one_and_checkpoints_are_interchangeable(tmp_path):
    """Three steps in one process, five in two, four in one: equal to twelve in one process."""
    whole, path = single(tmp_path / "whole.nc"), tmp_path / "run.nc"
    first = Training(fit, fit.Config(), path=path)
    for _ in range(3):
        first.step()
    first.save("stopped")
    done = distributed("resume", str(path), "--steps", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run file:") == 1
    middle = run_file.read_run(path)
    assert (middle.status, middle.steps, middle.state_step) == ("stopped", 8, 8)
    np.testing.assert_allclose(middle.records.loss, whole.records.loss[:8], rtol=1e-6)
    assert [record.step for record in Training(fit, fit.Config(), path=path, resume_from=middle)] == [9, 10, 11, 12]
    last = run_file.read_run(path)
    np.testing.assert_allclose(last.records.loss, whole.records.loss, rtol=1e-6)
    for name, array in whole.state.items():
        np.testing.assert_allclose(last.state[name], array, rtol=1e-6, err_msg=name)


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_rank_is_reported_and_leaves_a_checkpoint(tmp_path):
    path = tmp_path / "run.nc"
    arguments = command("train", "fit", "--output", str(path), "--length", "400", "--delay", "0.02")
    with subprocess.Popen(
        arguments, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as launcher:
        while not path.exists() or run_file.summarise(path).steps < 1:
            assert launcher.poll() is None, launcher.stderr.read()
            time.sleep(0.05)
        os.kill(rank_of(launcher, "1"), signal.SIGKILL)
        _, errors = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode != 0
    (line,) = re.findall(r"^python -m workbench: the run failed: (.*)$", errors, re.MULTILINE)
    assert "another process" in line
    assert f"its best state is saved in {path}" in line
    saved = run_file.read_run(path)
    assert saved.status == "running"
    assert saved.state_step == saved.steps >= 1
    resumed = Training(fit, fit.Config(length=400), resume_from=saved)
    assert resumed.step().step == saved.steps + 1
    whole = single(tmp_path / "whole.nc", length=saved.steps + 1)
    np.testing.assert_allclose([r.metrics["loss"] for r in resumed.records], whole.records.loss, rtol=1e-6)


def rank_of(launcher: subprocess.Popen, rank: str) -> int:
    """Process id of a rank of torchrun."""
    for child in psutil.Process(launcher.pid).children():
        if child.environ().get("RANK") == rank:
            return child.pid
    raise AssertionError(f"no rank {rank}")


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"alone": True}, "Fit cannot be trained by several"),
        ({"norm": True}, r"net.1 \(BatchNorm1d\) uses batch statistics"),
    ],
)
def test_model_without_sample_losses_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        distribute_loss(fit.Fit(fit.Config(**settings)), Ranks(0, 2, torch.device("cpu")))


def test_batch_smaller_than_the_number_of_processes_is_refused():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = fit.Fit(fit.Config(batch=1))
        distribute_loss(model, Ranks(0, 2, torch.device("cpu")))
        with pytest.raises(ValueError, match="a batch of 1 samples cannot be split among 2 processes"):
            model.step()
    finally:
        torch.distributed.destroy_process_group()
