"""Attribution over records of the live log; `models.experiments.attribution` says how events find their answers."""

from __future__ import annotations

from typing import TypeAlias

from models.experiments import attribution
from service.log.records import ExposureRecord

Attributed: TypeAlias = attribution.Attributed[ExposureRecord]
Attributor: TypeAlias = attribution.Attributor[ExposureRecord]
