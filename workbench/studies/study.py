"""A study: which runs it is made of and where they lie. No engine, no cluster.

FOLDER/study.json     the definition
FOLDER/key            tells this folder from others of the same name, as on other machines
FOLDER/cells/ID.nc    a run file per cell, there once the cell is at its end (finished or failed), then never replaced
FOLDER/attempts/      what running and interrupted cells have saved, to go on from
FOLDER/study.nc       the results over the axes
FOLDER/halt           there while a cancelled study winds down
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from workbench import experiments
from workbench.datasets.store import data_folder, replacing
from workbench.experiments.protocol import current_names
from workbench.training.run_file import now

FORMAT_VERSION = 1
DEFINITION = "study.json"
HALT = "halt"
"""The file in a folder whose presence asks running cells to stop."""
RESERVED = {"status", "message", "seconds", "memory_mb", "steps", "run"}
"""Variables of the results; no metric and no axis may be called so."""


def studies_folder() -> Path:
    """Where studies are kept: `studies` in the data folder; not created here."""
    return data_folder() / "studies"


def new_folder(experiment: str) -> Path:
    """A folder for a study that no other has yet."""
    stamp = now().replace("-", "").replace(":", "").replace("T", "-")[:15]
    return studies_folder() / f"{experiment}-{stamp}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Cell:
    """One run: its place along the axes of the study, all its settings (plain JSON), and the name they give it."""

    place: tuple[int, ...]
    config: Mapping[str, Any]
    id: str


@dataclass(frozen=True)
class Study:
    """Every combination of the values along `axes` (setting -> values) and of the seeds; the seed is the last axis.

    folder: where it lies. settings: those that all cells share; what is not given has the experiment's default.
    Raises ValueError for an axis that is no setting, without values or with one twice, and for a combination that the
    experiment refuses, naming it: nothing has run then.
    """

    folder: Path
    experiment: str
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: Iterable[int] = (0,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = field(init=False, repr=False, compare=False)
    """The cells, the last axis fastest."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder).absolute())
        object.__setattr__(self, "seeds", tuple(self.seeds))
        config = experiments.get(self.experiment).Config
        object.__setattr__(self, "settings", current_names(config, self.settings))
        given, fields = {**current_names(config, self.axes), "seed": self.seeds}, config.model_fields
        for name, values in given.items():
            if name not in fields:
                raise ValueError(f"axis {name}: {self.experiment} has no such setting; it has {', '.join(fields)}")
            if isinstance(values, str) or not values:
                raise ValueError(f"axis {name}: expected a list of values, found {values!r}")
        if clash := (RESERVED & set(given)) or (set(given) & set(self.settings)):
            raise ValueError(f"axis {', '.join(sorted(clash))}: the name is taken, by a setting or by the results")
        configs = self._configs(given)
        typed = {name: _distinct(name, [config[name] for config in configs], len(given[name])) for name in given}
        seeds = typed.pop("seed")
        object.__setattr__(self, "axes", typed)
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "settings", {name: configs[0][name] for name in self.settings})
        places = product(*(range(len(values)) for values in self.dims.values()))
        cells = (Cell(place, c, identity(self.experiment, c)) for place, c in zip(places, configs, strict=True))
        object.__setattr__(self, "cells", tuple(cells))

    def _configs(self, axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
        """The settings of every cell, the last axis fastest."""
        made = []
        for values in product(*axes.values()):
            here = dict(zip(axes, values, strict=True))
            try:
                config = experiments.get(self.experiment).Config(**self.settings, **here)
            except ValueError as error:  # pydantic's ValidationError is one
                place = ", ".join(f"{name}={value}" for name, value in here.items())
                raise ValueError(f"{place}: {_reasons(error)}") from None
            made.append(config.model_dump(mode="json"))
        return made

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def dims(self) -> dict[str, tuple[Any, ...]]:
        """The values along every axis, the seed's last."""
        return {**self.axes, "seed": self.seeds}

    def path(self, cell: Cell) -> Path:
        """The run file of a cell, whether or not it is there yet."""
        return self.folder / "cells" / f"{cell.id}.nc"

    def save(self) -> None:
        """Write the definition. A study may grow: axes and seeds may differ from those of the last time.

        Raises ValueError where the folder holds a study of another experiment or with other settings.
        """
        path = self.folder / DEFINITION
        if path.exists():
            before = _read(path)
            before["settings"] = current_names(experiments.get(self.experiment).Config, before["settings"])
            for name, ours in (("experiment", self.experiment), ("settings", dict(self.settings))):
                if before[name] != ours:
                    raise ValueError(f"{self.folder}: holds a study whose {name} are {before[name]}, not {ours}")
        definition = {
            "format_version": FORMAT_VERSION,
            "experiment": self.experiment,
            "axes": {name: list(values) for name, values in self.axes.items()},
            "seeds": list(self.seeds),
            "settings": dict(self.settings),
        }
        with replacing(path) as part:
            part.write_text(json.dumps(definition, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Study":
        """The study of a folder. Raises FileNotFoundError, and ValueError saying why it cannot be read."""
        found = _read(Path(folder) / DEFINITION)
        return cls(Path(folder), *(found[name] for name in ("experiment", "axes", "seeds", "settings")))


def identity(experiment: str, config: Mapping[str, Any]) -> str:
    """The name of the run with these settings: the same wherever and whenever it is asked for."""
    text = json.dumps([experiment, dict(config)], sort_keys=True)
    return f"{experiment}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def key_of(folder: Path) -> str:
    """The key of a folder, made where there is none."""
    path = folder / "key"
    if not path.exists():
        with replacing(path) as part:
            part.write_text(secrets.token_hex(8), encoding="ascii")
    return path.read_text(encoding="ascii")


def list_studies(folder: Path) -> list[Path]:
    """The folders in `folder` that hold a study, newest first."""
    found = [path.parent for path in Path(folder).glob(f"*/{DEFINITION}")]
    return sorted(found, key=lambda path: (path / DEFINITION).stat().st_mtime, reverse=True)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path.parent}: there is no study")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format_version"] > FORMAT_VERSION:
            raise ValueError(f"made by a newer version (format {found['format_version']})")
        return {name: found[name] for name in ("experiment", "axes", "seeds", "settings")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a readable study ({error})") from None


def _distinct(name: str, values: list[Any], count: int) -> tuple[Any, ...]:
    """The values of an axis as the experiment reads them, in order."""
    distinct = tuple({json.dumps(value): value for value in values}.values())
    if len(distinct) != count:
        raise ValueError(f"axis {name}: {count} values, of which only {len(distinct)} are different")
    return distinct


def _reasons(error: ValueError) -> str:
    """What pydantic found, in one line."""
    faults = error.errors() if hasattr(error, "errors") else []
    words = [f"{'.'.join(map(str, f['loc']))} {f['msg'].removeprefix('Value error, ')}".strip() for f in faults]
    return "; ".join(words) or str(error)
