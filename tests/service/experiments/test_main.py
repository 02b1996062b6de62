from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from service.experiments.__main__ import main
from service.experiments.report import publish_command
from service.experiments.stopped import READ_STOPS, read_stops
from service.monitor.judge import ExperimentJudge
from tests.support.experiments import TWO_ARMS, declared, exposure
from tests.support.redis import RedisServer

STUDENTS = TWO_ARMS.replace('variant = "ensemble"\n', "")


@pytest.fixture
def settings(store: Path, tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A declaration, a store and Redis, as an operator has them."""
    file = tmp_path / "experiments.toml"
    file.write_text(STUDENTS)
    monkeypatch.setenv("STILLROOM_EXPERIMENTS", str(file))
    monkeypatch.setenv("STILLROOM_STORE", str(store))
    monkeypatch.setenv("STILLROOM_REDIS_URL", redis_server.url)
    return file


def publish(server: RedisServer) -> None:
    judge = ExperimentJudge(declared())
    judge.exposed(exposure("a"))
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(*publish_command(judge.decide(0, []).reports[0]))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_without_a_name_what_is_declared_is_listed(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    said = capsys.readouterr().out
    assert said == (
        "vases: 0% to 100% of a layer of its own; control 50% current/student, ensemble 50% current/student\n"
    )


def test_a_report_is_printed_as_a_table_and_as_json(
    settings: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(redis_server)
    main(["vases"])
    assert "experiment vases" in capsys.readouterr().out
    main(["vases", "--json"])
    assert json.loads(capsys.readouterr().out)["arms"][0]["n_answers"] == 1


def test_a_report_that_is_not_there_yet_is_said(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "vases") == (
        1,
        "error: nothing is known of 'vases' yet; is the monitor running?\n",
    )


def test_an_arm_is_stopped_and_resumed(settings: Path, redis_server: RedisServer) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        main(["vases", "--stop", "ensemble", "--why", "it is slow"])
        [stop] = read_stops(client.execute_command(*READ_STOPS))
        assert (stop.experiment, stop.arm, stop.salt, stop.detail) == (
            "vases",
            "ensemble",
            "vases",
            "it is slow",
        )
        main(["vases", "--resume", "ensemble"])
        assert read_stops(client.execute_command(*READ_STOPS)) == []


def test_one_arm_cannot_go_on_while_all_are_stopped_together(
    settings: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["vases", "--stop", "*"])
    code, said = refused(capsys, "vases", "--resume", "ensemble")
    assert (code, "stopped together" in said) == (2, True)
    main(["vases", "--resume", "*"])
    with redis.Redis.from_url(redis_server.url) as client:
        assert read_stops(client.execute_command(*READ_STOPS)) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bowls"], "no experiment 'bowls' is declared, there is: vases"),
        (["vases", "--stop", "third"], "'vases' has no arm 'third', it has: control, ensemble, *"),
    ],
)
def test_what_is_not_declared_is_refused(
    settings: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert refused(capsys, *arguments) == (2, f"error: {said}\n")


def test_a_declaration_is_checked_before_it_goes_into_service(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = settings.with_name("new.toml")
    bad.write_text(STUDENTS.replace("weight = 0.5", "weight = 0.6").replace('"vases"', '"Vases"'))
    assert refused(capsys, "--file", str(bad))[1].startswith(f"error: {bad}:3: ")


def test_a_redis_that_is_away_is_said(
    settings: Path, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_server.kill()
    code, said = refused(capsys, "vases")
    assert code == 1
    assert said.startswith("error: Redis at STILLROOM_REDIS_URL: ")
