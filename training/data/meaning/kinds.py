"""Recognise kinds of events by their usual words, and read those that a shop names for its own.

A word is compared in its plain form: `Add to Cart`, `addToCart` and `add-to-cart` are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from models.history import EventKind
from models.removals import REMOVAL, RETURN
from training.base.errors import SettingsInvalid
from training.data.files.dialect import plain_name

DROP: Final = 255
"""The code of a kind that is left out on purpose."""

WORDS: Final[Mapping[int, tuple[str, ...]]] = {
    EventKind.VIEW: (
        *(
            "view",
            "views",
            "viewed",
            "pv",
            "pageview",
            "page_view",
            "product_view",
            "productview",
            "view_item",
        ),
        *(
            "item_view",
            "view_product",
            "viewproduct",
            "product_viewed",
            "detail",
            "detail_view",
            "view_detail",
        ),
        *("product_detail", "detail_page_view", "visit", "browse", "open", "read", "watch", "play", "listen"),
        *("stream", "seen", "look", "view_content", "viewcontent", "view_item_page"),
    ),
    EventKind.CLICK: (
        *("click", "clicks", "clicked", "product_click", "select_item", "select_content", "productclick"),
        *(
            "fav",
            "favorite",
            "favourite",
            "favorites",
            "like",
            "liked",
            "star",
            "wishlist",
            "add_to_wishlist",
        ),
        *("addtowishlist", "save", "saved", "bookmark", "collect", "product_clicked"),
    ),
    EventKind.CART: (
        *(
            "cart",
            "basket",
            "add_to_cart",
            "addtocart",
            "added_to_cart",
            "cart_add",
            "add_cart",
            "add_to_basket",
        ),
        *(
            "addtobasket",
            "product_added",
            "atc",
            "add_to_bag",
            "addtobag",
            "add2cart",
            "cart_added",
            "in_cart",
        ),
    ),
    EventKind.PURCHASE: (
        *("purchase", "purchases", "purchased", "buy", "bought", "order", "ordered", "orders", "transaction"),
        *(
            "transactions",
            "sale",
            "sold",
            "conversion",
            "ecommerce_purchase",
            "order_completed",
            "checkout_complete",
        ),
        *(
            "complete_purchase",
            "placed_order",
            "paid",
            "payment",
            "invoice",
            "convert",
            "booking",
            "book",
            "booked",
        ),
    ),
    EventKind.RATING: ("rating", "rate", "rated", "review", "reviewed", "stars", "score"),
    EventKind.DISLIKE: ("dislike", "disliked", "thumbs_down", "downvote", "not_interested"),
    REMOVAL: (
        *(
            "removal",
            "remove",
            "removed",
            "remove_from_cart",
            "removefromcart",
            "removed_from_cart",
            "cart_remove",
        ),
        *("delete_from_cart", "remove_from_basket", "product_removed", "cart_removed"),
    ),
    RETURN: (
        *(
            "return",
            "returned",
            "returns",
            "refund",
            "refunded",
            "partial_refund",
            "cancel",
            "cancelled",
            "canceled",
        ),
        *(
            "cancellation",
            "void",
            "voided",
            "chargeback",
            "credit",
            "credit_note",
            "storniert",
            "storno",
            "rückerstattet",
            "erstattet",
            "retour",
            *("anulado", "devuelto", "remboursé", "annulé"),
        ),
    ),
}
CODES: Final = {word: code for code, words in WORDS.items() for word in words}
"""Word -> code."""
NAMES: Final = {
    **{kind.value: kind.name.lower() for kind in EventKind},
    REMOVAL: "removal",
    RETURN: "return",
    DROP: "drop",
}
"""Code -> the name by which it is printed and by which a shop's own words are mapped."""


def code_of(word: str) -> int | None:
    """Return the code that a word of a kind column stands for, or None."""
    return CODES.get(plain_name(word))


def parse_kinds(text: str) -> dict[str, int]:
    """Read `addtocart=cart,transaction=purchase,scroll=drop` into codes by the shop's own words.

    Raises SettingsInvalid, naming the kinds there are.
    """
    codes = {name: code for code, name in NAMES.items()}
    chosen = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, _, name = (piece.strip() for piece in part.rpartition("="))
        if not word or name.lower() not in codes:
            raise SettingsInvalid(f"{part!r} maps no kind: write word=kind, kind one of {', '.join(codes)}.")
        chosen[word] = codes[name.lower()]
    return chosen


def parse_default_kind(text: str) -> EventKind | None:
    """Read the kind of every row of a table without kinds; None if the text is empty. Raises SettingsInvalid."""
    if not text:
        return None
    try:
        return EventKind[text.strip().upper()]
    except KeyError:
        names = ", ".join(kind.name.lower() for kind in EventKind)
        raise SettingsInvalid(f"there is no kind {text!r}; the kinds are {names}.") from None
