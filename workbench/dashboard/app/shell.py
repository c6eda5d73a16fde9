"""Application shell: header, sidebar, main area; pages are created on first visit."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

import panel_material_ui as pmui  # isort: skip  (before any widget is created, else labels are unreadable in the dark theme)
import panel as pn
from panel.io.state import set_curdoc
from panel.util import edit_readonly

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column
from workbench.dashboard.app.nav import Nav
from workbench.dashboard.app.preload import warm
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.forms import settings
from workbench.dashboard.forms.page_state import Notice, PageState
from workbench.jobs.cpu import usable_cores
from workbench.jobs.registry import close_at_exit
from workbench.jobs.run_index import listing

logger = logging.getLogger(__name__)

PERIOD = 200 if usable_cores() > 2 else 333
"""Refresh interval of the visible page in milliseconds; clicks are handled at once. With training, server and browser
on two cores, refreshing at 5 Hz costs training some 30 % of its speed, at 3 Hz 17 to 32 %."""
SWITCH_INTERVAL = 0.001
"""Thread switch interval of the interpreter in seconds. With twenty sessions training on two cores, each is updated 1.9
times a second; with Python's default of 0.005, 1.2 times."""
TITLE = "S-MNN workbench"
PAGES = {
    "train": "Train",
    "compare": "Compare",
    "scaling": "Scaling",
    "studies": "Studies",
    "runs": "Runs",
    "data": "Data",
}
"""Title by name; page "train" is `workbench.dashboard.train.page.TrainPage`. The first is the home page."""


class Page(Protocol):
    """Interface of a page, constructed from the search part of a URL and the shell."""

    state: PageState
    side: Any
    main: Any

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""

    def refresh(self) -> None:
        """Draw changes. Called with the document lock; nothing else draws."""

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""

    def show(self) -> None:
        """Make `refresh` draw figures; before, a page has only controls and text, so that it loads quickly."""


class Shell:
    """Shell of one session. Widget callbacks change state only; all drawing happens in `refresh`."""

    icons = True
    """Whether the icon font is available."""
    has_library = False
    """Whether Plotly is loaded with the page."""

    def __init__(self, search: str = "") -> None:
        pairs, _ = settings.parse_query(search)
        requested = pairs.pop("page", None)
        name = requested if requested in PAGES else next(iter(PAGES))
        self._pages = {}
        self._searches = {}
        self._requested = name
        self._shown = False
        self._visible = None  # name of the visible page
        self._side, self._main = Column(**WIDE), Column(styles=theme.MAIN, **WIDE)
        self.nav = Nav(page=name, pages=PAGES, margin=(0, 8), height=40)
        self.nav.param.watch(self._on_page, "page")
        self.view = self._build()
        self.view.param.watch(self._on_theme, "dark_theme")
        self.wake = lambda: None  # set by `start_refreshing`
        page = self._page(name, search)
        if requested is not None and requested not in PAGES:
            available = ", ".join(PAGES)
            text = f"The URL requests page={requested}, which does not exist. Available pages: {available}."
            page.state.notify(Notice("warning", text))
        if name == next(iter(PAGES)) and (interrupted := _interrupted_runs()):
            runs = "One run was" if len(interrupted) == 1 else f"{len(interrupted)} runs were"
            text = f"{runs} interrupted when the server stopped. Resume on the Runs page."
            page.state.notify(Notice("info", text))
        self.refresh()

    @property
    def dark(self) -> bool:
        """Whether the dark theme is on."""
        return self.view.dark_theme

    def open_page(self, name: str, search: str = "") -> None:
        """Show another page, optionally in the state given by the search part of a URL."""
        if search and name in self._pages:
            self._pages[name].state.read(search)
        elif search:
            self._searches[name] = search
        self._requested = name
        self.request_refresh()

    def request_refresh(self) -> None:
        """Refresh as soon as possible instead of at the next period; safe to call from any thread."""
        self.wake()

    def show(self) -> None:
        """Make all pages draw figures."""
        self._shown = True
        for page in self._pages.values():
            page.show()

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""
        return self._requested not in self._pages or self._current().stale() or self.nav.address != self._address()

    def refresh(self) -> None:
        """Draw the changes of the visible page.

        A new page is added first and refreshed the next time: changes to a model in the turn in which it is added to
        the document do not reach the browser. If a page cannot be created, the visible one stays and shows an error.
        """
        exists = self._requested in self._pages
        try:
            page = self._page(self._requested)
        except Exception as error:
            if self._visible is None:  # no page can show the error: the server reports it
                raise
            logger.exception("page %s could not be created", self._requested)
            text = f"The {PAGES[self._requested]} page could not be opened: {error}"
            self._requested = self._visible
            self._current().state.notify(Notice("error", text, repr(error)))
            self.refresh()
            return
        for name, other in self._pages.items():
            if other is not page or exists:
                other.side.visible = other.main.visible = name == self._requested
        if exists:
            page.refresh()
        self._visible = self._requested
        self.nav.param.update(page=self._requested, address=self._address())

    def _current(self) -> Page:
        return self._pages[self._requested]

    def _address(self) -> str:
        """Search part of the URL of the visible page; the last valid one while a setting is invalid."""
        query = self._current().state.query()
        if query is None:
            return self.nav.address
        home = self._requested == next(iter(PAGES))
        return query if home else f"?page={self._requested}&{query.removeprefix('?')}".rstrip("&")

    def _page(self, name: str, search: str = "") -> Page:
        if name not in self._pages:
            search = self._searches.pop(name, search)
            pairs, _ = settings.parse_query(search)
            search = search if "page" not in pairs else settings.remove_keys(search, "page")
            Class = getattr(import_module(f"workbench.dashboard.{name}.page"), f"{name.title()}Page")
            page = Class(search, self)
            page.refresh()
            self._pages[name] = page
            self._side.append(page.side)
            self._main.append(page.main)
            if self._shown:
                page.show()
        return self._pages[name]

    def _on_page(self, event: Any) -> None:
        self._requested = event.new  # at once: a refresh in between would revert it
        self.request_refresh()

    async def _on_theme(self, _: Any) -> None:
        for page in self._pages.values():
            page.redraw()

    def _build(self) -> pmui.Page:
        view = pmui.Page(
            title=TITLE,
            header=[self.nav],
            sidebar=[self._side],
            main=[self._main],
            sidebar_width=320,
            sidebar_open="Mobi" not in str(pn.state.headers.get("User-Agent")),
            busy_indicator=None,
            theme_config=theme.THEME,
            sx=theme.PAGE,
        )
        with edit_readonly(view):
            view.busy = False  # stop following pn.state.busy: each change traverses the whole document
        return view


@contextmanager
def deferred_recompute(models: Any) -> Iterator[None]:
    """Traverse the models of a document once at the end of the block, and only if a model was added or removed.

    Bokeh's `freeze` always traverses them, which costs a quarter of a core while a run is displayed.
    """
    requests = []
    models.recompute = lambda: requests.append(True)
    try:
        yield
    finally:
        del models.recompute
        if requests:
            models.recompute()


def _interrupted_runs() -> list[str]:
    """Runs interrupted by a stop of the server and not resumed."""
    return [name for name, row in listing.rows().items() if row.state == "interrupted" and not row.held]


def page() -> pmui.Page:
    """App of the current session, in the state given by its URL."""
    pn.extension()
    if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
        close_at_exit()
        sys.setswitchinterval(SWITCH_INTERVAL)
        handle_messages_in_order()
    preload = warm()
    if not pn.state.headers:
        preload.join()  # `panel serve --warm` runs the page once before it listens: nobody waits yet
    location = pn.state.location
    shell = Shell(location.search if location else "")
    document = pn.state.curdoc

    async def loaded() -> None:
        pn.extension("plotly")  # only now, else the page loads Plotly first; see `plotly_library`
        shell.show()
        start_refreshing(shell, document)

    pn.state.onload(loaded)
    return shell.view


def handle_messages_in_order() -> None:
    """Handle browser messages in order of arrival, regardless of `panel serve --num-threads`.

    Panel's threads each take the next message and may reorder them: a click is handled before the text typed before it,
    the end of an upload before its last chunk. They are not needed: long tasks run in separate threads or processes.
    """
    if pn.config.nthreads is not None:
        pn.config.nthreads = None


def start_refreshing(shell: Shell, document: Any) -> None:
    """Refresh the visible page periodically for the lifetime of the session.

    Uses Bokeh's periodic callback; Panel's sends a busy message to every browser of the server twice per tick, which
    costs a quarter of a core per idle page. The callback is a coroutine so that it runs with the document lock, which
    functions called by `onload` do not have. Bokeh holds all changes and sends them at the end: with Panel's own
    dispatch, a change made during another task may be delayed until the next one (Panel 1.9: a task that has written
    removes the mark of the task that has still to write).
    """

    async def tick() -> None:
        if not shell.stale():
            return
        document.hold("collect")
        try:
            with set_curdoc(document), deferred_recompute(document.models):
                shell.refresh()
        except Exception:
            logger.exception("the page could not be drawn")
        finally:
            document.unhold()

    shell.wake = lambda: document.add_next_tick_callback(tick)
    document.add_periodic_callback(tick, PERIOD)
