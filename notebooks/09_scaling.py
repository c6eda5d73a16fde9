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
# # Cost of a solve
#
# Time and memory against the number of grid points $T$, forward and backward pass, for every variant available on this
# machine. The expected growth is linear: a slope of 1 in log-log axes. Every point is measured in a separate process
# with a budget of time and memory; a variant that exceeds the budget is marked and not measured at larger sizes.

# %%
import os

import holoviews as hv
import torch

from workbench.scaling import Budget, Case, JobStatus, by_variant, grid, limit, machine, measure, slope, variants

hv.extension("bokeh", inline=True)  # inline: plots work offline
SHORT = bool(os.environ.get("WORKBENCH_SHORT"))  # set by the tests
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#555555", "#56B4E9", "#000000"]
DASHES = ["solid", "dashed", "dotted", "dotdash", "dashdot", "solid", "dashed", "dotted"]
{name: value for name, value in machine().items() if name != "flags"}

# %% [markdown]
# ## Measuring
#
# Each solve is a batch of eight systems of two variables. `banded cholesky` is the published algorithm, `mnn` that of
# the original mechanistic network, `dense` the reference with the whole matrix.

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
# The legend shows the slopes, fitted to all points. At small $T$ the overhead of a call dominates, which lowers the
# slope; the right end of the curve shows the growth.


# %%
def chart(quantity, unit, factor, title):
    """One quantity of all variants against T, with log-log axes."""
    curves = []
    for (case, measured), color, dash in zip(by_variant(points).items(), COLORS * 2, DASHES * 2, strict=False):
        completed = [p for p in measured if p.status is JobStatus.OK and getattr(p, quantity) > 0]
        pairs = [(p.case.T, factor * getattr(p, quantity)) for p in completed]
        name = f"{case.label}: {slope(completed, quantity).value:.2f}" if len(completed) > 1 else case.label
        curve = hv.Curve(pairs, "grid points T", f"{quantity} / {unit}", label=name)
        curves += [curve.opts(color=color, line_dash=dash), hv.Scatter(pairs).opts(color=color, size=5)]
    return hv.Overlay(curves).opts(width=850, height=380, logx=True, logy=True, legend_position="right", title=title)


chart("seconds", "ms", 1e3, "Time of forward and backward pass, with fitted slope")

# %%
chart("memory", "MB", 1e-6, "Peak memory in addition to the inputs, with fitted slope")

# %% [markdown]
# ## Largest number of grid points
#
# The power laws of the largest sizes, extrapolated to the budget, predict the limit of this machine.

# %%
for case, measured in by_variant(points).items():
    if sum(point.status is JobStatus.OK for point in measured) > 1:
        end = limit(measured, Budget(seconds=60))
        print(f"{case.label:28s} in a minute: {end.size:.2g} grid points, limited by {end.by or 'nothing'}")

# %% [markdown]
# For ten times as many points, the time of `native` hardly changes at the left end and grows tenfold at the right end.

# %%
native = [point for point in points if point.case.backend == "native" and point.status is JobStatus.OK]
assert not native or slope(native).value < 1.3
