"""What a notebook needs of Stillroom: read a shop, train, load a bundle, recommend, evaluate.

    read_shop(path) → Shop                  train(shop) → Model, and a bundle in a store
    evaluate(shop) → figures by model       load_bundle(path) → Model     Model.recommend(user_id) → recommendations

Loading and recommending need what the service needs; reading, training and evaluating need the extra `training`,
which is imported when one of them is called. Everything else stays where it is, in `models` and `training`.
"""

from models.bundles.registry import DEFAULT_STORE
from models.errors import StillroomError
from stillroom.learning import TrainingMissing, evaluate, read_shop, train
from stillroom.model import Event, Model, Recommendation, load_bundle

__all__ = [
    "DEFAULT_STORE",
    "Event",
    "Model",
    "Recommendation",
    "StillroomError",
    "TrainingMissing",
    "evaluate",
    "load_bundle",
    "read_shop",
    "train",
]
