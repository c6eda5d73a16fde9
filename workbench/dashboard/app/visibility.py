"""Visibility of a notebook cell in the browser."""

from typing import Any

import param
from panel.custom import JSComponent


class Visibility(JSComponent):
    """Detects when a browser displays the component; earlier changes may reach the browser out of order.

    reports: number of messages from the browser, repeated until `acknowledged`, since the first may be lost.
    """

    reports = param.Integer(default=0)
    acknowledged = param.Boolean(default=False)

    _esm = """
export function render({ model }) {
  const report = () => {
    if (model.acknowledged) clearInterval(timer)
    else model.reports += 1
  }
  const timer = setInterval(report, 300)
  model.on("remove", () => clearInterval(timer))
  return document.createElement("div")
}
"""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.param.watch(self._acknowledge, "reports")

    def _acknowledge(self, _: Any) -> None:
        self.acknowledged = True
