"""A small invented shop, drawn once."""

from __future__ import annotations

import pytest

from training.scale.shop import ScaleCatalogue, ScaleSettings, invent_catalogue

SETTINGS = ScaleSettings(n_items=500, n_people=300)


@pytest.fixture(scope="session")
def settings() -> ScaleSettings:
    return SETTINGS


@pytest.fixture(scope="session")
def catalogue() -> ScaleCatalogue:
    return invent_catalogue(SETTINGS, n_texts=50)
