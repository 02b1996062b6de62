"""The arrows: service → models ← training ← stillroom, and nothing heavy in the serving process."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from models.bundles.bundle import write_bundle
from models.bundles.registry import Registry
from tests.support.variants import contents_with_variants

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "sklearn", "implicit", "polars", "pandas", "scipy", "pyarrow", "onnx", "matplotlib"}
ROOMS = {"service", "models", "training", "stillroom", "loadtest"}

FORBIDDEN = {
    "models": {*HEAVY, *ROOMS - {"models"}, "fastapi", "starlette", "redis"},
    # The monitor and training need it; the API never loads it, as the test at the end of this file sees.
    "models/statistics": {*HEAVY - {"scipy"}, *ROOMS - {"models"}, "fastapi", "starlette", "redis"},
    "service": {*HEAVY, "training", "stillroom", "loadtest", "locust"},
    # A command of its own beside the service, which never loads it.
    "service/log/export": {*HEAVY - {"pyarrow"}, "training", "stillroom", "loadtest", "locust"},
    "training": {"service", "stillroom", "loadtest", "fastapi", "redis", "locust"},
    # For a notebook; the training side is imported when it is asked for.
    "stillroom": {*HEAVY, "service", "loadtest", "fastapi", "starlette", "redis", "locust"},
    "loadtest": {*HEAVY, *ROOMS - {"loadtest"}, "fastapi"},
    # They read what was exported.
    "loadtest/events": {*HEAVY - {"pyarrow"}, *ROOMS - {"loadtest"}, "fastapi"},
    "loadtest/faults": {*HEAVY - {"pyarrow"}, *ROOMS - {"loadtest"}, "fastapi"},
    # It replays a shop's events, and damages a bundle in a process of its own.
    "loadtest/alerts": {*HEAVY - {"pyarrow"}, "service", "training", "stillroom", "fastapi"},
    # They serve the bundle's own student on other stacks, each in an environment of its own.
    "loadtest/peers": {"torch", "service", "training", "stillroom", "locust"},
}

SERVE_EACH_MODEL_AND_PLACE_ONE_NEW_ITEM = """
import asyncio, sys
from pathlib import Path
import httpx
from service.edge.app import create_app
from service.process.assembly import Parts
from service.settings.service import Settings

async def main():
    parts = Parts(Settings(store=Path(sys.argv[1])))
    app = create_app(parts)
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")
        async with client:
            assert (await client.post("/recommend", json={"explain": True})).status_code == 200
            assert (await client.get("/openapi.json")).status_code == 200
        serving = parts.bundles.serving()
        text_vectors = serving.bundle.text_encoder.encode(["a lantern of block1"])
        assert serving.student.new_item_vectors(text_vectors).answers.any()
        serving.load_variants()
        for variant in serving.variants.names:
            assert len(serving.variants.score(variant, [serving.people.histories[0]])) == 1

asyncio.run(main())
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def modules_of(file: Path) -> set[str]:
    """The full names of the modules a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def imports_of(file: Path) -> set[str]:
    """The top-level packages a file imports, wherever in the file."""
    return {name.partition(".")[0] for name in modules_of(file)}


def room_of(file: Path) -> str:
    """The innermost room that a file lies in."""
    return max((room for room in FORBIDDEN if file.is_relative_to(ROOT / room)), key=len)


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_imports_follow_the_arrows(room: str) -> None:
    files = [file for file in sorted((ROOT / room).rglob("*.py")) if room_of(file) == room]
    assert files
    wrong = {str(file.relative_to(ROOT)): imports_of(file) & FORBIDDEN[room] for file in files}
    assert not {file: names for file, names in wrong.items() if names}


def test_peers_take_nothing_of_the_load_test_but_each_other() -> None:
    for file in (ROOT / "loadtest/peers").rglob("*.py"):
        ours = {name for name in modules_of(file) if name.startswith("loadtest")}
        assert all(name.startswith("loadtest.peers") for name in ours), file


def test_of_peers_the_load_test_reads_the_setting_alone() -> None:
    for file in (ROOT / "loadtest").rglob("*.py"):
        if room_of(file) == "loadtest":
            theirs = {name for name in modules_of(file) if name.startswith("loadtest.peers")}
            assert theirs <= {"loadtest.peers.setting"}, file


def test_serving_loads_no_training_library(tmp_path: Path) -> None:
    store = tmp_path / "store"
    Registry(store).promote(write_bundle(store, contents_with_variants()).name)
    served = subprocess.run(
        [sys.executable, "-c", SERVE_EACH_MODEL_AND_PLACE_ONE_NEW_ITEM, str(store)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=120,
    )
    loaded = set(served.stdout.split())
    assert {"service", "models", "onnxruntime"} <= loaded
    assert not loaded & {*HEAVY, "training", "loadtest"}
