"""Faults of the store of bundles while one of them is in service."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection

from loadtest.faults.stage import Stage
from loadtest.promotion.bundles import put
from loadtest.servers import HOST

N_AT_ONCE = 10
CHANGED = {200, 409}
"""Statuses for a change that was made, or refused because another operator was faster."""


@asynccontextmanager
async def bundle_deleted(stage: Stage) -> AsyncIterator[None]:
    """Remove the files of the bundle in service, and put them back."""
    version = stage.store.current()
    await stage.do(shutil.rmtree, stage.store.folder / version)
    yield
    bundle = next(kept for kept in stage.kept.bundles if kept.name == version)
    await stage.do(put, bundle, stage.store.folder)


@asynccontextmanager
async def store_replaced(stage: Stage) -> AsyncIterator[None]:
    """Exchange the store's folder for another of the same name, in which another bundle is promoted."""
    store, away = stage.store.folder, stage.folder / "store-before"
    other = next(version for version in stage.store.good if version != stage.store.current())
    beside = stage.folder / "store-new"
    beside.mkdir()
    await stage.do(put, store / other, beside)
    (beside / "current").write_text(f"{other}\n")
    store.rename(away)
    beside.rename(store)
    yield


@asynccontextmanager
async def promotions_at_once(stage: Stage) -> AsyncIterator[None]:
    """Let ten operators promote and roll back in the same moment."""
    changes = [
        stage.do(stage.operator.roll_back)
        if number % 3 == 2
        else stage.do(stage.operator.promote, stage.store.good[number % len(stage.store.good)])
        for number in range(N_AT_ONCE)
    ]
    replies = await asyncio.gather(*changes)
    statuses = Counter(reply.status for reply in replies)
    stage.noted |= {f"changes_answered_{status}": n for status, n in sorted(statuses.items())}
    stage.found += [f"an operator's change was answered with {odd}" for odd in set(statuses) - CHANGED]
    yield


async def store_is_whole(stage: Stage) -> list[str]:
    """Check that `current` names a bundle that is in the store."""
    current = stage.store.current()
    is_there = (stage.store.folder / current / "manifest.json").exists()
    return [] if is_there else [f"current names {current}, which is not in the store"]


@asynccontextmanager
async def damaged_bundle_promoted(stage: Stage) -> AsyncIterator[None]:
    """Promote a damaged bundle by the operators' route, and by hand into `current`, which verifies nothing."""
    refused = await stage.do(stage.operator.promote, stage.store.bad)
    if refused.status != 409:
        stage.found.append(f"a damaged bundle was promoted: {refused.status}")
    text = stage.store.put_by_hand(stage.store.bad)
    yield
    stage.store.restore(text)


@asynccontextmanager
async def first_bundle_comes(stage: Stage) -> AsyncIterator[None]:
    """Promote a first bundle; there was none when the service started."""
    bundle = stage.kept.bundles[0]
    await stage.do(put, bundle, stage.store.folder)
    (stage.store.folder / "current").write_text(f"{bundle.name}\n")
    yield


async def student_answers(stage: Stage) -> list[str]:
    """Check that the first bundle is in service."""
    return await stage.do(_tiers_but_student, stage)


def _tiers_but_student(stage: Stage) -> list[str]:
    connection = HTTPConnection(HOST, stage.service.port, timeout=10)
    try:
        body = json.dumps({"user_id": stage.kept.people[0]})
        connection.request("POST", "/recommend", body, {"content-type": "application/json"})
        said = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    tier = said.get("tier", said.get("detail"))
    return [] if tier == "student" else [f"the first bundle is not in service: {tier}"]
