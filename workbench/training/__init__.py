"""Training: a run that yields a Record per step, kept in a run file that can be resumed."""

from workbench.training.history import Record, Records
from workbench.training.training import Best, Training, train

__all__ = ["Best", "Record", "Records", "Training", "train"]
