"""The protocol `leave_last_out`: each person's last new item is the test, the one before it is validation.

Every first touch counts, whatever its kind, as in the published tables that use this protocol.

Other people's later events stay in the fits, as in those tables; predictions are therefore made at a person's last
known event (`Interactions.prediction_time`). If the rest of the last basket is known, the task is to complete it,
which is easier than to predict the next one, as `next_basket` asks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from models.packed_histories import Histories
from models.vocabulary import Vocabulary
from training.base.errors import TooLittleData
from training.data.dataset import (
    Dataset,
    first_event_times,
    people_of_events,
)
from training.data.split import (
    EVERYBODY,
    MIN_QUESTIONS,
    MaxPeople,
    Split,
    Stage,
    Stages,
    asking_about_recommendable,
    draw_new_people,
    require_questions,
    split_by_stages,
)


def leave_last_out(
    dataset: Dataset,
    *,
    new_people_share: float,
    seed: int,
    min_item_people: int = 5,
    min_person_items: int = 5,
    n_validation_items: int = 3,
    max_people: MaxPeople = EVERYBODY,
) -> Split:
    """Hold out each person's last new item, and the last but one, each drawn at random within its basket.

    A basket is what one person did in one second. new_people_share: of the people who remain, drawn by seed.
    n_validation_items: up to this many items of the basket before the test item are held out together, one target
    each, predicted from a history that has the others; so there are more questions to learn the ensemble from, each
    like a test question. max_people: the most people evaluated. True items that may not be recommended are left
    out.
    Raises TooLittleData if too few people remain.
    """
    people_rng, basket_rng = np.random.default_rng(seed).spawn(2)
    dense = without_rare(only_first_touches(of_one_kind(dataset)), min_item_people, min_person_items)
    # After shuffling a basket, its last event is a random draw, and so is the one before it from the rest.
    shuffled = replace(dense, histories=with_shuffled_baskets(dense.histories, basket_rng))
    after_last = int(shuffled.histories.times.max()) + 1
    split = split_by_stages(
        "leave_last_out",
        shuffled,
        with_more_validation(
            shuffled.histories, stages_from_end(shuffled.histories, Stage.TEST), n_validation_items
        ),
        is_new=draw_new_people(len(shuffled.people), new_people_share, people_rng),
        until=(after_last, after_last),
        prediction_time="last_event",
        asks_each=True,
        max_people=max_people,
        seed=seed,
    )
    split = asking_about_recommendable(split)
    require_questions(split, remedy="bring more people or lower the least number of items a person")
    return split


def of_one_kind(dataset: Dataset) -> Dataset:
    """Take every event for a target: the published tables know no kinds."""
    histories = dataset.histories
    return replace(dataset, histories=replace(histories, kinds=np.full_like(histories.kinds, dataset.target)))


def only_first_touches(dataset: Dataset) -> Dataset:
    """Keep each person's first event of each item, because buying an item again is no discovery."""
    histories = dataset.histories
    pairs = people_of_events(histories) * len(dataset.items) + histories.item_indices
    _, first = np.unique(pairs, return_index=True)  # the first of equal pairs, and events are oldest first
    keep = np.zeros(len(pairs), np.bool_)
    keep[first] = True
    return replace(dataset, histories=histories.kept(keep))


def without_rare(dataset: Dataset, min_item_people: int, min_person_items: int) -> Dataset:
    """Drop items with too few people, then people with too few of the remaining items; each pair has one event.

    This is done once, in this order, so an item may end below its bound because its people left. The better-known
    5-core repeats it until nothing changes, and keeps less. The catalogue holds exactly the items that passed.
    """
    histories = dataset.histories
    people = people_of_events(histories)
    keep_item = np.bincount(histories.item_indices, minlength=len(dataset.items)) >= min_item_people
    of_kept_item = keep_item[histories.item_indices]
    keep_person = np.bincount(people[of_kept_item], minlength=len(histories)) >= min_person_items
    if keep_person.sum() < MIN_QUESTIONS:
        raise TooLittleData(
            f"{keep_person.sum()} people have {min_person_items} different items that at least "
            f"{min_item_people} people touched, {MIN_QUESTIONS} needed; bring more data or lower the bounds"
        )
    return _restricted(dataset, keep_item, keep_person, of_kept_item & keep_person[people])


def with_shuffled_baskets(histories: Histories, rng: np.random.Generator) -> Histories:
    """Shuffle events of one person and one second, so that the order of the source has no influence."""
    shuffle = rng.random(len(histories.times))
    order = np.lexsort((shuffle, histories.times, people_of_events(histories)))
    return Histories(
        histories.offsets, histories.item_indices[order], histories.times[order], histories.kinds[order]
    )


def stages_from_end(histories: Histories, newest: Stage) -> Stages:
    """Assign each person's last event to the stage `newest`, and each one before it a stage earlier; (n_events,).

    If a person has too few events to leave one for the past, all of them are past: learned from, and not evaluated.
    """
    people = people_of_events(histories)
    stages = np.clip(newest - events_later(histories), Stage.PAST, None).astype(np.int8)
    stages[np.diff(histories.offsets)[people] <= newest] = Stage.PAST
    return stages


def with_more_validation(
    histories: Histories, stages: Stages, n_validation_items: int, *, within_basket: bool = True
) -> Stages:
    """Hold out more events before each person's validation event, up to `n_validation_items` in all; (n_events,).

    within_basket: only events of the same moment, of which at least one stays known; otherwise up to half of the
    events before it. Everybody keeps a past in either case.
    """
    stages = stages.copy()
    for validation in np.flatnonzero(stages == Stage.VALIDATION).tolist():
        first = int(histories.offsets[np.searchsorted(histories.offsets, validation, side="right") - 1])
        if within_basket:
            basket = np.searchsorted(histories.times[first:validation], histories.times[validation])
            n_more = validation - first - int(basket) - 1
        else:
            n_more = (validation - first) // 2
        n_more = min(n_validation_items - 1, n_more)
        if n_more > 0:
            stages[validation - n_more : validation] = Stage.VALIDATION
    return stages


def events_later(histories: Histories) -> npt.NDArray[np.int64]:
    """Count the events of the same person that follow each event; (n_events,)."""
    n_events = len(histories.times)
    return histories.offsets[people_of_events(histories) + 1] - 1 - np.arange(n_events)


def _restricted(
    dataset: Dataset,
    keep_item: npt.NDArray[np.bool_],
    keep_person: npt.NDArray[np.bool_],
    keep_event: npt.NDArray[np.bool_],
) -> Dataset:
    """Restrict a data set to some items and people, whose rows keep their order, and to their events."""
    kept = dataset.histories.kept(keep_event)
    new_rows = (np.cumsum(keep_item) - 1).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.diff(kept.offsets)[keep_person])])
    histories = Histories(offsets.astype(np.int64), new_rows[kept.item_indices], kept.times, kept.kinds)
    rows = np.flatnonzero(keep_item)
    catalogue = replace(dataset.catalogue.take(rows), first_seen=first_event_times(histories, len(rows)))
    return Dataset(
        dataset.name,
        Vocabulary.from_ids(dataset.items.ids_of(rows.tolist())),
        Vocabulary.from_ids(dataset.people.ids_of(np.flatnonzero(keep_person).tolist())),
        catalogue,
        histories,
        dataset.target,
        dataset.target_reason,
        dataset.liked_from,
    )
