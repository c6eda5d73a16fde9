"""The one app: header with the pages, sidebar, main part; a page is made when somebody first looks at it."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Protocol

import panel_material_ui as pmui  # isort: skip  (before any widget is built: labels are unreadable in the dark otherwise)
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
from workbench.jobs.cpu import usable
from workbench.jobs.registry import close_at_exit
from workbench.jobs.run_index import listing

logger = logging.getLogger(__name__)

PERIOD = 200 if usable() > 2 else 333
"""Milliseconds between two looks at the page in view; a press is answered at once. Where training, server and browser
share two cores, a training was measured to lose some 30 % of its speed at 5 Hz, and 17 to 32 % at 3 Hz."""
PATIENCE = 0.001
"""Seconds for which a thread that computes keeps the interpreter while the page waits for it. With Python's own 0.005,
twenty sessions that train at once on two cores were measured to see 1.2 updates a second each, so 1.9."""
TITLE = "S-MNN workbench"
PAGES = {
    "train": "Train",
    "compare": "Compare",
    "scaling": "Scaling",
    "studies": "Studies",
    "runs": "Runs",
    "data": "Data",
}
"""Title by name; the page "train" is the class `TrainPage` of workbench.dashboard.train.page. The first is the home."""


class Page(Protocol):
    """What the shell knows of a page. It is made from the search part of an address, and the shell."""

    state: PageState
    side: Any
    main: Any

    def stale(self) -> bool:
        """Whether there is something to draw."""

    def refresh(self) -> None:
        """Draw what has changed. Called with the document's lock; nothing else draws."""

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""

    def show(self) -> None:
        """Let `refresh` draw figures, too; until then a page is controls and text, so that it is there quickly."""


class Shell:
    """All of one session. Handlers of widgets change states and draw nothing: `refresh` does, in one place."""

    icons = True
    """Whether the font of the icons is there."""
    has_library = False
    """Whether the browser has the 3-D library from the start."""

    def __init__(self, search: str = "") -> None:
        pairs, _ = settings.parse_query(search)
        asked = pairs.pop("page", None)
        name = asked if asked in PAGES else next(iter(PAGES))
        self._pages = {}
        self._searches = {}
        self._wanted = name
        self._shown = False
        self._seen = None  # the page in view
        self._side, self._main = Column(**WIDE), Column(styles=theme.MAIN, **WIDE)
        self.nav = Nav(page=name, pages=PAGES, margin=(0, 8), height=40)
        self.nav.param.watch(self._asked, "page")
        self.view = self._shell()
        self.view.param.watch(self._themed, "dark_theme")
        self.wake = lambda: None  # what `soon` does, once the page is followed
        page = self._page(name, search)
        if asked is not None and asked not in PAGES:
            there = ", ".join(PAGES)
            page.state.tell(
                Notice("warning", f"The address asks for page={asked}, which there is not. There is: {there}.")
            )
        if name == next(iter(PAGES)) and (cut := _cut_short()):
            text = f"{_counted(len(cut))} cut short when the server stopped. The Runs page offers to go on."
            page.state.tell(Notice("info", text))
        self.refresh()

    @property
    def dark(self) -> bool:
        """Whether the dark theme is on."""
        return self.view.dark_theme

    def go(self, name: str, search: str = "") -> None:
        """Show another page; a search part tells it what to show."""
        if search and name in self._pages:
            self._pages[name].state.read(search)
        elif search:
            self._searches[name] = search
        self._wanted = name
        self.soon()

    def soon(self) -> None:
        """Look at the page at once, not only at the next period; from any thread."""
        self.wake()

    def show(self) -> None:
        """Let the pages draw figures, too."""
        self._shown = True
        for page in self._pages.values():
            page.show()

    def stale(self) -> bool:
        """Whether there is something to draw."""
        return self._wanted not in self._pages or self._current().stale() or self.nav.address != self._address()

    def refresh(self) -> None:
        """Draw what has changed on the page in view. A new one is there at once, and drawn further the next time: what
        comes into the document must not change in the same turn, since the browser would not hear of it. Where one
        cannot be made, the one in view stays and says so."""
        known = self._wanted in self._pages
        try:
            page = self._page(self._wanted)
        except Exception as error:
            if self._seen is None:  # nothing could say so: the server does
                raise
            logger.exception("the page %s could not be made", self._wanted)
            text = f"The page {PAGES[self._wanted]} could not be opened: {error}"
            self._wanted = self._seen
            self._current().state.tell(Notice("error", text, repr(error)))
            self.refresh()
            return
        for name, other in self._pages.items():
            if other is not page or known:
                other.side.visible = other.main.visible = name == self._wanted
        if known:
            page.refresh()
        self._seen = self._wanted
        self.nav.param.update(page=self._wanted, address=self._address())

    def _current(self) -> Page:
        return self._pages[self._wanted]

    def _address(self) -> str:
        """The address of the page in view; of a page with a wrong setting: the last good one."""
        query = self._current().state.query()
        if query is None:
            return self.nav.address
        home = self._wanted == next(iter(PAGES))
        return query if home else f"?page={self._wanted}&{query.removeprefix('?')}".rstrip("&")

    def _page(self, name: str, search: str = "") -> Page:
        if name not in self._pages:
            search = self._searches.pop(name, search)
            pairs, _ = settings.parse_query(search)
            kept = search if "page" not in pairs else settings.without(search, "page")
            page = getattr(import_module(f"workbench.dashboard.{name}.page"), f"{name.title()}Page")(kept, self)
            page.refresh()
            self._pages[name] = page
            self._side.append(page.side)
            self._main.append(page.main)
            if self._shown:
                page.show()
        return self._pages[name]

    def _asked(self, event: Any) -> None:
        self._wanted = event.new  # in the turn in which it is heard: what is drawn in between would take it back
        self.soon()

    async def _themed(self, _: Any) -> None:
        for page in self._pages.values():
            page.redraw()

    def _shell(self) -> pmui.Page:
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
            view.busy = False  # no longer follows pn.state.busy, whose every turn walks through the whole document
        return view


@contextmanager
def gathered(models: Any) -> Iterator[None]:
    """One walk through the models of a document for all changes that are made here, and none where no model has come or
    gone. Bokeh's `freeze` walks every time, which for a run that is followed is a quarter of a core.
    """
    asked = []
    models.recompute = lambda: asked.append(True)
    try:
        yield
    finally:
        del models.recompute
        if asked:
            models.recompute()


def _cut_short() -> list[str]:
    """The runs that a stop of a server has cut short, and that nobody has gone on with."""
    return [name for name, row in listing.rows().items() if row.state == "interrupted" and not row.held]


def _counted(count: int) -> str:
    return "One run was" if count == 1 else f"{count} runs were"


def page() -> pmui.Page:
    """The app of this session, as its URL asks for it."""
    pn.extension()
    if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
        close_at_exit()
        sys.setswitchinterval(PATIENCE)
        in_order()
    warming = warm()
    if not pn.state.headers:
        warming.join()  # `panel serve --warm` runs the page once before it listens: nobody waits yet
    location = pn.state.location
    shell = Shell(location.search if location else "")
    document = pn.state.curdoc

    async def loaded() -> None:
        pn.extension("plotly")  # only now: the page would load its script first; see `library`
        shell.show()
        follow(shell, document)

    pn.state.onload(loaded)
    return shell.view


def in_order() -> None:
    """Let what a browser sends be handled in the order in which it came, whatever `panel serve --num-threads` says.

    Each of Panel's threads takes the next message, and one overtakes another: a press is handled before what was typed
    before it, the end of an upload before its last part. Nothing is lost without them: what takes long has a thread or
    a process of its own.
    """
    if pn.config.nthreads is not None:
        pn.config.nthreads = None


def follow(shell: Shell, document: Any) -> None:
    """Let the page in view follow its job for as long as the session lives.

    Bokeh's own periodic callback, not Panel's: that one tells every browser of the server twice per tick that it is
    busy, which costs a quarter of a core per idle page. It is a coroutine so that it runs with the document's lock,
    and nothing else draws: what `onload` calls has no lock. Bokeh holds what is drawn, and sends it at the end: what
    Panel sends by itself while something else is under way may stay behind until the next change (Panel 1.9: a task
    that has written takes the mark of the one that has still to write with it).
    """

    async def tick() -> None:
        if not shell.stale():
            return
        document.hold("collect")
        try:
            with set_curdoc(document), gathered(document.models):
                shell.refresh()
        except Exception:
            logger.exception("the page could not be drawn")
        finally:
            document.unhold()

    shell.wake = lambda: document.add_next_tick_callback(tick)
    document.add_periodic_callback(tick, PERIOD)
