"""Requests made from the OpenAPI document by schemathesis, right ones and wrong ones, to a real service."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case as Request
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup, ServerError
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from loadtest.faults.service_log import unforeseen
from tests.fuzz.cases import Case, Findings
from tests.fuzz.services import FuzzedService, fuzzed, key_in
from tests.fuzz.watching import GrowthWatch, KindReport, ordered

DOCUMENT = Path("docs/openapi.json")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

SHARES = {
    "POST /recommend": 0.3,
    "POST /recommend/batch": 0.15,
    "POST /similar": 0.12,
    "POST /events": 0.25,
}
"""Of the cases; the other operations, which are small, share the rest."""

MAX_ROUNDS = 12
"""Hypothesis stops at each failure that it has not seen, shrunk; what is known is passed over in the next round."""

LOOK_EVERY = 100


class Named(msgspec.Struct):
    """A request as it is written down."""

    label: str
    path_parameters: dict[str, Any]
    query: dict[str, Any]
    headers: dict[str, str]
    media_type: str | None
    body: Any
    has_body: bool


class NotConforming(AssertionError):
    """A failure that was not seen before; words: of it."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class DocumentFuzz:
    """service: to ask. key: of an operator."""

    def __init__(self, service: FuzzedService, key: str, findings: Findings) -> None:
        document = json.loads(DOCUMENT.read_text())
        results = schemathesis.openapi.from_dict(document).get_all_operations()
        operations = [result.ok() for result in results]  # type: ignore[union-attr]
        self._operations = {operation.label: operation for operation in operations}
        self._service = service
        self._url = f"http://127.0.0.1:{service.port}"
        self._headers = {"authorization": f"Bearer {key}"}
        self._session = requests.Session()
        self._findings = findings
        self._statuses: Counter[str] = Counter()
        self._n_done = 0

    def run(
        self, n_cases: int, seed_: int, say: Callable[[str], object], labels: Collection[str] = ()
    ) -> KindReport:
        """Each operation, with what the document allows and with what it forbids. labels: of the operations, none for
        all.
        """
        watch, started_at = GrowthWatch(n_cases), perf_counter()
        rest = (1 - sum(SHARES.values())) / (len(self._operations) - len(SHARES))
        wanted = {label: each for label, each in self._operations.items() if not labels or label in labels}
        for label, operation in wanted.items():
            for mode in GenerationMode:
                n_of_these = max(1, round(n_cases * SHARES.get(label, rest) / 2))
                self._run_operation(operation, mode, n_of_these, seed_, watch)
            say(f"document: {label}, {self._n_done:,} of {n_cases:,} cases")
        watch.look(self._n_done, self._service.own_bytes())
        return KindReport(
            "document",
            cases=self._n_done,
            outcomes=ordered(self._statuses),
            findings=len(self._findings.of("document")),
            growth_mib=watch.growth_mib,
            unhandled=unforeseen(self._service.log),
            seconds=round(perf_counter() - started_at, 1),
        )

    def _run_operation(
        self, operation: Any, mode: GenerationMode, n_cases: int, seed_: int, watch: GrowthWatch
    ) -> None:
        """Round by round: hypothesis stops at a failure that is new and makes it small."""
        known: set[str] = set()
        ends_at = self._n_done + n_cases

        def each(request: Request[Any]) -> None:
            words = self.judged(request, is_negative=mode is GenerationMode.NEGATIVE)
            self._n_done += 1
            if self._n_done % LOOK_EVERY == 0:
                watch.look(self._n_done, self._service.own_bytes())
            if words is not None:
                self._findings.add(_written(request), words)
                if words not in known:
                    raise NotConforming(words)

        for round_ in range(MAX_ROUNDS):
            if self._n_done >= ends_at:
                return
            fuzzed_each = given(request=operation.as_strategy(generation_mode=mode))(each)
            drawn = seed(seed_ * 1000 + round_)(_settings(ends_at - self._n_done)(fuzzed_each))
            try:
                drawn()
            except NotConforming as failure:
                known.add(failure.words)
            except BaseExceptionGroup as several:
                known |= {each.words for each in several.exceptions if isinstance(each, NotConforming)}
            except Unsatisfiable:
                return  # nothing can be made that the document forbids

    def judged(self, request: Request[Any], *, is_negative: bool) -> str | None:
        """Send it; what is wrong with the answer, None for nothing."""
        try:
            response = request.call(
                base_url=self._url, headers=self._headers, session=self._session, timeout=20
            )
            self._statuses[str(response.status_code)] += 1
            checks = CHECKS if is_negative else CHECKS[:-1]
            request.validate_response(response, checks=checks, headers=self._headers)
        except FailureGroup as failures:
            return _in_words(request, failures)
        except requests.RequestException as error:
            return f"{request.operation.label}: no answer: {type(error).__name__}"
        return None

    def judged_again(self, case: Case) -> str | None:
        """A case that was written down."""
        named = msgspec.json.decode(case.data, type=Named)
        request = self._operations[named.label].Case(
            path_parameters=named.path_parameters,
            query=named.query,
            headers=named.headers,
            **({"body": named.body} if named.has_body else {}),
            media_type=named.media_type,
        )
        return self.judged(request, is_negative=False)


def _settings(n_examples: int) -> settings:
    return settings(
        max_examples=n_examples,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def _in_words(request: Request[Any], failures: FailureGroup) -> str:
    """The kind of the worst failure, without the values that led to it."""
    first = min(failures.exceptions, key=lambda failure: not isinstance(failure, ServerError))
    message = " ".join(str(first.message).split())
    return f"{request.operation.label}: {type(first).__name__}: {message[:90]}"


def _written(request: Request[Any]) -> Case:
    """As JSON, by which it can be made again."""
    named = Named(
        request.operation.label,
        dict(request.path_parameters or {}),
        dict(request.query or {}),
        {str(name): str(value) for name, value in (request.headers or {}).items()},
        request.media_type,
        None if isinstance(request.body, NotSet) else request.body,
        not isinstance(request.body, NotSet),
    )
    return Case("document", (json.dumps(msgspec.to_builtins(named, enc_hook=str), default=str).encode(),))


def fuzz_document(
    folder: Path, n_cases: int, seed_: int, findings: Findings, say: Callable[[str], object]
) -> KindReport:
    """With a service of its own."""
    with fuzzed(folder / "document") as service:
        return DocumentFuzz(service, key_in(folder / "document"), findings).run(n_cases, seed_, say)
