"""The 3-D library, 4.8 MB: a page loads it when a figure needs it, and is usable a second sooner."""

import param
from panel.custom import JSComponent
from panel.models.plotly import PlotlyPlot


class PlotlyLibrary(JSComponent):
    """Loads Plotly's script where it is drawn; says so until then. A pane of Plotly may come once `loaded` is true.

    failed: the browser could not load it. The server's part is `pn.extension("plotly")`, after the page is loaded.
    """

    source = param.String(default="")
    loaded = param.Boolean(default=False)
    failed = param.Boolean(default=False)

    _esm = """
export function render({ model }) {
  const known = () => { model.loaded = true }
  if (window.Plotly) known()
  else {
    const script = document.createElement("script")
    script.src = model.source
    script.addEventListener("load", known)
    script.addEventListener("error", () => { model.failed = true })
    document.head.append(script)
  }
  const waiting = document.createElement("div")
  waiting.textContent = "Loading the view in three dimensions \u2026"
  waiting.style.cssText = "font-size: .88rem; opacity: .75"
  return waiting
}
"""

    def __init__(self, **params: object) -> None:
        super().__init__(source=PlotlyPlot.__javascript__[0], **params)
