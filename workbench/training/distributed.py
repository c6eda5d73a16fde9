"""Data-parallel training: one large run, its batches shared out among several processes (ranks) that torchrun starts.

    torchrun --nproc-per-node 2 -m workbench train EXPERIMENT ...

Every rank holds the same model and draws the same batches; of each batch it computes its own part, and the gradients
are averaged (DistributedDataParallel: gloo on CPUs, nccl on GPUs). The step is that of one process with the same batch:

    loss = (1/B) sum_{r} sum_{i in part r} loss_i,    grad = (1/R) sum_r grad [(R/B) sum_{i in part r} loss_i]

Rank 0 keeps the run file, which one process or any number of ranks can go on from.
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
class Shareable(Protocol):
    """A model whose batches can be shared out.

    Its `step` draws a batch (a tensor or a tuple of them, samples first) and minimises `self.mean(self.losses, batch)`.
    What one sample contributes may not depend on the others: no statistics over the batch.
    """

    losses: nn.Module
    """batch -> the loss of every sample (B,)."""
    mean: Callable[[nn.Module, Any], Tensor]
    """The mean loss of a batch; `mean_loss` unless the training is shared out."""


class LostRank(ConnectionError):
    """Another process of the training is gone."""


def mean_loss(losses: nn.Module, batch: Any) -> Tensor:
    """(1/B) sum_i loss_i."""
    return losses(batch).mean()


@dataclass(frozen=True)
class Ranks:
    """This process among those of the training. `device`: where it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0


def launched() -> bool:
    """Whether torchrun has started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


@contextmanager
def joined() -> Iterator[Ranks]:
    """This process as one of those that torchrun has started.

    While it lasts, SIGTERM, which torchrun sends to all when one is lost, raises LostRank in the main thread.
    """
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        signal.signal(signal.SIGTERM, before)
        dist.destroy_process_group()


def _ended(number: int, frame: Any) -> None:
    raise LostRank("another process was lost, or the launcher ended this one")


class Shared:
    """The mean loss of a batch over all ranks: the value of the whole batch, the gradient of this rank's part.

    DistributedDataParallel averages the gradients in `backward`.
    """

    def __init__(self, losses: nn.Module, ranks: Ranks) -> None:
        self._ranks = ranks
        self._own = DistributedDataParallel(losses)

    def __call__(self, losses: nn.Module, batch: Any) -> Tensor:
        parts = batch if isinstance(batch, tuple) else (batch,)
        count, (rank, size) = len(parts[0]), (self._ranks.rank, self._ranks.size)
        if count < size:
            raise ValueError(f"a batch of {count} samples cannot be shared among {size} processes: take a larger batch")
        own = tuple(part[rank::size] for part in parts)
        mine = self._own(own if isinstance(batch, tuple) else own[0]).sum() * (size / count)
        whole = mine.detach().clone()
        dist.all_reduce(whole)
        return mine + (whole / size - mine.detach())


def share(model: Any, ranks: Ranks) -> None:
    """Let every `step` of the model compute this rank's part of its batch.

    Raises ValueError for a model that is not `Shareable`, or whose network uses statistics of the batch.
    """
    if not isinstance(model, Shareable):
        raise ValueError(
            f"{type(model).__name__} cannot be trained by several processes: it has no loss per sample. "
            "Start it without torchrun"
        )
    for name, part in model.losses.named_modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            kind = type(part).__name__
            raise ValueError(f"{name} ({kind}) uses statistics of the batch, of which a process sees a part only")
    model.mean = Shared(model.losses, ranks)


class SharedTraining(Training):
    """A `Training` that all ranks do together; every rank iterates over it, rank 0 writes the run file.

    resume_from is the same on every rank. Where another rank is lost, `step` raises LostRank, and the run file stays as
    it was last saved: the step that was cut short is not to be trusted.
    """

    def __init__(self, *given: Any, ranks: Ranks, **named: Any) -> None:
        super().__init__(*given, **named)
        if not ranks.first:
            self.path = None
        share(self.model, ranks)

    def step(self) -> Record:
        """One step of all ranks."""
        try:
            return super().step()
        except Exception as error:
            if not _is_loss(error):
                raise
            number, total = len(self.records) + 1, self.model.total_steps
            raise LostRank(f"another process of the training was lost in step {number} of {total}") from error

    def _failed(self, error: Exception) -> None:
        if not _is_loss(error):
            super()._failed(error)


SIGNS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo")
"""How gloo says, in plain RuntimeErrors, that a process is gone."""


def _is_loss(error: Exception) -> bool:
    """Whether an error says that another process no longer answers."""
    plain = isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
    return plain or isinstance(error, LostRank | dist.DistError)
