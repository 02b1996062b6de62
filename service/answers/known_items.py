"""Decides what a request's `known_items` does with the person's own items: candidates like all others, or masks."""

from __future__ import annotations

from typing import Literal

from models.history import History
from models.known_items import ShopsRule, settled_items
from service.bundles.serving import Indices, ServingBundle
from service.contract.errors import Fault, RequestInvalid
from service.contract.schemas import KnownItems, RecommendRequest
from service.people.memory import KnownPerson
from service.scoring.masks import NO_ITEMS, Masks


def known_items_of(request: RecommendRequest, default: ShopsRule) -> KnownItems:
    """Return what the request wants, whichever of the two fields says so. default: the bundle's, if neither does."""
    if request.known_items is not None:
        return request.known_items
    if request.exclude_seen is not None:
        return "leave_out_touched" if request.exclude_seen else "rank"
    return default


def field_of(request: RecommendRequest) -> Literal["known_items", "exclude_seen"]:
    """Return the name of the field that says so, for sentences about the answer."""
    return "exclude_seen" if request.exclude_seen else "known_items"


def check_known_items(request: RecommendRequest, prefix: str = "") -> None:
    """Raise RequestInvalid if both fields are there: they may contradict each other."""
    if request.exclude_seen is not None and request.known_items is not None:
        instead = "leave_out_touched" if request.exclude_seen else "rank"
        message = (
            f"it is deprecated and cannot be sent together with known_items; got known_items "
            f'"{request.known_items}", and exclude_seen {str(request.exclude_seen).lower()}, which is known_items '
            f'"{instead}"; leave exclude_seen out'
        )
        raise RequestInvalid([Fault(f"{prefix}exclude_seen", message)])


def masks_of(
    request: RecommendRequest,
    serving: ServingBundle,
    person: KnownPerson,
    history: History | None,
    excluded: Indices,
) -> Masks:
    """Return the masks of a request. history: the person's with the events of this visit, None if there are none of
    these. excluded: the items that the request excludes by name.
    """
    allowed = serving.allowed(request.filter)
    wanted = known_items_of(request, serving.known_items)
    if wanted == "rank":
        return Masks(NO_ITEMS, excluded, allowed)
    if wanted == "leave_out_touched":
        return Masks(person.touched if history is None else history.item_indices, excluded, allowed)
    if wanted == "leave_out_bought":
        settled = person.settled if history is None else settled_items(history, serving.target)
        return Masks(settled, excluded, allowed)
    bought = (person.history if history is None else history).items_of(serving.target)
    return Masks(NO_ITEMS, excluded, serving.allowed_among(bought, allowed), bought)
