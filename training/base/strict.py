"""The pydantic configuration of settings: a misspelt name is an error, not a silent default."""

from __future__ import annotations

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid")
