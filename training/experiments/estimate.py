"""Estimate what an arm would bring from answers that other arms gave, before anybody sees it.

Off-policy evaluation by inverse propensity, position by position (the item-position model of Li, Abbasi-Yadkori,
Kveton, Muthukrishnan, Vinay and Wen, "Offline evaluation of ranking policies with click models", 2018): an item that
the arm would show in the same position counts by one over the probability that it was shown there. That probability
is known, because every arm of the logging experiment can rank again what it would have shown. The method assumes that
whether an item is taken depends on the item, the person and the position, and not on the items around it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.base.errors import ArmNotEstimable
from training.experiments.logged import LoggedAnswer, LoggedHistory, read_log
from training.experiments.rankers import Ranker, Rankers

Z95 = 1.959964
THIN_COVERAGE = 0.5
"""Coverage, the share of the arm's positions that some logged arm fills alike, below which estimates say little."""

THIN_SAMPLE = 200
"""Effective sample size below which intervals by the normal distribution cannot be trusted."""

FALLBACK_TIERS = {"last_good", "popular_segment", "popular"}

ArmKey = tuple[str, str]
"""Version and variant."""


@dataclass(frozen=True)
class Value:
    """Outcomes per answer, with a 95 % interval that groups the answers of each unit."""

    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """An estimate of an arm.

    logged: the value of the logged answers themselves. ips: unbiased if everything is covered. self_normalised: a
    little biased, but steadier. coverage: share of the arm's positions that some logged arm fills alike; positions
    that are not covered count as nothing in ips. effective_answers: the effective sample size after weighting.

    n_answers: answers in the log; n_told: those with a known history; n_used: of these, those that are reproduced.
    doubts: reasons not to trust the estimate; empty if there are none.
    """

    n_answers: int
    n_told: int
    n_used: int
    logged: Value
    ips: Value
    self_normalised: Value
    coverage: float
    effective_answers: float
    doubts: list[str]


@dataclass(frozen=True)
class Weighted:
    """Logged answers with their weights for the arm, all (n_answers,).

    rewards: outcomes as logged. weighted: outcomes times weight. weights: mean over an answer's positions. covered:
    share of the arm's positions that a logged arm fills alike. units: the units that got the answers.
    """

    rewards: npt.NDArray[np.float64]
    weighted: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]
    covered: npt.NDArray[np.float64]
    units: list[str]


def estimate_arm(
    log_folder: Path,
    store: Path,
    arm: ArmKey,
    *,
    outcome: str = "click",
    window_seconds: int = 1800,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Estimate:
    """Estimate an arm from an export. Raises ArmNotEstimable if nothing of the log can be used."""
    log = read_log(log_folder, outcome=outcome, window_seconds=window_seconds).between(since, until)
    rankers = Rankers(store)
    logged = [
        (answer, history)
        for answer in log.answers
        if answer.tier not in FALLBACK_TIERS
        and answer.item_ids
        and (history := rankers.history(answer, log.events_of.get(answer.user_id or "", ()))) is not None
    ]
    weighted = weigh(logged, rankers, rankers.ranker(*arm))
    if not weighted.units:
        raise ArmNotEstimable(
            f"of {len(log.answers):,} logged answers the history is known for {len(logged):,}, and none of these can "
            "be reproduced; raise STILLROOM_SAMPLED_SHARE, and keep the bundles that the log names in the store"
        )
    return _estimate(weighted, n_answers=len(log.answers), n_told=len(logged))


def estimate_lines(found: Estimate) -> list[str]:
    """Format an estimate for a terminal."""
    values = {"as logged": found.logged, "IPS": found.ips, "self-normalised": found.self_normalised}
    return [
        f"answers in the log      {found.n_answers:,}",
        f"  with a known history  {found.n_told:,}",
        f"  that were reproduced  {found.n_used:,}",
        f"overlap                 {found.coverage:.1%}",
        f"effective sample size   {found.effective_answers:,.0f} answers",
        "outcomes per answer, 95 % interval",
        *(
            f"  {name:<22}{each.value:.4f} [{each.interval[0]:.4f}, {each.interval[1]:.4f}]"
            for name, each in values.items()
        ),
        *(f"DOUBT: {doubt}" for doubt in found.doubts),
    ]


def weigh(logged: Sequence[tuple[LoggedAnswer, LoggedHistory]], rankers: Rankers, target: Ranker) -> Weighted:
    """Weigh logged answers for an arm.

    An answer that its own arm does not reproduce is left out: a filter, excluded items or unrecorded events had an
    effect, and then it is not known what other arms would have shown.
    """
    found: list[tuple[float, float, float, float, str]] = []
    policies = _policies([answer for answer, _ in logged])
    for group, policy in policies.items():
        of_group = [(answer, history) for answer, history in logged if _group(answer) == group]
        histories = [history for _, history in of_group]
        limits = [len(answer.item_ids) for answer, _ in of_group]
        lists = {key: rankers.ranker(*key).rank(histories, limits) for key in policy}
        wanted = target.rank(histories, limits)
        for number, (answer, _) in enumerate(of_group):
            rankings = {key: of_arm[number] for key, of_arm in lists.items()}
            if rankings[answer.version, answer.variant] == answer.item_ids:
                found.append(
                    (*_weigh_one(answer, rankings, policy, wanted[number]), answer.unit or answer.request_id)
                )
    rewards, weighted, weights, covered = np.array([row[:4] for row in found], np.float64).reshape(-1, 4).T
    return Weighted(rewards, weighted, weights, covered, [row[4] for row in found])


def _weigh_one(
    answer: LoggedAnswer, rankings: dict[ArmKey, list[str]], policy: dict[ArmKey, float], wanted: list[str]
) -> tuple[float, float, float, float]:
    """Return reward, weighted reward, weight and coverage of one answer."""
    rewards = weighted = weights = covered = 0.0
    for position, item_id in enumerate(wanted):
        probability = sum(
            share
            for key, share in policy.items()
            if position < len(rankings[key]) and rankings[key][position] == item_id
        )
        covered += probability > 0
        if position < len(answer.item_ids) and answer.item_ids[position] == item_id:
            weights += 1 / probability
            weighted += (item_id in answer.rewarded) / probability
    rewards = float(len(answer.rewarded))
    n_positions = max(len(wanted), 1)
    return rewards, weighted, weights / n_positions, covered / n_positions


def _group(answer: LoggedAnswer) -> tuple[str, str]:
    """Return the group of an answer: its experiment, or outside of experiments its version."""
    return answer.experiment, "" if answer.experiment else answer.version


def _policies(answers: Sequence[LoggedAnswer]) -> dict[tuple[str, str], dict[ArmKey, float]]:
    """Return by group the share of each model among its answers."""
    arms: defaultdict[tuple[str, str], dict[str, tuple[ArmKey, float]]] = defaultdict(dict)
    for answer in answers:
        dealt = ((answer.version, answer.variant), answer.propensity)
        known = arms[_group(answer)].setdefault(answer.arm, dealt)
        if known != dealt:
            raise ArmNotEstimable(
                f"arm {answer.arm!r} of {answer.experiment!r} changed its model or its weight within the log, from "
                f"{known} to {dealt}; estimate from the time before or after that, with --since and --until"
            )
    policies: dict[tuple[str, str], dict[ArmKey, float]] = {}
    for group, by_arm in arms.items():
        total = sum(propensity for _, propensity in by_arm.values())  # stopped arms give no answers
        shares: defaultdict[ArmKey, float] = defaultdict(float)
        for key, propensity in by_arm.values():
            shares[key] += propensity / total
        policies[group] = dict(shares)
    return policies


def _estimate(found: Weighted, *, n_answers: int, n_told: int) -> Estimate:
    ones = np.ones(len(found.units))
    coverage = float(found.covered.mean())
    total, squares = found.weights.sum(), float((found.weights**2).sum())
    effective = float(total**2 / squares) if squares else 0.0
    doubts = []
    if coverage < THIN_COVERAGE:
        doubts.append(
            f"the overlap is too thin: only {coverage:.0%} of what the arm would show was ever shown in the same "
            f"place, at least {THIN_COVERAGE:.0%} are needed; log with an arm that is more like it"
        )
    if effective < THIN_SAMPLE:
        doubts.append(
            f"the effective sample size is {effective:,.0f} answers, at least {THIN_SAMPLE} are needed; "
            "log for longer"
        )
    return Estimate(
        n_answers=n_answers,
        n_told=n_told,
        n_used=len(found.units),
        logged=_ratio(found.rewards, ones, found.units),
        ips=_ratio(found.weighted, ones, found.units),
        self_normalised=_ratio(found.weighted, found.weights, found.units),
        coverage=coverage,
        effective_answers=effective,
        doubts=doubts,
    )


def _ratio(outcomes: npt.NDArray[np.float64], sizes: npt.NDArray[np.float64], units: Sequence[str]) -> Value:
    """Return the ratio of two sums with its interval by linearisation over units, whose answers are dependent."""
    _, places = np.unique(np.array(units), return_inverse=True)
    by_unit = np.bincount(places, outcomes), np.bincount(places, sizes)
    total = float(sizes.sum())
    if total == 0:
        return Value(0.0, (0.0, 0.0))
    value = float(outcomes.sum()) / total
    residuals = by_unit[0] - value * by_unit[1]
    n_units = len(residuals)
    spread = float((residuals**2).sum()) * n_units / max(n_units - 1, 1)
    half = Z95 * sqrt(spread) / total
    return Value(value, (value - half, value + half))
