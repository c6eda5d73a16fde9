"""Page links in the header, and the URL of the browser."""

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
    """Navigation links; they can be opened in a new tab, and work with the back button.

    page: name of the visible page. address: search part of the URL ("?..."), set without a new history entry.
    """

    page = param.String(default="")
    pages = param.Dict(default={}, doc="Title by page name.")
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
  const pageOf = search => new URLSearchParams(search).get("page") ?? Object.keys(model.pages)[0]
  // a late address must not be applied once another page is visible
  const write = () => {
    if (model.address && pageOf(model.address) === model.page) window.history.replaceState(null, "", model.address)
  }
  window.addEventListener("popstate", () => {
    const requested = pageOf(window.location.search)
    if (requested in links) model.page = requested
  })
  // panel_material_ui labels elements that have no role (help icons, the edge of the sidebar), which is invalid ARIA.
  // They are created and removed with their controls, so roles are added periodically.
  const descendants = root => [...root.querySelectorAll("*")].flatMap(
    e => e.shadowRoot ? [e, ...descendants(e.shadowRoot)] : [e]
  )
  const addRoles = () => {
    for (const element of descendants(document)) {
      if (element.hasAttribute("role") || !element.hasAttribute("aria-label")) continue
      if (element.tagName === "SPAN") element.setAttribute("role", "img")
      else if (element.tagName === "DIV") element.setAttribute("role", "group")
    }
  }
  const timer = setInterval(addRoles, 1500)
  model.on("remove", () => clearInterval(timer))
  model.on("page", () => { mark(); write() })
  model.on("address", write)
  mark()
  write()
  return nav
}
"""
