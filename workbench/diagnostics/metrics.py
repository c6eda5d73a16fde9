"""How good a discovery is: coefficients and support against the truth, and how far a simulation can be trusted."""

import numpy as np
import xarray as xr


def coefficient_metrics(coefficients: xr.Dataset) -> dict[str, float]:
    """Of `estimate` against `truth` over (candidate, variable).

    rmse and max_error are over the terms of the true equations, in the units of the coefficients; precision is the
    share of the discovered terms that are true (1 if there are none), recall the share of the true terms discovered.
    """
    estimate = coefficients["estimate"].transpose("candidate", "variable").values
    truth = coefficients["truth"].transpose("candidate", "variable").values
    found, true = estimate != 0, truth != 0
    error = np.abs(estimate - truth)[true]
    right = (found & true).sum()
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "max_error": float(error.max()),
        "precision": float(right / found.sum()) if found.any() else 1.0,
        "recall": float(right / true.sum()),
    }


def relative_error(coefficients: xr.Dataset) -> float:
    """The largest |estimate - truth| / |truth| over the terms of the true equations; 1 for one that is missing."""
    estimate = coefficients["estimate"].transpose("candidate", "variable").values
    truth = coefficients["truth"].transpose("candidate", "variable").values
    true = truth != 0
    return float(np.max(np.abs(estimate - truth)[true] / np.abs(truth[true]), initial=0.0))


def horizon(trajectory: xr.Dataset, *, exponent: float, tolerance: float = 0.1) -> float:
    """Lyapunov times until `estimate` first differs from `truth` by more than `tolerance` standard deviations.

    The deviation is that of the variable whose difference is largest in units of its own standard deviation over the
    record; a missing (NaN) estimate counts as different. exponent: the largest Lyapunov exponent, per unit of time.
    The whole length, if that never happens.
    """
    truth = trajectory["truth"].transpose("time", "variable").values
    estimate = trajectory["estimate"].transpose("time", "variable").values
    time = trajectory["time"].values
    difference = np.abs(estimate - truth) / truth.std(axis=0)
    apart = ~(difference <= tolerance).all(axis=1)
    last = int(np.argmax(apart)) if apart.any() else len(time) - 1
    return float((time[last] - time[0]) * exponent)


def nmse(truth: np.ndarray, prediction: np.ndarray, *, by: str = "truth") -> float:
    """Mean over samples and frames of sum_x (prediction - truth)^2 / sum_x truth^2, fields (sample, frame, x).

    by: "prediction" divides by the prediction's square instead, as the published figure does. Raises ValueError for
    shapes that differ or another `by`.
    """
    return float(np.mean(_ratios(truth, prediction, by)))


def nmse_by_frame(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """The same for every frame (frame,), its mean over samples."""
    return _ratios(truth, prediction, "truth").mean(axis=0)


def _ratios(truth: np.ndarray, prediction: np.ndarray, by: str) -> np.ndarray:
    if truth.shape != prediction.shape:
        raise ValueError(f"fields of one shape are compared, found {truth.shape} and {prediction.shape}")
    if by not in ("truth", "prediction"):
        raise ValueError(f"by: expected truth or prediction, found {by!r}")
    unit = truth if by == "truth" else prediction
    return ((prediction - truth) ** 2).sum(-1) / np.maximum((unit**2).sum(-1), 1e-300)


BAND = 20.0
"""Degrees of a latitude band."""
FEATURES = ("damping", "slow", "amplitude", "phase", "theta")


def band_separation(maps: xr.Dataset) -> dict[str, float]:
    """How well the coefficients of a cell tell its latitude band: `separation`, and `chance`, what guessing reaches.

    Every second block of 30 degrees of longitude is learned from, the others are told: each cell goes to the band whose
    mean coefficients are nearest in units of the spread within bands. separation: the share told right, averaged over
    the bands. Positive quantities are taken as logarithms, phases as sine and cosine. Empty with fewer than two bands.
    """
    lat, lon = (axis.values.ravel() for axis in xr.broadcast(maps["lat"], maps["lon"]))
    features = _features(maps)
    band = np.floor(lat / BAND).astype(int)
    known = np.isfinite(features).all(axis=1)
    learned = (lon // 30 % 2 == 0) & known
    told = ~(lon // 30 % 2 == 0) & known
    bands = [b for b in np.unique(band) if (learned & (band == b)).sum() > 1 and (told & (band == b)).any()]
    if len(bands) < 2:
        return {}
    centres = np.stack([features[learned & (band == b)].mean(axis=0) for b in bands])
    within = np.concatenate([features[learned & (band == b)] - c for b, c in zip(bands, centres, strict=True)])
    spread = np.linalg.pinv(np.cov(within.T).reshape(features.shape[1], -1))
    off = features[:, None] - centres
    guess = np.array(bands)[np.einsum("nbf,fg,nbg->nb", off, spread, off).argmin(axis=1)]
    right = [float((guess == b)[told & (band == b)].mean()) for b in bands]
    return {"separation": float(np.mean(right)), "chance": 1 / len(bands)}


def _features(maps: xr.Dataset) -> np.ndarray:
    """The coefficients (cell, feature) of maps."""
    columns = []
    for name in maps.data_vars:
        values = maps[name].values.ravel().astype(float)
        if name == "phase":
            columns += [np.cos(np.pi * values / 6), np.sin(np.pi * values / 6)]
        elif str(name).startswith("theta"):
            columns.append(values)
        elif name in FEATURES:
            columns.append(np.log(np.maximum(values, 1e-12)))
    return np.stack(columns, axis=1)
