"""Training loop, records of training steps, and run files."""

from workbench.training.history import Record, Records
from workbench.training.training import Best, Training, train

__all__ = ["Best", "Record", "Records", "Training", "train"]
