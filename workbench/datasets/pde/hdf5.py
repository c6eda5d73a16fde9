"""Generate and read files of trajectories in the published HDF5 layout.

/train (or /valid, /test)  pde_140-256 (trajectory, frame, point), t (trajectory, frame), x (trajectory, point),
                           dt (trajectory), dx (trajectory); all float64
Generated files also have the attributes setup (JSON), seed and dealias.
Source of the layout: Brandstetter, Welling, Worrall, "Lie Point Symmetry Data Augmentation for Neural PDE Solvers",
ICML 2022.
"""

import json
import logging
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from workbench.datasets.pde.equations import SETUPS, Fields, FieldSetup, simulate
from workbench.datasets.store import data_folder, replacing

logger = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")
BLOCK = 64
"""Trajectories generated and stored at a time; their spectra fit into the CPU cache."""
_LOCK = threading.Lock()
"""Serialises generation within a process. Processes must not share a folder."""
Settings = dict[str, object]
Progress = Callable[[int, int], None]
"""Called with the number of finished trajectories and the total."""


def default_folder(seed: int) -> Path:
    """Folder of generated sets: `waves/seed-N` in the data folder; not created."""
    return data_folder() / "waves" / f"seed-{seed}"


def file_name(setup: FieldSetup, split: str, count: int) -> str:
    """Published file name: KdV_train_512_easy.h5, KdV_valid_easy.h5."""
    parts = [setup.file, split, *([str(count)] if split == "train" else []), *([setup.suffix] if setup.suffix else [])]
    return "_".join(parts) + ".h5"


def generate(
    name: str,
    split: str,
    count: int,
    *,
    seed: int = 0,
    folder: Path | None = None,
    progress: Progress = lambda done, total: None,
    device: str = "cpu",
    dealias: bool = False,
) -> Path:
    """The file of the first `count` trajectories of a set, generated if it is missing or too short.

    name: a key of SETUPS. split: "train", "valid" or "test". An interrupted call loses at most one block of
    trajectories; the next call resumes. Raises ValueError for an unknown name or split, and for an existing file
    generated with other settings.
    """
    if name not in SETUPS:
        raise ValueError(f"there is no set {name!r}; there are: {', '.join(SETUPS)}")
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; there are: {', '.join(SPLITS)}")
    setup, folder = SETUPS[name], folder or default_folder(seed)
    path = folder / file_name(setup, split, count)
    settings = {"setup": json.dumps(asdict(setup)), "seed": seed, "dealias": dealias}

    def block(indices: range) -> Fields:
        return simulate(setup, indices, seed=seed, split=SPLITS.index(split), device=device, dealias=dealias)

    with _LOCK:
        if _count(path, split, settings) >= count:
            progress(count, count)
        else:
            _generate(path, split, count, settings, block, progress)
    return path


def _generate(
    path: Path, split: str, count: int, settings: Settings, block: Callable[[range], Fields], progress: Progress
) -> None:
    """Generate the missing blocks, one file each, and join all blocks into one file."""
    parts = path.with_name(f".{path.name}.parts")
    _prepare_folder(parts, settings)
    for first in range(0, count, BLOCK):
        indices = range(first, min(first + BLOCK, count))
        part = parts / f"{indices.start:06d}-{indices.stop:06d}.npz"
        if not part.exists():
            fields = block(indices)
            _log_failures(fields)
            with replacing(part) as written, open(written, "wb") as file:
                np.savez(file, u=fields.u, t=fields.t, lengths=fields.lengths)
        progress(indices.stop, count)
    _join(parts, path, split, count, settings)
    shutil.rmtree(parts)


def _count(path: Path, split: str, settings: Settings) -> int:
    """Number of trajectories of a generated file; 0 if it does not exist. Raises ValueError for other settings."""
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        stored = {key: file.attrs.get(key) for key in settings}
        if stored != settings:
            other = ", ".join(f"{key} {stored[key]}" for key in settings if stored[key] != settings[key])
            raise ValueError(
                f"{path}: expected a file generated with {settings}, found {other}; delete it or choose another folder"
            )
        return len(file[split]["dt"])


def _prepare_folder(parts: Path, settings: Settings) -> None:
    """Create the folder of the blocks; blocks of other settings are deleted."""
    file = parts / "settings.json"
    if parts.exists() and (not file.exists() or json.loads(file.read_text()) != settings):
        shutil.rmtree(parts)
    parts.mkdir(parents=True, exist_ok=True)
    with replacing(file) as written:
        written.write_text(json.dumps(settings))


def _log_failures(fields: Fields) -> None:
    for index, reason in fields.failed.items():
        logger.warning("trajectory %d failed and is stored as zeros: %s", index, reason)


def _join(parts: Path, path: Path, split: str, count: int, settings: Settings) -> None:
    """Join all blocks into one file."""
    with replacing(path) as written, h5py.File(written, "w") as file:
        file.attrs.update(settings)
        group = file.create_group(split)
        for first in range(0, count, BLOCK):
            last = min(first + BLOCK, count)
            part = parts / f"{first:06d}-{last:06d}.npz"
            with np.load(part) as block:
                u, t, lengths = block["u"], block["t"], block["lengths"]
            _write(group, count, slice(first, last), u, t, lengths)


def _write(group: h5py.Group, count: int, rows: slice, u: np.ndarray, t: np.ndarray, lengths: np.ndarray) -> None:
    _, T, N = u.shape
    dx = lengths / N
    columns = {
        f"pde_{T}-{N}": u,
        "t": t,
        "x": dx[:, None] * np.arange(N),
        "dx": dx,
        "dt": (t[:, -1] - t[:, 0]) / (T - 1),
    }
    for name, values in columns.items():
        if name not in group:
            group.create_dataset(name, (count, *values.shape[1:]), dtype=np.float64)
        group[name][rows] = values


def read(path: Path, *, count: int | None = None) -> xr.Dataset:
    """The first `count` trajectories of a generated or published file, as a record of fields.

    Rows that are all zero or not finite, which mark failed trajectories, are skipped, logged, and listed in the
    attribute `skipped`. Raises FileNotFoundError, and ValueError for missing groups or arrays.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    with h5py.File(path) as file:
        group, name = _find_array(path, file)
        u = group[name][:count]
        t, dx = group["t"][:count], group["dx"][:count]
    valid = np.isfinite(u).all(axis=(1, 2)) & (u != 0).any(axis=(1, 2))
    skipped = np.flatnonzero(~valid)
    if len(skipped):
        logger.warning("%s: %d failed trajectories are skipped: %s", path, len(skipped), skipped.tolist())
    if not valid.any():
        raise ValueError(f"{path}: all trajectories have failed")
    return as_dataset(u[valid], t[valid], dx[valid] * u.shape[-1], title=path.stem, skipped=skipped)


def _find_array(path: Path, file: h5py.File) -> tuple[h5py.Group, str]:
    """The group of the trajectories and the name of their array."""
    for split in SPLITS:
        group = file.get(split)
        names = [] if group is None else [name for name in group if re.fullmatch(r"pde_\d+-\d+", name)]
        missing = {"t", "dx"} - set(group or ())
        if names and not missing:
            return group, names[0]
    contents = {key: sorted(group) for key, group in file.items() if isinstance(group, h5py.Group)}
    expected = "a group train, valid or test with pde_<frames>-<points>, t and dx"
    raise ValueError(f"{path}: expected {expected}, found {contents or 'no group'}")


def as_dataset(u: np.ndarray, t: np.ndarray, lengths: np.ndarray, *, title: str, **attributes: object) -> xr.Dataset:
    """A record of fields: `data` (trajectory, frame, point) with coordinates `t` (trajectory, frame) and `length`."""
    units = {"units": "1"}
    return xr.Dataset(
        {"data": (("trajectory", "frame", "point"), u, {**units, "long_name": "u"})},
        coords={
            "t": (("trajectory", "frame"), t, {**units, "long_name": "time"}),
            "length": ("trajectory", lengths, {**units, "long_name": "length of the periodic interval"}),
        },
        attrs={"title": title, **attributes},
    )
