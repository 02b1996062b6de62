"""Compares windows of scored requests with the reference: which model left it, and in which part of the traffic.

No label is needed: models that learned the same world rank alike to a degree that reference traffic shows. In a
window each model is tested against the ensemble; how all models agree with each other shows which one is to blame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from models.monitoring.agreement import MEASURES, Doubles

FALSE_ALARM_RATE = 0.001
"""The probability that a window of traffic like the reference raises an alarm for any model, measure and slice."""

N_RESAMPLED = 20_000
"""How many windows are drawn from the reference to learn what chance does."""

MIN_REFERENCE_REQUESTS = 50
MIN_SLICE_REQUESTS = 30
"""The minimum number of requests of a slice in a window; a slice with fewer is not judged."""

NOTICEABLE_DROP = 0.05
"""The smallest drop of mean agreement with the others for which a model is blamed."""


class SliceReference(msgspec.Struct, frozen=True):
    """The agreement in a slice. n: requests. means, deviations: by measure, (n_models, n_models) nested lists."""

    n: int
    means: dict[str, list[list[float]]]
    deviations: dict[str, list[list[float]]]


class DisagreementReference(msgspec.Struct, frozen=True):
    """The agreement on reference traffic. models: members, student, ensemble, in the order of rows and columns.

    threshold: the largest standardised shift in a window of n_window requests exceeds it at false_alarm_rate.
    popularity_bounds: see `slices.slices_of`.
    """

    models: list[str]
    slices: dict[str, SliceReference]
    popularity_bounds: list[float]
    threshold: float
    n_window: int
    false_alarm_rate: float


class Moved(msgspec.Struct, frozen=True):
    """An alarm: in this slice this model left the reference. shift: the test's, in standard errors. drop: how much
    agreement with the others the model lost, the median over them.
    """

    model: str
    slice: str
    measure: str
    shift: float
    drop: float


@dataclass(frozen=True)
class DisagreementWindow:
    """The result of a window. n: requests. means: agreement with the ensemble, by measure and model."""

    n: int
    means: dict[str, dict[str, float]]
    moved: list[Moved]


@dataclass
class Scored:
    """Requests that all models have scored.

    agreements: by measure, (n_requests, n_models, n_models), NaN where a model gave no list to compare. slices: one
    list per request.
    """

    agreements: dict[str, Doubles]
    slices: list[list[str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.slices)

    def of_slice(self, name: str) -> npt.NDArray[np.bool_]:
        """Tell which requests belong to a slice; (n_requests,)."""
        return np.array([name in own for own in self.slices], np.bool_)

    def complete(self) -> Scored:
        """Return the requests for which all agreements are known."""
        is_known = np.all([~np.isnan(each).any(axis=(1, 2)) for each in self.agreements.values()], axis=0)
        return self.take(np.flatnonzero(is_known))

    def take(self, rows: npt.NDArray[np.int64]) -> Scored:
        """Return some of the requests, in this order."""
        return Scored(
            {name: each[rows] for name, each in self.agreements.items()}, [self.slices[row] for row in rows]
        )

    @staticmethod
    def joined(parts: Sequence[Scored]) -> Scored:
        """Join parts one after the other."""
        agreements = {name: np.concatenate([part.agreements[name] for part in parts]) for name in MEASURES}
        return Scored(agreements, [own for part in parts for own in part.slices])


def reference_of(
    models: Sequence[str],
    scored: Scored,
    popularity_bounds: Sequence[float],
    *,
    n_window: int,
    seed: int,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> DisagreementReference | None:
    """Make the reference from requests, one a person, and the threshold by drawing windows of n_window from them;
    None if there are too few. models: the last one is the ensemble.
    """
    scored = scored.complete()
    if len(scored) < MIN_REFERENCE_REQUESTS:
        return None
    names = sorted({name for own in scored.slices for name in own})
    masks = {name: scored.of_slice(name) for name in names}
    masks = {name: mask for name, mask in masks.items() if mask.sum() >= MIN_REFERENCE_REQUESTS}
    slices = {
        name: SliceReference(
            int(mask.sum()),
            {each: scored.agreements[each][mask].mean(axis=0).tolist() for each in MEASURES},
            {each: scored.agreements[each][mask].std(axis=0).tolist() for each in MEASURES},
        )
        for name, mask in masks.items()
    }
    worst = _resampled_shifts(scored, slices, masks, n_window, np.random.default_rng(seed))
    threshold = float(np.quantile(worst, 1 - false_alarm_rate))
    return DisagreementReference(
        list(models), slices, list(popularity_bounds), threshold, n_window, false_alarm_rate
    )


def judge(reference: DisagreementReference, scored: Scored) -> DisagreementWindow:
    """Compare a window of requests with the reference."""
    moved = []
    for name, expected in reference.slices.items():
        mask = scored.of_slice(name)
        if mask.sum() >= MIN_SLICE_REQUESTS:
            moved += _moved(reference, name, expected, scored, mask)
    return DisagreementWindow(len(scored), _means(reference.models, scored), moved)


def _moved(
    reference: DisagreementReference,
    name: str,
    expected: SliceReference,
    scored: Scored,
    mask: npt.NDArray[np.bool_],
) -> list[Moved]:
    """Return at most one alarm, by the measure in which a model lost most.

    A shift of any measure says that something happened, and the largest loss with whom: a model that is damaged may
    lose most in one measure while the ensemble, which has it as a member, takes another model along in the other.
    """
    found = []
    for measure in MEASURES:
        agreements = scored.agreements[measure][mask]
        shift = float(np.abs(_shifts(expected, measure, agreements)).max(initial=0.0))
        model, drop = _blamed(np.asarray(expected.means[measure]) - _nan_mean(agreements))
        found.append(Moved(reference.models[model], name, measure, shift, drop))
    worst = max(found, key=lambda moved: moved.drop)
    if max(moved.shift for moved in found) <= reference.threshold or worst.drop < NOTICEABLE_DROP:
        return []
    return [worst]


def _shifts(expected: SliceReference, measure: str, agreements: Doubles) -> Doubles:
    """Return each model's shift of agreement with the ensemble, in standard errors; (n_models - 1,)."""
    mean = np.asarray(expected.means[measure])[:-1, -1]
    deviation = np.asarray(expected.deviations[measure])[:-1, -1]
    own = agreements[:, :-1, -1]
    n = (~np.isnan(own)).sum(axis=0)
    error = np.maximum(deviation, SMALLEST_DEVIATION) * np.sqrt(1 / np.maximum(n, 1) + 1 / expected.n)
    shifts = (_nan_mean(own) - mean) / error
    shifts[(n < MIN_SLICE_REQUESTS) | np.isnan(shifts)] = 0.0
    return np.asarray(shifts, np.float64)


SMALLEST_DEVIATION = 0.01
"""The smallest deviation of agreement. One that always agreed to the last digit may differ by rounding tomorrow."""


def _blamed(drops: Doubles) -> tuple[int, float]:
    """Find the model that lost most agreement with the others, by the median over them: a damaged model disagrees
    with all others, and these only with it. drops: (n_models, n_models).
    """
    others = np.where(np.eye(len(drops), dtype=np.bool_), np.nan, drops)
    lost = np.array([np.nanmedian(row) if not np.isnan(row).all() else 0.0 for row in others])
    model = int(lost.argmax())
    return model, float(lost[model])


def _means(models: Sequence[str], scored: Scored) -> dict[str, dict[str, float]]:
    means = {}
    for measure in MEASURES:
        with_ensemble = _nan_mean(scored.agreements[measure][:, :-1, -1])
        means[measure] = dict(zip(models[:-1], with_ensemble.tolist(), strict=True))
    return means


def _nan_mean(values: Doubles) -> Doubles:
    """Return the mean over the first axis, NaN where nothing is known."""
    is_known = ~np.isnan(values)
    total = np.where(is_known, values, 0.0).sum(axis=0)
    n = is_known.sum(axis=0)
    return np.divide(total, n, out=np.full(total.shape, np.nan), where=n > 0)


def _resampled_shifts(
    scored: Scored,
    slices: Mapping[str, SliceReference],
    masks: Mapping[str, npt.NDArray[np.bool_]],
    n_window: int,
    rng: np.random.Generator,
) -> Doubles:
    """Return each drawn window's largest shift over models, measures and slices; (N_RESAMPLED,)."""
    n, worst = len(scored), np.zeros(N_RESAMPLED)
    for start in range(0, N_RESAMPLED, 2_000):
        drawn = rng.multinomial(n_window, np.full(n, 1 / n), size=2_000).astype(np.float64)
        largest = worst[start : start + 2_000]
        for name, expected in slices.items():
            own = drawn[:, masks[name]]
            n_own = own.sum(axis=1)
            for measure in MEASURES:
                values = scored.agreements[measure][masks[name]][:, :-1, -1]
                mean = np.asarray(expected.means[measure])[:-1, -1]
                deviation = np.asarray(expected.deviations[measure])[:-1, -1]
                centred = np.nan_to_num(values - mean)
                error = np.maximum(deviation, SMALLEST_DEVIATION)
                shifts = np.abs(own @ centred) / error / np.sqrt(np.maximum(n_own, 1))[:, None]
                shifts[n_own < MIN_SLICE_REQUESTS] = 0.0
                np.maximum(largest, shifts.max(axis=1, initial=0.0), out=largest)
    return worst
