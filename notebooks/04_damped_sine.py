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
# $u(t) = e^{-t/10} \sin 2t$, read at 500 points with noise that decays as the curve does. Two questions can be asked of
# such a record. *Which oscillator is it?* has two numbers as its answer, frequency and damping. *Which linear ODE, with
# coefficients free at every grid point, follows it best?* is the published question: a curve is all that it gives. Here
# both are asked.

# %%
import holoviews as hv
import numpy as np

from workbench import experiments
from workbench.datasets.ode.sine import DAMPING, FREQUENCY
from workbench.training import Training

hv.extension("bokeh", inline=True)  # inline: the plots need no network
sine = experiments.get("sine")
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#888888"
SEEDS = 5
time = hv.Dimension("time t", unit="dimensionless")


def picture(report, title):
    """The readings, the clean curve and the solution of the learned equation."""
    one = report.trajectory.isel(variable=0)
    points = hv.Scatter((one.time, one.data), time, "u", label="readings").opts(color=GREY, size=3, alpha=0.6)
    truth = hv.Curve((one.time, one.truth), time, "u", label="clean curve").opts(color=BLUE, line_width=4, alpha=0.5)
    learned = hv.Curve((one.time, one.estimate), time, "u", label="learned ODE").opts(color=ORANGE, line_dash="dashed")
    return (points * truth * learned).opts(width=800, height=300, legend_position="right", title=title)


# %% [markdown]
# ## One oscillator
#
# $u'' = \Xi_0 u + \Xi_1 u'$. The solver makes the curve from the two coefficients and the two numbers that it starts
# from; its derivative says how to change all four so that the readings are met best. A few steps of Gauss-Newton do.

# %%
training = Training(sine, sine.Config(mode="constant"))
losses = [record.metrics["loss"] for record in training]
report = training.report()
print(report.equations[0].text())
print(f"frequency {report.metrics['frequency']:.4f} (truth {FREQUENCY:g})")
print(f"damping {report.metrics['damping']:.4f} (truth {DAMPING:g})")
picture(report, "Two coefficients, read off the noisy record")

# %% [markdown]
# ## How far to trust the two numbers
#
# Other noise, other numbers: the spread over seeds is what one record cannot tell.

# %%
found = []
for seed in range(SEEDS):
    training = Training(sine, sine.Config(mode="constant", seed=seed))
    list(training)
    found.append([training.report().metrics[name] for name in ("frequency", "damping")])
frequency_error, damping_error = np.median(abs(np.array(found) / [FREQUENCY, DAMPING] - 1), axis=0)
print(f"median error of the frequency {frequency_error:.2%}, of the damping {damping_error:.1%}")
assert frequency_error < 0.01

# %% [markdown]
# ## Coefficients that are free at every grid point
#
# The published setting: coefficients and steps are parameters, 500 steps of Adam through the solver. Look at the
# curve: it follows the readings, some of the noise included, for nothing ties the coefficients of one grid point to
# those of the next.

# %%
training = Training(sine, sine.Config(mode="varying", epochs=200))
losses = [record.metrics["loss"] for record in training]
varying = training.report()
picture(varying, "Free coefficients follow the noise too")

# %%
steps = hv.Dimension("step of Adam")
hv.Curve((np.arange(1, len(losses) + 1), losses), steps, "loss").opts(
    width=600, height=260, logy=True, color=BLUE, title="The loss of the free coefficients"
)

# %% [markdown]
# Both curves beside the clean one, as root mean square errors: the two-number answer is the better curve.

# %%
for name, one in {"one oscillator": report, "free coefficients": varying}.items():
    print(f"{name:18s} {one.metrics['clean_rmse']:.4f}   (noise: {one.metrics['noise_rms']:.4f})")
assert report.metrics["clean_rmse"] < varying.metrics["clean_rmse"]
