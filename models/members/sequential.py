"""Next-item self-attention as it runs: events oldest first, then states, then the logits of the last state.

The arithmetic is that of the torch model, in numpy. People with histories of one length are computed together, so
that nothing is padded, and only the last position goes through the last block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from models.history import N_KIND_CODES, SECONDS_PER_DAY, History
from models.members.member import Arrays, FittedMember, Floats, Known, require, with_gaps

N_GAPS = 12
"""The number of buckets of days since the event before: none, up to 1, 2, 4, … and 1024 or more."""
LAYER_NORM_EPSILON = 1e-5
PEOPLE_AT_ONCE = 64
"""How many people are computed at once: 64 people x 100 x 100 events x 2 heads are 5 MB of attention."""


@dataclass(frozen=True)
class FittedSequential(FittedMember):
    """items: (n_items + 1, width), row 0 padding. positions: (max_events, width). gaps: (N_GAPS, width).
    kinds: (N_KIND_CODES, width).

    item_bias: (n_items,). norms: (n_blocks, 4, width), scale and shift before attention and before the feed-forward
    layer. last_norm: (2, width). attention_in: (n_blocks, width + 1, 3 * width), attention_out: (n_blocks, width + 1,
    width), forward_in: (n_blocks, width + 1, hidden), forward_out: (n_blocks, hidden + 1, width): each layer's
    weights, and its bias as the last row. n_heads: () int64.
    """

    items: Floats
    positions: Floats
    gaps: Floats
    kinds: Floats
    item_bias: Floats
    norms: Floats
    last_norm: Floats
    attention_in: Floats
    attention_out: Floats
    forward_in: Floats
    forward_out: Floats
    n_heads: npt.NDArray[np.int64]
    known: Known
    name: ClassVar[str] = "sequential"

    @property
    def n_items(self) -> int:
        """The size of the catalogue."""
        return len(self.known)

    def score(self, histories: Sequence[History]) -> Floats:
        """Score items; NaN for items without events and for people with an empty history."""
        recent = [history.distinct().last(len(self.positions)) for history in histories]
        lengths = np.array([len(history) for history in recent], np.int64)
        states = np.zeros((len(recent), self.items.shape[1]), np.float32)
        for length in np.unique(lengths[lengths > 0]):
            rows = np.flatnonzero(lengths == length)
            for start in range(0, len(rows), PEOPLE_AT_ONCE):
                chunk = rows[start : start + PEOPLE_AT_ONCE]
                states[chunk] = self._last_states([recent[row] for row in chunk])
        return with_gaps(states @ self.items[1:].T + self.item_bias, self.known, lengths == 0)

    def arrays(self) -> Arrays:
        """Return tables and layers."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Read tables and layers."""
        member = cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})
        n_items, width = member.items.shape[0] - 1, member.items.shape[1]
        fits = len(member.item_bias) == len(member.known) == n_items and member.gaps.shape == (N_GAPS, width)
        fits = fits and member.kinds.shape == (N_KIND_CODES, width)
        require(fits, f"sequential: tables do not fit {n_items:,} items of width {width}")
        blocks = {len(member.norms), len(member.attention_in), len(member.attention_out)}
        blocks |= {len(member.forward_in), len(member.forward_out)}
        require(len(blocks) == 1, f"sequential: layers are of {sorted(blocks)} blocks")
        require(width % int(member.n_heads) == 0, f"sequential: {int(member.n_heads)} heads in width {width}")
        return member

    def _last_states(self, people: Sequence[History]) -> Floats:
        """Compute the last states, (n_people, width), of histories of one length."""
        items = np.stack([history.item_indices for history in people]) + 1
        gaps = np.stack([gap_buckets(history.times) for history in people])
        kinds = np.stack([history.kinds for history in people])
        states = self.items[items] + self.gaps[gaps] + self.kinds[kinds] + self.positions[: items.shape[1]]
        n_blocks = len(self.norms)
        for block in range(n_blocks):
            states = self._block(block, states, is_last=block == n_blocks - 1)
        return _normed(states[:, -1], *self.last_norm)

    def _block(self, block: int, states: Floats, *, is_last: bool) -> Floats:
        """Apply a block. is_last: compute the last position only, (n_people, 1, width)."""
        n_people, length, width = states.shape
        scale, shift, forward_scale, forward_shift = self.norms[block]
        joined = _layer(_normed(states, scale, shift), self.attention_in[block])
        heads = joined.reshape(n_people, length, 3, int(self.n_heads), -1).transpose(2, 0, 3, 1, 4)
        query, key, value = heads  # (n_people, n_heads, length, width / n_heads) each
        if is_last:
            query, states = query[:, :, -1:], states[:, -1:]
        logits = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(query.shape[-1]))
        if not is_last:
            logits += np.triu(np.full((length, length), -np.inf, np.float32), 1)
        attended = _softmax(logits) @ value
        flat = attended.transpose(0, 2, 1, 3).reshape(n_people, -1, width)
        states = states + _layer(flat, self.attention_out[block])
        inner = _gelu(_layer(_normed(states, forward_scale, forward_shift), self.forward_in[block]))
        return np.asarray(states + _layer(inner, self.forward_out[block]), np.float32)


def gap_buckets(times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return which of `N_GAPS` buckets the days before each event fall into; (n_events,). times: rising."""
    days = np.diff(times, prepend=times[:1]) / SECONDS_PER_DAY
    buckets = np.where(days > 0, 1 + np.ceil(np.log2(np.maximum(days, 1.0))), 0)
    return np.minimum(buckets, N_GAPS - 1).astype(np.int64)


def _layer(states: Floats, weights: Floats) -> Floats:
    return np.asarray(states @ weights[:-1] + weights[-1], np.float32)


def _normed(states: Floats, scale: Floats, shift: Floats) -> Floats:
    centred = states - states.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return np.asarray(
        centred / np.sqrt(variance + np.float32(LAYER_NORM_EPSILON)) * scale + shift, np.float32
    )


def _softmax(logits: Floats) -> Floats:
    risen = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(risen / risen.sum(axis=-1, keepdims=True), np.float32)


def _gelu(values: Floats) -> Floats:
    """Multiply x by the normal distribution of x. erf is by Abramowitz and Stegun 7.1.26, off by 1.5e-7 at most."""
    scaled = np.abs(values) * np.float32(np.sqrt(0.5))
    step = 1.0 / (1.0 + np.float32(0.3275911) * scaled)
    series = np.float32(1.061405429) * step - np.float32(1.453152027)
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * step + np.float32(coefficient)
    tail = series * step * np.exp(-np.square(scaled))  # 1 - erf(|x|)
    return np.asarray(0.5 * values * (1.0 + np.copysign(1.0 - tail, values)), np.float32)
