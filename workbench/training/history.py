"""What a run has told step by step, kept in no more bytes than its numbers need: a long training has many steps."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, overload

import numpy as np
import xarray as xr


@dataclass(frozen=True)
class Record:
    """One step: its number (from 1), metrics, coefficients (candidate, variable), training time and resident memory."""

    step: int
    total: int
    metrics: Mapping[str, float]
    coefficients: np.ndarray | None
    seconds: float
    memory_mb: float


class Records(Sequence[Record]):
    """The records of a run, that of step 1 first. A metric is NaN inside where a step did not report it."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._total, self._seconds, self._memory = array("q"), array("d"), array("d")
        self._metrics = {}
        self._coefficients = array("d")
        self._shape = None
        for record in records:
            self.append(record)

    def append(self, record: Record) -> None:
        """Add the next step."""
        before = len(self)
        for name in record.metrics.keys() - self._metrics.keys():
            self._metrics[name] = array("d", [math.nan]) * before
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
            return type(self)(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]
        metrics = {name: column[place] for name, column in self._metrics.items() if not math.isnan(column[place])}
        coefficients = None
        if self._shape is not None:
            size = math.prod(self._shape)
            coefficients = np.array(self._coefficients[place * size : (place + 1) * size]).reshape(self._shape)
        return Record(place + 1, self._total[place], metrics, coefficients, self._seconds[place], self._memory[place])

    def to_dataset(self) -> xr.Dataset:
        """All of them over (step), with units."""
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
        """What `to_dataset` was made of."""
        made = cls()
        if "step" not in dataset.sizes:
            return made
        arrays = {str(name): values.values for name, values in dataset.data_vars.items()}
        if "coefficients" in arrays:
            stacked = arrays.pop("coefficients")
            made._shape, made._coefficients = stacked.shape[1:], array("d", stacked.ravel().tolist())
        made._total = array("q", arrays.pop("total").tolist())
        made._seconds, made._memory = (array("d", arrays.pop(name).tolist()) for name in ("seconds", "memory_mb"))
        made._metrics = {name: array("d", column.tolist()) for name, column in arrays.items()}
        return made
