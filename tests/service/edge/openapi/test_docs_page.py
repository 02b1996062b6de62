"""/docs: whole without another host, and safe."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, sync_playwright

from service.edge.openapi.document import openapi_document
from tests.support.bundles import tiny_bundle
from tests.support.service import Running, ServiceProcess

NAMES = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 60_000
"""A limit for a page that never comes; a busy machine may need a while."""


async def files_of_the_page(service: Running) -> list[httpx.Response]:
    """Everything that the page names."""
    page = (await service.client.get("/docs")).text
    return [await service.client.get(f"/{link}") for link in re.findall(r'(?:href|src)="([^"]+)"', page)]


async def test_every_file_of_the_page_comes_from_the_service_with_its_type(service: Running) -> None:
    found = await files_of_the_page(service)
    assert {file.status_code for file in found} == {200}
    types = [file.headers["content-type"].partition(";")[0] for file in found]
    assert types == ["image/png", "text/css", "text/javascript", "text/javascript"]


async def test_files_of_the_page_are_kept_and_the_page_is_asked_for_again(service: Running) -> None:
    for file in await files_of_the_page(service):
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["x-content-type-options"] == "nosniff"
    assert (await service.client.get("/docs")).headers["cache-control"] == "no-cache"


async def test_the_policy_allows_scripts_and_requests_of_this_service_alone(service: Running) -> None:
    sent = (await service.client.get("/docs")).headers["content-security-policy"]
    policy = dict(part.strip().split(" ", 1) for part in sent.split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


async def test_what_is_not_of_the_page_is_not_there(service: Running) -> None:
    folder = (await files_of_the_page(service))[0].url.path.rpartition("/")[0]
    for path in ("redoc.standalone.js", "../core.py", "%2e%2e/core.py", ""):
        assert (await service.client.get(f"{folder}/{path}")).status_code == 404, path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    store = tmp_path_factory.mktemp("docs") / "store"
    tiny_bundle(store)
    with ServiceProcess(store) as started:
        yield started


class Browser:
    """A page in Chromium that can reach the service and nothing else. wrong: what it complained of or was denied."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.wrong = page, list[str]()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("requestfailed", lambda request: self.wrong.append(request.url))

        def only_the_service(route: Route, request: Request) -> None:
            if request.url.startswith((url, "data:")):
                route.continue_()
            else:
                route.abort()

        page.route("**", only_the_service)


@pytest.fixture
def browser(shop: ServiceProcess) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no browser here (tried: {', '.join(NAMES)}); Debian's package is chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        browser = Browser(chromium.new_page(), shop.url)
        browser.page.goto(f"{shop.url}/docs")
        yield browser
        chromium.close()


def test_a_browser_without_internet_shows_every_operation(browser: Browser) -> None:
    browser.page.wait_for_selector("#operations-recommendations-recommend")
    shown = {line.inner_text() for line in browser.page.locator(".opblock-summary-path").all()}
    assert {text.replace("\u200b", "") for text in shown} == set(openapi_document()["paths"])
    assert browser.wrong == []


def test_a_request_can_be_tried_out_in_the_browser(browser: Browser, tmp_path: Path) -> None:
    page = browser.page
    page.click("#operations-recommendations-recommend .opblock-summary-control")
    page.fill("#operations-recommendations-recommend textarea", '{"user_id": "user-1", "limit": 2}')
    page.click("#operations-recommendations-recommend .execute")
    live = page.locator("#operations-recommendations-recommend .live-responses-table")
    live.locator(".response-col_status", has_text="200").wait_for()
    assert '"tier": "student"' in live.inner_text()
    assert browser.wrong == []
