"""Benchmarks of many fits that continue where they stopped: one row per fit, stored as it comes."""

import json
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def run(
    fit: Callable[..., dict[str, Any]],
    tasks: Sequence[tuple[Any, ...]],
    keys: Sequence[str],
    path: Path,
    processes: int,
    facts: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Rows of the tasks: those that the file `path` has are not computed again, the others are added to it.

    A row holds the arguments of its task under the names `keys`. facts: stored beside the rows.
    """
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    done = {_key(row, keys) for row in rows}
    header = {"machine": platform.machine(), "cores": os.cpu_count(), "date": date.today().isoformat()}
    header |= {"commit": _commit(), **(facts or {})}
    with ProcessPoolExecutor(processes) as pool:
        for future in as_completed([pool.submit(fit, *task) for task in tasks if task not in done]):
            rows.append(future.result())
            rows.sort(key=lambda row: _key(row, keys))
            lines = ",\n".join(json.dumps(row) for row in rows)
            path.write_text(f'{json.dumps(header)[:-1]}, "rows": [\n{lines}\n]}}\n')
    wanted = set(tasks)
    return [row for row in rows if _key(row, keys) in wanted]


def _key(row: dict[str, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[key] for key in keys)


def _commit() -> str:
    shown = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return shown.stdout.strip()
