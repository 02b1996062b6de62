"""The settings of automatic promotion: how much worse a new bundle may be."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass as settings_dataclass

from training.base.strict import STRICT


@settings_dataclass(config=STRICT, frozen=True)
class PromotionSettings:
    """When `retrain` promotes by itself."""

    max_loss: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Relative loss of catalogue NDCG@20 that the 95 % interval must exclude, compared with "
        "the bundle in service on events that neither has seen; raising it promotes more "
        "readily, and on fewer events.",
    )
