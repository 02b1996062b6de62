"""The error tree, its table, and what of an error a client gets to see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from service.contract import errors
from service.contract.errors import PROBLEMS, NotReady, ServiceError, StudentFailed
from service.edge.endpoints.problems import problem_document


def every_class(root: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    yield root
    for child in root.__subclasses__():
        yield from every_class(child)


def test_every_error_class_is_in_the_table() -> None:
    assert set(every_class()) == set(PROBLEMS)


def test_every_error_class_is_drawn_in_the_tree() -> None:
    for error in every_class():
        assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("error", PROBLEMS)
def test_every_status_is_a_client_or_server_error(error: type[ServiceError]) -> None:
    assert HTTPStatus(PROBLEMS[error].status) >= 400


def test_server_errors_hold_a_request_id_and_no_internals() -> None:
    document = problem_document(StudentFailed("tensor at 0x7f in /srv/secret"), "the-id")
    assert "secret" not in document.body.decode()
    assert "the-id" in json.loads(document.body)["detail"]


def test_not_ready_says_why() -> None:
    assert "no bundle" in json.loads(problem_document(NotReady("no bundle yet"), "x").body)["detail"]
