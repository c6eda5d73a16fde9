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
# # What a solve costs
#
# Time and memory against the number of grid points $T$, forward and backward, for every variant that this machine can
# serve. Linear growth is the promise of the method; the slope of a straight line in log-log axes says whether it is
# kept. Every point is measured in a process of its own under a budget of time and memory: a variant that exceeds it
# gets a mark and ends there, so that the slow ones do not hold up the rest.

# %%
import os

import holoviews as hv
import torch

from workbench.scaling import Budget, Case, JobStatus, by_variant, grid, limit, machine, measure, slope, variants

hv.extension("bokeh", inline=True)  # inline: the plots need no network
SHORT = bool(os.environ.get("WORKBENCH_SHORT"))  # the tests' setting
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#555555", "#56B4E9", "#000000"]
DASHES = ["solid", "dashed", "dotted", "dotdash", "dashdot", "solid", "dashed", "dotted"]
{name: value for name, value in machine().items() if name != "flags"}

# %% [markdown]
# ## Measuring
#
# Eight systems of two variables at a time. `banded cholesky` is the published algorithm, `mnn` the original network
# before it, `dense` the reference that builds the whole matrix.

# %%
budget = Budget(seconds=5 if SHORT else 2)
sizes = grid(32, 256) if SHORT else grid(32, 32_768)
pairs = {device: [("native", "qr"), ("banded", "cholesky")] if SHORT else variants(device) for device in DEVICES}
cases = [Case(T=2, B=8, backend=b, method=m, device=device) for device in DEVICES for b, m in pairs[device]]
points = []
for point in measure(cases, axis="T", sizes=sizes, budget=budget, repeats=3):
    points.append(point)
    cost = f"{1e3 * point.seconds:9.2f} ms {point.memory / 1e6:9.2f} MB"
    print(f"{point.case.label:28s} T = {point.case.T:6d}", cost if point.status is JobStatus.OK else point.words)

# %% [markdown]
# ## Time and memory
#
# Look at the slopes in the legend, fitted to all points: 1 is linear. At small $T$ every variant is flat, as a call
# costs something before any work is done, which bends the slope down; what counts is the right end of the curve.


# %%
def chart(quantity, unit, factor, title):
    """One quantity of all variants against T, log-log."""
    curves = []
    for (case, measured), color, dash in zip(by_variant(points).items(), COLORS * 2, DASHES * 2, strict=False):
        good = [p for p in measured if p.status is JobStatus.OK and getattr(p, quantity) > 0]
        pairs = [(p.case.T, factor * getattr(p, quantity)) for p in good]
        name = f"{case.label}: {slope(good, quantity).value:.2f}" if len(good) > 1 else case.label
        curve = hv.Curve(pairs, "grid points T", f"{quantity} / {unit}", label=name)
        curves += [curve.opts(color=color, line_dash=dash), hv.Scatter(pairs).opts(color=color, size=5)]
    return hv.Overlay(curves).opts(width=850, height=380, logx=True, logy=True, legend_position="right", title=title)


chart("seconds", "ms", 1e3, "Time of forward and backward pass, with the fitted slope")

# %%
chart("memory", "MB", 1e-6, "Peak memory above the inputs, with the fitted slope")

# %% [markdown]
# ## How long a record can be
#
# Where the power laws of the largest sizes meet the budget: the limit of this machine, predicted, not run.

# %%
for case, measured in by_variant(points).items():
    if sum(point.status is JobStatus.OK for point in measured) > 1:
        end = limit(measured, Budget(seconds=60))
        print(f"{case.label:28s} in a minute: {end.size:.2g} grid points, ended by {end.by or 'nothing'}")

# %% [markdown]
# `native` takes hardly more for ten times as many points at the left end, and ten times as much at the right end.

# %%
native = [point for point in points if point.case.backend == "native" and point.status is JobStatus.OK]
assert not native or slope(native).value < 1.3
