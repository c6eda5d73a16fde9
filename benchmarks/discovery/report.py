"""Write the tables of README.md and docs/discovery.md from the results of the benchmarks of discovery.

    python benchmarks/discovery/report.py

A table replaces the text between `<!-- table NAME -->` and `<!-- end -->`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("README.md", "docs/discovery.md")
Rows = list[dict[str, Any]]


def read(name: str) -> dict[str, Any]:
    return json.loads((RESULTS / f"{name}.json").read_text())


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def share(values: Iterable[bool]) -> str:
    return f"{np.mean([*values]):.2f}"


def lorenz() -> str:
    """Share of exact models by length and noise, and a line with the mean, coverage and time."""
    rows: Rows = read("lorenz_grid")["rows"]
    lengths, levels = (sorted({row[name] for row in rows}) for name in ("length", "noise"))
    cells = {
        (length, noise): [row["exact"] for row in rows if (row["length"], row["noise"]) == (length, noise)]
        for length in lengths
        for noise in levels
    }
    lines = [[f"{length:g}", *(share(cells[length, noise]) for noise in levels)] for length in lengths]
    exact = [row for row in rows if row["exact"]]
    covered = sum(row["covered"] for row in exact) / sum(row["intervals"] for row in exact)
    seconds = [row["seconds"] for row in rows]
    mean = np.mean([np.mean(cell) for cell in cells.values()])
    return (
        markdown(["T", *(f"{noise:g} %" for noise in levels)], lines)
        + f"\n\n{len(rows) // len(cells)} records per cell; mean of the cells {mean:.3f}. "
        f"Of the coefficients of exact models {100 * covered:.0f} % are within their 95 % intervals. A record takes "
        f"{np.median(seconds):.1f} s of processor time (median; at most {max(seconds):.1f} s)."
    )


def dysts() -> str:
    """Numbers of systems by protocol and noise, beside published results."""
    stored = read("dysts")
    groups: dict[tuple[str, str, float], Rows] = {}
    for row in stored["rows"]:
        groups.setdefault((row["method"], row["protocol"], row["noise"]), []).append(row)
    lines = []
    for (method, protocol, noise), rows in sorted(
        groups.items(), key=lambda item: (item[0][1], item[0][2], item[0][0])
    ):
        errors = np.array([row.get("error", np.inf) for row in rows])
        exact = sum(row.get("exact", False) for row in rows)
        name = "ours" if method == "workbench" else f"PySINDy, {method}"
        counts = (f"{count} of {len(rows)}" for count in (exact, int((errors < 0.01).sum()), int((errors < 0.1).sum())))
        seconds = f"{np.median([row['seconds'] for row in rows]):.1f}"
        lines.append([name, f"{protocol} record{'s' * (protocol != 'one')}", f"{noise:g} %", *counts, seconds])
    published = [
        [f"{name} (published)", "five records", "1 %", "", own["below 1 %"], own["below 10 %"], ""]
        for name, own in stored["published"].items()
    ]
    header = ["method", "data", "noise", "exact terms", "error < 1 %", "error < 10 %", "median s"]
    return markdown(header, lines + published)


def odebench() -> str:
    """Scores by share of dropped points and noise, beside published results."""
    stored = read("odebench")
    cells = sorted({(row["dropped"], row["noise"]) for row in stored["rows"]})
    lines = []
    for score in ("reconstruction", "generalization"):
        found = []
        for cell in cells:
            rows = [row for row in stored["rows"] if (row["dropped"], row["noise"]) == cell]
            found.append(share(row.get(score, -np.inf) > 0.9 for row in rows))
        lines.append([f"ours, {score}", *found])
    for name, own in stored["published"]["reconstruction"].items():
        lines.append(
            [f"{name}, reconstruction (published)", *(f"{own[f'{rho:g}, {sigma:g}']:.2f}" for rho, sigma in cells)]
        )
    counts = []
    for cell in cells:
        rows = [row for row in stored["rows"] if (row["dropped"], row["noise"]) == cell and row.get("polynomial")]
        counts.append(f"{sum(row['exact'] for row in rows)} of {len(rows)}")
    lines.append(["ours, exact terms of polynomials", *counts])
    return markdown(["", *(f"{100 * rho:g} % dropped, {100 * sigma:g} % noise" for rho, sigma in cells)], lines)


TABLES: dict[str, Callable[[], str]] = {"lorenz": lorenz, "dysts": dysts, "odebench": odebench}


def updated(text: str) -> str:
    """The text with the present tables."""
    pattern = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)
    return pattern.sub(lambda found: f"<!-- table {found[1]} -->\n\n{TABLES[found[1]]()}\n\n<!-- end -->", text)


def main() -> None:
    for page in PAGES:
        path = ROOT / page
        path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"{page}\n")


if __name__ == "__main__":
    main()
