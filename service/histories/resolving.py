"""A stored person made ready for one bundle, which is what every request needs of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from models.history import encode_history
from models.scan import Asked
from models.student import Floats
from service.histories.context import HistoryContext
from service.histories.memory import KnownPerson
from service.histories.stored import StoredPerson, encode_person

Layer = Literal["memory", "redis", "bundle", "none"]


class Found(msgspec.Struct, gc=False):
    """A person, the layer that knew them, and why the answer may be older than Redis, if so."""

    person: KnownPerson
    layer: Layer
    degraded: str | None = None


def resolve(
    serving: HistoryContext,
    stored: StoredPerson,
    vector: Floats | None = None,
    *,
    replaced: bytes,
    blob: bytes | None = None,
) -> KnownPerson:
    """A person for this bundle, not yet known to be what Redis has.

    vector: (n_factors,) that this bundle made of these very events. replaced: the blob in Redis that they came from,
    b"" for none. blob: what `encode_person` makes of `stored`, where it is at hand.
    """
    events = stored.events
    item_indices = events.item_indices(serving)
    history = events.as_history(item_indices)
    encoded = encode_history(history, serving.max_events)
    if not len(history):
        vector = serving.stranger[0]
    return KnownPerson(
        version=serving.version,
        blob=encode_person(stored) if blob is None else blob,
        seen=history.item_indices,
        are_known=None if len(history) == len(events) else item_indices >= 0,
        encoded=encoded,
        vector=vector,
        asked=None if vector is None else Asked(vector, encoded, history.item_indices),
        replaced=replaced,
        fresh_until=0.0,
    )
