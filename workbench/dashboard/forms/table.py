"""Table with selectable, sortable and clickable rows; sorting is done by the page state."""

import param
from panel.custom import JSComponent

STYLE = """
:host { font-family: var(--bokeh-base-font, sans-serif); color: var(--panel-on-background-color); display: block;
    min-width: 0; max-width: 100%; }
.frame { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; font-size: .8rem; padding: 2px 0; }
th button { all: unset; cursor: pointer; padding: 6px 10px; border-radius: 6px; white-space: nowrap;
    color: var(--panel-on-secondary-color); }
th button:hover { background: color-mix(in srgb, currentColor 10%, transparent); }
th button:focus-visible, a:focus-visible, input:focus-visible { outline: 2px solid var(--panel-primary-color); }
th[aria-sort="ascending"] button::after { content: " ↑"; }
th[aria-sort="descending"] button::after { content: " ↓"; }
td { padding: 6px 10px; white-space: nowrap; }
td.tick, th.tick { width: 26px; padding: 6px 4px 6px 8px; }
tbody tr { border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
tbody tr:hover { background: color-mix(in srgb, var(--panel-primary-color) 7%, transparent); }
tbody tr[aria-selected="true"] { background: color-mix(in srgb, var(--panel-primary-color) 14%, transparent); }
.number { text-align: right; }
input { width: 16px; height: 16px; accent-color: var(--panel-primary-color); vertical-align: middle; margin: 0; }
a { color: var(--panel-primary-color); text-decoration: none; font-weight: 500; }
a:hover { text-decoration: underline; }
.state { display: inline-flex; align-items: center; gap: 7px; }
.state::before { content: ""; width: 9px; height: 9px; border-radius: 2px; background: #8A8F98; }
.state.running::before { border-radius: 50%; background: #009E73; animation: pulse 2s steps(1) infinite; }
.state.finished::before { border-radius: 50%; background: #009E73; }
.state.queued::before, .state.paused::before, .state.interrupted::before { background: #E69F00; }
.state.failed::before { background: #D55E00; transform: rotate(45deg); }
.swatch { display: inline-block; width: 18px; height: 4px; border-radius: 2px; margin-right: 8px;
    vertical-align: middle; }
@keyframes pulse { 50% { opacity: .35; } }
@media (prefers-reduced-motion: reduce) { .state.running::before { animation: none; } }
"""


class Table(JSComponent):
    """Table of rows.

    columns: title by name; the first column is a link, column "status" has a status icon. rows: dicts with "id",
    "link" (a URL), "state", "color" (of the curve, or "") and one text per column. selected: ids of the selected rows.
    sort: column name, prefixed with "-" for descending order. opened: id of the last followed link and a count, so
    that the same link can be followed twice.
    """

    columns = param.Dict(default={})
    numbers = param.List(default=[], doc="Right-aligned columns.")
    caption = param.String(default="")
    rows = param.List(default=[])
    selected = param.List(default=[])
    sort = param.String(default="")
    opened = param.List(default=["", 0])

    _stylesheets = [STYLE]
    _esm = """
export function render({ model }) {
  const frame = document.createElement("div")
  frame.className = "frame"
  const table = frame.appendChild(document.createElement("table"))
  table.setAttribute("aria-label", model.caption)
  const append = (tag, parent, text = "") => {
    const element = parent.appendChild(document.createElement(tag))
    if (text) element.textContent = text
    return element
  }
  const head = () => {
    const row = append("tr", append("thead", table))
    const corner = append("td", row)
    corner.className = "tick"
    for (const [name, title] of Object.entries(model.columns)) {
      const cell = append("th", row)
      cell.scope = "col"
      if (model.numbers.includes(name)) cell.className = "number"
      const plain = model.sort.replace(/^-/, "")
      cell.setAttribute("aria-sort", plain !== name ? "none" : model.sort.startsWith("-") ? "descending" : "ascending")
      const button = append("button", cell, title)
      button.addEventListener("click", () => { model.sort = model.sort === name ? "-" + name : name })
    }
  }
  const line = (body, row) => {
    const line = append("tr", body)
    const tick = append("td", line)
    tick.className = "tick"
    const box = append("input", tick)
    box.type = "checkbox"
    box.checked = model.selected.includes(row.id)
    box.setAttribute("aria-label", "select " + row.id)
    line.setAttribute("aria-selected", box.checked)
    box.addEventListener("change", () => {
      const others = model.selected.filter(id => id !== row.id)
      model.selected = box.checked ? [...others, row.id] : others
    })
    Object.keys(model.columns).forEach((name, index) => {
      const cell = append("td", line)
      if (model.numbers.includes(name)) cell.className = "number"
      if (index === 0) {
        if (row.color) append("span", cell).className = "swatch", cell.firstChild.style.background = row.color
        const link = append("a", cell, row[name])
        link.href = row.link
        link.addEventListener("click", event => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return
          event.preventDefault()
          model.opened = [row.id, model.opened[1] + 1]
        })
      } else if (name === "status") append("span", cell, row[name]).className = "state " + row.state
      else cell.textContent = row[name]
    })
  }
  const draw = () => {
    const root = frame.getRootNode()
    const focused = root.activeElement?.getAttribute?.("aria-label")
    table.replaceChildren()
    head()
    const body = append("tbody", table)
    for (const row of model.rows) line(body, row)
    if (focused) table.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus()
  }
  for (const name of ["columns", "rows", "selected", "sort"]) model.on(name, draw)
  draw()
  return frame
}
"""
