"""Entry point of the dashboard: run `panel serve app.py` or `make app`, then open /app."""

from workbench.dashboard.app import shell

shell.page().servable()
