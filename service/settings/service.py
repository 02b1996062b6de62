"""The settings of the service itself, gathered from the rooms whose parts it has."""

from __future__ import annotations

from service.settings.answers import AnswerSettings
from service.settings.events import EventSettings
from service.settings.experiments import ExperimentSettings
from service.settings.http import HttpSettings
from service.settings.operators import OperatorSettings
from service.settings.people import PeopleSettings
from service.settings.process import ProcessSettings
from service.settings.redis import RedisSettings


class Settings(
    OperatorSettings,  # and with it those of the spool and of the store
    EventSettings,
    ExperimentSettings,
    RedisSettings,
    PeopleSettings,
    HttpSettings,
    AnswerSettings,
    ProcessSettings,
):
    """All settings of the service, read once; each part gets those that it needs."""
