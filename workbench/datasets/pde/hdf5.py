"""Files of trajectories in the published HDF5 layout: made in blocks, resumed after a kill, read back.

/train (or /valid, /test)  pde_140-256 (trajectory, frame, point), t (trajectory, frame), x (trajectory, point),
                           dt (trajectory), dx (trajectory); all float64
Our own files carry attributes as well: setup (JSON), seed, dealias.
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

from workbench.datasets.pde.equations import SETUPS, Fields, Setup, simulate
from workbench.datasets.store import data_folder, replacing

logger = logging.getLogger(__name__)

SPLITS = ("train", "valid", "test")
BLOCK = 64
"""Trajectories made, and kept, at once; their spectra fit into the cache."""
_ONE_AT_A_TIME = threading.Lock()
"""Two threads of a process that want the same file: the second finds it made. Processes must not share a folder."""
Marks = dict[str, object]
Progress = Callable[[int, int], None]
"""(trajectories there, trajectories in all)."""


def default_folder(seed: int) -> Path:
    """Where generated sets lie: `waves` in the data folder, a folder per seed; not created here."""
    return data_folder() / "waves" / f"seed-{seed}"


def file_name(setup: Setup, split: str, count: int) -> str:
    """As published: KdV_train_512_easy.h5, KdV_valid_easy.h5."""
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
    """The file of the first `count` trajectories of a set; made where it is not there yet, or too short.

    name: of SETUPS. split: "train", "valid" or "test". A kill loses at most the block of trajectories in work: the next
    call goes on from there. Raises ValueError for an unknown name or split, and for a file of that name that was made
    with other settings.
    """
    if name not in SETUPS:
        raise ValueError(f"there is no set {name!r}; there are: {', '.join(SETUPS)}")
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; there are: {', '.join(SPLITS)}")
    setup, folder = SETUPS[name], folder or default_folder(seed)
    path = folder / file_name(setup, split, count)
    marks = {"setup": json.dumps(asdict(setup)), "seed": seed, "dealias": dealias}

    def block(indices: range) -> Fields:
        return simulate(setup, indices, seed=seed, split=SPLITS.index(split), device=device, dealias=dealias)

    with _ONE_AT_A_TIME:
        if _there(path, split, marks) >= count:
            progress(count, count)
        else:
            _make(path, split, count, marks, block, progress)
    return path


def _make(
    path: Path, split: str, count: int, marks: Marks, block: Callable[[range], Fields], progress: Progress
) -> None:
    """Blocks that are missing, each in a file of its own, then all of them in one."""
    parts = path.with_name(f".{path.name}.parts")
    _begin(parts, marks)
    for first in range(0, count, BLOCK):
        indices = range(first, min(first + BLOCK, count))
        part = parts / f"{indices.start:06d}-{indices.stop:06d}.npz"
        if not part.exists():
            made = block(indices)
            _report(made)
            with replacing(part) as written, open(written, "wb") as file:
                np.savez(file, u=made.u, t=made.t, lengths=made.lengths)
        progress(indices.stop, count)
    _join(parts, path, split, count, marks)
    shutil.rmtree(parts)


def _there(path: Path, split: str, marks: Marks) -> int:
    """How many trajectories a file of ours holds; 0 where there is none."""
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        found = {key: file.attrs.get(key) for key in marks}
        if found != marks:
            other = ", ".join(f"{key} {found[key]}" for key in marks if found[key] != marks[key])
            raise ValueError(f"{path}: expected a file made with {marks}, found {other}; delete it, or name a folder")
        return len(file[split]["dt"])


def _begin(parts: Path, marks: Marks) -> None:
    """A folder for blocks; those of other settings are thrown away."""
    note = parts / "settings.json"
    if parts.exists() and (not note.exists() or json.loads(note.read_text()) != marks):
        shutil.rmtree(parts)
    parts.mkdir(parents=True, exist_ok=True)
    with replacing(note) as written:
        written.write_text(json.dumps(marks))


def _report(made: Fields) -> None:
    for index, why in made.failed.items():
        logger.warning("trajectory %d has failed and is stored as zeros: %s", index, why)


def _join(parts: Path, path: Path, split: str, count: int, marks: Marks) -> None:
    """All blocks in one file."""
    with replacing(path) as written, h5py.File(written, "w") as file:
        file.attrs.update(marks)
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
    """`data` over (trajectory, frame, point) of a file, its first `count` rows; `t`, `length` beside it.

    Ours and published files alike. Rows that are all zero or not finite, which is how a failed trajectory is stored,
    are skipped: the log says so, the attribute `skipped` holds their numbers. Raises FileNotFoundError, and ValueError
    saying what the file lacks.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    with h5py.File(path) as file:
        group, name = _find(path, file)
        u = group[name][:count]
        t, dx = group["t"][:count], group["dx"][:count]
    good = np.isfinite(u).all(axis=(1, 2)) & (u != 0).any(axis=(1, 2))
    skipped = np.flatnonzero(~good)
    if len(skipped):
        logger.warning("%s: %d failed trajectories are skipped: %s", path, len(skipped), skipped.tolist())
    if not good.any():
        raise ValueError(f"{path}: expected trajectories, found none that did not fail")
    return as_dataset(u[good], t[good], dx[good] * u.shape[-1], title=path.stem, skipped=skipped)


def _find(path: Path, file: h5py.File) -> tuple[h5py.Group, str]:
    """The group with the trajectories, and the name of their array."""
    for split in SPLITS:
        group = file.get(split)
        names = [] if group is None else [name for name in group if re.fullmatch(r"pde_\d+-\d+", name)]
        missing = {"t", "dx"} - set(group or ())
        if names and not missing:
            return group, names[0]
    there = {key: sorted(group) for key, group in file.items() if isinstance(group, h5py.Group)}
    expected = "a group train, valid or test with pde_<frames>-<points>, t and dx"
    raise ValueError(f"{path}: expected {expected}, found {there or 'no group'}")


def as_dataset(u: np.ndarray, t: np.ndarray, lengths: np.ndarray, *, title: str, **attributes: object) -> xr.Dataset:
    """A record of fields: `data` (trajectory, frame, point) with coordinates `t` (trajectory, frame) and `length`."""
    plain = {"units": "1"}
    return xr.Dataset(
        {"data": (("trajectory", "frame", "point"), u, {**plain, "long_name": "u"})},
        coords={
            "t": (("trajectory", "frame"), t, {**plain, "long_name": "time"}),
            "length": ("trajectory", lengths, {**plain, "long_name": "length of the periodic interval"}),
        },
        attrs={"title": title, **attributes},
    )
