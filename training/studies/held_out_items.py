"""Hold items out of a split, as a shop that does not have them yet, with the questions to ask once they arrive."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.history import History
from models.packed_histories import Histories
from models.text import item_text
from models.vocabulary import Vocabulary
from training.data.dataset import Dataset, Interactions, people_of_events
from training.data.split import Questions, Split
from training.metrics.protocols import Items

MIN_PEOPLE = 5
"""The fewest people of an item that may be held out; an item with fewer is hardly ever a target."""

IsKept = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOut:
    """A split without some items, and the questions about them.

    split: over the remaining items, in new rows; published negatives are dropped.
    kept, item_indices: the rows of the remaining and of the held-out items in the given split; (n_kept,) and
    (n_held_out,) int32. texts: of the held-out items, as a service reads them. counts: (n_held_out,), their withheld
    events before the test. histories: of the people evaluated, with remaining items only, not empty. truth, owned:
    per person the held-out items taken in the test and before it, as positions among the held-out.
    """

    split: Split
    kept: Items
    item_indices: Items
    texts: list[str]
    counts: npt.NDArray[np.int64]
    histories: list[History]
    truth: list[Items]
    owned: list[Items]

    def __len__(self) -> int:
        """Number of people who are evaluated."""
        return len(self.histories)


def hold_out_items(split: Split, *, share: float, seed: int) -> HeldOut:
    """Hold out a share, drawn by seed, of the recommendable items that at least `MIN_PEOPLE` people touched.

    Only recommendable items are held out, because they are then ranked. The questions are the split's own test
    questions whose true items were held out, so its rules about time still hold.
    """
    dataset = split.dataset
    eligible = np.flatnonzero((people_of_items(dataset) >= MIN_PEOPLE) & dataset.catalogue.recommendable)
    drawn = np.random.default_rng(seed).permutation(eligible)[: round(share * len(eligible))]
    is_kept = np.ones(len(dataset.items), np.bool_)
    is_kept[drawn] = False
    kept, item_indices = (np.flatnonzero(rows).astype(np.int32) for rows in (is_kept, ~is_kept))
    histories = [_history(history, is_kept) for history in split.test.histories]
    truth = [_rows(items, ~is_kept) for items in split.test.truth]
    people = [row for row in range(len(truth)) if len(truth[row]) and len(histories[row])]
    owned = [_rows(split.test.histories[row].item_indices, ~is_kept) for row in people]
    catalogue = dataset.catalogue
    return HeldOut(
        split=only_items(split, is_kept),
        kept=kept,
        item_indices=item_indices,
        texts=[item_text(catalogue.titles[item], catalogue.texts[item]) for item in item_indices],
        counts=split.past_and_validation.item_counts()[item_indices],
        histories=[histories[row] for row in people],
        truth=[truth[row] for row in people],
        owned=[np.setdiff1d(items, truth[row]) for row, items in zip(people, owned, strict=True)],
    )


def only_items(split: Split, is_kept: IsKept) -> Split:
    """Return the split of a shop that sells only these items, in the same order; is_kept (n_items,).

    People keep their rows. Questions without a true item or a history left are dropped.
    """
    return replace(
        split,
        dataset=_dataset(split.dataset, is_kept),
        past=_interactions(split.past, is_kept),
        past_and_validation=_interactions(split.past_and_validation, is_kept),
        validation=_questions(split.validation, is_kept),
        test=_questions(split.test, is_kept),
    )


def people_of_items(dataset: Dataset) -> npt.NDArray[np.int64]:
    """Count the people who touched each item; (n_items,)."""
    n_items = len(dataset.items)
    pairs = np.unique(people_of_events(dataset.histories) * n_items + dataset.histories.item_indices)
    return np.bincount(pairs % n_items, minlength=n_items)


def _dataset(dataset: Dataset, is_kept: IsKept) -> Dataset:
    ids = dataset.items.ids_of(np.flatnonzero(is_kept).tolist())
    return replace(
        dataset,
        items=Vocabulary.from_ids(ids),
        catalogue=dataset.catalogue.take(np.flatnonzero(is_kept)),
        histories=_histories(dataset.histories, is_kept),
    )


def _interactions(interactions: Interactions, is_kept: IsKept) -> Interactions:
    return replace(
        interactions,
        histories=_histories(interactions.histories, is_kept),
        catalogue=interactions.catalogue.take(np.flatnonzero(is_kept)),
    )


def _histories(histories: Histories, is_kept: IsKept) -> Histories:
    kept = histories.kept(is_kept[histories.item_indices])
    return replace(kept, item_indices=_rows(kept.item_indices, is_kept))


def _questions(questions: Questions, is_kept: IsKept) -> Questions:
    histories = [_history(history, is_kept) for history in questions.histories]
    truth = [_rows(items, is_kept) for items in questions.truth]
    rows = np.flatnonzero([len(truth[row]) > 0 and len(histories[row]) > 0 for row in range(len(questions))])
    recommendable = None if questions.recommendable is None else questions.recommendable[is_kept]
    kept = replace(questions, histories=histories, truth=truth, negatives=None, recommendable=recommendable)
    return kept.take(rows)


def _history(history: History, is_kept: IsKept) -> History:
    keep = is_kept[history.item_indices]
    return History(_rows(history.item_indices, is_kept), history.times[keep], history.kinds[keep])


def _rows(item_indices: Items, is_among: IsKept) -> Items:
    """Keep the items that are among some, as rows among these; is_among (n_items,)."""
    rows = np.cumsum(is_among, dtype=np.int32) - 1
    return rows[item_indices[is_among[item_indices]]].astype(np.int32)
