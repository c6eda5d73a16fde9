# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Six linear systems with closed forms
#
# The solver computes the solution of a known equation $y' = A y + b$ from an initial state, without learning, and this
# notebook compares it with the closed form $y(t) = e^{At} y_0 + \dots$ on 1,000 grid points. The only parameter is $K$,
# the number of derivatives per grid point, which is the length of the Taylor series between neighbouring points.

# %%
import holoviews as hv
import numpy as np
import pandas as pd

from workbench import experiments
from workbench.datasets.ode.linear import SYSTEMS
from workbench.training import Training

hv.extension("bokeh", inline=True)  # inline: plots work offline
linear = experiments.get("linear")
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#555555", "#E69F00"]

# %% [markdown]
# ## One system
#
# A harmonic oscillator, $y_1' = y_2,\; y_2' = -2.1\,y_1$. An experiment has four parts: settings (`Config`), data,
# model and report. `Training` runs them; each step of this experiment solves with one more derivative.

# %%
training = Training(linear, linear.Config(system="harmonic", points=1000, step=0.01))
for record in training:
    print({name: f"{value:.1e}" for name, value in record.metrics.items()})
report = training.report()

# %%
time = hv.Dimension("time t", unit="dimensionless")
curves = []
for i, variable in enumerate(report.trajectory.variable.values):
    one = report.trajectory.sel(variable=variable)
    curves.append(hv.Curve((one.time, one.truth), time, "y", label=f"{variable}, closed form").opts(
        color=COLORS[i], line_width=4, alpha=0.5))  # fmt: skip
    curves.append(hv.Curve((one.time, one.estimate), time, "y", label=f"{variable}, solver").opts(
        color=COLORS[i], line_dash="dashed"))  # fmt: skip
hv.Overlay(curves).opts(width=800, height=280, legend_position="right", title="Solver and closed form agree")

# %% [markdown]
# ## All systems, with 2 to 5 derivatives
#
# Errors are relative to the largest value of the closed form. Along a row, each further derivative gains one to three
# digits on the same grid, at nearly the same cost.


# %%
def errors(system, method):
    """Largest error per number of derivatives."""
    training = Training(linear, linear.Config(system=system, method=method))
    list(training)
    metrics = training.report().metrics
    return {f"K = {k}": metrics[f"error_{k}"] for k in (2, 3, 4, 5)}


table = {(SYSTEMS[name].title, method): errors(name, method) for name in SYSTEMS for method in ("qr", "cholesky")}
table = pd.DataFrame(table).T.rename_axis(["system", "method"])
table.style.format("{:.1e}")

# %%
K = [2, 3, 4, 5]
lines = [
    hv.Curve((K, table.loc[(title, "qr")]), "derivatives K", "largest relative error", label=title).opts(color=color)
    for title, color in zip(table.index.levels[0], COLORS, strict=True)
]
lines = [line * hv.Scatter(line).opts(color=color, size=7) for line, color in zip(lines, COLORS, strict=True)]
hv.Overlay(lines).collate().opts(
    width=800, height=340, logy=True, xticks=K, legend_position="right", title="Error against the number of derivatives"
)

# %%
assert (np.diff(table.xs("qr", level="method").to_numpy(), axis=1) < 0).all()
