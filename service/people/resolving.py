"""Prepares a stored person for one bundle, in the form that every request needs."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from models.history import History
from models.known_items import settled_items
from models.scan import ScanQuery
from models.student import Floats
from service.bundles.context import HistoryContext
from service.bundles.serving import Indices
from service.people.blobs import encode_person
from service.people.memory import KnownPerson
from service.people.stored import StoredPerson

NO_ITEMS: Indices = np.zeros(0, np.int32)

Layer = Literal["memory", "redis", "bundle", "none"]


class Found(msgspec.Struct, gc=False):
    """A person, the layer that knew them, and why the answer may be older than Redis, if it may."""

    person: KnownPerson
    layer: Layer
    degraded: str | None = None


def resolve(
    serving: HistoryContext,
    key: str,
    stored: StoredPerson,
    vector: Floats | None = None,
    *,
    replaced: bytes,
    blob: bytes | None = None,
) -> KnownPerson:
    """Prepare a person for this bundle; whether they equal Redis's is not yet known.

    key: the key they are held under; "" for a person without an id. vector: (n_factors,) that this bundle computed
    from these very events. replaced: the blob in Redis that they came from, b"" for none. blob: what `encode_person`
    makes of `stored`, if it is at hand.
    """
    events = stored.events
    item_indices = events.item_indices(serving)
    are_shown = events.are_shown(item_indices)
    items = item_indices if are_shown is None else item_indices[are_shown]
    history = events.as_history(items, are_shown)
    touched = distinct(items)
    encoded = serving.encode(history)
    if not len(history):
        vector = serving.stranger[0]
    return KnownPerson(
        version=serving.version,
        blob=encode_person(stored, key) if blob is None else blob,
        items=items,
        are_shown=are_shown,
        touched=touched,
        settled=_settled(history, serving.target, touched),
        encoded=encoded,
        vector=vector,
        query=None if vector is None else ScanQuery(vector, encoded),
        replaced=replaced,
        fresh_until=0.0,
    )


def distinct(items: Indices) -> Indices:
    """Return each item once: the array itself if none occurs twice."""
    once = np.unique(items)
    return items if len(once) == len(items) else once.copy()  # np.unique allots up to 400 bytes more


def _settled(history: History, target: int, touched: Indices) -> Indices:
    """Return the items that a person is done with, without an array of their own where that saves one."""
    settled = settled_items(history, target)
    if not len(settled):
        return NO_ITEMS
    return touched if len(settled) == len(touched) else settled.copy()
