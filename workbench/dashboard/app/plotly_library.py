"""Lazy loading of Plotly (4.8 MB), which makes the page usable a second sooner."""

import param
from panel.custom import JSComponent
from panel.models.plotly import PlotlyPlot


class PlotlyLibrary(JSComponent):
    """Placeholder that loads Plotly's script in the browser; add a Plotly pane once `loaded` is true.

    failed: the browser could not load the script. On the server, call `pn.extension("plotly")` after the page has
    loaded.
    """

    source = param.String(default="")
    loaded = param.Boolean(default=False)
    failed = param.Boolean(default=False)

    _esm = """
export function render({ model }) {
  const markLoaded = () => { model.loaded = true }
  if (window.Plotly) markLoaded()
  else {
    const script = document.createElement("script")
    script.src = model.source
    script.addEventListener("load", markLoaded)
    script.addEventListener("error", () => { model.failed = true })
    document.head.append(script)
  }
  const message = document.createElement("div")
  message.textContent = "Loading the 3-D view \u2026"
  message.style.cssText = "font-size: .88rem; opacity: .75"
  return message
}
"""

    def __init__(self, **params: object) -> None:
        super().__init__(source=PlotlyPlot.__javascript__[0], **params)
