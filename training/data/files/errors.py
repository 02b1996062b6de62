"""The error for a file that its reader cannot read."""

from __future__ import annotations

from pathlib import Path

from training.base.errors import SourceUnreadable


def unreadable(source: Path, error: Exception) -> SourceUnreadable:
    """Make the error for a damaged file: its path and the first line of what its reader said."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return SourceUnreadable(f"{source} cannot be read: {reason}. Check that the file is whole.")
