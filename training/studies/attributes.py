"""Measure what each attribute of items adds to the member that reads texts, on the questions of the test.

The content member is fitted with all attributes, with none, and without one at a time; all rank the same candidates
of the same people. It is the member by which an item is known that nobody has touched, and attributes reach every
other model through the same terms. It is fitted in seconds, so that every attribute can be asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from models.attributes import ItemAttributes
from models.text import with_terms, without_terms
from training.base.callback import Progress, no_progress
from training.data.dataset import Catalogue, Interactions
from training.data.split import Questions
from training.members.content import Content
from training.metrics.protocols import Candidates, Outcome, measure
from training.quality.schema import AttributeWorth
from training.studies.bootstrapped import mean_of_people

EVERY: Final = "all of them"
MAX_STUDIED: Final = 12
"""The most attributes that are left out one at a time: those that are known of most items."""


def attribute_worth(
    content: Content,
    interactions: Interactions,
    questions: Questions,
    candidates: Candidates,
    *,
    seed: int,
    progress: Progress = no_progress,
) -> dict[str, AttributeWorth]:
    """Measure what the content member loses without all attributes (`EVERY`), and without each; empty if none is.

    content: the member's settings. interactions: what it is fitted on. candidates: of the questions.
    """
    attributes = interactions.catalogue.attributes
    entries = {entry.name: entry for entry in attributes.entries()}
    studied = sorted(entries, key=lambda name: -entries[name].n_known)[:MAX_STUDIED]
    if not studied:
        return {}

    def outcome(kept: ItemAttributes) -> Outcome:
        described = replace(interactions, catalogue=_described(interactions.catalogue, kept))
        member = replace(content).fit(described, seed=seed).fitted()
        return measure(member.score, questions, candidates)

    whole = outcome(attributes)
    table = {}
    for place, name in enumerate([EVERY, *studied]):
        progress(place / (len(studied) + 1), f"without {name}")
        rest = ItemAttributes.none(attributes.n_items) if name == EVERY else attributes.without(name)
        without = outcome(rest)
        of_new = mean_of_people(whole.ndcg - without.ndcg, seed=seed)
        of_catalogue = mean_of_people(whole.catalogue_ndcg - without.catalogue_ndcg, seed=seed)
        entry = entries.get(name)
        table[name] = AttributeWorth(
            kind="" if entry is None else entry.kind,
            known_share=None if entry is None else entry.n_known / attributes.n_items,
            n_values=None if entry is None else entry.n_values,
            ndcg=of_new,
            catalogue_ndcg=of_catalogue,
            earns_its_place=of_new.low > 0 or of_catalogue.low > 0,
        )
    return table


def _described(catalogue: Catalogue, attributes: ItemAttributes) -> Catalogue:
    """Return the catalogue whose texts have these attributes alone as terms."""
    bare: Sequence[str] = [without_terms(text) for text in catalogue.texts]
    texts = [with_terms(text, attributes.terms(item)) for item, text in enumerate(bare)]
    return replace(catalogue, texts=texts, attributes=attributes)
