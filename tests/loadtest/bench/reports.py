"""A whole report with made-up figures, all bounds reached."""

from __future__ import annotations

import json
from typing import Any

SIZES = ("10k", "100k", "1m")
LATENCY = {"p50_ms": 1.0, "p99_ms": 4.0, "p999_ms": 9.0, "failures": 0}
SCENARIO = {
    "p50_ms": 0.5,
    "share_of_day": 1.0,
    "answers_per_cpu_second": 5000.0,
    "relative_to_plain": 0.8,
    "cost_in_plain_answers": 1.25,
    "full_share": 1.0,
}
PEER = {"ratio": 100.0, "answers_per_cpu_second": 50.0, "seconds_to_ready": 3.0, "shared_items": 1.0}
MEMORY = {"resident_bytes": 300 * 2**20, "private_bytes": 90 * 2**20}


def good_report() -> dict[str, Any]:
    """One's own to change."""
    report = {
        "machine": {
            "cpu": "A <CPU>",
            "cores": 2,
            "memory_bytes": 2**34,
            "os": "Linux",
            "kernel": "6",
            "python": "3",
        },
        "code": {"date": "2026-01-01T00:00:00Z", "revision": "0123456789abcdef"},
        "method": "Measured.",
        "kernels": dict.fromkeys(SIZES, "vnni"),
        "recommend_vs_bare": {"10k": 0.4, "100k": 0.2, "1m": 0.15},
        "recommend_vs_unlogged": {"10k": 0.92, "100k": 0.97, "1m": 0.96},
        "recommend_vs_unlogged_interval": {"10k": [0.91, 0.93], "100k": [0.95, 0.98], "1m": [0.95, 0.97]},
        "recall_at_100": {"1m": 0.985},
        "open_loop": {size: {"rate": 2000.0, **LATENCY, "echo": LATENCY} for size in SIZES},
        "scenarios": {size: {"plain": SCENARIO, "filter_one_percent": SCENARIO} for size in SIZES},
        "blended_cost": dict.fromkeys(SIZES, 1.2),
        "stages": {size: {"alone": {"score": 80.0, "total": 100.0}} for size in SIZES},
        "peers": {
            name: dict.fromkeys(SIZES, PEER)
            for name in ("fastapi_implicit_redis", "litserve", "bentoml", "ray_serve", "precomputed")
        },
        "scale": [
            {
                "n_items": 1_000_000,
                "n_people": 10_000_000,
                "bundle_bytes": 2**32,
                "seconds_to_ready_cold": 20.0,
                "seconds_to_ready_warm": 9.0,
                "one_worker": MEMORY,
                "further_worker": MEMORY,
            }
        ],
        "people_sweep": [
            {
                "n_items": 1,
                "n_people": 1,
                "answers_per_cpu_second": 99.0,
                "relative_to_first": 1.0,
                "p50_ms": 1.0,
            },
            {
                "n_items": 1,
                "n_people": 2,
                "answers_per_cpu_second": 101.0,
                "relative_to_first": 1.02,
                "p50_ms": 1.0,
            },
        ],
        "errors": [],
        "verdicts": [],
    }
    copied: dict[str, Any] = json.loads(json.dumps(report))  # a deep copy would keep shared parts shared
    return copied
