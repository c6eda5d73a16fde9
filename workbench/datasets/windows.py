"""Convert records to tensors and windows; the only module of `datasets` with both xarray and torch."""

import numpy as np
import torch
import xarray as xr
from torch import Tensor


def tensor(record: xr.Dataset, name: str = "data") -> Tensor:
    """`record[name]` as a float64 tensor (N, D): grid points, variables."""
    values = record[name].transpose("time", "variable").values
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64).copy())


def times(record: xr.Dataset) -> Tensor:
    """The times of a record as a float64 tensor (N)."""
    return torch.from_numpy(np.array(record["time"].values, dtype=np.float64))


def count(points: int, window: int, stride: int) -> int:
    """Number of windows of `window` grid points, one every `stride`, in a record of `points`.

    Raises ValueError if the record is shorter than a window.
    """
    if window > points:
        raise ValueError(f"the window ({window} grid points) is longer than the record ({points} grid points)")
    return (points - window) // stride + 1


def windows(states: Tensor, window: int, stride: int) -> Tensor:
    """Windows (W, T, D) of states (N, D), one every `stride` grid points, as a view.

    Raises ValueError if the record is shorter than a window.
    """
    count(len(states), window, stride)
    return states.unfold(0, window, stride).mT


def fields(record: xr.Dataset) -> tuple[Tensor, Tensor, Tensor]:
    """A record of fields as float64 tensors: u (B, T, N), time steps (B), interval lengths (B)."""
    u = record["data"].transpose("trajectory", "frame", "point").values
    t = record["t"].values
    steps = (t[:, -1] - t[:, 0]) / (t.shape[1] - 1)
    return torch.from_numpy(u.copy()), torch.from_numpy(steps), torch.from_numpy(record["length"].values.copy())
