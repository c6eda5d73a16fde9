"""Whether a browser shows a cell of a notebook, and is heard."""

from typing import Any

import param
from panel.custom import JSComponent


class Visibility(JSComponent):
    """Tells when a browser shows it. What changes sooner may reach the browser in another order than it was made.

    seen: how often the browser has said so; it says so again until it is `heard`, since the first may get lost, too.
    """

    seen = param.Integer(default=0)
    heard = param.Boolean(default=False)

    _esm = """
export function render({ model }) {
  const say = () => {
    if (model.heard) clearInterval(saying)
    else model.seen += 1
  }
  const saying = setInterval(say, 300)
  model.on("remove", () => clearInterval(saying))
  return document.createElement("div")
}
"""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.param.watch(self._hear, "seen")

    def _hear(self, _: Any) -> None:
        self.heard = True
