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
# # Lorenz: equations from chaotic data
#
# $\dot x = 10(y - x),\; \dot y = x(28 - z) - y,\; \dot z = xy - \tfrac83 z$: seven terms out of thirty candidates, the
# polynomials up to degree 2. The data are 10,000 points. This notebook discovers the equations without noise, with
# noise, and with a network as published, and compares the errors with those of PySINDy.

# %%
import json
import os
from pathlib import Path

import holoviews as hv
import numpy as np
import pandas as pd
from IPython.display import Math, display

from workbench import experiments
from workbench.plots.equations.intervals import intervals
from workbench.training import Training

hv.extension("bokeh", inline=True)  # inline: plots work offline
SHORT = bool(os.environ.get("WORKBENCH_SHORT"))  # set by the tests
lorenz = experiments.get("lorenz")


def discover(**settings):
    """The report of a complete run, and its history."""
    training = Training(lorenz, lorenz.Config(**settings))
    records = list(training)
    return training.report(), records


def show(report):
    for equation in report.equations:
        display(Math(equation.latex(4)))


# %% [markdown]
# ## Projection: no training
#
# The equation is linear in its coefficients, so for given candidates its solution is linear in them, too: the solver
# processes every candidate once, and the coefficients are a least-squares fit. Insignificant terms are then dropped one
# at a time.

# %%
report, records = discover(mode="projection")
show(report)
print(f"largest error {report.metrics['max_error']:.1e}, {records[-1].seconds:.2f} s")
assert report.metrics["max_error"] < 5e-5

# %% [markdown]
# ## Noise
#
# The standard deviation of the noise is 1, an eighth of that of the signal. The candidates are products of noisy
# values, so the fit alone is biased; `auto` estimates the noise level and fits states and coefficients jointly. The
# bars are 95 % intervals of the coefficients, the rings the true values.

# %%
report, records = discover(noise=1.0, points=3000 if SHORT else 10_000)
show(report)
print(f"estimated noise level: {report.metrics['noise']:.2f}; time {records[-1].seconds:.1f} s")
print(*report.warnings, sep="\n")
hv.Layout([intervals(report.coefficients, variable) for variable in "xyz"]).cols(1)

# %%
time = hv.Dimension("time t", unit="dimensionless")
first = report.trajectory.sel(variable="x").isel(time=slice(0, 400))
data = hv.Scatter((first.time, first.data), time, "x", label="data").opts(color="#888888", size=3)
denoised = hv.Curve((first.time, first.denoised), time, "x", label="denoised").opts(color="#009E73", line_width=2)
truth = hv.Curve((first.time, first.truth), time, "x", label="truth").opts(color="#0072B2", line_dash="dashed")
(data * denoised * truth).opts(
    width=800, height=300, legend_position="right", title="States estimated jointly with the equations"
)

# %% [markdown]
# ## The published method
#
# A network denoises every window, Adam trains network and coefficients jointly, and terms below a threshold are dropped
# after each cycle. Here a least-squares solve at every step determines the coefficients, which is many times faster;
# `coefficients="learned"` selects the published training.

# %%
short = {"points": 2000, "window": 50, "stride": 10, "epochs": 2, "cycles": 1, "hidden": 64, "batch": 64}
published, records = discover(mode="adam", **short if SHORT else {})
steps = np.arange(1, len(records) + 1)
losses = [record.metrics["loss"] for record in records]
print(f"{len(records)} steps, {records[-1].seconds:.1f} s, root mean square error {published.metrics['rmse']:.3f}")
hv.Curve((steps, losses), "step", "loss").opts(
    width=600, height=260, logy=True, title="A short training of the network"
)

# %% [markdown]
# ## Comparison with PySINDy
#
# `benchmarks/discovery/against_pysindy.py` compares both over noise levels and ten seeds. Each variant of PySINDy runs
# with a range of settings, of which the best is shown. The stored results, medians:

# %%
root = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "benchmarks").exists())
stored = json.loads((root / "benchmarks" / "results" / "discovery.json").read_text())
table = pd.DataFrame(stored["summary"])
best = table.sort_values("rmse").groupby(["noise", "variant"], as_index=False).first()
print("measured", stored["machine"]["date"], "with PySINDy", stored["versions"]["pysindy"])
best.pivot(index="variant", columns="noise", values="rmse").map("{:.2g}".format)

# %%
best.pivot(index="variant", columns="noise", values="f1").map("{:.2f}".format)
