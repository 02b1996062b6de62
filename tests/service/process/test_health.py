"""Liveness, readiness, and leaving on SIGTERM without dropping a request."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import httpx

from models.bundles.registry import Registry
from tests.support.service import Running, ServiceProcess, make_parts, running


async def test_live_from_the_start(service: Running) -> None:
    assert (await service.client.get("/health/live")).json() == {"status": "live"}


async def test_ready_names_the_bundle_and_the_state_of_redis(service: Running) -> None:
    answer = (await service.client.get("/health/ready")).json()
    assert answer["status"] == "ready"
    assert answer["bundle_version"] == service.parts.bundles.serving().version
    assert answer["redis"] == "off"


async def test_ready_without_a_model_where_nothing_was_promoted_yet(tmp_path: Path) -> None:
    async with running(tmp_path / "store") as service:
        answer = await service.client.get("/health/ready")
        assert answer.status_code == 200
        assert answer.json()["bundle_version"] is None


async def test_not_ready_without_a_model_where_one_is_required(tmp_path: Path) -> None:
    async with running(tmp_path / "store", require_bundle=True) as service:
        answer = await service.client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == "1"
        assert "STILLROOM_REQUIRE_BUNDLE" in answer.json()["detail"]
        assert (await service.client.get("/health/live")).status_code == 200


async def test_not_ready_as_long_as_what_is_promoted_is_refused(store: Path) -> None:
    (store / Registry(store).current() / "user_tower.onnx").write_bytes(b"")
    async with running(store) as service:
        answer = await service.client.get("/health/ready")
        assert answer.status_code == 503
        assert "refused" in answer.json()["detail"]
        assert (await service.client.get("/health/live")).status_code == 200


async def test_not_ready_once_the_scoring_thread_has_ended(service: Running) -> None:
    await service.parts.scorer.close()
    assert (await service.client.get("/health/ready")).status_code == 503
    assert (await service.recommend(user_id="user-1"))["degraded"] == "student_failed"


async def test_second_sigterm_does_not_begin_a_second_drain(store: Path) -> None:
    parts = make_parts(store, drain_seconds=0)
    stops: list[int] = []
    stopped = asyncio.Event()

    def stop(number: int, frame: object) -> None:
        stops.append(number)
        stopped.set()

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        with parts.drain.on_sigterm():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            await stopped.wait()
            await asyncio.sleep(0)  # a second stop would be due by now
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert parts.drain.is_draining
    assert stops == [signal.SIGTERM]


def test_sigterm_fails_readiness_finishes_the_request_in_flight_and_exits_cleanly(store: Path) -> None:
    with ServiceProcess(store, DRAIN_SECONDS="0.5") as service:
        assert service.process is not None
        with httpx.Client(base_url=service.url) as slow, httpx.Client(base_url=service.url) as other:

            def body_with_a_signal_in_it() -> object:
                yield b'{"user_id": "user-1",'
                service.process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
                while other.get("/health/ready").status_code != 503:
                    pass
                yield b'"limit": 3}'

            answer = slow.post(
                "/recommend",
                content=body_with_a_signal_in_it(),  # type: ignore[arg-type]
                headers={"content-type": "application/json"},
            )
        assert answer.status_code == 200
        assert len(answer.json()["items"]) == 3
        assert service.process.wait(timeout=20) == 0


def test_request_in_flight_when_the_server_closes_its_sockets_is_still_answered(store: Path) -> None:
    with ServiceProcess(store, DRAIN_SECONDS="0") as service, httpx.Client(base_url=service.url) as slow:
        process = service.process
        assert process is not None

        def is_listening() -> bool:
            try:
                httpx.get(f"{service.url}/health/live")
            except httpx.TransportError:
                return False
            return True

        def body() -> object:
            yield b'{"limit":'
            process.send_signal(signal.SIGTERM)
            while is_listening():
                pass
            yield b" 3}"

        answer = slow.post(
            "/recommend",
            content=body(),  # type: ignore[arg-type]
            headers={"content-type": "application/json"},
        )
        assert len(answer.json()["items"]) == 3
        assert process.wait(timeout=20) == 0
