"""Turns the name of a kind, as shops and logs have it, into the code that histories hold."""

from __future__ import annotations

from models.history import EventKind
from models.removals import REMOVAL, RETURN

KIND_CODES = {kind.name.lower(): int(kind) for kind in EventKind} | {"removal": REMOVAL, "return": RETURN}


def kind_code(name: str, value: float | None, liked_from: float | None) -> int:
    """Return the code of an event. A rating below liked_from is a dislike; one without a value speaks for its item.

    value: a rating, or an amount of money. liked_from: the lowest rating that speaks for an item, as a bundle has it;
    None if the shop has no such scale. Raises KeyError for a name that histories do not hold, such as "impression".
    """
    code = KIND_CODES[name]
    is_low = code == EventKind.RATING and value is not None and liked_from is not None and value < liked_from
    return int(EventKind.DISLIKE) if is_low else code
