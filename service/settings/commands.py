"""The settings of each process and command besides the service; each checks only those that it uses."""

from __future__ import annotations

from service.settings.bundles import BundleSettings
from service.settings.experiments import ExperimentSettings
from service.settings.log import SpoolSettings
from service.settings.monitor import MonitorSettings
from service.settings.people import PeopleSettings
from service.settings.process import ProcessSettings
from service.settings.redis import RedisSettings


class ExperimentsCommandSettings(ExperimentSettings, RedisSettings, BundleSettings):
    """Read by `python -m service.experiments`."""


class ExportSettings(SpoolSettings, RedisSettings):
    """Read by `python -m service.log.export`."""


class MonitorProcessSettings(
    MonitorSettings, ExperimentSettings, RedisSettings, BundleSettings, ProcessSettings
):
    """Read by `python -m service.monitor`."""


class WarmSettings(PeopleSettings, RedisSettings, BundleSettings):
    """Read by `python -m service.people.warm`."""
