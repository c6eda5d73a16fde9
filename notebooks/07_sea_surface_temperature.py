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
# # Sea-surface temperature: a linear ODE and its forecast skill
#
# The sea-surface temperature off Peru follows the seasons, with an El Niño anomaly every few years. A linear ODE with
# seasonal forcing models the decay of such anomalies. The baselines of its forecast are the climatology (the mean of
# the month) and damped persistence of the last anomaly.

# %%
from workbench.experiments import sst
from workbench.training import Training

config = sst.Config(source="elnino")
dataset = sst.data(config)
print(dataset.attrs["title"], dict(dataset.sizes))

# %% [markdown]
# ## Training on all but the last four years
#
# A library of 132 ODEs is compared by marginal likelihood; mean level and seasonal forcing are solved for exactly. The
# later steps forecast from one month after the other, each from past data only.

# %%
training = Training(sst, config)
for _ in training:
    pass
report = training.report()
for equation in report.equations:
    print(equation.text())

# %% [markdown]
# ## Forecast of the last four years
#
# Blue: measured; orange: forecast from the end of the training period, with its 95 % band.

# %%
import holoviews as hv
from bokeh.io import show
from bokeh.layouts import column
from bokeh.models import ColumnDataSource

from workbench.plots import trajectory

hv.extension("bokeh", inline=True)  # inline: plots work offline
source = ColumnDataSource(trajectory.series_columns(report.trajectory))
show(column(*trajectory.series(source, report.trajectory), sizing_mode="stretch_width"))

# %% [markdown]
# ## Skill against the baselines
#
# The skill is 1 for a perfect forecast and 0 for the climatology. Warnings list the baselines that the model does not
# beat.

# %%
print(report.skill["skill"].to_pandas().round(2).to_string())
for warning in report.warnings:
    print("-", warning)

# %% [markdown]
# ## A global field
#
# All grid cells are fitted jointly. This field is **synthetic**, so that it needs no download; `source="ersst"` and
# `download=True` select measured data. The damping of the synthetic field grows towards the poles, as the map shows.

# %%
from workbench.plots.fields import maps

config = sst.Config(source="synthetic")
training = Training(sst, config)
while not training.model.fitted:
    training.step()
report = training.report()
show(maps.chart(report.globe, "damping"))
print({name: round(value, 2) for name, value in report.metrics.items() if name in ("separation", "chance")})
