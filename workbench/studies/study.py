"""Definition of a study: its cells and its folder.

FOLDER/study.json     definition
FOLDER/key            random key that distinguishes this folder from others of the same path, e.g. on other machines
FOLDER/cells/ID.nc    run file of a finished or failed cell; never replaced
FOLDER/attempts/      run files of running and interrupted cells, to resume from
FOLDER/study.nc       results over the axes
FOLDER/halt           exists while a cancelled study is stopping
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
"""Name of the file that makes running cells stop."""
RESERVED = {"status", "message", "seconds", "memory_mb", "steps", "run"}
"""Variables of the results, not allowed as names of metrics and axes."""


def studies_folder() -> Path:
    """Folder of the studies: `studies` in the data folder; it is not created."""
    return data_folder() / "studies"


def new_folder(experiment: str) -> Path:
    """Path of a new folder for a study."""
    stamp = now().replace("-", "").replace(":", "").replace("T", "-")[:15]
    return studies_folder() / f"{experiment}-{stamp}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Cell:
    """One run: its indices along the axes of the study, its settings (plain JSON), and the id derived from them."""

    place: tuple[int, ...]
    config: Mapping[str, Any]
    id: str


@dataclass(frozen=True)
class Study:
    """Grid over all combinations of the values along `axes` (setting -> values) and the seeds, the last axis.

    folder: folder of the study. settings: shared by all cells; others have the defaults of the experiment.
    Raises ValueError, before anything runs, for an axis that is not a setting, is also in `settings`, has no values or
    repeats one, and for an invalid combination of settings.
    """

    folder: Path
    experiment: str
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    seeds: Iterable[int] = (0,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    cells: tuple[Cell, ...] = field(init=False, repr=False, compare=False)
    """Cells; the last axis varies fastest."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder).absolute())
        object.__setattr__(self, "seeds", tuple(self.seeds))
        config = experiments.get(self.experiment).Config
        object.__setattr__(self, "settings", current_names(config, self.settings))
        axes, fields = {**current_names(config, self.axes), "seed": self.seeds}, config.model_fields
        for name, values in axes.items():
            if name not in fields:
                raise ValueError(f"axis {name}: {self.experiment} has no such setting; it has {', '.join(fields)}")
            if isinstance(values, str) or not values:
                raise ValueError(f"axis {name}: expected a list of values, found {values!r}")
        if clash := (RESERVED & set(axes)) or (set(axes) & set(self.settings)):
            raise ValueError(f"axis {', '.join(sorted(clash))}: the name is taken by a setting or by the results")
        configs = self._configs(axes)
        parsed = {name: _distinct(name, [config[name] for config in configs], len(axes[name])) for name in axes}
        seeds = parsed.pop("seed")
        object.__setattr__(self, "axes", parsed)
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "settings", {name: configs[0][name] for name in self.settings})
        places = product(*(range(len(values)) for values in self.dims.values()))
        cells = (Cell(place, c, run_id(self.experiment, c)) for place, c in zip(places, configs, strict=True))
        object.__setattr__(self, "cells", tuple(cells))

    def _configs(self, axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
        """Settings of every cell; the last axis varies fastest."""
        configs = []
        for values in product(*axes.values()):
            varied = dict(zip(axes, values, strict=True))
            try:
                config = experiments.get(self.experiment).Config(**self.settings, **varied)
            except ValueError as error:  # pydantic's ValidationError is one
                place = ", ".join(f"{name}={value}" for name, value in varied.items())
                raise ValueError(f"{place}: {_reasons(error)}") from None
            configs.append(config.model_dump(mode="json"))
        return configs

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @property
    def dims(self) -> dict[str, tuple[Any, ...]]:
        """Values along every axis, the seed last."""
        return {**self.axes, "seed": self.seeds}

    def path(self, cell: Cell) -> Path:
        """Path of the run file of a cell, which may not exist yet."""
        return self.folder / "cells" / f"{cell.id}.nc"

    def save(self) -> None:
        """Write the definition. A study may be extended: axes and seeds may differ from those in the folder.

        Raises ValueError if the folder has a study of another experiment or with other settings.
        """
        path = self.folder / DEFINITION
        if path.exists():
            previous = _read(path)
            previous["settings"] = current_names(experiments.get(self.experiment).Config, previous["settings"])
            for name, value in (("experiment", self.experiment), ("settings", dict(self.settings))):
                if previous[name] != value:
                    raise ValueError(f"{self.folder} has a study with {name} {previous[name]}, not {value}")
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
        """Load the study of a folder. Raises FileNotFoundError, or ValueError with the reason if it is not readable."""
        definition = _read(Path(folder) / DEFINITION)
        return cls(Path(folder), *(definition[name] for name in ("experiment", "axes", "seeds", "settings")))


def run_id(experiment: str, config: Mapping[str, Any]) -> str:
    """Id of the run with these settings, reproducible across machines."""
    text = json.dumps([experiment, dict(config)], sort_keys=True)
    return f"{experiment}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def key_of(folder: Path) -> str:
    """Key of a folder, created if it has none."""
    path = folder / "key"
    if not path.exists():
        with replacing(path) as part:
            part.write_text(secrets.token_hex(8), encoding="ascii")
    return path.read_text(encoding="ascii")


def list_studies(folder: Path) -> list[Path]:
    """Folders of the studies in `folder`, newest first."""
    folders = [path.parent for path in Path(folder).glob(f"*/{DEFINITION}")]
    return sorted(folders, key=lambda path: (path / DEFINITION).stat().st_mtime, reverse=True)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"{path.parent}: there is no study")
    try:
        definition = json.loads(path.read_text(encoding="utf-8"))
        if definition["format_version"] > FORMAT_VERSION:
            raise ValueError(f"written by a newer version (format {definition['format_version']})")
        return {name: definition[name] for name in ("experiment", "axes", "seeds", "settings")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a readable study ({error})") from None


def _distinct(name: str, values: list[Any], count: int) -> tuple[Any, ...]:
    """Values of an axis as parsed by the experiment, in order; raises ValueError for repeated ones."""
    distinct = tuple({json.dumps(value): value for value in values}.values())
    if len(distinct) != count:
        raise ValueError(f"axis {name}: expected {count} distinct values, found {len(distinct)}")
    return distinct


def _reasons(error: ValueError) -> str:
    """Messages of a pydantic error in one line."""
    errors = error.errors() if hasattr(error, "errors") else []
    messages = [f"{'.'.join(map(str, e['loc']))} {e['msg'].removeprefix('Value error, ')}".strip() for e in errors]
    return "; ".join(messages) or str(error)
