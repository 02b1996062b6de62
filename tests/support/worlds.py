"""A world of the monitoring study whose models need no gradient: members are fitted within a second, the ensemble
adds up what they say, and the student averages the factorisation's own item factors.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from models.ensemble.ensemble import FittedEnsemble
from models.ensemble.meta_features import feature_names
from models.ensemble.stacking import FittedStacking
from models.items import Items, rank_segments
from models.members.factorization import FittedFactorization
from models.monitoring.reference import CatalogueBins, Reference
from models.monitoring.scored_requests import scoring_models
from models.repeats import RepeatModel
from models.repurchase import RepurchaseClock
from models.student import Student
from models.vocabulary import StringTable
from tests.support.bundles import tiny_student, with_item_vectors
from training.bundling.reference import RANKED, build_reference
from training.data.dataset import Dataset, index_shop, interactions_until_now
from training.ensemble.item_timeline import ItemTimeline
from training.members.content import Content
from training.members.ease import EASE
from training.members.factorization import Factorization
from training.simulations.monitoring.world import Trained, World

N_FACTORS = 12
"""As many as the generated shop has categories."""


class QuickWorld(World):
    """Its bundles are made of fitted members."""

    def train(self, until_day: int) -> Trained:
        """What the monitor would have of a bundle of everything before a day."""
        dataset = index_shop(self.past(until_day))
        interactions = interactions_until_now(dataset)
        factorization = Factorization(n_factors=N_FACTORS, l2=1.0).fit(interactions, seed=0).fitted()
        assert isinstance(factorization, FittedFactorization)
        others = [Content().fit(interactions, seed=0), EASE(l2=10.0).fit(interactions, seed=0)]
        members = [factorization, *(member.fitted() for member in others)]
        features = feature_names([member.name for member in members])
        weights = np.array([float(name.endswith("_z")) for name in features], np.float32)
        strategy = FittedStacking(weights, np.array(0.0, np.float32))
        ensemble = FittedEnsemble(members, RepeatModel.unlearned(ItemTimeline.of(interactions)), strategy)
        items = items_of(dataset)
        student = student_of(items, factorization)
        reference = Reference.from_json(
            build_reference(
                dataset.histories,
                items,
                student,
                scoring_models(ensemble, student),
                first_seen=dataset.catalogue.first_seen,
                test_share=0.2,
                seed=0,
            )
        )
        return Trained(
            items, student, ensemble, reference, CatalogueBins(items, reference.categories), RANKED
        )


def items_of(dataset: Dataset) -> Items:
    """As a bundle has them; popularity counts events."""
    names = sorted({str(category) for category in dataset.catalogue.categories})
    codes = np.array([names.index(str(category)) for category in dataset.catalogue.categories], np.int32)
    counts = np.bincount(dataset.histories.item_indices, minlength=len(codes)).astype(np.float32)
    return Items(
        dataset.items,
        StringTable.from_strings(dataset.catalogue.titles),
        StringTable.from_strings(names),
        codes,
        dataset.catalogue.prices,
        codes,
        rank_segments(codes, counts),
        counts,
        dataset.catalogue.recommendable,
        dataset.catalogue.attributes,
        RepurchaseClock.none(len(dataset.catalogue)),
    )


def student_of(items: Items, factorization: FittedFactorization) -> Student:
    """Its person is the mean of item factors, and its items are the factors themselves."""
    factors = factorization.item_factors
    plain = tiny_student(items, n_blocks=N_FACTORS)
    read = dataclasses.replace(plain, history_vectors=np.pad(factors, ((1, 0), (0, 0))))
    return Student(with_item_vectors(read, factors))
