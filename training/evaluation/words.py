"""Words for figures, models and protocols wherever people read them: on the page and in the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OURS = frozenset({"ensemble", "student_shipped", "student_tuned"})
"""The models that a reader looks for in every table: the teacher, and what is served."""

MODELS = {
    "popular": "most popular",
    "popular_week": "most popular, last week",
    "most_taken": "taken most by the person",
    "most_taken_then_popular": "taken most, then popular",
    "last_looked_at": "the person's latest items",
    "tifu_knn": "TIFU-kNN",
    "popular_withheld": "most popular, by withheld counts",
    "popularity": "popular lately",
    "content": "content (TF-IDF)",
    "als": "ALS",
    "knn": "item-kNN",
    "ease": "EASE",
    "visits": "EASE on visits",
    "neural": "neural CF",
    "sequential": "self-attention",
    "student_pruned": "student, pruned",
    "student_shipped": "student, as shipped",
    "student_tuned": "student, of tuned members",
    "student_without_distillation": "student, not distilled",
    "student_text": "student, by text alone",
    "tree": "one decision tree",
    "bagging": "bagged trees",
    "adaboost": "AdaBoost",
    "boosting": "gradient boosting",
    "stacking": "logistic stacking",
    "neural_stacking": "neural stacking",
    "average": "mean of the members",
    "super_stacking": "stacking of all those",
}
PROTOCOLS = {
    "next_basket": "next basket",
    "last_basket": "last basket",
    "leave_last_out": "leave last out",
    "published": "as published",
}


@dataclass(frozen=True)
class Metric:
    """One metric in a table of models.

    better: which direction is better, None if neither is. is_on_page: the page has a column of it; `quality.json` has
    all.
    """

    name: str
    title: str
    group: str
    better: Literal["higher"] | None = "higher"
    is_on_page: bool = True


METRICS = (
    Metric("accuracy", "accuracy", "balanced pairs"),
    Metric("auc", "AUC", "balanced pairs"),
    Metric("hr@10", "HR@10", "sampled candidates"),
    Metric("ndcg@10", "NDCG@10", "sampled candidates"),
    Metric("catalogue_recall@20", "Recall@20", "whole catalogue"),
    Metric("catalogue_capped_recall@20", "R_cap@20", "whole catalogue"),
    Metric("catalogue_ndcg@20", "NDCG@20", "whole catalogue"),
    Metric("catalogue_hr@10", "HR@10", "whole catalogue", is_on_page=False),
    Metric("catalogue_recall@10", "R@10", "whole catalogue"),
    Metric("catalogue_ndcg@10", "NDCG@10", "whole catalogue"),
    Metric("coverage", "coverage", "lists of 20", None),
    Metric("novelty", "novelty", "lists of 20", None),
    Metric("popularity_bias", "pop. bias", "lists of 20", None),
)
METRIC_TITLES = {metric.name: metric.title for metric in METRICS}
METRIC_WORDS = {"mrr": "MRR"} | {
    metric.name: f"{metric.title}, whole catalogue" if metric.group == "whole catalogue" else metric.title
    for metric in METRICS
}


def model_words(name: str, *, is_beside: bool = False) -> str:
    """Name a model, or a difference or ratio of two, for a sentence. is_beside: the ensemble does not have it."""
    if is_beside:
        return f"{model_words(name)} (beside)"
    if "_minus_" in name:
        return " − ".join(model_words(part) for part in name.split("_minus_"))
    if name.endswith("_retention"):
        return " / ".join(model_words(part) for part in name.removesuffix("_retention").split("_over_"))
    return MODELS.get(name) or name.replace("_", " ")


def metric_words(name: str) -> str:
    """Name a metric for a sentence."""
    return METRIC_WORDS.get(name) or name.replace("_", " ")


def protocol_words(name: str) -> str:
    """Name a protocol for a sentence."""
    return PROTOCOLS.get(name) or name.replace("_", " ")
