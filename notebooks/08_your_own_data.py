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
# A table of measurements goes in, the equations behind it come out, in its own names and units. Nothing has to be set:
# the separator, the time column, the sampling, the noise and how high the polynomials must be are all told from the
# file. Here the file is made, so that the answer is known; in the last cell it is yours.

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

hv.extension("bokeh", inline=True)  # inline: the plots need no network

# %% [markdown]
# ## A file as it comes
#
# Yeast grows on sugar, and what it makes of the sugar poisons it:
#
# $$\dot{\mathrm{yeast}} = 0.06\,\mathrm{yeast}\,\mathrm{sugar} - 0.02\,\mathrm{yeast}\,\mathrm{alcohol}, \qquad
#   \dot{\mathrm{sugar}} = -0.1\,\mathrm{yeast}\,\mathrm{sugar}, \qquad
#   \dot{\mathrm{alcohol}} = 0.05\,\mathrm{yeast}\,\mathrm{sugar}.$$
#
# Three runs, noise of 1 %, a spreadsheet's decimal commas, some values missing, and one that is no number.


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
# ## Reading it
#
# `read` takes names and bytes and returns an `xarray.Dataset`. Whatever it had to put right is said with its line and
# its column; what cannot be put right is an error that says the same. Look for the line in which something was spilt.

# %%
record = tabular.read([Source("yeast.csv", "\n".join(lines).encode())])
print(record.attrs["sampling"])
print(record.attrs["repairs"])
record

# %% [markdown]
# ## Learning from it
#
# The model begins with polynomials of degree 1, and goes on to the next degree until the equations leave over no more
# than the noise. `degree` says where it stopped.

# %%
model = table.model(table.Config(), record)
while not model.done:
    metrics = model.step()
report = table.report(model, record)
for equation in report.equations:
    print(equation.text())
print(dict(report.metrics), *report.doubts, sep="\n")
assert [len(equation.terms) for equation in report.equations] == [2, 1, 1]

# %% [markdown]
# Every coefficient has a unit, made of those of the columns, and an interval that holds the true value in 95 of 100
# cases.

# %%
found = report.coefficients.to_dataframe().query("estimate != 0")
found[["estimate", "lower", "upper", "unit"]]

# %% [markdown]
# ## Does it hold?
#
# The equations are simulated from the first state of the first run. Look at how the line stays on the points.

# %%
simulated(report.trajectory)

# %% [markdown]
# ## Yours
#
# `Source.of` reads a file from the disk: CSV, Parquet, HDF5 or NetCDF. Several files are several trajectories. From a
# shell, `python -m workbench train table --file yeast.csv` does all of this, and on the page there is a button for it.

# %%
with TemporaryDirectory() as folder:
    path = Path(folder) / "yeast.csv"  # the path of your file
    path.write_text("\n".join(lines))
    print(tabular.read([Source.of(path)]).sizes)
