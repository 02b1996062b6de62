"""What is kept of a person, in bundles and live: each item's latest events of each kind.

The student reads each item once, at its strongest event, and how often that happened. But if that is a cart event,
it may be undone tomorrow, and then weaker ones count again; and purchases stay known however much is viewed later.
"""

from __future__ import annotations

import numpy as np

from models.history import EventKind, History, latest_places

MAX_LASTING_EVENTS = 1_000
"""The most purchases and ratings kept of a person, the latest ones."""
MAX_PASSING_EVENTS = 1_000
"""The most other events kept of a person, the latest ones."""
LASTING = (EventKind.PURCHASE, EventKind.RATING, EventKind.DISLIKE)


def kept_history(history: History) -> History:
    """Keep the latest events of each item and kind, within both bounds; oldest first."""
    latest = latest_places(history.item_indices.astype(np.int64) << 3 | history.kinds, history.times)
    are_lasting = np.isin(history.kinds[latest], LASTING)
    lasting, passing = latest[are_lasting], latest[~are_lasting]
    kept = np.sort(np.concatenate([lasting[-MAX_LASTING_EVENTS:], passing[-MAX_PASSING_EVENTS:]]))
    return History(history.item_indices[kept], history.times[kept], history.kinds[kept])
