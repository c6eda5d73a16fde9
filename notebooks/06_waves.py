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
# # Waves: simulation, discovery, forecast
#
# This notebook simulates a field $u(x, t)$ on a periodic domain, discovers its equation, and forecasts it. The field
# obeys the equation of Korteweg and de Vries, $u_t = -u\,u_x - u_{xxx}$, whose solitons travel faster the taller they
# are and pass through each other.

# %%
import os

import holoviews as hv
import numpy as np
from bokeh.io import show
from bokeh.layouts import row
from bokeh.models import ColumnDataSource
from IPython.display import Math, display

from workbench import experiments
from workbench.plots.fields import images as waves
from workbench.training import Training

hv.extension("bokeh", inline=True)  # inline: plots work offline
SHORT = bool(os.environ.get("WORKBENCH_SHORT"))  # set by the tests
pde, kdv = experiments.get("pde"), experiments.get("kdv")


def images(image):
    """Truth, estimate and difference, with a common colour scale."""
    sources = {title: ColumnDataSource(data) for title, data in waves.image_columns(image).items()}
    show(row(*waves.images(sources, image), sizing_mode="stretch_width"))


# %% [markdown]
# ## Discovery
#
# A spectral method with an accuracy of $10^{-5}$ simulates the field. The candidates are products of powers of $u$ with
# its derivatives in $x$. In the weak form, each candidate is projected on Fourier modes and integrated in time by the
# solver, so the data are not differentiated in time. Two terms remain.


# %%
def discover(**settings):
    training = Training(pde, pde.Config(**settings))
    list(training)
    return training.report()


for system in ("kdv-easy",) if SHORT else ("kdv-easy", "ks", "burgers"):
    report = discover(system=system)
    display(Math(report.equations[0].latex(5)))
    print(f"{system}: largest error of a coefficient {report.metrics['max_error']:.1e}")
    assert report.metrics["max_error"] < 1e-3

# %% [markdown]
# ## Noise
#
# The noise level is 5 % of the standard deviation of the field. The spectrum determines which modes exceed the noise.
# The images compare the clean field with the discovered equation, simulated from the first frame.

# %%
report = discover(noise=0.05)
display(Math(report.equations[0].latex(4)))
one = report.coefficients.isel(variable=0)
for index in np.flatnonzero(one.estimate):
    term = one.isel(candidate=index)
    print(term.candidate.item(), *(f"{name} {float(term[name]):.4f}" for name in ("estimate", "lower", "upper")))
images(report.image)

# %% [markdown]
# ## Forecast
#
# This model does not use the equation. A network maps several frames to the coefficients of a linear ODE in time at
# every grid point; the solver extrapolates it by several frames, from which the network continues. Training the small
# network takes minutes. The baseline of the rolled-out forecast is persistence, the last frame repeated.

# %%
settings = {"train": 2, "valid": 1, "test": 1, "updates": 2, "batch": 2} if SHORT else {"updates": 600}
training = Training(kdv, kdv.Config(**settings))
records = list(training)
report = training.best_report()
for frames in (20, 40, 100):
    model, persistence = report.metrics[f"nmse_{frames}"], report.metrics[f"persistence_{frames}"]
    print(f"{frames:3d} frames: error {model:.4f}, persistence {persistence:.4f}")
print(f"{len(records)} steps in {records[-1].seconds:.0f} s")
images(report.image)

# %% [markdown]
# The error per frame, of the forecast and of persistence.

# %%
curves = [
    hv.Curve((report.profile.frame, report.profile[name]), "frames ahead", "error", label=label).opts(color=color)
    for name, label, color in (("forecast", "forecast", "#D55E00"), ("persistence", "persistence", "#888888"))
]
hv.Overlay(curves).opts(width=700, height=280, logy=True, legend_position="right", title="Forecast error against time")
