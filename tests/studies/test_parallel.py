"""One run shared among processes: the losses of one process, checkpoints for either, and what a lost rank leaves."""

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
from workbench.training.distributed import Ranks, share

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="needs a torch with torch.distributed")


def command(*words: str, ranks: int = 2) -> list[str]:
    """The command line under torchrun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(ranks)]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [sys.executable, *launcher, *address, "-m", "tests.studies.rank", *words]


def environment() -> dict[str, str]:
    return {**ENVIRONMENT, "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else ENVIRONMENT


def shared(*words: str) -> subprocess.CompletedProcess:
    options = {"cwd": ROOT, "env": environment(), "timeout": PATIENCE}
    return subprocess.run(command(*words), capture_output=True, text=True, check=False, **options)


def alone(path: Path, **settings: int) -> run_file.Run:
    """The same in one process."""
    for _ in Training(fit, fit.Config(**settings), path=path):
        pass
    return run_file.read_run(path)


@pytest.mark.exhaustive
def test_two_processes_have_the_losses_of_one_and_checkpoints_fit_either(tmp_path):
    """Three steps alone, five shared, four alone: the twelve of one process."""
    whole, path = alone(tmp_path / "whole.nc"), tmp_path / "run.nc"
    begun = Training(fit, fit.Config(), path=path)
    for _ in range(3):
        begun.step()
    begun.save("stopped")
    done = shared("resume", str(path), "--steps", "5")
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
@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_a_killed_rank_is_a_clear_error_and_leaves_a_checkpoint(tmp_path):
    path = tmp_path / "run.nc"
    words = command("train", "fit", "--output", str(path), "--length", "400", "--delay", "0.02")
    with subprocess.Popen(
        words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as launcher:
        while not path.exists() or run_file.summarise(path).steps < 1:
            assert launcher.poll() is None, launcher.stderr.read()
            time.sleep(0.05)
        os.kill(rank_of(launcher, "1"), signal.SIGKILL)
        _, complaints = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode != 0
    (line,) = re.findall(r"^python -m workbench: the run failed: (.*)$", complaints, re.MULTILINE)
    assert "another process" in line
    assert f"what it found is kept in {path}" in line
    kept = run_file.read_run(path)
    assert kept.status == "running"
    assert kept.state_step == kept.steps >= 1
    goes_on = Training(fit, fit.Config(length=400), resume_from=kept)
    assert goes_on.step().step == kept.steps + 1
    whole = alone(tmp_path / "whole.nc", length=kept.steps + 1)
    np.testing.assert_allclose([r.metrics["loss"] for r in goes_on.records], whole.records.loss, rtol=1e-6)


def rank_of(launcher: subprocess.Popen, rank: str) -> int:
    """The process that torchrun has given this rank."""
    for child in psutil.Process(launcher.pid).children():
        if child.environ().get("RANK") == rank:
            return child.pid
    raise AssertionError(f"no rank {rank}")


@pytest.mark.parametrize(
    "settings,words",
    [({"alone": True}, "Fit cannot be trained by several"), ({"norm": True}, r"net.1 \(BatchNorm1d\) uses statistics")],
)
def test_what_cannot_be_shared_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        share(fit.Fit(fit.Config(**settings)), Ranks(0, 2, torch.device("cpu")))


def test_a_batch_smaller_than_the_number_of_processes_is_refused():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        model = fit.Fit(fit.Config(batch=1))
        share(model, Ranks(0, 2, torch.device("cpu")))
        with pytest.raises(ValueError, match="a batch of 1 samples cannot be shared among 2 processes"):
            model.step()
    finally:
        torch.distributed.destroy_process_group()
