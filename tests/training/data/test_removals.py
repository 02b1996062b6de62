"""What was taken out of the cart again is no more learned from offline than it counts in live histories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.history import EventKind
from models.named_kinds import KIND_CODES
from models.removals import REMOVAL
from service.log.records import EventRecord
from service.people.stored import Occurrence, StoredEvents
from tests.training.promotion.exports import write_part
from training.data.columns import column_lines
from training.data.options import reading_options
from training.data.read import ShopFiles, read_shop
from training.data.removals import NO_EVENT, UNDONE
from training.data.shop import Shop
from training.promotion.fresh import read_history_and_export

BEGAN = 1_700_000_000
PEOPLE, ITEMS = ("anna", "ben"), ("vase", "cup")
KINDS = ("view", "cart", "purchase", "removal")
KINDS_OF_ORDERS = ("view", "purchase", "dislike", "return")


class Did(NamedTuple):
    """What somebody did. second: of its time. batch: in which request it was sent; batches arrive in their order."""

    person: str
    item: str
    kind: str
    second: int
    batch: int


def deeds_of(kinds: Sequence[str]) -> st.SearchStrategy[list[Did]]:
    """In the order in which they arrive."""
    did = st.builds(
        Did,
        st.sampled_from(PEOPLE),
        st.sampled_from(ITEMS),
        st.sampled_from(kinds),
        st.integers(0, 4),
        st.integers(0, 3),
    )
    return st.lists(did, max_size=24).map(lambda deeds: sorted(deeds, key=lambda did: did.batch))


DEEDS = deeds_of(KINDS)


def live_history(deeds: Sequence[Did]) -> dict[str, list[tuple[str, int, int]]]:
    """By person (item, time, kind), replayed one after the other in the order of time and then of arrival.

    Of equal events the first counts, but of carts, which may be put back, the last.
    """
    histories: dict[str, list[tuple[str, int, int]]] = {}
    what = [did[:4] for did in deeds]
    arrived = [
        place if did.kind in ("cart", "removal") else what.index(did[:4]) for place, did in enumerate(deeds)
    ]
    order = sorted(range(len(deeds)), key=lambda place: (deeds[place].second, arrived[place]))
    for did in (deeds[place] for place in order):
        own = histories.setdefault(did.person, [])
        if did.kind == "removal":
            own[:] = [one for one in own if (one[0], one[2]) != (did.item, int(EventKind.CART))]
        else:
            own.append((did.item, BEGAN + did.second, int(EventKind[did.kind.upper()])))
    return {person: own for person, own in histories.items() if own}


def offline_history(shop: Shop) -> dict[str, list[tuple[str, int, int]]]:
    histories: dict[str, list[tuple[str, int, int]]] = {}
    for user_id, item_id, time, kind in shop.events.select("user_id", "item_id", "time", "kind").rows():
        histories.setdefault(user_id, []).append((item_id, time, kind))
    return histories


def export_of(folder: Path, deeds: Sequence[Did]) -> Path:
    """As the exporter writes it, a part a request, the last request first: files have no order of time."""
    for batch in sorted({did.batch for did in deeds}, reverse=True):
        own = [did for did in deeds if did.batch == batch]
        records = [
            EventRecord(
                event_id=f"{batch:032x}-{place}",
                kind=did.kind,
                item_id=did.item,
                time=BEGAN + did.second,
                received_ms=1_000 * BEGAN + 10 * batch,
                user_id=did.person,
            )
            for place, did in enumerate(own)
        ]
        for table, is_removal in (("interactions", False), ("removals", True)):
            write_part(folder, table, [one for one in records if (one.kind == "removal") is is_removal])
    return folder


@settings(max_examples=60)
@given(deeds=DEEDS)
def test_an_export_gives_the_history_that_a_service_has(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[Did]
) -> None:
    deeds = [Did("zoe", "lamp", "view", 0, 0), *deeds]  # somebody, so that there is a table
    shop = read_shop(export_of(tmp_path_factory.mktemp("export"), deeds))
    assert offline_history(shop) == live_history(deeds)


@settings(max_examples=60)
@given(deeds=deeds_of(KINDS_OF_ORDERS))
def test_an_export_with_returns_gives_what_a_service_shows(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[Did]
) -> None:
    deeds = [Did("zoe", "lamp", "view", 0, 0), *deeds]
    shop = read_shop(export_of(tmp_path_factory.mktemp("export"), deeds))
    offline = {person: set(own) for person, own in offline_history(shop).items()}
    assert offline == {
        person: {(item, BEGAN + second, kind) for item, kind, second in shown_live(deeds, person)}
        for person in {did.person for did in deeds}
        if shown_live(deeds, person)
    }


def shown_live(deeds: Sequence[Did], person: str) -> set[tuple[str, int, int]]:
    """What a service shows a bundle of one person: (item, kind, second)."""
    names = sorted({did.item for did in deeds})
    events = StoredEvents.empty()
    for batch in sorted({did.batch for did in deeds}):
        own = [did for did in deeds if did.batch == batch and did.person == person]
        arrived = (
            Occurrence((names.index(did.item) + 1) << 19, KIND_CODES[did.kind], did.second + 1, batch)
            for did in own
        )
        events = events.merged(StoredEvents.of(arrived))
    items = (events.keys >> np.uint64(19)).astype(np.int32) - 1
    are_shown = events.are_shown(items)
    history = events.as_history(items if are_shown is None else items[are_shown], are_shown)
    rows = zip(
        history.item_indices.tolist(), history.kinds.tolist(), (history.times - 1).tolist(), strict=True
    )
    return {(names[item], kind, second) for item, kind, second in rows}


@settings(max_examples=40)
@given(before=DEEDS, deeds=DEEDS)
def test_a_removal_in_the_export_undoes_what_the_history_has_in_the_cart(
    tmp_path_factory: pytest.TempPathFactory, before: list[Did], deeds: list[Did]
) -> None:
    """The shop's own table says nothing of removals; live, the bundle's histories are undone as well."""
    folder = tmp_path_factory.mktemp("history")
    known = [did._replace(second=did.second - 3) for did in before if did.kind != "removal"]
    known = list(
        {did[:4]: did for did in [Did("zoe", "lamp", "view", 0, 0), *known]}.values()
    )  # a repeated row is one
    rows = [(did.person, did.item, BEGAN + did.second, did.kind) for did in known]
    pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row").write_csv(
        folder / "orders.csv"
    )
    new = [did for did in deeds if did.kind == "removal" or did[:4] not in {one[:4] for one in known}]
    new.insert(0, Did("zoe", "cup", "view", 1, 0))
    shop = read_history_and_export(ShopFiles(folder / "orders.csv"), export_of(folder / "export", new))
    expected = live_history([*known, *new])
    assert {person: sorted(own) for person, own in offline_history(shop).items()} == {
        person: sorted(own) for person, own in expected.items()
    }


@settings(max_examples=60)
@given(before=deeds_of(("view", "purchase", "dislike")), deeds=deeds_of(KINDS_OF_ORDERS))
def test_a_return_in_the_export_undoes_what_was_bought_before_it(
    tmp_path_factory: pytest.TempPathFactory, before: list[Did], deeds: list[Did]
) -> None:
    """Also if the purchase stands in the shop's own table, or in both."""
    folder = tmp_path_factory.mktemp("history")
    known = [did._replace(second=did.second - 2, batch=0) for did in before]
    known = list({did[:4]: did for did in [Did("zoe", "lamp", "view", 0, 0), *known]}.values())
    rows = [(did.person, did.item, BEGAN + did.second, did.kind) for did in known]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "kind"], orient="row")
    table.write_csv(folder / "orders.csv")
    new = [Did("zoe", "cup", "view", 1, 0), *deeds]
    shop = read_history_and_export(ShopFiles(folder / "orders.csv"), export_of(folder / "export", new))
    everything = [did._replace(second=did.second + 2) for did in [*known, *new]]
    assert {person: set(own) for person, own in offline_history(shop).items()} == {
        person: {(item, BEGAN + second - 2, kind) for item, kind, second in shown_live(everything, person)}
        for person in {did.person for did in everything}
        if shown_live(everything, person)
    }
    assert shop.dropped.n_kept == shop.events.height


def test_what_was_undone_is_counted_and_the_account_adds_up(tmp_path: Path) -> None:
    deeds = [
        Did("anna", "vase", "purchase", 0, 0),
        Did("anna", "vase", "cart", 1, 1),
        Did("anna", "vase", "removal", 2, 2),
        Did("ben", "cup", "cart", 1, 2),
    ]
    dropped = read_shop(export_of(tmp_path, deeds)).dropped
    assert (dropped.n_read, dropped.n_kept, dropped.dropped[UNDONE]) == (3, 2, 1)


def test_removals_among_interactions_count_alike_and_are_no_events(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "user_id,item_id,time,kind\n"
        f"anna,vase,{BEGAN},cart\nanna,vase,{BEGAN + 1},Removal\nanna,cup,{BEGAN},cart\nanna,cup,{BEGAN},removal\n"
        f"anna,lamp,{BEGAN},removal\nanna,lamp,{BEGAN},cart\n"
    )
    shop = read_shop(tmp_path / "orders.csv")
    assert offline_history(shop) == {"anna": [("lamp", BEGAN, int(EventKind.CART))]}
    assert (shop.dropped.dropped[NO_EVENT], shop.dropped.dropped[UNDONE]) == (3, 2)
    assert (shop.dropped.n_read, shop.dropped.n_kept) == (6, 1)


def test_visits_of_nobody_take_nothing_out_of_anybodys_cart(tmp_path: Path) -> None:
    export = export_of(tmp_path, [Did("anna", "vase", "cart", 0, 0)])
    stranger = EventRecord("x-0", "removal", "vase", BEGAN + 5, 1_000 * BEGAN, session_id="visit-1")
    write_part(export, "removals", [stranger])
    assert offline_history(read_shop(export)) == {"anna": [("vase", BEGAN, int(EventKind.CART))]}


def test_the_columns_of_removals_are_told(tmp_path: Path) -> None:
    deeds = [Did("anna", "vase", "cart", 0, 0), Did("anna", "vase", "removal", 1, 0)]
    lines = column_lines(read_shop(export_of(tmp_path, deeds)).columns)
    assert len(lines) == 2
    assert all("received_ms (order of one second)" in line for line in lines)


def test_a_removal_is_of_no_kind_that_a_history_holds() -> None:
    assert REMOVAL not in set(EventKind)


def test_words_for_kinds_are_not_looked_for_among_removals(tmp_path: Path) -> None:
    deeds = [Did("zoe", "lamp", "view", 0, 0), Did("zoe", "cup", "removal", 1, 0)]
    shop = read_shop(export_of(tmp_path, deeds), options=reading_options(kinds="view=click"))
    assert shop.events["kind"].to_list() == [EventKind.CLICK]
    assert shop.removals.height == 1
