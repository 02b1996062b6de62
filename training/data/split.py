"""What members learn from and what they are evaluated on: one `Split`, whichever protocol made it.

    protocol         the true items                                 made by
    next_basket      each person's next basket after a cut in time  split_by_time, here
    last_basket      each person's last basket                      last_basket.py
    leave_last_out   each person's last new item                    leave_last_out.py
    published        the lines of a published test file             published.py, sequences.py

Each event belongs to a stage: the past, on which members are fitted; validation, where everything is chosen; test.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import SECONDS_PER_DAY, EventKind, History
from models.known_items import KnownItemsRule, left_out_items
from models.members.recency import visit_numbers_of_all
from models.packed_histories import Histories
from training.base.errors import TooLittleData
from training.data.dataset import (
    Dataset,
    Interactions,
    PredictionTime,
    interactions_among,
    people_of_events,
)
from training.quality.figures import LeftOut

MIN_QUESTIONS = 20
"""The fewest people with something to predict; with fewer, every figure is noise."""

Protocol = Literal["next_basket", "last_basket", "leave_last_out", "published"]
Stages = npt.NDArray[np.int8]


class Stage(IntEnum):
    """The purpose of an event; later stages never inform earlier ones."""

    PAST = 0
    VALIDATION = 1
    TEST = 2


NOTHING_LEFT_OUT = LeftOut()


@dataclass(frozen=True)
class Questions:
    """The questions of one stage: given this history, which items come next?

    user_indices: (n_people,) int32. histories: events of earlier stages, not empty.
    truth: per person the item indices of target events of this stage, distinct.
    negatives: published candidates, per person (n_truth, n_negatives) int32, row i for truth i; None if negatives are
        to be drawn.
    recommendable: (n_items,) which items may be answered, including all true ones; None for all.
    known_items: which items of the history are no answers, so that only true ones among them are ranked. target: what
        is predicted, which the rule asks for.
    left_out: true items of the whole slice that are not evaluated, because they may not be recommended.
    """

    user_indices: npt.NDArray[np.int32]
    histories: list[History]
    truth: list[npt.NDArray[np.int32]]
    negatives: list[npt.NDArray[np.int32]] | None = None
    recommendable: npt.NDArray[np.bool_] | None = None
    known_items: KnownItemsRule = "leave_out_touched"
    target: EventKind = EventKind.PURCHASE
    left_out: LeftOut = NOTHING_LEFT_OUT

    def __len__(self) -> int:
        return len(self.histories)

    def left_out_of(self, row: int) -> npt.NDArray[np.int32]:
        """Return the items of a question's history that are no answers, each once, rising; (n_left_out,)."""
        return left_out_items(self.histories[row], self.known_items, self.target)

    def take(self, rows: npt.NDArray[np.int64]) -> Questions:
        """Keep the questions of these rows."""
        return replace(
            self,
            user_indices=self.user_indices[rows],
            histories=[self.histories[row] for row in rows],
            truth=[self.truth[row] for row in rows],
            negatives=None if self.negatives is None else [self.negatives[row] for row in rows],
        )

    def some(self, n_kept: int, seed: int) -> Questions:
        """Keep at most n_kept questions, drawn by seed, in their order."""
        if len(self) <= n_kept:
            return self
        rows = np.random.default_rng(seed).permutation(len(self))[:n_kept]
        return self.take(np.sort(rows))


class MaxPeople(NamedTuple):
    """The most people that each slice evaluates; None evaluates everybody with a history and a true item."""

    validation: int | None = None
    test: int | None = None


EVERYBODY = MaxPeople()


@dataclass(frozen=True)
class Split:
    """One data set under one protocol.

    past: what members learn from while the ensemble is fitted. past_and_validation: what the final members learn
    from. validation: choices, thresholds and the ensemble come from here. test: evaluated once, at the end.
    is_new: (n_people,) people whom no fit has seen: their rows in both pasts are empty, and validation does not ask
        about them. The test questions have their real histories.
    cuts: moments that divide the stages, by name, in Unix seconds; empty if the protocol has none.
    """

    protocol: Protocol
    dataset: Dataset
    past: Interactions
    past_and_validation: Interactions
    validation: Questions
    test: Questions
    is_new: npt.NDArray[np.bool_]
    cuts: dict[str, int]


def split_by_time(
    dataset: Dataset,
    *,
    validation_share: float,
    test_share: float,
    new_people_share: float = 0.0,
    max_people: MaxPeople = EVERYBODY,
    seed: int = 0,
) -> Split:
    """Cut time so that the last `test_share` of all events are test, `validation_share` before them validation.

        ───────── past ─────────┤ validation ├── test ──►  time

    A slice asks what matters to a shop: given all events before a moment, what is in the next basket of a person,
    whether they had it before or not? A basket is what one visit has of target events. True items that may not be
    recommended are not evaluated.
    new_people_share: of all people, drawn by seed. Raises TooLittleData if a slice would ask fewer than
    `MIN_QUESTIONS` people.
    """
    times = np.sort(dataset.histories.times)
    validation_start = int(times[int(len(times) * (1 - test_share - validation_share))])
    test_start = int(times[int(len(times) * (1 - test_share))])
    of_event = dataset.histories.times
    stages = (of_event >= validation_start).astype(np.int8) + (of_event >= test_start)
    split = split_by_stages(
        "next_basket",
        dataset,
        stages,
        is_new=draw_new_people(len(dataset.people), new_people_share, np.random.default_rng(seed)),
        until=(validation_start, test_start),
        prediction_time="now",
        cuts={"validation_start": validation_start, "test_start": test_start},
        max_people=max_people,
        seed=seed,
    )
    split = asking_about_recommendable(split)
    require_questions(split, remedy="bring a longer period or enlarge the slice's share")
    return split


def split_by_stages(
    protocol: Protocol,
    dataset: Dataset,
    stages: Stages,
    *,
    is_new: npt.NDArray[np.bool_],
    until: tuple[int, int],
    prediction_time: PredictionTime,
    cuts: dict[str, int] | None = None,
    asks_each: bool = False,
    max_people: MaxPeople = EVERYBODY,
    seed: int = 0,
) -> Split:
    """Turn the stage of each event into what is learned and what is evaluated.

    stages: (n_events,) of `Stage`. is_new: (n_people,). until: the ends of the past and of past and validation, Unix
    seconds. asks_each: validation asks about each of its events separately, from a history that has the others. If
    there are more people than `max_people`, they are drawn by seed.
    """
    is_in_validation = drawn_people(
        dataset.histories, stages, Stage.VALIDATION, ~is_new, max_people.validation, seed
    )
    everybody = np.ones(len(is_new), np.bool_)
    is_in_test = drawn_people(dataset.histories, stages, Stage.TEST, everybody, max_people.test, seed)
    is_learned = ~is_new[people_of_events(dataset.histories)]
    past, past_and_validation = (
        interactions_among(
            dataset, is_learned & (stages < stage), until=moment, prediction_time=prediction_time
        )
        for stage, moment in zip((Stage.VALIDATION, Stage.TEST), until, strict=True)
    )
    return Split(
        protocol,
        dataset,
        past,
        past_and_validation,
        validation=(ask_each if asks_each else ask)(dataset, stages, Stage.VALIDATION, is_in_validation),
        test=(ask_each if asks_each else ask)(dataset, stages, Stage.TEST, is_in_test),
        is_new=is_new,
        cuts=cuts or {},
    )


def draw_new_people(n_people: int, share: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Draw the people whom no fit will see; (n_people,), true for exactly the rounded share of them."""
    is_new = np.zeros(n_people, np.bool_)
    is_new[rng.permutation(n_people)[: round(share * n_people)]] = True
    return is_new


def drawn_people(
    histories: Histories,
    stages: Stages,
    stage: Stage,
    is_eligible: npt.NDArray[np.bool_],
    n_max: int | None,
    seed: int,
) -> npt.NDArray[np.bool_]:
    """Draw at most n_max of the eligible people who have events in the stage and before it; (n_people,)."""
    people = people_of_events(histories)
    has_before, has_in = np.zeros(len(histories), np.bool_), np.zeros(len(histories), np.bool_)
    has_before[people[stages < stage]] = has_in[people[stages == stage]] = True
    is_evaluated = is_eligible & has_before & has_in
    if n_max is not None and is_evaluated.sum() > n_max:
        drawn = np.random.default_rng([seed, stage]).choice(
            np.flatnonzero(is_evaluated), n_max, replace=False
        )
        is_evaluated[:] = False
        is_evaluated[drawn] = True
    return is_evaluated


def ask(
    dataset: Dataset, stages: Stages, stage: Stage, is_evaluated: npt.NDArray[np.bool_] | None = None
) -> Questions:
    """Ask everybody who has events before a stage about their first basket in it.

    stages: (n_events,). is_evaluated: (n_people,), None for everybody. True items are distinct and rise. It is asked
    at the first second (UTC) of that basket's day, as a service would be, and no later event is looked at.
    """
    known = dataset.histories.kept(stages < stage)
    is_target = dataset.histories.kinds == dataset.target
    targets = first_visits(dataset.histories.kept((stages == stage) & is_target))
    has_both = (np.diff(known.offsets) > 0) & (np.diff(targets.offsets) > 0)
    user_indices = np.flatnonzero(has_both if is_evaluated is None else has_both & is_evaluated)
    rows = user_indices.tolist()
    days = targets.times[targets.offsets[user_indices]] // int(SECONDS_PER_DAY)
    return Questions(
        user_indices.astype(np.int32),
        [
            replace(known[row], asked_at=day * int(SECONDS_PER_DAY))
            for row, day in zip(rows, days.tolist(), strict=True)
        ],
        [np.unique(targets[row].item_indices) for row in rows],
        known_items="rank",
        target=dataset.target,
    )


def first_visits(histories: Histories) -> Histories:
    """Keep everybody's first visit."""
    numbers = visit_numbers_of_all(histories)
    lengths = np.diff(histories.offsets)
    first = numbers[histories.offsets[:-1][lengths > 0]]
    return histories.kept(numbers == np.repeat(first, lengths[lengths > 0]))


def ask_each(
    dataset: Dataset, stages: Stages, stage: Stage, is_evaluated: npt.NDArray[np.bool_] | None = None
) -> Questions:
    """Ask about each event of a stage separately; a person with several has several questions.

    The history has all events of earlier stages, and this stage's other events that are no later than the target.
    stages: (n_events,). is_evaluated: (n_people,), None for everybody.
    """
    histories = dataset.histories
    user_indices, known, truth = [], [], []
    people = range(len(histories)) if is_evaluated is None else np.flatnonzero(is_evaluated).tolist()
    for person in people:
        own = histories[person]
        its_stages = stages[histories.offsets[person] : histories.offsets[person + 1]]
        if not (its_stages < stage).any():
            continue
        for event in np.flatnonzero(its_stages == stage).tolist():
            keep = (its_stages < stage) | ((its_stages == stage) & (own.times <= own.times[event]))
            keep[event] = False
            user_indices.append(person)
            known.append(History(own.item_indices[keep], own.times[keep], own.kinds[keep]))
            truth.append(own.item_indices[event : event + 1])
    return Questions(np.array(user_indices, np.int32), known, truth, target=dataset.target)


def only_new_items(questions: Questions, rule: KnownItemsRule = "leave_out_touched") -> Questions:
    """Ask about items that the rule does not leave out, and leave out people who have no such true item."""
    asking = replace(questions, known_items=rule)
    new = [np.setdiff1d(truth, asking.left_out_of(row)) for row, truth in enumerate(questions.truth)]
    rows = np.flatnonzero([len(truth) > 0 for truth in new])
    return replace(asking, truth=new).take(rows)


def asking_about_recommendable(split: Split) -> Split:
    """Ask only about items that may be recommended, and allow no other answers; no change if all may be."""
    recommendable = split.dataset.catalogue.recommendable
    if recommendable.all():
        return split
    validation, test = (only_recommendable(each, recommendable) for each in (split.validation, split.test))
    return replace(split, validation=validation, test=test)


def only_recommendable(questions: Questions, recommendable: npt.NDArray[np.bool_]) -> Questions:
    """Remove true items that may not be recommended, and people who have no true items left."""
    truth = [items[recommendable[items]] for items in questions.truth]
    rows = np.flatnonzero([len(items) > 0 for items in truth])
    n_items = sum(map(len, questions.truth)) - sum(map(len, truth))
    left_out = LeftOut(n_items, len(questions) - len(rows))
    return replace(questions, truth=truth, recommendable=recommendable, left_out=left_out).take(rows)


def require_questions(split: Split, *, remedy: str, at_least: int = MIN_QUESTIONS) -> None:
    """Raise TooLittleData, ending with the remedy, if validation or test asks fewer than `at_least` people."""
    for name, questions in (("validation", split.validation), ("test", split.test)):
        if len(questions) < at_least:
            n_others = questions.left_out.people
            others = f" ({n_others:,} more took only items that may not be recommended)" if n_others else ""
            raise TooLittleData(
                f"the {name} slice has {len(questions)} people who come back for something{others}, at least "
                f"{at_least} are needed; {remedy}"
            )
