"""The Train page: controls, learning curve, equations and diagnostics of one run."""

from typing import Any

import xarray as xr

from workbench.dashboard.app import theme
from workbench.dashboard.app.layouts import Column, Row
from workbench.dashboard.app.notices import Notices
from workbench.dashboard.app.theme import WIDE
from workbench.dashboard.cards.base import html_pane
from workbench.dashboard.cards.coefficients import CoefficientCard, ParameterCard
from workbench.dashboard.cards.diagnostics import DiagnosticsCard
from workbench.dashboard.cards.equations import EquationCard
from workbench.dashboard.cards.fields import FieldCards
from workbench.dashboard.cards.loss import LossCard
from workbench.dashboard.cards.sst import MapCard, SkillCard
from workbench.dashboard.cards.trajectory import TrajectoryCard
from workbench.dashboard.forms.form import Form
from workbench.dashboard.train import text
from workbench.dashboard.train.bar import Bar
from workbench.dashboard.train.state import TrainState
from workbench.experiments.report import Report
from workbench.plots import summary


class TrainPage:
    """Widgets of the Train page (see `shell.Page`)."""

    def __init__(self, search: str, shell: Any) -> None:
        self.state = state = TrainState(search)
        self._shell = shell
        self._drawn = {}
        self._drawn_run = ""  # id of the run whose curves are drawn
        self._trajectory = None
        self._shown = False
        self._draw_functions = [
            *(self._draw_equations, self._draw_records, self._draw_trajectory),
            *(self._draw_fields, self._draw_diagnostics),
        ]
        self.form = Form(state)
        self.bar = Bar(state, shell.request_refresh, icons=shell.icons)
        self.equations = EquationCard(self.redraw)
        self.loss = LossCard(state.rewind)
        self.trajectory = TrajectoryCard(self.redraw, has_library=shell.has_library)
        self.parameters = ParameterCard()
        self.coefficients = CoefficientCard(state.rewind)
        self.maps, self.skill = MapCard(), SkillCard()
        self.fields = FieldCards()
        self.diagnostics = DiagnosticsCard(self.redraw)
        self._notices = Notices(state.dismiss)
        self.main = self._create_main()
        self.side = self.form.view

    def _create_main(self) -> Column:
        self._summary = html_pane("")
        self._intro_text = html_pane(text.INTRO)
        self._intro = Column(self._intro_text, self._summary, styles={**theme.CARD, **theme.flex(2, 300)}, **WIDE)
        pair = Row(self._intro, self.trajectory.view, self.loss.view, styles=theme.PAIR, **WIDE)
        self._sst = Row(self.maps.view, self.skill.view, styles=theme.PAIR, visible=False, **WIDE)
        views = (
            *(self._notices.view, self.bar.view, self.equations.view, pair, self._sst, self.fields.view),
            *(self.diagnostics.view, self.parameters.view, self.coefficients.over_steps, self.coefficients.now),
        )
        return Column(*views, styles=theme.PAGE_BODY, **WIDE)

    def stale(self) -> bool:
        """Whether `refresh` has changes to draw."""
        return self._drawn.get("all") != self._version()

    def _version(self) -> tuple[Any, ...]:
        state, run = self.state, self.state.run
        return self._shown, state.revision, state.preview.version, state.cursor, run and (run.id, run.version)

    def show(self) -> None:
        """Make `refresh` draw figures; before, the page has only controls and text, so that it loads quickly."""
        self._shown = True

    def redraw(self) -> None:
        """Make `refresh` redraw everything."""
        self._drawn.clear()

    def refresh(self) -> None:
        """Draw text at once, and one kind of figure per call in turn, so that the first appears soon.

        The response to a click is sent on its own, changes of the layout in the next call: the browser needs time for
        these, which would delay the response.
        """
        job, version = self.state.job, self._version()  # read first: later changes are drawn the next time
        if self._is_outdated("bar", (self.state.revision, job and (job.id, job.version))):
            self.bar.update()
            self._draw_notices()
        if self._is_outdated("response", self.state.revision) and self._shown:
            self._shell.request_refresh()
            return
        if self._is_outdated("state", self.state.revision):
            self._draw_state()
        self._clear_previous_run()
        drawn = next((draw for draw in self._draw_functions if draw()), None) if self._shown else None
        if drawn is None:
            self._drawn["all"] = version
        else:
            self._draw_functions.append(self._draw_functions.pop(self._draw_functions.index(drawn)))

    def _is_outdated(self, part: str, version: Any) -> bool:
        """Whether `version` of a part is not drawn yet; marks it as drawn."""
        if part in self._drawn and self._drawn[part] == version:
            return False
        self._drawn[part] = version
        return True

    def _clear_previous_run(self) -> None:
        """Clear the curves when another run is shown."""
        run = self.state.run.id if self.state.run is not None else ""
        if run == self._drawn_run:
            return
        self._drawn_run = run
        self.loss.clear()
        self.coefficients.clear()
        self.state.rewind()

    def _draw_state(self) -> None:
        has_run = self.state.run is not None
        self.form.update()
        self._intro_text.object = text.UPLOAD_INTRO if hasattr(self.state.experiment, "keep") else text.INTRO
        self._intro.visible = self.state.job is None
        self.loss.view.visible = self.equations.view.visible = has_run

    def _draw_notices(self) -> None:
        self._notices.update(text.notices(self.state), dismissible=bool(self.state.notices))

    def _reports(self) -> tuple[str, int]:
        run = self.state.run
        return (run.id, run.snapshot().reports) if run else ("", self.state.preview.version)

    def _draw_equations(self) -> bool:
        if not self._is_outdated("equations", self._reports()):
            return False
        report = self.state.report()
        if self.state.run is None:
            self.loss.clear()
            self._summary.object = summary.summary(self._preview_data(report)) if report else ""
        result = report if self.state.run else None
        for card in (self.equations, self.parameters, self.maps, self.skill):
            card.update(result)
        self.coefficients.update_report(result)
        self._sst.visible = self.maps.view.visible or self.skill.view.visible
        return self.state.run is not None

    def _draw_records(self) -> bool:
        if self.state.run is None:
            return False
        records, restart = self.state.records()
        self.loss.update(records, restart=restart)
        self.coefficients.update(records, restart=restart)
        return bool(records)

    def _draw_diagnostics(self) -> bool:
        if not self._is_outdated("diagnostics", self._reports()):
            return False
        report = self.state.report() if self.state.run else None
        self.diagnostics.update(report)
        return report is not None and report.diagnostics is not None

    def _draw_trajectory(self) -> bool:
        report = self.state.report()
        trajectory = report.trajectory if report else None
        # a new report may contain the same trajectory, which takes long to draw
        if not self._is_outdated("trajectory", (self._reports()[0], id(trajectory), report is None, self._shell.dark)):
            return False
        self.trajectory.view.visible = report is None or report.trajectory is not None
        self._trajectory = trajectory  # referenced, so that its id is not reused
        self.trajectory.update(trajectory, self.state.experiment.name, dark=self._shell.dark)
        return True

    def _preview_data(self, report: Report) -> xr.Dataset:
        """Data to summarise: all trajectories, or the first field."""
        return self.state.preview.data if report.image is None else report.image

    def _draw_fields(self) -> bool:
        if not self._is_outdated("fields", self._reports()):
            return False
        report, run = self.state.report(), self.state.run
        self.fields.update(report, str(self.state.preview.version) if run is None else run.id)
        return report is not None and report.image is not None
