"""The dashboard: `panel serve app.py` (or `make app`), then open /app."""

from workbench.dashboard import shell

shell.page().servable()
