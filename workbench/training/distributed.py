"""Data-parallel training on the processes (ranks) of torchrun.

    torchrun --nproc-per-node 2 -m workbench train EXPERIMENT ...

Every rank holds the same model and draws the same batches. It computes the loss of its part of each batch, and the
gradients are averaged (DistributedDataParallel: gloo on CPUs, nccl on GPUs), which equals the step of one process:

    loss = (1/B) sum_{r} sum_{i in part r} loss_i,    grad = (1/R) sum_r grad [(R/B) sum_{i in part r} loss_i]

Rank 0 writes the run file, from which one process or any number of ranks can resume.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from workbench.training.training import Record, Training


@runtime_checkable
class DataParallelModel(Protocol):
    """A model with a loss per sample.

    Its `step` draws a batch (a tensor or a tuple of them, samples first) and minimises `self.mean(self.losses, batch)`.
    The loss of a sample must not depend on other samples: no batch statistics.
    """

    losses: nn.Module
    """batch -> loss of every sample (B,)."""
    mean: Callable[[nn.Module, Any], Tensor]
    """Mean loss of a batch; `mean_loss` unless the training is distributed."""


class LostRank(ConnectionError):
    """Another process of the training was lost."""


def mean_loss(losses: nn.Module, batch: Any) -> Tensor:
    """(1/B) sum_i loss_i."""
    return losses(batch).mean()


@dataclass(frozen=True)
class Ranks:
    """Rank of this process, number of processes, and the device of this process."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run file and prints."""
        return self.rank == 0


@contextmanager
def process_group() -> Iterator[Ranks]:
    """Join the process group of torchrun.

    Within the context SIGTERM, which torchrun sends to all processes when one is lost, raises LostRank in the main
    thread.
    """
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    previous = signal.signal(signal.SIGTERM, _raise_lost_rank)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        signal.signal(signal.SIGTERM, previous)
        dist.destroy_process_group()


def _raise_lost_rank(number: int, frame: Any) -> None:
    raise LostRank("another process was lost, or the launcher terminated this one")


class DistributedLoss:
    """Mean loss over all ranks: the value of the whole batch, the gradient of the part of this rank.

    DistributedDataParallel averages the gradients in `backward`.
    """

    def __init__(self, losses: nn.Module, ranks: Ranks) -> None:
        self._ranks = ranks
        self._losses = DistributedDataParallel(losses)

    def __call__(self, losses: nn.Module, batch: Any) -> Tensor:
        tensors = batch if isinstance(batch, tuple) else (batch,)
        count, (rank, size) = len(tensors[0]), (self._ranks.rank, self._ranks.size)
        if count < size:
            raise ValueError(f"a batch of {count} samples cannot be split among {size} processes; use a larger batch")
        parts = tuple(tensor[rank::size] for tensor in tensors)
        local = self._losses(parts if isinstance(batch, tuple) else parts[0]).sum() * (size / count)
        total = local.detach().clone()
        dist.all_reduce(total)
        return local + (total / size - local.detach())


def distribute_loss(model: Any, ranks: Ranks) -> None:
    """Restrict every `step` of the model to this rank's part of its batch.

    Raises ValueError for a model without losses per sample (`DataParallelModel`) or with batch statistics.
    """
    if not isinstance(model, DataParallelModel):
        raise ValueError(
            f"{type(model).__name__} cannot be trained by several processes: it has no loss per sample. "
            "Start it without torchrun"
        )
    for name, module in model.losses.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise ValueError(
                f"{name} ({type(module).__name__}) uses batch statistics, but each process has only a part of the batch"
            )
    model.mean = DistributedLoss(model.losses, ranks)


class DistributedTraining(Training):
    """A `Training` on all ranks: every rank iterates over it, rank 0 writes the run file.

    resume_from must be the same on every rank. If another rank is lost, `step` raises LostRank and the run file stays
    as last saved, because the state after an interrupted step is invalid.
    """

    def __init__(self, *args: Any, ranks: Ranks, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not ranks.is_first:
            self.path = None
        distribute_loss(self.model, ranks)

    def step(self) -> Record:
        """Do one step on all ranks."""
        try:
            return super().step()
        except Exception as error:
            if not _is_lost_rank(error):
                raise
            number, total = len(self.records) + 1, self.model.total_steps
            raise LostRank(f"another process of the training was lost in step {number} of {total}") from error

    def _save_failure(self, error: Exception) -> None:
        if not _is_lost_rank(error):
            super()._save_failure(error)


CONNECTION_ERRORS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo")
"""Parts of the messages of the RuntimeErrors by which gloo reports a lost process."""


def _is_lost_rank(error: Exception) -> bool:
    """Whether the error means that another process does not answer."""
    is_gloo = isinstance(error, RuntimeError) and any(text in str(error) for text in CONNECTION_ERRORS)
    return is_gloo or isinstance(error, LostRank | dist.DistError)
