"""Clients that others' generators make of the committed document compile, and their requests are answered."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bundles import tiny_bundle
from tests.support.repository import ROOT
from tests.support.service import ServiceProcess

DOCUMENT = ROOT / "docs" / "openapi.json"
CLIENTS = Path(__file__).parent / "clients"
ENVIRONMENTS = ROOT / ".venv-generators"
"""Made once and kept, as long as what is asked for is the same; git ignores it."""

KEY = "a key of sixteen characters or more"
MIN_NODE = 20
TIMEOUT_SECONDS = 300


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command says; a failure is one of the test."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def environment(wanted: Path) -> tuple[Path, bool]:
    """A folder for what this file asks for, and whether it is filled already; another file has another folder."""
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = ENVIRONMENTS / f"{wanted.stem}-{digest}"
    return folder, (folder / "installed").exists()


@pytest.fixture(scope="module")
def python() -> Path:
    """An interpreter beside which both Python generators are."""
    folder, is_filled = environment(CLIENTS / "requirements.txt")
    python = folder / "bin" / "python"
    if not is_filled:
        run(sys.executable, "-m", "venv", "--clear", folder)
        run(python, "-m", "pip", "install", "-q", "--no-deps", "-r", CLIENTS / "requirements.txt")
        (folder / "installed").touch()
    return python


@pytest.fixture(scope="module")
def node_programs() -> Path:
    """A folder with the generator's and the compiler's programs. Without a Node that can run them it skips."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip(f"there is no Node here: the TypeScript client needs node {MIN_NODE} or newer, and npm")
    version = run("node", "--version").strip()
    if int(version[1:].partition(".")[0]) < MIN_NODE:
        pytest.skip(f"node is {version}; the TypeScript client needs {MIN_NODE} or newer")
    folder, is_filled = environment(CLIENTS / "package-lock.json")
    if not is_filled:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / name, folder)
        run("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=folder)
        (folder / "installed").touch()
    return folder / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("clients")
    tiny_bundle(folder / "store")
    (folder / "keys").write_text(f"tests:{KEY}\n")
    with ServiceProcess(folder / "store", ADMIN_KEYS_FILE=str(folder / "keys")) as started:
        yield started


def test_the_document_is_one_of_openapi_3_1(python: Path) -> None:
    assert "OK" in run(python, "-m", "openapi_spec_validator", "--schema", "3.1", DOCUMENT)


def test_openapi_python_client(python: Path, service: ServiceProcess, tmp_path: Path) -> None:
    hooks = tmp_path / "config.yml"
    hooks.write_text("post_hooks: []\n")  # it would format what it made
    options = ("--path", DOCUMENT, "--output-path", tmp_path / "client", "--config", hooks)
    run(python.with_name("openapi-python-client"), "generate", "--fail-on-warning", *options)
    shutil.copy(CLIENTS / "python_client.py", tmp_path / "client")
    run(python, "python_client.py", service.url, KEY, cwd=tmp_path / "client")


def test_datamodel_code_generator(python: Path, service: ServiceProcess, tmp_path: Path) -> None:
    options = ("--input-file-type", "openapi", "--output-model-type", "pydantic_v2.BaseModel")
    output = ("--formatters", "builtin", "--output", tmp_path / "stillroom_models.py")
    run(python.with_name("datamodel-codegen"), "--input", DOCUMENT, *options, *output)
    shutil.copy(CLIENTS / "data_models.py", tmp_path)
    run(python, "data_models.py", service.url, cwd=tmp_path)


def test_openapi_typescript(node_programs: Path, service: ServiceProcess, tmp_path: Path) -> None:
    run(node_programs / "openapi-typescript", DOCUMENT, "--output", tmp_path / "api.d.ts")
    shutil.copy(CLIENTS / "client.mts", tmp_path)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom")
    run(node_programs / "tsc", *options, "client.mts", cwd=tmp_path)
    run("node", "client.mjs", service.url, cwd=tmp_path)
