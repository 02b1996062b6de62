"""Prepares a stored person for one bundle, in the form that every request needs."""

from __future__ import annotations

from typing import Literal

import msgspec

from models.history import encode_distinct
from models.scan import ScanQuery
from models.student import Floats
from service.bundles.context import HistoryContext
from service.people.blobs import encode_person
from service.people.memory import KnownPerson
from service.people.stored import StoredPerson

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
    seen = item_indices if are_shown is None else item_indices[are_shown]
    history = events.as_history(seen, are_shown)
    encoded = encode_distinct(history, serving.max_events)
    if not len(history):
        vector = serving.stranger[0]
    return KnownPerson(
        version=serving.version,
        blob=encode_person(stored, key) if blob is None else blob,
        seen=seen,
        are_shown=are_shown,
        encoded=encoded,
        vector=vector,
        query=None if vector is None else ScanQuery(vector, encoded, seen),
        replaced=replaced,
        fresh_until=0.0,
    )
