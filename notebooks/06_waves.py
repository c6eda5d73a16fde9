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
# # Waves: generate, discover, forecast
#
# A field $u(x, t)$ on a ring, recorded every so often. Where does it come from, which equation does it obey, and where
# will it be? The waves are those of Korteweg and de Vries, $u_t = -u\,u_x - u_{xxx}$: humps that travel, the taller the
# faster, and pass through each other.

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

hv.extension("bokeh", inline=True)  # inline: the plots need no network
SHORT = bool(os.environ.get("WORKBENCH_SHORT"))  # the tests' setting
pde, kdv = experiments.get("pde"), experiments.get("kdv")


def images(image):
    """Truth, what was found and the difference, with one colour scale."""
    sources = {title: ColumnDataSource(data) for title, data in waves.image_columns(image).items()}
    show(row(*waves.images(sources, image), sizing_mode="stretch_width"))


# %% [markdown]
# ## Discover
#
# The field is made here, by a spectral method that is exact to seven digits. The candidates are products of powers of
# $u$ with its derivatives in $x$. Each is tested against Fourier modes and integrated in time by the solver, so the
# record is never differentiated in time. Two terms must remain.


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
# ## With noise
#
# Every point read with an error of 5 % of the field's own size. Which modes still stand above the noise is told from
# the spectrum. Look at the right image: the equation found, simulated from the first frame, against the clean field.

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
# Here nothing is known of the equation. A network looks at some frames and gives, at every place, the coefficients of
# a linear ODE in time; the solver follows it some frames on; then the network looks again. Training the small network
# takes minutes: the time below is that of this machine. The rolled-out forecast is held against keeping the last frame.

# %%
settings = {"train": 2, "valid": 1, "test": 1, "updates": 2, "batch": 2} if SHORT else {"updates": 600}
training = Training(kdv, kdv.Config(**settings))
records = list(training)
report = training.best_report()
for frames in (20, 40, 100):
    found, still = report.metrics[f"nmse_{frames}"], report.metrics[f"persistence_{frames}"]
    print(f"{frames:3d} frames: error {found:.4f}, the last frame held {still:.4f}")
print(f"{len(records)} steps in {records[-1].seconds:.0f} s")
images(report.image)

# %% [markdown]
# How far ahead does it see? The error per frame, beside that of the last frame held.

# %%
curves = [
    hv.Curve((report.profile.frame, report.profile[name]), "frames ahead", "error", label=label).opts(color=color)
    for name, label, color in (("forecast", "forecast", "#D55E00"), ("persistence", "last frame held", "#888888"))
]
hv.Overlay(curves).opts(width=700, height=280, logy=True, legend_position="right", title="The error grows with time")
