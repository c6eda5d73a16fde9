"""Thumbnails of data sets: time series as SVG, fields over time and space as PNG."""

import base64
import struct
import zlib
from html import escape

import numpy as np
import xarray as xr

from workbench.plots.studies import run_overlay

WIDTH, HEIGHT = 300, 130
MAX_LINES, MAX_POINTS = 3, 400
# Diverging from blue over white to vermillion; in grey print it shows the magnitude.
RAMP = np.array([[0, 84, 147], [110, 178, 224], [247, 247, 247], [240, 150, 90], [186, 68, 0]], dtype=float)


def picture(dataset: xr.Dataset) -> str:
    """HTML image with a text alternative; "" for a data set that is neither series nor field."""
    name = next((name for name in ("truth", "data") if name in dataset), None)
    if name is None:
        return ""
    array = dataset[name]
    if array.dims == ("time", "variable"):
        return _lines(array)
    field = array.squeeze()
    while field.ndim > 2:
        field = field[0]
    return _field(field) if field.ndim == 2 else ""


def _lines(array: xr.DataArray) -> str:
    names = [str(name) for name in array["variable"].values[:MAX_LINES]]
    stop = min(len(array.time), 2000)
    values = array.values[: stop : max(1, stop // MAX_POINTS), : len(names)]
    parts = []
    for index in range(len(names)):
        column = values[:, index]
        low, high = np.nanmin(column), np.nanmax(column)
        band = HEIGHT / len(names)
        x = np.linspace(2, WIDTH - 2, len(column))
        y = band * (index + 0.92) - (column - low) / ((high - low) or 1.0) * band * 0.84
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True) if np.isfinite(b))
        parts.append(
            f"<polyline points='{points}' fill='none' stroke='{run_overlay.color(index)}' stroke-width='1.5'/>"
        )
    label = escape(f"{', '.join(names)} over time", quote=True)
    size = f"viewBox='0 0 {WIDTH} {HEIGHT}' width='100%' height='{HEIGHT}' preserveAspectRatio='none'"
    return f"<svg role='img' aria-label='{label}' {size}>{''.join(parts)}</svg>"


def _field(array: xr.DataArray) -> str:
    values = np.asarray(array.values, dtype=float)
    values = values[:: max(1, len(values) // 200), :: max(1, values.shape[1] // 300)]
    scale = np.nanmax(np.abs(values)) or 1.0
    position = np.nan_to_num((values / scale + 1) / 2 * (len(RAMP) - 1), nan=(len(RAMP) - 1) / 2)
    colors = np.stack([np.interp(position, np.arange(len(RAMP)), RAMP[:, i]) for i in range(3)], -1).astype(np.uint8)
    label = escape(f"{array.name} over {array.dims[0]} (down) and {array.dims[1]} (across)", quote=True)
    style = f"width: 100%; height: {HEIGHT}px; image-rendering: auto;"
    return f"<img alt='{label}' style='{style}' src='data:image/png;base64,{base64.b64encode(_png(colors)).decode()}'>"


def _png(colors: np.ndarray) -> bytes:
    """PNG of colours (height, width, 3)."""
    height, width, _ = colors.shape
    raw = b"".join(b"\0" + row.tobytes() for row in colors)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    )
    chunks = (struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
