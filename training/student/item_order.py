"""Reorder the items of a student and its bundle: a catalogue with an inverted index is stored list by list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.bundles.bundle import BundleContents
from models.bundles.golden import record_golden
from models.history import Event, History
from models.index import flat_index
from models.items import Items
from models.packed_histories import ColdHistories
from models.student import Student, StudentFiles
from models.vocabulary import StringTable, Vocabulary

Indices = npt.NDArray[np.int32]


def places_of(order: Indices) -> Indices:
    """Return where each item went: the inverse of an order (n_items,)."""
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places


def student_in_order(files: StudentFiles, order: Indices) -> StudentFiles:
    """Return the student whose item i was item order[i]; its index is flat."""
    rows = np.concatenate([[0], order + 1])  # row 0 is padding
    neighbours = files.cooccurrence
    item_vectors, item_scales = files.item_vectors[order], files.item_scales[order]
    return replace(
        files,
        history_vectors=files.history_vectors[rows],
        history_scales=files.history_scales[rows],
        item_vectors=item_vectors,
        item_scales=item_scales,
        index=flat_index(item_vectors, item_scales),
        cooccurrence=replace(
            neighbours,
            neighbour_items=places_of(order).astype(neighbours.neighbour_items.dtype)[
                neighbours.neighbour_items[rows]
            ],
            neighbour_weights=neighbours.neighbour_weights[rows],
            neighbour_scales=neighbours.neighbour_scales[rows],
            own_weights=neighbours.own_weights[rows],
        ),
        repeats=files.repeats.take(order),
    )


def contents_in_order(contents: BundleContents, order: Indices, student: StudentFiles) -> BundleContents:
    """Return the bundle whose item i was item order[i].

    student: in that order already; it answers the golden requests again.
    """
    assert contents.variants is None, "a catalogue with lists is too large for its ensemble to be served"
    places = places_of(order)
    histories, shares, golden = contents.people.histories, contents.member_shares, contents.golden
    golden_histories = [
        History.from_events(Event(*event) for event in request.events) for request in golden.requests
    ]
    texts = [text.text for text in golden.texts]
    items = _items(contents.items, order, places)
    return replace(
        contents,
        items=items,
        people=ColdHistories(
            contents.people.people, replace(histories, item_indices=places[histories.item_indices])
        ),
        student=student,
        member_shares=replace(shares, levels=shares.levels[order]),
        golden=record_golden(
            Student(student),
            contents.text_encoder,
            [history_in_order(history, places) for history in golden_histories],
            texts,
            items.recommendable,
        ),
    )


def history_in_order(history: History, places: Indices) -> History:
    """Return the same events with the item indices after the reordering. places: `places_of` the order."""
    return History(places[history.item_indices], history.times, history.kinds)


def _items(items: Items, order: Indices, places: Indices) -> Items:
    popular = items.segment_popular
    return replace(
        items,
        vocabulary=Vocabulary.from_ids(items.vocabulary.ids_of(order.tolist())),
        titles=StringTable.from_strings(items.titles[row] for row in order.tolist()),
        category_codes=items.category_codes[order],
        prices=items.prices[order],
        segments=items.segments[order],
        segment_popular=np.where(popular >= 0, places[popular], -1).astype(np.int32),
        popularity=items.popularity[order],
        available=items.available[order],
        attributes=items.attributes.take(order.astype(np.int64)),
        repurchase=items.repurchase.take(order),
    )
