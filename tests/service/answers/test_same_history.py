"""The same history gives the same answer, whether it came in the bundle, by events, or with the request."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from models.cooccurrence import Cooccurrence
from models.history import Event, History
from models.kept_history import kept_history
from models.named_kinds import KIND_CODES
from models.packed_histories import ColdHistories, Histories
from models.removals import RETURN
from models.vocabulary import Vocabulary
from tests.support.bundles import LATEST, N_ITEMS, WRITTEN_AT, tiny_contents, tiny_cooccurrence
from tests.support.events import body, did
from tests.support.repeats import a_repeat_model
from tests.support.service import Running, running
from training.data.returns import with_sent_back
from training.data.target import with_dislikes

LIKED_FROM = 3.0
KINDS = ("view", "click", "cart", "purchase", "rating", "dislike")
SECONDS_APART = 7_000
"""Two events are of one visit if few are between them, and else of two."""

numbers = count()


class Did(NamedTuple):
    """value: of a rating, None for one that was sent without it. n_copies: how often the very same event is sent."""

    item: int
    kind: str
    value: float | None
    n_copies: int


EVENTS = st.lists(
    st.builds(
        Did,
        st.integers(0, 3),
        st.sampled_from(KINDS),
        st.sampled_from([None, 1.0, 2.5, 3.0, 5.0]),
        st.sampled_from([1, 1, 1, 2]),
    ),
    max_size=24,
)
ASKED = st.fixed_dictionaries(
    {"known_items": st.sampled_from(["rank", "leave_out_bought", "leave_out_touched", "only"])},
    optional={"explain": st.just(True), "diversity": st.just(0.5)},
)


def telling_cooccurrence() -> Cooccurrence:
    """What goes with an item, and the item itself, by the kind, count, age and order of events: each tells."""
    rng = np.random.default_rng(0)
    plain = tiny_cooccurrence(rng.uniform(0.1, 1.0, (N_ITEMS, 4)).astype(np.float32))
    return dataclasses.replace(
        plain,
        event_decays=rng.uniform(0.05, 0.5, plain.event_decays.shape).astype(np.float32),
        own_weights=rng.uniform(0.1, 1.0, plain.own_weights.shape).astype(np.float32),
        own_decays=rng.uniform(-0.5, 0.5, plain.own_decays.shape).astype(np.float32),
    )


@pytest.fixture
async def telling(tmp_path: Path) -> AsyncIterator[Running]:
    """A service on a bundle that sees in ratings what they say."""
    contents = tiny_contents(cooccurrence=telling_cooccurrence(), repeats=a_repeat_model(N_ITEMS))
    entry = msgspec.structs.replace(contents.student_entry, liked_from=LIKED_FROM)
    path = write_bundle(tmp_path, dataclasses.replace(contents, student_entry=entry), now=WRITTEN_AT)
    Registry(tmp_path).promote(path.name)
    async with running(tmp_path) as started:
        yield started


def sent(events: list[Did], **more: Any) -> list[dict[str, Any]]:
    """The events as a shop sends them, oldest first."""
    return [
        {**did(one.kind, f"item-{one.item}", None, **more), "time": LATEST + SECONDS_APART * place}
        | ({} if one.value is None else {"value": one.value})
        for place, one in enumerate(events)
        for _ in range(one.n_copies)
    ]


def of_bundle(events: list[Did]) -> History:
    """The events as training puts them into a bundle."""
    rows = sent(events)
    table = pl.DataFrame(
        {
            "kind": [KIND_CODES[row["kind"]] for row in rows],
            "value": [row.get("value") for row in rows],
        },
        schema={"kind": pl.UInt8, "value": pl.Float64},
    )
    kinds = with_dislikes(table, LIKED_FROM)["kind"].to_list()
    items = [int(row["item_id"].removeprefix("item-")) for row in rows]
    times = [row["time"] for row in rows]
    return kept_history(History.from_events(map(Event, items, times, kinds)))


def known_to_the_bundle(service: Running, people: dict[str, History]) -> None:
    histories = Histories.from_list(list(people.values()))
    service.parts.bundles.serving().people = ColdHistories(Vocabulary.from_ids(list(people)), histories)


async def send(service: Running, user_id: str, events: list[dict[str, Any]]) -> None:
    if events:
        owned = [{**event, "user_id": user_id} for event in events]
        response = await service.client.post("/events", json=body(f"key-{next(numbers)}", *owned))
        assert response.status_code == 202, response.text
        assert response.json()["rejected"] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, n_before=st.integers(0, 24), often=st.integers(0, 12), asked=ASKED)
async def test_it_does_not_matter_how_a_history_came(
    telling: Running, events: list[Did], n_before: int, often: int, asked: dict[str, Any]
) -> None:
    events = [*events, *[Did(1, "purchase", None, 1)] * often]  # beyond what is counted
    number = next(numbers)
    cold, live, both, visiting = (f"{name}-{number}" for name in ("cold", "live", "both", "visiting"))
    past = of_bundle(events[:n_before])
    known_to_the_bundle(telling, {cold: of_bundle(events), both: past, visiting: past})
    everything = sent(events)
    n_past = len(sent(events[:n_before]))
    await send(telling, live, everything[n_past:])
    await send(telling, live, everything[:n_past])
    await send(telling, both, everything[n_past:])
    ways: dict[str, dict[str, Any]] = {
        "the bundle": {"user_id": cold},
        "events": {"user_id": live},
        "the bundle, then events": {"user_id": both},
        "the bundle, then the request": {"user_id": visiting, "session": everything[n_past:]},
        "the request": {"session": everything},
    }
    answers = {name: await telling.recommend(**way, **asked, limit=N_ITEMS) for name, way in ways.items()}
    expected = answers["the bundle"]
    assert expected["tier"] == "student"
    for name, answer in answers.items():
        assert answer["items"] == expected["items"], name
        assert answer["shortfall"] == expected["shortfall"], name


def with_returns(events: list[Did]) -> History:
    """The events as training puts them into a bundle, by its own rule of returns."""
    rows = sent(events)
    n_rows = len(rows)
    table = pl.DataFrame(
        {
            "user_id": ["somebody"] * n_rows,
            "item_id": [row["item_id"] for row in rows],
            "time": [row["time"] for row in rows],
            "kind": [KIND_CODES[row["kind"]] for row in rows],
            "value": [row.get("value") for row in rows],
            "arrival": [0] * n_rows,
            "is_returned": [False] * n_rows,
        },
        schema_overrides={"kind": pl.UInt8, "value": pl.Float64},
    )
    told, _ = with_sent_back(table, pl.col("kind") == RETURN, pl.lit(True))
    told = with_dislikes(told.filter(pl.col("kind") != RETURN), LIKED_FROM)
    items = [int(item_id.removeprefix("item-")) for item_id in told["item_id"]]
    return kept_history(
        History.from_events(map(Event, items, told["time"].to_list(), told["kind"].to_list()))
    )


RETURNED = st.lists(
    st.builds(
        Did,
        st.integers(0, 2),
        st.sampled_from(["view", "purchase", "purchase", "dislike", "return", "return"]),
        st.none(),
        st.sampled_from([1, 1, 1, 2]),
    ),
    max_size=16,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=RETURNED, n_before=st.integers(0, 16), asked=ASKED)
async def test_it_does_not_matter_how_returns_came(
    telling: Running, events: list[Did], n_before: int, asked: dict[str, Any]
) -> None:
    number = next(numbers)
    cold, live, both = (f"{name}-{number}" for name in ("cold", "live", "both"))
    known_to_the_bundle(telling, {cold: with_returns(events), both: with_returns(events[:n_before])})
    everything = sent(events)
    n_past = len(sent(events[:n_before]))
    await send(telling, live, everything[n_past:])
    await send(telling, live, everything[:n_past])
    await send(telling, both, everything[n_past:])
    answers = [
        await telling.recommend(user_id=user_id, **asked, limit=N_ITEMS) for user_id in (cold, live, both)
    ]
    assert answers[0]["items"] == answers[1]["items"] == answers[2]["items"]


async def test_a_purchase_that_was_sent_back_is_no_more_bought(telling: Running) -> None:
    bought = [Did(0, "purchase", None, 1), Did(1, "purchase", None, 1)]
    await send(telling, "keeps", sent(bought))
    await send(telling, "returns", sent([*bought, Did(0, "return", None, 1)]))
    only = [await telling.recommend(user_id=user_id, known_items="only") for user_id in ("keeps", "returns")]
    assert [{item["item_id"] for item in answer["items"]} for answer in only] == [
        {"item-0", "item-1"},
        {"item-1"},
    ]


async def test_a_low_rating_takes_an_item_down_and_a_high_one_does_not(telling: Running) -> None:
    """Else the test above might hold because nobody looks at kinds and values."""
    scores = []
    for value in (1.0, 5.0, None):
        rated = sent([Did(0, "rating", value, 1)])
        answer = await telling.recommend(session=rated, known_items="rank", limit=N_ITEMS)
        scores.append({item["item_id"]: item["score"] for item in answer["items"]}["item-0"])
    assert scores[1] == scores[2] != scores[0]
