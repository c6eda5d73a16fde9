"""Discovery of u' = Theta(u) Xi, or u'' = Theta(u, u') Xi, by variable projection and Gauss-Newton.

The published network model is in `workbench.discovery.neural.adam`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from workbench._deprecated import moved_names
from workbench.discovery.data import Trajectory
from workbench.discovery.engine import estimates
from workbench.discovery.engine.estimates import Estimate, Problem
from workbench.discovery.engine.polish import polished
from workbench.discovery.engine.preparation import Settings, prepare
from workbench.discovery.engine.result import Discovery
from workbench.discovery.engine.selection import Fit, backward, descent, fit
from workbench.discovery.uncertainty import NORMAL_95, spread
from workbench.symbolic.library import Library

MOST = 200
"""Maximum number of coefficients in a round of Gauss-Newton; the first fit preselects them."""
ROUNDS = 8
"""Maximum number of rounds per window length; two to four are usual."""
GROWTH = 4
"""Longest window length over the first."""
WORSE = 1.5
"""Growth of the misfit in one round above which the iteration diverges."""
FINER = 4
"""Additional derivatives in the last fit of noise-free data: on Lorenz, h = .01, the error is 2e-5 with 6 derivatives
and 3e-7 with 10, at the same cost; with more, rounding dominates."""


class Projection:
    """Discovery of equations from trajectories, in steps of three stages.

    1. Projection, J = 0: the data are smoothed for the candidates, every candidate is integrated by the solver over
    every window, and Xi minimises sum |u - data|^2 / noise^2 with the initial values projected out.
    2. Selection: every equation drops its least significant term, one per step, as far as `Criterion` permits. Without
    noise the result is refitted with more derivatives, the last of which estimates the truncation error, and then
    `polished`.
    3. With noise, rounds of Gauss-Newton: the equations are linearised about the states,
    u' = J u + Theta(u^) Xi - J u^, so that states and Xi are corrected jointly. All terms are candidates until the
    selection repeats; then the selected terms are iterated to convergence. The windows are doubled as long as the noise
    explains the residuals. At the end all terms are candidates once more, and a new selection is iterated in turn.

    Raises ValueError for unsuitable data: constant variables, non-finite candidates, too few grid points.
    Source: Golub & Pereyra, "The Differentiation of Pseudo-Inverses and Nonlinear Least Squares Problems Whose
    Variables Separate" (1973); Bock, "Numerical treatment of inverse problems in chemical reaction kinetics" (1981).
    """

    monitored_metric = None
    stage = 0

    def __init__(self, trajectories: Sequence[Trajectory], library: Library, settings: Settings | None = None) -> None:
        self.library = library
        self.settings = settings or Settings()
        self._trajectories = tuple(trajectories)
        self._prepared = prepare(trajectories, library, self.settings)
        self._denoise = self._prepared.denoise
        self.total_steps = len(library) + 1 + 4 * ROUNDS * self._denoise
        self._fit = torch.zeros_like(self._prepared.known)
        self._drops = self._rounds = 0
        self._searching, self._revised = True, False
        self._now = self._best = None
        self._message, self._ended = "", False
        self._first = self._last = self._result = None

    @property
    def done(self) -> bool:
        return self._ended

    def step(self) -> dict[str, float]:
        """The fit of all terms, the removal of one term per equation, or a round of Gauss-Newton.

        Raises FloatingPointError for non-finite solutions of the solver.
        """
        self._result = None
        loss = self._drop() if self._now is None else self._round()
        return {"loss": loss, "terms": float((self._fit != 0).sum()), "window": self._length / self._prepared.parts}

    @property
    def _length(self) -> int:
        return self._prepared.length if self._now is None else self._now.length

    def _drop(self) -> float:
        """Drop one term of every equation; after the last one, estimate the states."""
        problem = self._problem()
        fits = estimates.chosen(problem, self._drops)
        self._fit = estimates.spread_out(problem, [own.values for own in fits]) + problem.linearised.known
        self._drops += 1
        after = estimates.chosen(problem, self._drops)
        if all((a.kept == b.kept).all() for a, b in zip(fits, after, strict=True)):
            fits = estimates.chosen(problem)
            if not self._denoise:
                problem = self._finer(FINER)
                fits = [fit(block, own.kept) for block, own in zip(problem.blocks, fits, strict=True)]
                self._ended = True
            self._fit = estimates.spread_out(problem, [own.values for own in fits]) + problem.linearised.known
            self._now = self._best = estimates.estimate(self._prepared, None, problem, fits)
        return sqrt(sum(fit.rss for fit in fits) / (problem.criterion.samples * len(fits)))

    def _problem(self) -> Problem:
        """The first problem, cached while terms are dropped."""
        if self._first is None:
            prepared = self._prepared
            self._first = estimates.pose(prepared, None, prepared.length, self.settings, prepared.free)
        return self._first

    def _finer(self, more: int) -> Problem:
        """The first problem with more derivatives."""
        prepared = self._prepared
        rows = replace(prepared.rows, derivatives=prepared.rows.derivatives + more)
        prepared = replace(prepared, rows=rows)
        return estimates.pose(prepared, None, prepared.length, self.settings, prepared.free)

    def _kept(self, problem: Problem) -> list[Fit]:
        """Fits of the present terms to a problem."""
        there = self._fit.numpy() != 0
        return [fit(block, there[tuple(block.labels.T)]) for block in problem.blocks]

    def _round(self) -> float:
        """One round of Gauss-Newton; on failure the last good estimate is the result."""
        before = self._now
        try:
            self._now = self._improved(before)
        except FloatingPointError as error:
            return self._end(f"stopped with windows of {self._now.length} grid points: {error}")
        self._rounds += 1
        now, noise = self._now, self._prepared.noise
        if self._rounds > 1 and now.misfit(noise) > WORSE * before.misfit(noise):
            return self._end(f"stopped with windows of {now.length} grid points: a round made the misfit worse")
        self._fit = now.coefficients
        self._searching = not torch.equal(now.coefficients != 0, before.coefficients != 0)
        if estimates.settled(before, now) or self._rounds == ROUNDS:
            self._grow()
        return self._now.misfit(noise)

    def _improved(self, before: Estimate) -> Estimate:
        free = self._candidates()
        if not self._searching:
            free = free & (before.coefficients != 0).numpy()
        problem = estimates.pose(self._prepared, before, before.length, self.settings, free)
        return estimates.estimate(self._prepared, before, problem, estimates.chosen(problem))

    def _candidates(self) -> np.ndarray:
        """Coefficients (C, D) to select from: all free ones, or those MOST that the first fit drops last."""
        free = self._prepared.free
        if free.sum() <= MOST:
            return free
        problem, kept = self._problem(), []
        for block, totals in zip(problem.blocks, problem.totals, strict=True):
            all_of_them = replace(problem.criterion, min_contribution=np.inf)
            surplus = max(0, len(block.labels) - MOST // len(problem.blocks))
            kept.append(backward(block, totals, all_of_them, rounds=surplus).kept.astype(float))
        return (estimates.spread_out(problem, kept) > 0).numpy()

    def _grow(self) -> None:
        """Double the window length if the noise explains the residuals and the segments are long enough."""
        now, best = self._now, self._best
        if best.joint and not self._revised and not estimates.explained(now, best):
            self._finish()
            return
        self._best, self._rounds, longer = now, 0, 2 * now.length
        points = sum(len(run) for run in self._prepared.runs)
        room = sum(len(run) for run in self._prepared.runs if len(run) >= longer)
        if longer > GROWTH * self._prepared.length or room < 0.9 * points or self._revised:
            self._finish()
        else:
            self._now = replace(now, length=longer)

    def _finish(self) -> None:
        """End, unless a final selection, done once, gives other terms."""
        self._last = problem = self._about(self._best)
        fits = estimates.chosen(problem)
        kept = estimates.spread_out(problem, [own.kept.astype(float) for own in fits]) != 0
        fixed = torch.from_numpy(~self._prepared.free)
        if self._revised or torch.equal(kept | fixed, (self._best.coefficients != 0) | fixed):
            self._end("")
        else:
            self._now = estimates.estimate(self._prepared, self._best, problem, fits)
            self._revised, self._rounds, self._last = True, 0, None

    def _about(self, now: Estimate) -> Problem:
        """The problem of all candidates, linearised about an estimate."""
        return estimates.pose(self._prepared, now, now.length, self.settings, self._candidates())

    def _end(self, message: str) -> float:
        """Return to the best estimate, which is the result."""
        self._now, self._fit, self._ended, self._message = self._best, self._best.coefficients, True, message
        return self._best.misfit(self._prepared.noise)

    # results

    def coefficients(self) -> np.ndarray:
        """Xi (C, D) in physical units."""
        return self.result().coefficients if self._is_polished else self._fitted()

    def _fitted(self) -> np.ndarray:
        return self._prepared.units.physical(self._fit).numpy()

    @property
    def _is_polished(self) -> bool:
        """Whether the coefficients are fitted once more: at the end, without noise, and with no other demand."""
        settings = self.settings
        demanded = settings.denoise is not None or settings.window or settings.cv_folds
        return self._ended and not self._denoise and not demanded

    def result(self) -> Discovery:
        """The present result; before the first step all coefficients are zero."""
        if self._result is None:
            self._result = self._discovery()
            if self._is_polished:
                self._result = polished(self._result, self._trajectories, self.library, self.settings)
        return self._result

    def _judged(self) -> tuple[Problem, list[Fit], Tensor]:
        """The problem about the best estimate, its fits, and the truncation error (C, D) of the coefficients."""
        now = self._best
        if now is None:
            problem = self._problem()
            return problem, estimates.chosen(problem, max(self._drops - 1, 0)), torch.zeros_like(self._fit)
        if now.joint:
            problem = self._last or self._about(now)
            return problem, self._kept(problem), torch.zeros_like(self._fit)
        problem, coarser = self._finer(FINER), self._finer(FINER - 1)
        fits, others = self._kept(problem), self._kept(coarser)
        values, coarse = (estimates.spread_out(problem, [own.values for own in group]) for group in (fits, others))
        # residuals of smoothing and truncation are correlated between grid points
        criterion = replace(problem.criterion, samples=problem.criterion.samples * now.independent)
        return replace(problem, criterion=criterion), fits, (values - coarse).abs()

    def _discovery(self) -> Discovery:
        prepared, units, now = self._prepared, self._prepared.units, self._best
        problem, fits, truncation = self._judged()
        generator = np.random.default_rng(self.settings.seed)
        spreads = [
            spread(block, fit, totals, problem.criterion, self.settings.n_bootstrap, generator)
            for block, fit, totals in zip(problem.blocks, fits, problem.totals, strict=True)
        ]
        arrays = {
            name: estimates.spread_out(problem, [getattr(own, name) for own in spreads])
            for name in ("standard_error", "lower", "upper", "inclusion")
        }
        known = torch.where(torch.from_numpy(prepared.free), 0.0, prepared.known)
        margin = NORMAL_95 * arrays["standard_error"] + truncation
        physical = {
            "lower": self._fit - margin,
            "upper": self._fit + margin,
            "standard_error": arrays["standard_error"],
            "bootstrap_lower": arrays["lower"] - truncation + known,
            "bootstrap_upper": arrays["upper"] + truncation + known,
            "truncation": truncation,
        }
        states = (prepared.states if now is None else now.states) * units.scale
        residual = prepared.noise if now is None else now.noise
        return Discovery(
            coefficients=self._fitted(),
            **{name: units.physical(value).numpy() for name, value in physical.items()},
            inclusion=torch.where(known != 0, 1.0, arrays["inclusion"]).numpy(),
            noise=(prepared.noise * units.own).numpy(),
            residual=(residual * units.own).numpy(),
            states=tuple(part[:: prepared.parts].numpy() for part in states.split(list(prepared.points))),
            **self._front(problem, fits),
            window=round(problem.length / prepared.parts),
            denoised=problem.linearised.coefficients is not None,
            message=self._message,
        )

    def _front(self, problem: Problem, fits: list[Fit]) -> dict[str, np.ndarray]:
        """Numbers of terms and errors of the models of backward elimination, and of the selected one."""
        terms, rss = descent(problem.blocks, problem.sizes)
        terms = np.append(terms, sum(int(own.kept.sum()) for own in fits))
        rss = np.append(rss, sum(own.rss * size**2 for own, size in zip(fits, problem.sizes, strict=True)))
        known = np.count_nonzero(self._prepared.known.numpy()[~self._prepared.free])
        return {"terms": terms + known, "errors": np.sqrt(rss / problem.count)}

    # state

    def state(self) -> dict[str, np.ndarray]:
        """Counters, the fit, and the fields of both estimates."""
        counters = [self._drops, self._rounds, self._ended, self._searching, self._revised]
        found = {"counters": np.array(counters, dtype=int), "fit": self._fit.numpy().copy()}
        found["message"] = np.frombuffer(self._message.encode(), dtype=np.uint8).copy()
        for name, estimate in (("now", self._now), ("best", self._best)):
            if estimate is not None:
                values = {field.name: torch.as_tensor(getattr(estimate, field.name)) for field in fields(Estimate)}
                found |= {f"{name}_{key}": value.double().numpy().copy() for key, value in values.items()}
        return found

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._drops, self._rounds, *flags = np.array(state["counters"]).tolist()
        self._ended, self._searching, self._revised = map(bool, flags)
        self._fit, self._last = torch.from_numpy(np.array(state["fit"])), None
        self._message, self._result = bytes(np.array(state["message"], dtype=np.uint8)).decode(), None
        self._now, self._best = (_estimate(state, name) for name in ("now", "best"))


def _estimate(state: Mapping[str, np.ndarray], name: str) -> Estimate | None:
    if f"{name}_length" not in state:
        return None
    given = {field.name: np.array(state[f"{name}_{field.name}"]) for field in fields(Estimate)}
    tensors = {key: torch.from_numpy(value) for key, value in given.items() if value.ndim}
    plain = {"length": int(given["length"]), "joint": bool(given["joint"]), "independent": float(given["independent"])}
    return Estimate(**tensors, **plain)


__getattr__ = moved_names(__name__, {"discover": "discovery.modes:discover"})
