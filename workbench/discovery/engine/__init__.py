"""Estimator behind `discover`: variable projection, then Gauss-Newton on states and coefficients jointly."""
