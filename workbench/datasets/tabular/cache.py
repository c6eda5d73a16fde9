"""Store records in the data folder under a name made of their title and a hash of their contents."""

import hashlib
import re

import xarray as xr

from workbench.datasets.store import data_folder, replacing

_NAME = re.compile(r"[a-z0-9-]{1,32}-[0-9a-f]{12}")


def keep(record: xr.Dataset) -> str:
    """Store a record and return its name for `kept`; equal contents have equal names."""
    digest = hashlib.sha256()
    for part in ("time", "data", "variable", "unit", "trajectory"):
        if part in record:
            values = record[part].values
            digest.update(values.tobytes() if values.dtype.kind in "fi" else "\n".join(map(str, values)).encode())
    digest.update(repr(sorted((k, str(v)) for k, v in record.attrs.items())).encode())
    slug = re.sub(r"[^a-z0-9]+", "-", str(record.attrs.get("title", "")).lower().rsplit(".", 1)[0]).strip("-")[:32]
    name = f"{slug.strip('-') or 'table'}-{digest.hexdigest()[:12]}"
    path = data_folder() / "tables" / f"{name}.nc"
    if not path.exists():
        with replacing(path) as part:
            record.to_netcdf(part, engine="h5netcdf")
    return name


def kept(name: str) -> xr.Dataset:
    """Load a stored record. Raises ValueError for an invalid name or a record that is not stored."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"record: expected `example` or the name of a stored table, found {name[:60]!r}")
    path = data_folder() / "tables" / f"{name}.nc"
    if not path.exists():
        raise ValueError(f"record: table {name} is not in the data folder; upload its file again")
    with xr.open_dataset(path, engine="h5netcdf", decode_times=False) as stored:
        record = stored.load()
    return record.assign_coords({name: record[name].astype(str) for name in ("variable", "unit")})
