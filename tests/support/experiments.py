"""Declarations and records of experiments for tests."""

from __future__ import annotations

from typing import Any

from models.experiments.declaration import Declaration
from models.experiments.reading import parse_declaration
from service.log.records import EventRecord, ExposureRecord, pack_scores

VARIANTS = {"current": {"student", "ensemble"}, "20240101T000000Z-0123456789ab": {"student"}}

TWO_ARMS = """
[[experiment]]
name = "vases"
window_seconds = 60

[[experiment.arm]]
name = "control"
weight = 0.5

[[experiment.arm]]
name = "ensemble"
variant = "ensemble"
weight = 0.5
"""


def declared(text: str = TWO_ARMS) -> Declaration:
    """A declaration from its text."""
    return parse_declaration(text, VARIANTS.get)


def two_arms(weight: float, *, more: str = "") -> Declaration:
    """`TWO_ARMS` with this weight for the second arm. more: further lines of the experiment."""
    text = TWO_ARMS.replace("window_seconds = 60", f"window_seconds = 60\n{more}")
    control, other = f"weight = {1 - weight:.6f}", f"weight = {weight:.6f}"
    return declared(text.replace("weight = 0.5", control, 1).replace("weight = 0.5", other, 1))


def exposure(unit: str, arm: str = "control", **changes: Any) -> ExposureRecord:
    """An answer to a person at second 1, of an arm of `TWO_ARMS`."""
    fields = {
        "request_id": f"request-{unit}",
        "sent_ms": 1000,
        "item_ids": ["item-1", "item-2"],
        "scores": pack_scores([0.5, 0.25]),
        "version": "a",
        "variant": "student",
        "tier": "student",
        "took_us": 1000,
        "unit": unit,
        "user_id": unit,
        "experiment": "vases",
        "arm": arm,
        "propensity": 0.5,
    }
    return ExposureRecord(**{**fields, **changes})


def event(user_id: str | None, **changes: Any) -> EventRecord:
    """A person's click on item-1 at second 2."""
    fields = {
        "event_id": f"event-{user_id}",
        "kind": "click",
        "item_id": "item-1",
        "time": 2,
        "received_ms": 2000,
        "user_id": user_id,
    }
    return EventRecord(**{**fields, **changes})
