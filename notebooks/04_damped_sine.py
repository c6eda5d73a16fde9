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
# # A damped, noisy sine
#
# $u(t) = e^{-t/10} \sin 2t$, measured at 500 points with noise that decays like the curve. This notebook fits two
# models: an oscillator with constant coefficients, determined by frequency and damping, and, as published, a linear ODE
# with free coefficients at every grid point, which yields only a curve.

# %%
import holoviews as hv
import numpy as np

from workbench import experiments
from workbench.datasets.ode.sine import DAMPING, FREQUENCY
from workbench.training import Training

hv.extension("bokeh", inline=True)  # inline: plots work offline
sine = experiments.get("sine")
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#888888"
SEEDS = 5
time = hv.Dimension("time t", unit="dimensionless")


def picture(report, title):
    """The data, the clean curve and the solution of the fitted equation."""
    one = report.trajectory.isel(variable=0)
    points = hv.Scatter((one.time, one.data), time, "u", label="data").opts(color=GREY, size=3, alpha=0.6)
    truth = hv.Curve((one.time, one.truth), time, "u", label="clean curve").opts(color=BLUE, line_width=4, alpha=0.5)
    learned = hv.Curve((one.time, one.estimate), time, "u", label="fitted ODE").opts(color=ORANGE, line_dash="dashed")
    return (points * truth * learned).opts(width=800, height=300, legend_position="right", title=title)


# %% [markdown]
# ## One oscillator
#
# $u'' = \Xi_0 u + \Xi_1 u'$. The solver computes the curve from the two coefficients and two initial values, and their
# derivatives. A few Gauss-Newton steps fit all four parameters to the data.

# %%
training = Training(sine, sine.Config(mode="constant"))
losses = [record.metrics["loss"] for record in training]
report = training.report()
print(report.equations[0].text())
print(f"frequency {report.metrics['frequency']:.4f} (truth {FREQUENCY:g})")
print(f"damping {report.metrics['damping']:.4f} (truth {DAMPING:g})")
picture(report, "Fit with two constant coefficients")

# %% [markdown]
# ## Spread of the estimates
#
# The estimates depend on the noise; their spread over seeds estimates the standard errors.

# %%
estimates = []
for seed in range(SEEDS):
    training = Training(sine, sine.Config(mode="constant", seed=seed))
    list(training)
    estimates.append([training.report().metrics[name] for name in ("frequency", "damping")])
frequency_error, damping_error = np.median(abs(np.array(estimates) / [FREQUENCY, DAMPING] - 1), axis=0)
print(f"median error of the frequency {frequency_error:.2%}, of the damping {damping_error:.1%}")
assert frequency_error < 0.01

# %% [markdown]
# ## Free coefficients at every grid point
#
# The published setting: coefficients and steps are parameters, optimised by 500 steps of Adam through the solver. The
# curve follows the data including part of the noise, as nothing couples the coefficients of neighbouring grid points.

# %%
training = Training(sine, sine.Config(mode="varying", epochs=200))
losses = [record.metrics["loss"] for record in training]
varying = training.report()
picture(varying, "Free coefficients fit part of the noise")

# %%
steps = hv.Dimension("step of Adam")
hv.Curve((np.arange(1, len(losses) + 1), losses), steps, "loss").opts(
    width=600, height=260, logy=True, color=BLUE, title="The loss of the free coefficients"
)

# %% [markdown]
# Root mean square errors of both curves against the clean curve: the two-parameter fit is better.

# %%
for name, one in {"one oscillator": report, "free coefficients": varying}.items():
    print(f"{name:18s} {one.metrics['clean_rmse']:.4f}   (noise: {one.metrics['noise_rms']:.4f})")
assert report.metrics["clean_rmse"] < varying.metrics["clean_rmse"]
