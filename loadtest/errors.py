"""Errors that keep a load test from giving a verdict. One tree:

LoadTestError               whoever started the test can correct it; the message says how
├── IdsMissing              no file of ids, or nothing in it
├── PortTaken               something else listens where a server was to be started
├── ServerMissing           a program that the test starts is not installed
├── ServerFailed            a server that the test started went away or never became ready
├── GeneratorFailed         Locust ended without having measured anything
└── FaultUnknown            a drill was started for a fault that it cannot make
"""


class LoadTestError(Exception):
    """Root of every error that `loadtest` raises on purpose."""


class IdsMissing(LoadTestError):
    """There are no ids to ask with."""


class PortTaken(LoadTestError):
    """A port is in use."""


class ServerMissing(LoadTestError):
    """A server's program is not installed."""


class ServerFailed(LoadTestError):
    """A server ended or did not become ready. The message ends with the last lines of its log."""


class GeneratorFailed(LoadTestError):
    """The load generator did not run to its end."""


class FaultUnknown(LoadTestError):
    """A drill has no such fault."""
