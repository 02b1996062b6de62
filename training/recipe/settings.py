"""Every setting of a training run, typed and bounded; a TOML file may override any of them.

`python -m training settings` prints them all with bounds, defaults and meaning.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from training.base.errors import SettingsInvalid
from training.data.split import MaxPeople
from training.ensemble.adaboost import AdaBoost
from training.ensemble.average import Average
from training.ensemble.bagging import Bagging
from training.ensemble.boosting import Boosting
from training.ensemble.cross_fits import Factory
from training.ensemble.decision_tree import DecisionTree
from training.ensemble.neural_stacking import NeuralStacking
from training.ensemble.repeats import RepeatSettings
from training.ensemble.stacking import Stacking
from training.ensemble.super_stacking import BASES, SuperStacking
from training.members import MEMBERS
from training.members.content import Content
from training.members.ease import EASE, VisitEASE
from training.members.factorization import Factorization
from training.members.installed import make_member, member_class
from training.members.knn import ItemKNN
from training.members.member import Member
from training.members.neighbours import Neighbours
from training.members.neural import NeuralCF
from training.members.popularity import Popularity
from training.members.sequential import Sequential
from training.recipe.promotion import PromotionSettings
from training.student.certification import CertificationSettings
from training.student.distill import DistillSettings
from training.student.inverted_lists import IndexSettings
from training.student.pruning import PruningSettings
from training.student.soft_labels import LabelSettings
from training.student.tower import TowerSettings
from training.studies.distillation import AblationSettings

MemberName = Literal[
    "popularity", "content", "als", "knn", "ease", "visits", "neighbours", "neural", "sequential"
]
StrategyName = Literal[
    "average", "tree", "bagging", "adaboost", "boosting", "stacking", "neural_stacking", "super_stacking"
]


ALL_MEMBERS: tuple[MemberName, ...] = get_args(MemberName)
EARNING: tuple[MemberName, ...] = ("content", "als", "knn", "ease", "visits", "sequential")
"""Left out are popularity, which the item features tell already, and neural CF: on Online Retail, leave last out, the
ensemble without both has NDCG@10 of .5930 instead of .5929 (95 % interval of the difference: -.002 to +.002). This
was measured on the test questions of seed 0, untuned. So are neighbours' baskets: with them, last basket there has a
Recall@10 of .2091 instead of .2086."""


def _installed(name: str) -> str:
    """The name of a member that there is, here or in an installed package."""
    try:
        member_class(name)
    except SettingsInvalid as error:
        raise ValueError(str(error)) from error
    return name


AnyMember = Annotated[str, AfterValidator(_installed), WithJsonSchema({"enum": list(ALL_MEMBERS)})]
"""`MemberName`, or what an installed package calls its own."""


class SplitSettings(BaseModel):
    """The slices that are held out of training."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    validation_share: float = Field(
        default=0.1, gt=0, le=0.4, description="Share of events in the validation slice."
    )
    test_share: float = Field(
        default=0.1,
        gt=0,
        le=0.4,
        description="Share of events in the test slice, which holds the latest ones.",
    )
    n_pair_negatives: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="Uniformly drawn negatives per question on which the ensemble is fitted.",
    )
    new_people_share: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="Share of people who are left out of every fit, to measure on new people.",
    )
    max_validation_people: int = Field(
        default=5_000,
        ge=50,
        le=10**7,
        description="Maximum number of people in validation, drawn by seed; raising it makes fitting the "
        "ensemble slower.",
    )
    max_test_people: int = Field(
        default=8_000,
        ge=50,
        le=10**7,
        description="Maximum number of people in the test, drawn by seed; raising it narrows the intervals.",
    )

    @property
    def max_people(self) -> MaxPeople:
        """Both bounds."""
        return MaxPeople(self.max_validation_people, self.max_test_people)


class TuningSettings(BaseModel):
    """Limits of the search for members' settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seconds_per_member: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Seconds per member; a trial starts only if, at the mean duration so far, it would end in time.",
    )
    max_trials: int = Field(
        default=20,
        ge=1,
        le=10_000,
        description="Maximum number of trials per member; the first one uses the settings as given.",
    )
    max_people: int = Field(
        default=1000,
        ge=1,
        le=10**7,
        description="Maximum number of validation people on whom a trial is measured, drawn by seed.",
    )


class TrainingSettings(BaseModel):
    """The settings of one training run."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    seed: int = Field(
        default=0,
        ge=0,
        le=2**31,
        description="Random seed; on the same processor, equal seeds make equal runs.",
    )
    n_text_components: int = Field(default=64, ge=1, le=1024, description="Length of an item's text vector.")
    n_text_terms: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Words and word pairs from which text vectors are made; raising it includes rarer ones.",
    )
    n_segments: int = Field(
        default=32,
        ge=1,
        le=10_000,
        description="Number of clusters of item texts, which serve as categories if the shop gives none.",
    )
    ensemble: Literal["auto"] | StrategyName = Field(
        default="auto",
        description="Strategy that combines the members; auto takes the one that is best on validation.",
    )
    n_folds: int = Field(
        default=3, ge=2, le=20, description="Folds of people for the comparison of strategies."
    )
    members: tuple[AnyMember, ...] = Field(
        default=EARNING,
        min_length=1,
        description="Members of the ensemble; `evaluate` measures all others beside it. Members of "
        "installed packages may be named too; see members.md.",
    )
    other_members: dict[str, Any] = Field(
        default_factory=dict,
        validate_default=True,
        description="Settings of members of other packages, one table each; `evaluate` measures a member "
        "that has a table but is not in `members` beside the ensemble.",
    )
    max_variant_items: int = Field(
        default=20_000,
        ge=0,
        le=200_000,
        description="Catalogue size up to which a bundle carries its ensemble, so that it can be served and "
        "monitored; 0: never.",
    )
    target: Literal["auto", "purchase", "cart", "rating", "click", "view"] = Field(
        default="auto",
        description="Kind of event that is predicted; auto takes purchases or, if these are too few, the kind "
        "that means most and of which there is enough.",
    )
    known_items: Literal["auto", "rank", "leave_out_bought"] = Field(
        default="auto",
        description="What lists do with a person's own items where a request does not say it, and what models are "
        "asked about; auto leaves out what was bought, or whatever the target is, if less than 1 % of later targets "
        "were taken before.",
    )
    recommend_unlisted: bool = Field(
        default=False,
        description="Whether items that have no row in the item table (if there is one) may be recommended; "
        "training uses them in any case.",
    )
    split: SplitSettings = SplitSettings()
    popularity: Popularity = Field(default_factory=Popularity)
    content: Content = Field(default_factory=Content)
    als: Factorization = Field(default_factory=Factorization)
    knn: ItemKNN = Field(default_factory=ItemKNN)
    ease: EASE = Field(default_factory=EASE)
    visits: VisitEASE = Field(default_factory=VisitEASE)
    neighbours: Neighbours = Field(default_factory=Neighbours)
    neural: NeuralCF = Field(default_factory=NeuralCF)
    sequential: Sequential = Field(default_factory=Sequential)
    repeats: RepeatSettings = Field(default_factory=RepeatSettings)
    tree: DecisionTree = Field(default_factory=DecisionTree)
    bagging: Bagging = Field(default_factory=Bagging)
    adaboost: AdaBoost = Field(default_factory=AdaBoost)
    boosting: Boosting = Field(default_factory=Boosting)
    stacking: Stacking = Field(default_factory=Stacking)
    neural_stacking: NeuralStacking = Field(default_factory=NeuralStacking)
    super_stacking: SuperStacking = Field(default_factory=SuperStacking)
    labels: LabelSettings = Field(default_factory=LabelSettings)
    tower: TowerSettings = Field(default_factory=TowerSettings)
    distill: DistillSettings = Field(default_factory=DistillSettings)
    pruning: PruningSettings = Field(default_factory=PruningSettings)
    index: IndexSettings = Field(default_factory=IndexSettings)
    certification: CertificationSettings = Field(default_factory=CertificationSettings)
    ablation: AblationSettings = Field(default_factory=AblationSettings)
    promotion: PromotionSettings = Field(default_factory=PromotionSettings)
    tuning: TuningSettings = TuningSettings()

    @field_validator("other_members", mode="before")
    @classmethod
    def _made(cls, tables: Any, given: ValidationInfo) -> dict[str, Member]:
        """Each member of another package, by its table or by its own defaults."""
        if not isinstance(tables, Mapping) or not all(isinstance(each, Mapping) for each in tables.values()):
            raise ValueError("write a table a member: [other_members.NAME]")
        if own := [name for name in tables if name in MEMBERS]:
            raise ValueError(f"{', '.join(own)} are members of our own; write [{own[0]}] instead")
        try:
            named = [name for name in given.data.get("members", ()) if name not in MEMBERS]
            return {
                name: make_member(name, tables.get(name, {})) for name in dict.fromkeys([*named, *tables])
            }
        except SettingsInvalid as error:
            raise ValueError(str(error)) from error

    def member(self, name: str) -> Member:
        """The settings of a member, as an unfitted one: our own or of another package."""
        found: Member = getattr(self, name) if name in MEMBERS else self.other_members[name]
        return found

    def fresh_members(self) -> list[Member]:
        """New, unfitted members; a member that was fitted before is never fitted again in place."""
        fresh = self.model_copy(deep=True)
        return [fresh.member(name) for name in self._every_name() if name in self.members]

    def beside(self) -> TrainingSettings:
        """The same with every member that the ensemble does not have: what it is compared with."""
        others = tuple(name for name in self._every_name() if name not in self.members)
        return self.model_copy(update={"members": others})

    def _every_name(self) -> tuple[str, ...]:
        """Our own members in the order of reports, then others."""
        return (*ALL_MEMBERS, *self.other_members)

    def strategies(self) -> dict[str, Factory]:
        """Makers of unfitted strategies, by name: the one that is named, or all of them for auto."""
        bases: dict[str, Factory] = {name: self._maker(name) for name in BASES}
        combined = {SuperStacking.name: lambda: replace(self.super_stacking).over(bases)}
        makers: dict[str, Factory] = {Average.name: Average} | bases | combined
        return makers if self.ensemble == "auto" else {self.ensemble: makers[self.ensemble]}

    def _maker(self, name: str) -> Factory:
        return lambda: replace(getattr(self, name))


QUICK: dict[str, Any] = {
    "split": {"n_pair_negatives": 50},
    "als": {"n_factors": 64},
    "neural": {"n_epochs": 3, "n_factors": 32, "n_hidden": 32, "batch_size": 256},
    "sequential": {"n_epochs": 6, "n_factors": 32, "n_positions": 8},
    "neural_stacking": {"n_networks": 1, "n_epochs": 4},
    "ensemble": "neural_stacking",
    "labels": {"n_copies": 3, "max_examples": 6_000, "n_top": 128, "n_uniform": 128},
    "tower": {"n_factors": 48, "n_neighbours": 32, "n_hidden": 128},
    "distill": {"n_epochs": 6},
    "pruning": {"n_points": 1, "n_recovery_epochs": 1, "n_examples": 256},
    "certification": {"max_people": 1_000},
    "ablation": {"n_epochs": 2, "max_examples": 3_000},
    "tuning": {"seconds_per_member": 5.0, "max_trials": 4, "max_people": 300},
}
"""What `--quick` changes: a bundle in a minute or two, good enough to look at, not to promote."""


DOCUMENT_HEAD = """# Training settings

Generated by `python -m training settings --markdown`. A TOML file overrides any of them; the settings of a run
are stored in the bundle's manifest:

    [als]
    n_factors = 192

    python -m training train DATA --settings my.toml

| setting | default | bounds | meaning |
|---|---|---|---|"""


def load_settings(file: Path | None, *, quick: bool, seed: int | None) -> TrainingSettings:
    """Defaults, then `QUICK` if chosen, then the TOML file, then the seed.

    Raises SettingsInvalid naming each setting that is unknown or out of its bounds.
    """
    given: dict[str, Any] = {}
    if file is not None:
        try:
            given = tomllib.loads(file.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsInvalid(f"{file} cannot be read as TOML: {error}") from error
    return settings_from(given, quick=quick, seed=seed)


def settings_from(given: Mapping[str, Any], *, quick: bool, seed: int | None) -> TrainingSettings:
    """Defaults, then `QUICK` if chosen, then the given values, tables merged key by key, then the seed.

    Raises SettingsInvalid naming each setting that is unknown or out of its bounds.
    """
    values = _merged(QUICK if quick else {}, given)
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


def settings_document() -> str:
    """`docs/training-settings.md`."""
    rows = [
        f"| `{name}` | {default} | {bounds} | {meaning} |"
        for name, default, bounds, meaning in describe_settings()
    ]
    return "\n".join([DOCUMENT_HEAD, *rows, ""])


def _bounds(part: dict[str, Any]) -> str:
    choices = ["true", "false"] if part.get("type") == "boolean" else _choices(part)
    if choices:
        return " · ".join(choices)
    if part.get("type") == "object":
        return "name · table of its settings"
    low = f"{part['minimum']} ≤ " if "minimum" in part else f"{part['exclusiveMinimum']} < "
    high = f" ≤ {part['maximum']}" if "maximum" in part else f" < {part['exclusiveMaximum']}"
    return f"{low}x{high}"


def _choices(part: dict[str, Any]) -> list[str]:
    """The words a setting may be, where it is one of several words or a list of them."""
    parts = [part, part.get("items", {}), *part.get("anyOf", [])]
    return [word for each in parts for word in each.get("enum", [each["const"]] if "const" in each else [])]


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid upon `base`, tables merged key by key."""
    merged = dict(base)
    for key, value in over.items():
        is_table = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        merged[key] = _merged(base[key], value) if is_table else value
    return merged
