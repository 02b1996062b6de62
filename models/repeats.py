"""How likely each item that a person knows is in their next basket, by what they did with it and when.

A small network looks at one person's item at a time: how many baskets had it, which share of all, how lately in
baskets and in days, how regularly, what else was done with it, how often its buyers come back for it, and how it
sells (Anderson et al. 2014, "The dynamics of repeat consumption", doi 10.1145/2566486.2568018, found most of it in
counts and recency). It is learned from everybody's earlier baskets, many times as many examples as validation has
(`training/ensemble/repeats.py`). The ensemble reads its log-odds as one more feature, the student adds them to its
score: neither must learn again what one basket after the other has shown.

Ages count from the person's latest event and only the events count that bundles and caches keep, so the same history
gives the same log-odds wherever it comes from.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from ctypes import c_char_p, c_int64, c_void_p
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.errors import require
from models.history import BY_STRENGTH, STRENGTHS, History
from models.item_timeline import ITEM_FEATURES, ItemTimeline
from models.kernel_library import address, load_kernel
from models.repurchase import RepurchaseClock

BASKET_HALF_LIVES: Final = (2.0, 5.0, 15.0)
DAY_HALF_LIVES: Final = (14.0, 60.0, 180.0)
FLOOR: Final = 1e-3
"""What is added to a decayed sum, so that its logarithm is finite."""
TAKEN_FEATURES: Final = (
    "log_baskets",
    "share_of_baskets",
    "rate_since_first",
    "log_baskets_since",
    "log_days_since",
    *(f"log_decayed_{half_life:g}_baskets" for half_life in BASKET_HALF_LIVES),
    *(f"log_decayed_{half_life:g}_days" for half_life in DAY_HALF_LIVES),
    "log_interval",
    "log_due",
)
OTHER_FEATURES: Final = ("log_others", "log_days_since_other")
PERSON_FEATURES: Final = ("log_n_baskets", "log_basket_gap", "log_basket_size", "log_n_items")
CLOCK_FEATURES: Final = ("share_again", "log_every", "log_overdue")
REPEAT_FEATURES: Final = (
    *TAKEN_FEATURES,
    *OTHER_FEATURES,
    *(f"strongest_{kind.name.lower()}" for kind in BY_STRENGTH),
    *PERSON_FEATURES,
    *CLOCK_FEATURES,
    *ITEM_FEATURES,
)
"""What the network reads of one person's item, in this order. taken: baskets are days with targets; all 0 for an item
that was never a target. due: log interval minus log of the days since, a typical pause further on. overdue: log of
the days since minus the item's typical log interval."""
N_FEATURES: Final = len(REPEAT_FEATURES)
MAX_HIDDEN: Final = 512
"""The most units of a layer."""

LAYERS: Final = ("first", "first_bias", "second", "second_bias", "last", "last_bias")
CLOCK_ARRAYS: Final = ("log_days", "shares", "strength")
REPEATS: Final = "repeats_"
"""What the names of the arrays of a student's model begin with."""
REPEAT_ARRAYS: Final = (*LAYERS, *CLOCK_ARRAYS, "values", "moments", "target")
"""The arrays of `RepeatModel` by name."""

Floats = npt.NDArray[np.float32]
Layers = tuple[Floats, Floats, Floats, Floats, Floats, Floats]


@dataclass(frozen=True)
class RepeatModel:
    """timeline: how items sell. clock: how soon they are bought again. target: the kind of event that is predicted.

    layers: weights (n_in, n_out) and biases (n_out,) of three layers, the first of which takes `REPEAT_FEATURES` as
    they are; the last has one output.
    """

    timeline: ItemTimeline
    clock: RepurchaseClock
    target: int
    layers: Layers

    @staticmethod
    def unlearned(timeline: ItemTimeline) -> RepeatModel:
        """Return a model to which all own items are alike: its log-odds are 0."""
        shapes = ((N_FEATURES, 1), (1,), (1, 1), (1,), (1, 1), (1,))
        first, a, second, b, last, c = (np.zeros(shape, np.float32) for shape in shapes)
        clock = RepurchaseClock.none(timeline.n_items)
        return RepeatModel(timeline, clock, 0, (first, a, second, b, last, c))

    def __post_init__(self) -> None:
        """Check what the kernel trusts. Raises BundleInconsistent."""
        shape = self.timeline.values.shape
        fits = len(shape) == 3 and shape[2] == len(ITEM_FEATURES)
        require(fits, f"repeats: items are {shape}, {len(ITEM_FEATURES)} features of each are needed")
        of_items = {len(self.clock.log_days), len(self.clock.shares), shape[1]}
        require(len(of_items) == 1, "repeats: its arrays are of different catalogues")
        width = N_FEATURES
        for weights, bias in zip(self.layers[::2], self.layers[1::2], strict=True):
            is_layer = weights.ndim == 2 and weights.shape[0] == width and bias.shape == weights.shape[1:]
            require(is_layer, f"repeats: a layer is {weights.shape} with biases {bias.shape}, for {width}")
            width = weights.shape[1]
            require(
                1 <= width <= MAX_HIDDEN, f"repeats: a layer has {width} units, must be 1 to {MAX_HIDDEN}"
            )
        require(width == 1, f"repeats: there are {width} outputs, must be one")

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return self.timeline.n_items

    def log_odds(self, history: History, distinct: History) -> Floats:
        """Return the log-odds that each own item is in the next basket; (n_distinct,).

        distinct: what `history.distinct` returns.
        """
        if not len(distinct):
            return np.zeros(0, np.float32)
        described = self.describe(history, distinct)
        log_odds = np.empty(len(described), np.float32)
        layers = [np.ascontiguousarray(each, np.float32) for each in self.layers]
        places = map(address, (*layers[::2], *layers[1::2]))
        packed = _LAYERS.pack(*places, len(layers[1]), len(layers[3]))
        _kernel.repeat_log_odds(packed, address(described), len(described), address(log_odds))
        return log_odds

    def describe(self, history: History, distinct: History) -> Floats:
        """Return `REPEAT_FEATURES` of each own item; (n_distinct, N_FEATURES) float32."""
        moment = self.timeline.row_at(history.asked_at or int(history.times[-1])) if len(history) else 0
        return describe_items(history, distinct, self.target, self.clock, self.timeline.values[moment])

    def take(self, rows: npt.NDArray[np.integer]) -> RepeatModel:
        """Keep the items of these rows."""
        timeline = replace(self.timeline, values=self.timeline.values[:, rows])
        return replace(self, timeline=timeline, clock=self.clock.take(rows))

    def latest(self) -> RepeatModel:
        """Keep the last moment alone: what a question of today sees."""
        return replace(self, timeline=self.timeline.latest())

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return named arrays for a bundle."""
        of_clock = zip(
            CLOCK_ARRAYS, (self.clock.log_days, self.clock.shares, self.clock.strength), strict=True
        )
        return {
            **dict(zip(LAYERS, self.layers, strict=True)),
            **dict(of_clock),
            **self.timeline.arrays(),
            "target": np.array([self.target], np.int64),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], *, prefix: str = "") -> RepeatModel:
        """Read what `arrays` returned, without copying it; prefix: what their names begin with.

        Raises BundleInconsistent for arrays that do not fit together, KeyError for a missing one.
        """
        own = {name: np.asarray(arrays[prefix + name]) for name in REPEAT_ARRAYS}
        layers = tuple(own[name] for name in LAYERS)
        timeline = ItemTimeline.from_arrays(own)
        clock = RepurchaseClock(*(own[name] for name in CLOCK_ARRAYS))
        first, first_bias, second, second_bias, last, last_bias = layers
        layers = first, first_bias, second, second_bias, last, last_bias
        return RepeatModel(timeline, clock, int(own["target"][0]), layers)


def describe_items(
    history: History, distinct: History, target: int, clock: RepurchaseClock, items: npt.NDArray[np.float16]
) -> Floats:
    """Return `REPEAT_FEATURES` of a person's own items; (n_distinct, N_FEATURES).

    distinct: what `history.distinct` returns. items: (n_items, n_features) float16, `ITEM_FEATURES`.
    """
    own = np.ascontiguousarray(distinct.item_indices, np.int32)
    described = np.empty((len(own), N_FEATURES), np.float32)
    if not len(own):
        return described
    arrays: tuple[npt.NDArray[Any], ...] = (
        np.ascontiguousarray(history.item_indices, np.int32),
        np.ascontiguousarray(history.times, np.int64),
        np.ascontiguousarray(history.kinds, np.uint8),
        own,
        STRENGTHS[distinct.kinds],
        np.ascontiguousarray(clock.log_days[own], np.float32),
        np.ascontiguousarray(clock.shares[own], np.float32),
        items[own].astype(np.float32),
    )
    of_events, of_items = map(address, arrays[:3]), map(address, arrays[3:5])
    known = _KNOWN.pack(*of_events, len(history), *of_items, len(own), *map(address, arrays[5:]), int(target))
    outcome = _kernel.describe_repeats(known, address(described))
    if outcome == _NO_MEMORY:
        raise MemoryError("no memory is left to describe a history with")
    if outcome:
        raise ValueError("distinct must hold every item of the history")
    return described


def _load() -> ctypes.CDLL:
    kernel = load_kernel()
    kernel.describe_repeats.argtypes = [c_char_p, c_void_p]
    kernel.repeat_log_odds.restype = None
    kernel.repeat_log_odds.argtypes = [c_char_p, c_void_p, c_int64, c_void_p]
    return kernel


_KNOWN = struct.Struct("11q")  # `Known` in kernel/repeats.h
_LAYERS = struct.Struct("8q")  # `Layers`
_NO_MEMORY = 2
_kernel = _load()
