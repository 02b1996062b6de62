"""Every setting of a training run, typed and bounded; a TOML file may override any of them.

`python -m training settings` prints them all with bounds, defaults and meaning.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from training.ensemble.stacking import Stacking
from training.errors import SettingsInvalid
from training.members.content import Content
from training.members.factorization import Factorization
from training.members.member import Member
from training.members.neural import NeuralCF
from training.members.popularity import Popularity
from training.student.distill import DistillSettings
from training.student.soft_labels import LabelSettings
from training.student.tower import TowerSettings


class SplitSettings(BaseModel):
    """Where time is cut."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    validation_share: float = Field(default=0.1, gt=0, le=0.4, description="Share of events in validation.")
    test_share: float = Field(default=0.1, gt=0, le=0.4, description="Share of events in test, the latest.")
    n_pair_negatives: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Uniform items a person that the ensemble is fitted against.",
    )


class CompressionSettings(BaseModel):
    """When the int8 student may replace the fp32 one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    max_quality_loss: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Relative loss of NDCG@20 that int8 may cost, upper interval end.",
    )
    min_speedup: float = Field(
        default=1.0, gt=0, le=100, description="Measured speed of int8 over fp32 from which it is preferred."
    )


class TrainingSettings(BaseModel):
    """One run."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = Field(default=0, ge=0, le=2**31, description="Of everything random.")
    n_text_components: int = Field(default=64, ge=1, le=1024, description="Length of an item's text vector.")
    n_segments: int = Field(
        default=32, ge=1, le=10_000, description="Clusters of item texts, where the shop gives no categories."
    )
    split: SplitSettings = SplitSettings()
    popularity: Popularity = Field(default_factory=Popularity)
    content: Content = Field(default_factory=Content)
    als: Factorization = Field(default_factory=Factorization)
    neural: NeuralCF = Field(default_factory=NeuralCF)
    stacking: Stacking = Field(default_factory=Stacking)
    labels: LabelSettings = Field(default_factory=LabelSettings)
    tower: TowerSettings = Field(default_factory=TowerSettings)
    distill: DistillSettings = Field(default_factory=DistillSettings)
    compression: CompressionSettings = CompressionSettings()

    def fresh_members(self) -> list[Member]:
        """New, unfitted members; a member that was fitted before is never fitted again in place."""
        fresh = self.model_copy(deep=True)
        return [fresh.popularity, fresh.content, fresh.als, fresh.neural]


QUICK: dict[str, Any] = {
    "neural": {"n_epochs": 2, "n_factors": 32, "n_hidden": 32},
    "als": {"n_factors": 64},
    "labels": {"n_copies": 3, "max_examples": 12_000},
    "tower": {"n_factors": 64, "n_hidden": 128},
    "distill": {"n_epochs": 6},
}
"""What `--quick` changes: a bundle in a minute or two, good enough to look at, not to promote."""


def load_settings(file: Path | None, *, quick: bool, seed: int | None) -> TrainingSettings:
    """Defaults, then `QUICK` if asked, then the TOML file, then the seed.

    Raises SettingsInvalid naming each setting that is unknown or out of its bounds.
    """
    values: dict[str, Any] = dict(QUICK) if quick else {}
    if file is not None:
        try:
            values = _merged(values, tomllib.loads(file.read_text()))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsInvalid(f"{file} cannot be read as TOML: {error}") from error
    if seed is not None:
        values["seed"] = seed
    try:
        return TrainingSettings.model_validate(values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()]
        raise SettingsInvalid("; ".join(problems)) from error


def dump_settings(settings: TrainingSettings) -> dict[str, Any]:
    """All settings as plain values, for the manifest."""
    values: dict[str, Any] = TypeAdapter(TrainingSettings).dump_python(settings, mode="json", warnings=False)
    return values


def describe_settings() -> Iterator[tuple[str, str, str, str]]:
    """Each setting as (name, default, bounds, meaning)."""
    schema = TrainingSettings.model_json_schema()
    defaults = dump_settings(TrainingSettings())
    for name, part in schema["properties"].items():
        reference = part.get("$ref") or next(
            (each["$ref"] for each in part.get("allOf", []) if "$ref" in each), None
        )
        if reference is None:
            yield name, str(defaults[name]), _bounds(part), part.get("description", "")
            continue
        for inner, field in schema["$defs"][reference.rsplit("/", 1)[1]]["properties"].items():
            yield f"{name}.{inner}", str(defaults[name][inner]), _bounds(field), field.get("description", "")


def _bounds(part: dict[str, Any]) -> str:
    low = f"{part['minimum']} ≤ " if "minimum" in part else f"{part['exclusiveMinimum']} < "
    high = f" ≤ {part['maximum']}" if "maximum" in part else f" < {part['exclusiveMaximum']}"
    return f"{low}x{high}"


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid upon `base`, tables merged key by key."""
    merged = dict(base)
    for key, value in over.items():
        is_table = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if is_table else value
    return merged
