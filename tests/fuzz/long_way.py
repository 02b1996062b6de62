"""The service, with every request on the long way: through uvicorn, Starlette and FastAPI.

`python -m tests.fuzz.long_way` is `python -m service` but for one thing: the app has a middleware that does nothing,
and an app that has one lets no request pass it by (`service.edge.endpoints.fast_path`).
"""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

import service.__main__
from service.edge.app import serve as serve_as_shipped


class PassOn:
    """A middleware that does nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def serve() -> FastAPI:
    """What each uvicorn worker runs."""
    app = serve_as_shipped()
    app.add_middleware(PassOn)
    return app


def main() -> None:
    """Start as the service starts."""
    run = uvicorn.run

    def run_long_way(app: str, **options: object) -> None:
        run("tests.fuzz.long_way:serve", **options)  # type: ignore[arg-type]

    service.__main__.uvicorn.run = run_long_way  # type: ignore[attr-defined]
    service.__main__.main()


if __name__ == "__main__":
    main()
