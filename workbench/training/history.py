"""Records of training steps, stored in columns: 8 bytes per number, since a long training has many steps."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, overload

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class Record:
    """One step: its number (from 1) of `total`, metrics, coefficients (candidate, variable), training time and memory.

    seconds: training time up to and including this step. memory_mb: resident memory of the process.
    """

    step: int
    total: int
    metrics: Mapping[str, float]
    coefficients: np.ndarray | None
    seconds: float
    memory_mb: float


class Records(Sequence[Record]):
    """Sequence of the records of a run, starting with step 1.

    A metric that a step did not report is stored as NaN.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._total, self._seconds, self._memory = array("q"), array("d"), array("d")
        self._metrics = {}
        self._coefficients = array("d")
        self._shape = None
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Append the next step."""
        length = len(self)
        for name in record.metrics.keys() - self._metrics.keys():
            self._metrics[name] = array("d", [math.nan]) * length
        for name, column in self._metrics.items():
            column.append(record.metrics.get(name, math.nan))
        if record.coefficients is not None:
            self._shape = record.coefficients.shape
            self._coefficients.frombytes(np.ascontiguousarray(record.coefficients, dtype=float).tobytes())
        self._total.append(record.total)
        self._seconds.append(record.seconds)
        self._memory.append(record.memory_mb)

    def __len__(self) -> int:
        return len(self._total)

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Self: ...

    def __getitem__(self, index: int | slice) -> Record | Self:
        if isinstance(index, slice):
            return type(self)(self[i] for i in range(*index.indices(len(self))))
        i = range(len(self))[index]
        metrics = {name: column[i] for name, column in self._metrics.items() if not math.isnan(column[i])}
        coefficients = None
        if self._shape is not None:
            size = math.prod(self._shape)
            coefficients = np.array(self._coefficients[i * size : (i + 1) * size]).reshape(self._shape)
        return Record(i + 1, self._total[i], metrics, coefficients, self._seconds[i], self._memory[i])

    def to_dataset(self) -> xr.Dataset:
        """The records over (step), with units."""
        if not len(self):
            return xr.Dataset()
        columns = {name: self._metrics[name] for name in sorted(self._metrics)}
        columns |= {"total": self._total, "seconds": self._seconds, "memory_mb": self._memory}
        variables = {name: ("step", np.array(column)) for name, column in columns.items()}
        if self._shape is not None:
            stacked = np.array(self._coefficients).reshape(len(self), *self._shape)
            variables["coefficients"] = (("step", "candidate", "variable"), stacked)
        dataset = xr.Dataset(variables, coords={"step": np.arange(1, len(self) + 1)})
        dataset["seconds"].attrs["units"] = "s"
        dataset["memory_mb"].attrs["units"] = "MB"
        return dataset

    @classmethod
    def of(cls, dataset: xr.Dataset) -> Self:
        """Records of a dataset written by `to_dataset`."""
        records = cls()
        if "step" not in dataset.sizes:
            return records
        arrays = {str(name): values.values for name, values in dataset.data_vars.items()}
        if "coefficients" in arrays:
            stacked = arrays.pop("coefficients")
            records._shape, records._coefficients = stacked.shape[1:], array("d", stacked.ravel().tolist())
        records._total = array("q", arrays.pop("total").tolist())
        records._seconds, records._memory = (array("d", arrays.pop(name).tolist()) for name in ("seconds", "memory_mb"))
        records._metrics = {name: array("d", column.tolist()) for name, column in arrays.items()}
        return records
