"""Metrics against the truth: coefficients, support, prediction horizon, field errors, separation of latitude bands."""

import numpy as np
import xarray as xr

from workbench.diagnostics import errors


def coefficient_metrics(coefficients: xr.Dataset) -> dict[str, float]:
    """Errors of `estimate` against `truth` over (candidate, variable).

    rmse and max_error: over the terms of the true equations, in the units of the coefficients. precision: fraction of
    the discovered terms that are true (1 if there are none). recall: fraction of the true terms that are discovered.
    """
    estimate = coefficients["estimate"].transpose("candidate", "variable").values
    truth = coefficients["truth"].transpose("candidate", "variable").values
    discovered, true = estimate != 0, truth != 0
    error = np.abs(estimate - truth)[true]
    correct = (discovered & true).sum()
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "max_error": float(error.max()),
        "precision": float(correct / discovered.sum()) if discovered.any() else 1.0,
        "recall": float(correct / true.sum()),
    }


def relative_error(coefficients: xr.Dataset) -> float:
    """The largest |estimate - truth| / |truth| over the terms of the true equations; 1 for a missing term."""
    estimate = coefficients["estimate"].transpose("candidate", "variable").values
    truth = coefficients["truth"].transpose("candidate", "variable").values
    true = truth != 0
    return float(np.max(np.abs(estimate - truth)[true] / np.abs(truth[true]), initial=0.0))


def horizon(trajectory: xr.Dataset, *, exponent: float, tolerance: float = 0.1) -> float:
    """Lyapunov times until `estimate` first differs from `truth` by more than `tolerance` standard deviations.

    The standard deviation is that of each variable over time; a missing (NaN) estimate exceeds the bound. exponent:
    largest Lyapunov exponent per unit of time. The whole length if the bound is never exceeded.
    """
    truth = trajectory["truth"].transpose("time", "variable").values
    estimate = trajectory["estimate"].transpose("time", "variable").values
    return errors.horizon(trajectory["time"].values, estimate, truth, fraction=tolerance).time * exponent


def nmse(truth: np.ndarray, prediction: np.ndarray, *, by: str = "truth") -> float:
    """Mean over samples and frames of sum_x (prediction - truth)^2 / sum_x truth^2 for fields (sample, frame, x).

    by: "prediction" normalises by the prediction instead, as the published figure does. Raises ValueError for different
    shapes or another `by`.
    """
    return float(np.mean(_ratios(truth, prediction, by)))


def nmse_by_frame(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """`nmse` of each frame (frame,), the mean over samples."""
    return _ratios(truth, prediction, "truth").mean(axis=0)


def _ratios(truth: np.ndarray, prediction: np.ndarray, by: str) -> np.ndarray:
    if truth.shape != prediction.shape:
        raise ValueError(f"expected fields of the same shape, found {truth.shape} and {prediction.shape}")
    if by not in ("truth", "prediction"):
        raise ValueError(f"by: expected truth or prediction, found {by!r}")
    unit = truth if by == "truth" else prediction
    return ((prediction - truth) ** 2).sum(-1) / np.maximum((unit**2).sum(-1), 1e-300)


BAND = 20.0
"""Width of a latitude band in degrees."""
FEATURES = ("damping", "slow", "amplitude", "phase", "theta")


def band_separation(maps: xr.Dataset) -> dict[str, float]:
    """Accuracy of classifying the latitude band of a cell by its coefficients: `separation`, and that of `chance`.

    Every second block of 30 degrees of longitude is the training set, the others are the test set. A cell is assigned
    to the band with the nearest mean coefficients in the Mahalanobis distance of the covariance within bands.
    separation: accuracy on the test set, averaged over the bands. Positive quantities enter as logarithms, phases as
    sine and cosine. Empty with fewer than two bands.
    """
    lat, lon = (axis.values.ravel() for axis in xr.broadcast(maps["lat"], maps["lon"]))
    features = _features(maps)
    band = np.floor(lat / BAND).astype(int)
    finite = np.isfinite(features).all(axis=1)
    train = (lon // 30 % 2 == 0) & finite
    test = ~(lon // 30 % 2 == 0) & finite
    bands = [b for b in np.unique(band) if (train & (band == b)).sum() > 1 and (test & (band == b)).any()]
    if len(bands) < 2:
        return {}
    centres = np.stack([features[train & (band == b)].mean(axis=0) for b in bands])
    within = np.concatenate([features[train & (band == b)] - c for b, c in zip(bands, centres, strict=True)])
    precision = np.linalg.pinv(np.cov(within.T).reshape(features.shape[1], -1))
    difference = features[:, None] - centres
    distance = np.einsum("nbf,fg,nbg->nb", difference, precision, difference)
    predicted = np.array(bands)[distance.argmin(axis=1)]
    accuracy = [float((predicted == b)[test & (band == b)].mean()) for b in bands]
    return {"separation": float(np.mean(accuracy)), "chance": 1 / len(bands)}


def _features(maps: xr.Dataset) -> np.ndarray:
    """Features (cell, feature) of coefficient maps."""
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
