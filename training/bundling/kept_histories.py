"""Choose what a bundle keeps of a person: each item's latest event of each kind, as live histories do.

The student reads each item once, at its latest event. But if that is a cart event, it may be undone tomorrow, and
then the events before it count again; and purchases stay known however much is viewed later.
"""

from __future__ import annotations

import numpy as np

from models.history import EventKind, History

MAX_LASTING_EVENTS = 1_000
"""The most purchases and ratings kept of a person, the latest ones."""
MAX_PASSING_EVENTS = 1_000
"""The most other events kept of a person, the latest ones."""
LASTING = (EventKind.PURCHASE, EventKind.RATING)


def kept_history(history: History) -> History:
    """Keep the latest event of each item and kind, within both bounds; oldest first."""
    registers = history.item_indices.astype(np.int64) << 3 | history.kinds  # kinds have three bits
    _, first_from_end = np.unique(registers[::-1], return_index=True)
    latest = np.sort(len(registers) - 1 - first_from_end)
    are_lasting = np.isin(history.kinds[latest], LASTING)
    lasting, passing = latest[are_lasting], latest[~are_lasting]
    kept = np.sort(np.concatenate([lasting[-MAX_LASTING_EVENTS:], passing[-MAX_PASSING_EVENTS:]]))
    return History(history.item_indices[kept], history.times[kept], history.kinds[kept])
