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
# # Your own data
#
# This notebook discovers equations from a table of measurements, in the names and units of its columns. No settings are
# required: separator, time column, sampling, noise level and degree of the polynomials are inferred from the file. The
# example is simulated, so that the true equations are known; the last cell reads your file.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import holoviews as hv
import numpy as np
from scipy.integrate import solve_ivp

from workbench.datasets import tabular
from workbench.datasets.tabular import Source
from workbench.experiments import table
from workbench.plots.equations.simulation import simulated

hv.extension("bokeh", inline=True)  # inline: plots work offline

# %% [markdown]
# ## The file
#
# Yeast grows on sugar and produces alcohol, which is toxic to it:
#
# $$\dot{\mathrm{yeast}} = 0.06\,\mathrm{yeast}\,\mathrm{sugar} - 0.02\,\mathrm{yeast}\,\mathrm{alcohol}, \qquad
#   \dot{\mathrm{sugar}} = -0.1\,\mathrm{yeast}\,\mathrm{sugar}, \qquad
#   \dot{\mathrm{alcohol}} = 0.05\,\mathrm{yeast}\,\mathrm{sugar}.$$
#
# Three runs, 1 % noise, decimal commas, some missing values, and one that is not a number.


# %%
def rates(t, u):
    yeast, sugar, alcohol = u
    return 0.06 * yeast * sugar - 0.02 * yeast * alcohol, -0.1 * yeast * sugar, 0.05 * yeast * sugar


random, times = np.random.default_rng(1), 0.1 * np.arange(150)
lines = ["run;hours;yeast [g/l];sugar [g/l];alcohol [g/l]"]
for run, start in enumerate([(0.5, 8.0, 0.0), (1.0, 5.0, 2.0), (0.2, 10.0, 4.0)]):
    states = solve_ivp(rates, (0, times[-1]), start, t_eval=times, rtol=1e-9).y.T
    states = states + 0.01 * states.std(axis=0) * random.standard_normal(states.shape)
    for row, (time, values) in enumerate(zip(times, states, strict=True)):
        cells = [f"{value:.4f}" for value in values]
        if row % 20 == 11:
            cells[row % 3] = ""
        if (run, row) == (1, 30):
            cells[0] = "spilt"
        lines.append(f"{run};{time:.1f};{';'.join(cells)}".replace(".", ","))
print("\n".join(lines[:4]))

# %% [markdown]
# ## Reading the file
#
# `read` takes names and bytes and returns an `xarray.Dataset`. Every correction is reported with line and column; an
# error that cannot be corrected raises `TableError` with the same information. One of the corrections is that of
# "spilt".

# %%
dataset = tabular.read([Source("yeast.csv", "\n".join(lines).encode())])
print(dataset.attrs["sampling"])
print(dataset.attrs["repairs"])
dataset

# %% [markdown]
# ## Discovery
#
# The model starts with polynomials of degree 1 and increases the degree until the residual is at the noise level. The
# metric `degree` is the final degree.

# %%
model = table.model(table.Config(), dataset)
while not model.done:
    metrics = model.step()
report = table.report(model, dataset)
for equation in report.equations:
    print(equation.text())
print(dict(report.metrics), *report.warnings, sep="\n")
assert [len(equation.terms) for equation in report.equations] == [2, 1, 1]

# %% [markdown]
# Every coefficient has a unit, derived from those of the columns, and a 95 % interval.

# %%
coefficients = report.coefficients.to_dataframe().query("estimate != 0")
coefficients[["estimate", "lower", "upper", "unit"]]

# %% [markdown]
# ## Simulation
#
# The equations, simulated from the first state of the first run, compared with the data.

# %%
simulated(report.trajectory)

# %% [markdown]
# ## Your file
#
# `Source.of` reads a file from disk: CSV, Parquet, HDF5 or NetCDF. Several files give several trajectories. The command
# `python -m workbench train table --file yeast.csv` does the same, as does *Your own data* on the page.

# %%
with TemporaryDirectory() as folder:
    path = Path(folder) / "yeast.csv"  # the path of your file
    path.write_text("\n".join(lines))
    print(tabular.read([Source.of(path)]).sizes)
