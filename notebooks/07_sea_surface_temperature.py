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
# # Sea-surface temperature: what a linear ODE says, and how far it sees
#
# Off Peru the sea swings with the seasons, and every few years an El Niño shifts it. One linear ODE with seasonal
# forcing says how fast such an anomaly dies. A forecast from it must beat the simple ones: the usual value of the
# month, and the last anomaly, damped.

# %%
from workbench.experiments import sst
from workbench.training import Training

config = sst.Config(source="elnino")
record = sst.data(config)
print(record.attrs["title"], dict(record.sizes))

# %% [markdown]
# ## Learn from all but the last four years
#
# A library of 132 ODEs is judged by how likely each makes the record; rest level and seasonal forcing are solved for
# exactly. The later steps forecast from one month after the other, each seeing only what lies behind it.

# %%
training = Training(sst, config)
for _ in training:
    pass
report = training.report()
for equation in report.equations:
    print(equation.text())

# %% [markdown]
# ## The forecast of the last four years
#
# Blue is measured, orange forecast from the end of the training period, with its 95 % band.

# %%
import holoviews as hv
from bokeh.io import show
from bokeh.layouts import column
from bokeh.models import ColumnDataSource

from workbench.plots import trajectory

hv.extension("bokeh", inline=True)  # inline: the plots need no network
source = ColumnDataSource(trajectory.series_columns(report.trajectory))
show(column(*trajectory.series(source, report.trajectory), sizing_mode="stretch_width"))

# %% [markdown]
# ## Does it beat the simple forecasts?
#
# Skill is 1 for a perfect forecast, 0 for the usual value of the month. Where the model loses, it is said.

# %%
print(report.skill["skill"].to_pandas().round(2).to_string())
for doubt in report.doubts:
    print("-", doubt)

# %% [markdown]
# ## A whole ocean at once
#
# All cells of a field are judged together. This field is **synthetic**, so that every machine can run it; with
# `source="ersst"` and `download=True` it is the real one. Damping grows towards the poles here because the field was
# made so: the map shows it.

# %%
from workbench.plots.fields import maps

config = sst.Config(source="synthetic")
training = Training(sst, config)
while not training.model.fitted:
    training.step()
report = training.report()
show(maps.chart(report.globe, "damping"))
print({name: round(value, 2) for name, value in report.metrics.items() if name in ("separation", "chance")})
