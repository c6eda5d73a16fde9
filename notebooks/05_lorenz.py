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
# # Lorenz: equations from a chaotic record
#
# $\dot x = 10(y - x),\; \dot y = x(28 - z) - y,\; \dot z = xy - \tfrac83 z$: seven terms out of thirty candidates, the
# polynomials up to degree 2. A record of 10,000 points is all that is given. Three ways of finding them follow, then
# noise, and then what another library makes of the same data.

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

hv.extension("bokeh", inline=True)  # inline: the plots need no network
SHORT = bool(os.environ.get("WORKBENCH_SHORT"))  # the tests' setting
lorenz = experiments.get("lorenz")


def discover(**settings):
    """The report of a whole run, and the records of its steps."""
    training = Training(lorenz, lorenz.Config(**settings))
    records = list(training)
    return training.report(), records


def show(report):
    for equation in report.equations:
        display(Math(equation.latex(4)))


# %% [markdown]
# ## Projection: no training at all
#
# The equation is linear in its coefficients, so for given candidates its solution is, too: every candidate goes through
# the solver once and the coefficients are a least-squares fit. Unneeded terms are then dropped one at a time. Look at
# the time: this is a linear problem, solved.

# %%
report, records = discover(mode="projection")
show(report)
print(f"largest error {report.metrics['max_error']:.1e}, {records[-1].seconds:.2f} s")
assert report.metrics["max_error"] < 5e-5

# %% [markdown]
# ## Noise
#
# With noise of standard deviation 1, an eighth of the signal's own. The candidates are products of noisy numbers, so
# the fit alone is biased; `auto` sees the noise and corrects states and coefficients together. Every coefficient comes
# with a 95 % interval: look whether the ring, the true value, lies on the bar.

# %%
report, records = discover(noise=1.0, points=3000 if SHORT else 10_000)
show(report)
print(f"noise found in the data: {report.metrics['noise']:.2f}; time {records[-1].seconds:.1f} s")
print(*report.doubts, sep="\n")
hv.Layout([intervals(report.coefficients, variable) for variable in "xyz"]).cols(1)

# %%
time = hv.Dimension("time t", unit="dimensionless")
first = report.trajectory.sel(variable="x").isel(time=slice(0, 400))
readings = hv.Scatter((first.time, first.data), time, "x", label="readings").opts(color="#888888", size=3)
denoised = hv.Curve((first.time, first.denoised), time, "x", label="denoised").opts(color="#009E73", line_width=2)
truth = hv.Curve((first.time, first.truth), time, "x", label="truth").opts(color="#0072B2", line_dash="dashed")
(readings * denoised * truth).opts(
    width=800, height=300, legend_position="right", title="States found with the equations"
)

# %% [markdown]
# ## The paper's way
#
# A network denoises every window, coefficients are learned with it by Adam, terms below a threshold are dropped after
# each cycle. Here the coefficients are solved for at every step in place of being learned, which is many times
# quicker; `coefficients="learned"` is the published training.

# %%
few = {"points": 2000, "window": 50, "stride": 10, "epochs": 2, "cycles": 1, "hidden": 64, "batch": 64}
paper, records = discover(mode="adam", **few if SHORT else {})
steps = np.arange(1, len(records) + 1)
losses = [record.metrics["loss"] for record in records]
print(f"{len(records)} steps, {records[-1].seconds:.1f} s, root mean square error {paper.metrics['rmse']:.3f}")
hv.Curve((steps, losses), "step", "loss").opts(
    width=600, height=260, logy=True, title="A short training of the network"
)

# %% [markdown]
# ## Beside PySINDy
#
# `benchmarks/discovery.py` runs both over levels of noise and ten seeds, PySINDy in each of its variants and every
# setting of it, of which the best counts. Its stored results, medians:

# %%
root = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "benchmarks").exists())
stored = json.loads((root / "benchmarks" / "results" / "discovery.json").read_text())
table = pd.DataFrame(stored["summary"])
best = table.sort_values("rmse").groupby(["noise", "variant"], as_index=False).first()
print("measured", stored["machine"]["date"], "with PySINDy", stored["versions"]["pysindy"])
best.pivot(index="variant", columns="noise", values="rmse").map("{:.2g}".format)

# %%
best.pivot(index="variant", columns="noise", values="f1").map("{:.2f}".format)
