"""Before it serves: an address that cannot be listened on, and arguments that there are not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.contract.errors import SettingsInvalid
from service.process.listening import check_listening
from service.settings.service import Settings

ROOT = Path(__file__).parents[3]


def start(module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module that is expected to end by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STILLROOM_")}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.mark.parametrize("module", ["service", "service.process.listening"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_line_with_the_remedy(
    taken: int, module: str, workers: str, tmp_path: Path
) -> None:
    ended = start(
        module, STILLROOM_PORT=str(taken), STILLROOM_WORKERS=workers, STILLROOM_STORE=str(tmp_path / "store")
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"error: port {taken} of 127.0.0.1 is taken: stop what listens there, or set STILLROOM_PORT to another one "
        "(0 takes a free one)\n"
    )


def test_a_port_is_free_again_after_the_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
    check_listening(Settings(port=port))
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_one_address_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without IPv6 whose hosts file says that localhost is ::1 too."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
    named = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: named)
    check_listening(Settings(host="localhost", port=port))


def test_any_free_port_is_never_taken() -> None:
    check_listening(Settings(port=0))


@pytest.mark.parametrize("host", ["192.0.2.1", "no host of any kind"])
def test_an_address_of_another_machine_names_the_host(host: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"STILLROOM_HOST is '{host}'"):
        check_listening(Settings(host=host))


def test_arguments_are_refused_and_point_to_the_settings() -> None:
    ended = start("service", "--port", "9000")
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: python -m service takes no arguments, '--port' was given; settings are STILLROOM_* variables, which "
        "docs/settings.md lists\n"
    )


def test_help_says_what_there_is_to_know() -> None:
    ended = start("service", "--help")
    assert ended.returncode == 0
    assert "STILLROOM_PORT" in ended.stdout
    assert "docs/settings.md" in ended.stdout
