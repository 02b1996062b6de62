"""Each member's share in the ensemble's opinion of an item, as the student estimates it.

    contribution of member m to (person, item) = (1, u U)' W_m (1, v V, b, arcsinh b) + level of item, m
    share of member m                          = max(contribution, 0) / the sum of that over all members

u and v are the student's vectors of person and item, b is the item's boost. A contribution is what the ensemble's
logit would lose if the member ranked no item above another. The members stay in training, which measures true
contributions and fits this estimate to them (training/student/member_shares.py). A service computes the shares with
numpy alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.history import History
from models.student import Floats, Student

MAX_SHOWN = 3
SHOWN_DIGITS = 3

N_PERSON_TERMS, N_PAIR_TERMS = 1, 3
"""Terms besides the mapped vectors: for a person a constant; for a pair a constant, the boost and its arcsinh."""

MEMBER_ARRAYS = ("member_user_map", "member_item_map", "member_weights", "member_levels")
"""The arrays of `MemberShares` in its order, by their names in a bundle."""

Indices = npt.NDArray[np.int32]


class MemberShare(NamedTuple):
    """One member, and its share of all that speaks for an item, 0 to 1."""

    member: str
    share: float


class StudentPairs(NamedTuple):
    """People and some items of each, as the student sees them.

    user_vectors: (n_people, n_factors). item_indices: (n_people, n_items). item_vectors: (n_people, n_items,
    n_factors). boosts: (n_people, n_items), what the co-occurrence term adds.
    """

    user_vectors: Floats
    item_indices: Indices
    item_vectors: Floats
    boosts: Floats

    @staticmethod
    def of(
        student: Student, user_vectors: Floats, histories: Sequence[History], item_indices: Indices
    ) -> StudentPairs:
        """Look up items and boosts. user_vectors: those of the histories, which a service has already."""
        boosts = [
            student.boosts([history]).of_items(items)[0]
            for history, items in zip(histories, item_indices, strict=True)
        ]
        return StudentPairs(
            user_vectors,
            item_indices,
            student.item_vectors(item_indices),
            np.stack(boosts) if boosts else np.zeros(item_indices.shape, np.float32),
        )


@dataclass(frozen=True)
class MemberShares:
    """The parameters that estimate contributions.

    members: names, in the order of the axes below. user_map, item_map: (n_factors, n_user) and (n_factors, n_item)
    float32. weights: (n_members, 1 + n_user, 3 + n_item) float32, W_m with the constants first and the boost last.
    levels: (n_items, n_members) float16, what a member adds to an item for everybody.
    """

    members: tuple[str, ...]
    user_map: Floats
    item_map: Floats
    weights: Floats
    levels: npt.NDArray[np.float16]

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], members: Sequence[str]) -> MemberShares:
        """Read what `arrays()` returned, as plain views; the names are in the manifest."""
        return MemberShares(tuple(members), *(np.asarray(arrays[name]) for name in MEMBER_ARRAYS))

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return `MEMBER_ARRAYS` by name, ready for a bundle."""
        parts = (self.user_map, self.item_map, self.weights, self.levels)
        return dict(zip(MEMBER_ARRAYS, parts, strict=True))

    def strongest(
        self, student: Student, user_vector: Floats, history: History, item_indices: Indices
    ) -> list[list[MemberShare]]:
        """Return for each of item_indices (n_items,) up to three members that speak for it, strongest first.

        user_vector: (n_factors,) of this history. Shares are of all members, so those of three need not sum to 1. An
        item for which no member speaks has an empty list.
        """
        pairs = StudentPairs.of(student, user_vector[None], [history], item_indices[None])
        return [self._shown(each) for each in shares_of(self.contributions(pairs))[0]]

    def contributions(self, pairs: StudentPairs) -> Floats:
        """Estimate the logits that the ensemble would lose without each member; (n_people, n_items, n_members)."""
        people = person_terms(pairs, self.user_map)
        of_person = np.tensordot(people, self.weights, axes=(1, 1))  # (n_people, n_members, 3 + n_item)
        products = pair_terms(pairs, self.item_map) @ of_person.transpose(0, 2, 1)
        return np.asarray(products + self.levels[pairs.item_indices], np.float32)

    def _shown(self, shares: Floats) -> list[MemberShare]:
        order = np.argsort(-shares, kind="stable")[:MAX_SHOWN].tolist()
        rounded = [MemberShare(self.members[row], round(float(shares[row]), SHOWN_DIGITS)) for row in order]
        return [each for each in rounded if each.share > 0]


def person_terms(pairs: StudentPairs, user_map: Floats) -> Floats:
    """Return (1, u U) of each person; (n_people, 1 + n_user)."""
    mapped = pairs.user_vectors @ user_map
    return np.concatenate([np.ones_like(mapped, shape=(len(mapped), N_PERSON_TERMS)), mapped], axis=1)


def pair_terms(pairs: StudentPairs, item_map: Floats) -> Floats:
    """Return (1, v V, b, arcsinh b) of each pair; (n_people, n_items, 3 + n_item).

    The last term grows slowly for large boosts, as the strategy of the ensemble does once it has seen enough.
    """
    mapped, boosts = pairs.item_vectors @ item_map, pairs.boosts[:, :, None]
    return np.concatenate([np.ones_like(boosts), mapped, boosts, np.arcsinh(boosts)], axis=2)


def shares_of(contributions: Floats) -> Floats:
    """Divide what speaks for an item into shares, along the last axis; all 0 if no contribution is above 0."""
    supporting = np.maximum(contributions, 0)
    total = supporting.sum(axis=-1, keepdims=True)
    return np.divide(supporting, total, out=np.zeros_like(supporting), where=total > 0)
