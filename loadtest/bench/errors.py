"""Errors that keep a part of the bench from giving a figure.

LoadTestError
└── BenchFailed             a part could not be measured; the report has the message instead
    └── EnvironmentFailed   a peer's own environment could not be made
"""

from __future__ import annotations

from loadtest.errors import LoadTestError


class BenchFailed(LoadTestError):
    """A part of the bench could not be measured."""


class EnvironmentFailed(BenchFailed):
    """pip could not make a peer's environment. The message ends with pip's last lines."""
