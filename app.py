"""The dashboard: `panel serve app.py` (or `make app`), then open /app."""

from workbench.dashboard.pages import train

train.page().servable()
