"""Every strategy by name, as settings and reports call it."""

from __future__ import annotations

from training.ensemble.strategy import Strategy
from training.ensemble.super_stacking import BASES, SuperStacking

STRATEGIES: dict[str, type[Strategy]] = {**BASES, SuperStacking.name: SuperStacking}
