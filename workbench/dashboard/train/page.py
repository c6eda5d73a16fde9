"""The Train page: choose an experiment, press Start, watch its equations being found."""

from typing import Any

import xarray as xr

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.cards import (
    CoefficientCard,
    EquationCard,
    LossCard,
    ParameterCard,
    TrajectoryCard,
    text,
)
from workbench.dashboard.cards.diagnostics import JudgementCard
from workbench.dashboard.cards.fields import FieldCards
from workbench.dashboard.cards.ocean import MapCard, SkillCard
from workbench.dashboard.forms.form import Form
from workbench.dashboard.train import text as words
from workbench.dashboard.train.bar import Bar
from workbench.dashboard.train.state import TrainState
from workbench.experiments.report import Report
from workbench.plots import summary


class TrainPage:
    """All widgets of one session; `refresh` draws what has changed since it drew last (see `shell.TrainPage`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = TrainState(search)
        self._shell = shell
        self._drawn = {}
        self._begun = ""  # the run whose curves are drawn
        self._trajectory = None
        self._shown = False
        self._kinds = [
            *(self._draw_equations, self._draw_records, self._draw_trajectory),
            *(self._draw_fields, self._draw_judgement),
        ]
        self.form = Form(state)
        self.bar = Bar(state, shell.soon, icons=shell.icons)
        self.equations = EquationCard(self.redraw)
        self.loss = LossCard(state.rewind)
        self.trajectory = TrajectoryCard(self.redraw, has_library=shell.has_library)
        self.parameters = ParameterCard()
        self.coefficients = CoefficientCard(state.rewind)
        self.maps, self.skill = MapCard(), SkillCard()
        self.fields = FieldCards()
        self.judgement = JudgementCard(self.redraw)
        self._notices = Notices(state.dismiss)
        self._record = text("")
        self._words = text(words.INTRO)
        self._intro = Column(self._words, self._record, styles={**theme.CARD, **theme.share(2, 300)}, **WIDE)
        pair = Row(self._intro, self.trajectory.view, self.loss.view, styles=theme.PAIR, **WIDE)
        self._ocean = Row(self.maps.view, self.skill.view, styles=theme.PAIR, visible=False, **WIDE)
        self.main = Column(
            self._notices.view,
            self.bar.view,
            self.equations.view,
            pair,
            self._ocean,
            self.fields.view,
            self.judgement.view,
            self.parameters.view,
            self.coefficients.over_steps,
            self.coefficients.now,
            styles=theme.PAGE_BODY,
            **WIDE,
        )
        self.side = self.form.view

    def stale(self) -> bool:
        """Whether there is something to draw."""
        return self._drawn.get("all") != self._version()

    def _version(self) -> tuple[Any, ...]:
        state, run = self.state, self.state.run
        return self._shown, state.revision, state.preview.version, state.cursor, run and (run.id, run.version)

    def show(self) -> None:
        """Let `refresh` draw figures, too; until then the page is controls and text, so that it is there quickly."""
        self._shown = True

    def redraw(self) -> None:
        """Let `refresh` draw everything again."""
        self._drawn.clear()

    def refresh(self) -> None:
        """Draw what has changed: words at once, and in turn one kind of result a time, so the first is soon there.

        The answer to a press goes out by itself, what moves the cards in the next turn: the browser takes its time for
        them, and the answer would wait.
        """
        job, version = self.state.job, self._version()  # of before: what changes meanwhile is drawn the next time
        if self._fresh("bar", (self.state.revision, job and (job.id, job.version))):
            self.bar.update()
            self._draw_notices()
        if self._fresh("answer", self.state.revision) and self._shown:
            self._shell.soon()
            return
        if self._fresh("state", self.state.revision):
            self._draw_state()
        self._begin()
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

    def _begin(self) -> None:
        """Forget the curves of another run than the one that is shown now."""
        run = self.state.run.id if self.state.run is not None else ""
        if run == self._begun:
            return
        self._begun = run
        self.loss.clear()
        self.coefficients.clear()
        self.state.rewind()

    def _draw_state(self) -> None:
        runs = self.state.run is not None
        self.form.update()
        self._words.object = words.OWN if hasattr(self.state.experiment, "keep") else words.INTRO
        self._intro.visible = self.state.job is None
        self.loss.view.visible = self.equations.view.visible = runs

    def _draw_notices(self) -> None:
        self._notices.update(words.notices(self.state), removable=bool(self.state.notices))

    def _reports(self) -> tuple[str, int]:
        run = self.state.run
        return (run.id, run.snapshot().reports) if run else ("", self.state.preview.version)

    def _draw_equations(self) -> bool:
        if not self._fresh("equations", self._reports()):
            return False
        report = self.state.report()
        if self.state.run is None:
            self.loss.clear()
            self._record.object = summary.summary(self._previewed(report)) if report else ""
        found = report if self.state.run else None
        self.equations.update(found)
        self.parameters.update(found)
        self.coefficients.update_report(found)
        self.maps.update(found)
        self.skill.update(found)
        self._ocean.visible = self.maps.view.visible or self.skill.view.visible
        return self.state.run is not None

    def _draw_records(self) -> bool:
        if self.state.run is None:
            return False
        records, restart = self.state.records()
        self.loss.update(records, restart=restart)
        self.coefficients.update(records, restart=restart)
        return bool(records)

    def _draw_judgement(self) -> bool:
        if not self._fresh("judgement", self._reports()):
            return False
        report = self.state.report() if self.state.run else None
        self.judgement.update(report)
        return report is not None and report.judgement is not None

    def _draw_trajectory(self) -> bool:
        report = self.state.report()
        shown = report.trajectory if report else None
        # a report may come with the same trajectory as before, which takes long to draw
        if not self._fresh("trajectory", (self._reports()[0], id(shown), report is None, self._shell.dark)):
            return False
        self.trajectory.view.visible = report is None or report.trajectory is not None
        self._trajectory = shown  # held, so that no other gets its id
        self.trajectory.update(shown, self.state.experiment.name, dark=self._shell.dark)
        return True

    def _previewed(self, report: Report) -> xr.Dataset:
        """What the record is told from: fields are told from the first."""
        return self.state.preview.data if report.image is None else report.image

    def _draw_fields(self) -> bool:
        if not self._fresh("fields", self._reports()):
            return False
        report, run = self.state.report(), self.state.run
        self.fields.update(report, str(self.state.preview.version) if run is None else run.id)
        return report is not None and report.image is not None
