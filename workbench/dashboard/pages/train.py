"""The Train page: choose an experiment, press Start, watch its equations being found."""

import logging
from typing import Any

import panel_material_ui as pmui  # isort: skip  (before any widget is built: labels are unreadable in the dark otherwise)
import panel as pn
from panel.io.state import set_curdoc
from panel.util import edit_readonly

from workbench.dashboard import look, words
from workbench.dashboard.bar import Bar
from workbench.dashboard.cards import CoefficientCard, EquationCard, LossCard, TrajectoryCard, text, watch
from workbench.dashboard.form import Form
from workbench.dashboard.look import WIDE
from workbench.dashboard.ocean import MapCard, SkillCard
from workbench.dashboard.session import TrainState
from workbench.dashboard.warm import warm
from workbench.views import record

logger = logging.getLogger(__name__)

PERIOD = 200  # ms between two looks at the job: plots follow at 5 Hz, and a click finds the page at leisure
TITLE = "S-MNN workbench"


class TrainPage:
    """All widgets of one session; `refresh` draws what has changed since it drew last.

    Handlers of widgets change the state and draw nothing: drawing happens in one place, in order, with the document's
    lock.
    """

    def __init__(self, state: TrainState) -> None:
        self.state = state
        self._drawn = {}
        self._shown = False
        self.soon = lambda: None  # once the page is followed: look at the job at once, not only at the next period
        self._kinds = [self._draw_equations, self._draw_records, self._draw_trajectory]
        self.form = Form(state)
        self.bar = Bar(state, lambda: self.soon())
        self.equations = EquationCard(self.redraw)
        self.loss = LossCard(state.rewind)
        self.trajectory = TrajectoryCard(self.redraw)
        self.coefficients = CoefficientCard(state.rewind)
        self.maps, self.skill = MapCard(), SkillCard()
        self._notices = text("")
        self._dismiss = pmui.Button(label="Dismiss", variant="text", size="small", margin=0, width=90)
        self._dismiss.on_click(self._dismissed)
        self._notice_row = pn.Row(self._notices, self._dismiss, visible=False, **WIDE)
        self._record = text("")
        self._intro = pn.Column(text(words.INTRO), self._record, styles={**look.CARD, **look.share(2, 300)}, **WIDE)
        self._address = pn.widgets.TextInput(visible=False)
        self._address.jscallback(value="window.history.replaceState(null, '', cb_obj.value)")
        pair = pn.Row(self._intro, self.trajectory.view, self.loss.view, styles=look.PAIR, **WIDE)
        self.main = pn.Column(
            self._notice_row,
            self.bar.view,
            self.equations.view,
            pair,
            pn.Row(self.maps.view, self.skill.view, styles=look.PAIR, **WIDE),
            self.coefficients.over_steps,
            self.coefficients.now,
            self._address,
            styles=look.MAIN,
            **WIDE,
        )
        self.shell = self._page()
        watch(self.redraw, self.shell, name="dark_theme")
        self.refresh()

    def _page(self) -> pmui.Page:
        shell = pmui.Page(
            title=TITLE,
            sidebar=[self.form.view],
            main=[self.main],
            sidebar_width=320,
            sidebar_open="Mobi" not in str(pn.state.headers.get("User-Agent")),
            busy_indicator=None,
            theme_config=look.THEME,
            sx=look.PAGE,
        )
        with edit_readonly(shell):
            shell.busy = False  # no longer follows pn.state.busy, whose every turn walks through the whole document
        return shell

    async def _dismissed(self, _: Any) -> None:
        self.state.dismiss()

    def stale(self) -> bool:
        """Whether there is something to draw."""
        return self._drawn.get("all") != self._version()

    def _version(self) -> tuple[Any, ...]:
        state, job = self.state, self.state.job
        return self._shown, state.revision, state.preview.version, state.cursor, job and (job.id, job.version)

    def show(self) -> None:
        """Let `refresh` draw figures, too; until then the page is controls and text, so that it is there quickly."""
        self._shown = True

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn.clear()

    def refresh(self) -> None:
        """Draw what has changed: words at once, and in turn one kind of result a time, so the first is soon there."""
        job, version = self.state.job, self._version()  # of before: what changes meanwhile is drawn the next time
        if self._fresh("state", self.state.revision):
            self._draw_state()
        if self._fresh("bar", (self.state.revision, job and (job.id, job.version))):
            self.bar.update()
            self._draw_notices()
        drawn = next((draw for draw in self._kinds if draw()), None) if self._shown else None
        if drawn is None:
            self._drawn["all"] = version
        else:
            self._kinds.append(self._kinds.pop(self._kinds.index(drawn)))

    def _fresh(self, what: str, version: Any) -> bool:
        """Whether `version` of `what` has not been drawn yet; it counts as drawn from now on."""
        if what in self._drawn and self._drawn[what] == version:
            return False
        self._drawn[what] = version
        return True

    def _draw_state(self) -> None:
        runs = self.state.job is not None
        self.form.update()
        self._intro.visible, self.loss.view.visible, self.equations.view.visible = not runs, runs, runs
        self.trajectory.view.visible = True
        query = self.state.query()
        if query is not None:
            self._address.value = query

    def _draw_notices(self) -> None:
        notices = words.notices(self.state)
        self._notice_row.visible = bool(notices)
        self._dismiss.visible = bool(self.state.notices)
        self._notices.object = notices

    def _reports(self) -> tuple[str, int]:
        job = self.state.job
        return (job.id, job.snapshot().reports) if job else ("", self.state.preview.version)

    def _draw_equations(self) -> bool:
        if not self._fresh("equations", self._reports()):
            return False
        report = self.state.report()
        if self.state.job is None:
            self.loss.clear()
            self._record.object = record.summary(report.trajectory) if report else ""
        found = report if self.state.job else None
        self.equations.update(found)
        self.coefficients.update_report(found)
        self.maps.update(found)
        self.skill.update(found)
        return self.state.job is not None

    def _draw_records(self) -> bool:
        if self.state.job is None:
            return False
        records, restart = self.state.records()
        self.loss.update(records, restart=restart)
        self.coefficients.update(records, restart=restart)
        return bool(records)

    def _draw_trajectory(self) -> bool:
        if not self._fresh("trajectory", self._reports()):
            return False
        report, empty = self.state.report(), self.state.job is None
        shown = report.trajectory if report else None
        self.trajectory.update(shown, self.state.experiment.name, large=empty, dark=self.shell.dark_theme)
        return True


def page() -> pmui.Page:
    """The Train page of this session, as its URL asks for it."""
    pn.extension("plotly", "mathjax")
    warming = warm()
    if not pn.state.headers:
        warming.join()  # `panel serve --warm` runs the page once before it listens: nobody waits yet
    location = pn.state.location
    train = TrainPage(TrainState(location.search if location else ""))
    document = pn.state.curdoc

    async def loaded() -> None:
        train.show()
        follow(train, document)

    pn.state.onload(loaded)
    return train.shell


def follow(train: TrainPage, document: Any) -> None:
    """Let a page follow its job for as long as the session lives.

    Bokeh's own periodic callback, not Panel's: that one tells every browser of the server twice per tick that it is
    busy, which costs a quarter of a core per idle page. It is a coroutine so that it runs with the document's lock
    under --num-threads, too, and nothing else draws: what `onload` calls has no lock, and with threads it may even run
    before Panel takes the page for loaded, when every change of a model without the lock is an error.
    """

    async def tick() -> None:
        if not train.stale():
            return
        with set_curdoc(document), document.models.freeze():
            try:
                train.refresh()
            except Exception:  # one that leaves `freeze` would leave the document frozen, and the page dead, for good
                logger.exception("the page could not be drawn")

    train.soon = lambda: document.add_next_tick_callback(tick)
    document.add_periodic_callback(tick, PERIOD)
