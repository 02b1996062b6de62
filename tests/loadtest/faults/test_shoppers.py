"""Shoppers buy what they are shown; what they have must be known from when it was accepted."""

from __future__ import annotations

from random import Random
from time import perf_counter

from loadtest.faults.shoppers import LEARNING_LATER_SECONDS, MAX_BOUGHT, Shopper, Shopping, draw_shoppers

ITEMS = [f"item-{number}" for number in range(20)]


def shopping(*shoppers: Shopper) -> Shopping:
    return Shopping(shoppers, ITEMS, seed=1)


def test_shopper_buys_the_first_item_that_is_new() -> None:
    shopper = Shopper({"user_id": "p"}, bought={"item-1": 0.0})
    shop = shopping(shopper)
    shopper.was_shown(["item-1", "item-2", "item-3"])
    body = shop.next_batch()
    [purchase] = [event for event in body["events"] if event.get("user_id") == "p"]
    assert (purchase["kind"], purchase["item_id"]) == ("purchase", "item-2")
    assert "item-2" not in shopper.bought  # not before it is accepted
    shop.accepted(body, 0.01)
    assert shopper.known_to_have_bought(perf_counter()) == {"item-1", "item-2"}


def test_purchase_that_took_its_time_may_be_learnt_later() -> None:
    shopper = Shopper({"user_id": "p"})
    shop = shopping(shopper)
    shopper.was_shown(["item-2"])
    shop.accepted(shop.next_batch(), 0.3)
    now = perf_counter()
    assert shopper.known_to_have_bought(now) == set()
    assert shopper.known_to_have_bought(now + LEARNING_LATER_SECONDS) == {"item-2"}


def test_every_event_has_a_mark_of_its_own_and_every_batch_a_key() -> None:
    shop = shopping(Shopper({"user_id": "p"}))
    batches = [shop.next_batch() for _ in range(20)]
    marks = [event["request_id"] for body in batches for event in body["events"]]
    assert len(set(marks)) == len(marks) == 100
    assert len({body["key"] for body in batches}) == 20


def test_same_seed_does_the_same() -> None:
    one, other = shopping(Shopper({"user_id": "p"})), shopping(Shopper({"user_id": "p"}))
    assert [one.next_batch() for _ in range(5)] == [other.next_batch() for _ in range(5)]


def test_shopper_excludes_now_and_then_what_was_shown() -> None:
    shopper = Shopper({"session_id": "v"})
    shopper.was_shown(["item-1", "item-2"])
    questions = [shopper.question(Random(number), 50).body for number in range(30)]
    excluded = [body["exclude_items"] for body in questions if "exclude_items" in body]
    assert 3 < len(excluded) < 25
    assert all(set(items) == {"item-1", "item-2"} for items in excluded)
    assert all(body["session_id"] == "v" for body in questions)


def test_shopper_has_enough_one_day() -> None:
    shopper = Shopper({"user_id": "p"}, bought={str(number): 0.0 for number in range(MAX_BOUGHT)})
    shopper.was_shown(["item-1"])
    assert not shopper.wanted


def test_known_people_new_people_and_visits_shop() -> None:
    shoppers = draw_shoppers(["a", "b"])
    assert [next(iter(shopper.identity)) for shopper in shoppers] == ["user_id"] * 4 + ["session_id"] * 2
    assert len({next(iter(shopper.identity.values())) for shopper in shoppers}) == 6
