"""The protocol `last_basket`: each person's whole last basket is the test, and the one before it is validation.

A basket is what a person did of target events on one day (UTC); everything before that day is their history. Other
people's later events stay in the fits, as with `leave_last_out`, so predictions are made at a person's last known
event. It is how the next-basket literature measures.
"""

from __future__ import annotations

import numpy as np

from models.history import SECONDS_PER_DAY
from training.data.dataset import Dataset, people_of_events
from training.data.split import (
    EVERYBODY,
    MaxPeople,
    Split,
    Stage,
    Stages,
    asking_about_recommendable,
    draw_new_people,
    require_questions,
    split_by_stages,
)


def last_basket(
    dataset: Dataset, *, new_people_share: float, seed: int, max_people: MaxPeople = EVERYBODY
) -> Split:
    """Hold out each person's last basket and the one before it, whichever of their items are new.

    Somebody with two baskets is asked about the last one alone, and somebody with one is only learned from.
    new_people_share: of all people, drawn by seed. max_people: the most people evaluated. True items that may not be
    recommended are left out. Raises TooLittleData if too few people remain.
    """
    after_last = int(dataset.histories.times.max()) + 1
    split = split_by_stages(
        "last_basket",
        dataset,
        stages_of_baskets(dataset),
        is_new=draw_new_people(len(dataset.people), new_people_share, np.random.default_rng(seed)),
        until=(after_last, after_last),
        prediction_time="last_event",
        max_people=max_people,
        seed=seed,
    )
    split = asking_about_recommendable(split)
    require_questions(split, remedy="bring people who come back, or a longer period")
    return split


def stages_of_baskets(dataset: Dataset) -> Stages:
    """Assign each person's events from their last day with a target on to the test, those of the day with a target
    before it up to then to validation, and earlier ones to the past; (n_events,).
    """
    histories = dataset.histories
    people = people_of_events(histories)
    days = histories.times // int(SECONDS_PER_DAY)
    is_target = histories.kinds == dataset.target
    # Days with targets are numbered per person, rising; of each event, how many of them begin after its day.
    keys = np.unique(people[is_target] * _SPAN + days[is_target])
    n_until = np.searchsorted(keys, people * _SPAN + days, side="right")
    n_later = np.searchsorted(keys, (people + 1) * _SPAN) - n_until
    n_baskets = np.bincount(keys // _SPAN, minlength=len(histories))[people]
    stages = np.clip(Stage.TEST - n_later, Stage.PAST, None).astype(np.int8)
    stages[n_baskets == 1] = Stage.PAST
    stages[(n_baskets == 2) & (stages == Stage.VALIDATION)] = Stage.PAST
    return stages


_SPAN: int = 2**32
"""More days than there are: keys of one person lie together."""
