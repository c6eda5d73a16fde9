"""The pages as links in the header, and the address of the browser."""

import param
from panel.custom import JSComponent

STYLE = """
:host { height: 100%; }
nav { display: flex; gap: 2px; height: 100%; align-items: center; font-family: var(--bokeh-base-font, sans-serif); }
a { color: inherit; text-decoration: none; padding: 7px 13px; border-radius: 7px; font-size: .92rem; font-weight: 500;
    white-space: nowrap; opacity: .8; }
a:hover { background: color-mix(in srgb, currentColor 9%, transparent); opacity: 1; }
a:focus-visible { outline: 2px solid var(--panel-primary-color, #005a8c); outline-offset: 1px; }
a[aria-current] { background: color-mix(in srgb, currentColor 12%, transparent); font-weight: 700; opacity: 1; }
@media (max-width: 760px) { a { padding: 6px 7px; font-size: .82rem; } }
@media (max-width: 430px) { nav { gap: 0; } a { padding: 6px 5px; font-size: .78rem; } }
"""


class Nav(JSComponent):
    """Real links: they open in a new tab, too, and the back button leads to the page before.

    page: the one in view. address: what the browser's address becomes ("?...") without a new entry in its history.
    """

    page = param.String(default="")
    pages = param.Dict(default={}, doc="Title by name.")
    address = param.String(default="")

    _stylesheets = [STYLE]
    _esm = """
export function render({ model }) {
  const nav = document.createElement("nav")
  nav.setAttribute("aria-label", "Pages")
  const links = {}
  for (const [name, title] of Object.entries(model.pages)) {
    const link = document.createElement("a")
    link.textContent = title
    link.href = "?page=" + name
    link.addEventListener("click", event => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return
      event.preventDefault()
      if (model.page === name) return
      window.history.pushState(null, "", link.href)
      model.page = name
    })
    links[name] = link
    nav.append(link)
  }
  const mark = () => {
    for (const [name, link] of Object.entries(links)) {
      if (name === model.page) link.setAttribute("aria-current", "page")
      else link.removeAttribute("aria-current")
    }
  }
  const of = search => new URLSearchParams(search).get("page") ?? Object.keys(model.pages)[0]
  // an address that comes late, when another page is in view already, must not become that page's
  const write = () => {
    if (model.address && of(model.address) === model.page) window.history.replaceState(null, "", model.address)
  }
  window.addEventListener("popstate", () => {
    const wanted = of(window.location.search)
    if (wanted in links) model.page = wanted
  })
  // panel_material_ui gives names to elements without a role, which a screen reader must not read: the marks that
  // explain a control, and the edge of the sidebar. They come and go with their controls.
  const all = root => [...root.querySelectorAll("*")].flatMap(e => e.shadowRoot ? [e, ...all(e.shadowRoot)] : [e])
  const mend = () => {
    for (const element of all(document)) {
      if (element.hasAttribute("role") || !element.hasAttribute("aria-label")) continue
      if (element.tagName === "SPAN") element.setAttribute("role", "img")
      else if (element.tagName === "DIV") element.setAttribute("role", "group")
    }
  }
  const mending = setInterval(mend, 1500)
  model.on("remove", () => clearInterval(mending))
  model.on("page", () => { mark(); write() })
  model.on("address", write)
  mark()
  write()
  return nav
}
"""
