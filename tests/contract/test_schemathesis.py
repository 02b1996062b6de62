"""The service keeps to its own OpenAPI document, tried with generated requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from service.edge.openapi.document import openapi_document
from tests.support.bundles import tiny_bundle
from tests.support.service import ServiceProcess

schema = schemathesis.openapi.from_dict(openapi_document())
KEY = "a key of sixteen characters or more"
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("schemathesis")
    store, keys = folder / "store", folder / "keys"
    tiny_bundle(store)
    keys.write_text(f"tests:{KEY}\n")
    with ServiceProcess(store, ADMIN_KEYS_FILE=str(keys)) as started:
        yield started


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
def test_requests_made_from_the_document_are_answered_as_it_says(
    case: schemathesis.Case[Any], service: ServiceProcess
) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    case.call_and_validate(base_url=service.url, checks=CHECKS, headers=headers, timeout=60)
