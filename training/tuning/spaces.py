"""The search space of each member: the settings that affect quality, each within its own bounds.

They are narrower than the bounds of the settings themselves, which allow all that works.
"""

from __future__ import annotations

from optuna.distributions import FloatDistribution as Reals
from optuna.distributions import IntDistribution as Integers

Space = dict[str, Reals | Integers]
"""Maps setting to the interval from which it is drawn, both ends included; log: uniform in the logarithm."""

SEARCH_SPACES: dict[str, Space] = {
    "popularity": {"half_life_days": Reals(1, 365, log=True)},
    "content": {"half_life": Reals(0.5, 300, log=True)},
    "als": {
        "n_factors": Integers(32, 256, log=True),
        "l2": Reals(1, 300, log=True),
        "alpha": Reals(0.5, 50, log=True),
        "fit_half_life": Reals(5, 2000, log=True),
        "fold_half_life": Reals(2, 500, log=True),
    },
    "knn": {
        "n_neighbours": Integers(20, 2000, log=True),
        "shrinkage": Reals(0.5, 200, log=True),
        "popularity_power": Reals(0.2, 1.0),
        "fit_half_life": Reals(2, 2000, log=True),
        "fold_half_life": Reals(2, 2000, log=True),
        "visit_decay": Reals(0.0, 1.0),
        "person_weight": Reals(0.0, 2.0),
    },
    "ease": {
        "l2": Reals(10, 5000, log=True),
        "fit_half_life": Reals(5, 2000, log=True),
        "fold_half_life": Reals(2, 2000, log=True),
        "visit_decay": Reals(0.0, 1.0),
    },
    "visits": {
        "l2": Reals(10, 2000, log=True),
        "fit_half_life": Reals(5, 2000, log=True),
        "fold_half_life": Reals(2, 2000, log=True),
        "visit_decay": Reals(0.0, 1.0),
        "person_weight": Reals(0.0, 2.0),
    },
    "neighbours": {"n_nearest": Integers(20, 2000, log=True)},
    "neural": {
        "n_factors": Integers(16, 128, log=True),
        "n_epochs": Integers(1, 20, log=True),
        "learning_rate": Reals(3e-4, 2e-2, log=True),
        "half_life": Reals(2, 200, log=True),
    },
    "sequential": {
        "n_factors": Integers(32, 128, step=32),
        "dropout": Reals(0.0, 0.6),
        "n_epochs": Integers(3, 40, log=True),
        "learning_rate": Reals(5e-4, 1e-2, log=True),
    },
}
"""The search spaces by member name."""
