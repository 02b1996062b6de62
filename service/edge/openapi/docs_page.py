"""Serves `/docs`: the OpenAPI document to read and to try out, with nothing from another host.

Swagger UI's files come from the package fastapi-offline. The page runs only the one script beside it, so its policy
forbids everything that does not come from this service.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response

PACKAGE = "fastapi_offline"

MEDIA_TYPES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
"""The media type of each file of the package that the page needs."""

START = """\
SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    tryItOutEnabled: true,
    validatorUrl: null,
});
"""

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Stillroom</title>
<link rel="icon" type="image/png" href="{folder}/favicon.png">
<link rel="stylesheet" href="{folder}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{folder}/swagger-ui-bundle.js"></script>
<script src="{folder}/start.js"></script>
</body>
</html>
"""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Allows scripts, styles and requests of this service only; Swagger UI's pictures are in its style sheet."""

FOR_GOOD = "public, max-age=31536000, immutable"
"""Files may be cached for good, because a hash of them names the folder."""


def add_docs_page(app: FastAPI) -> None:
    """Add the page at /docs and its files beneath it. Links are relative, so a proxy may put a prefix before them."""
    folder = f"docs/{_digest()}"
    page = PAGE.format(folder=folder).encode()

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"content-security-policy": POLICY, **_SAFE, "cache-control": "no-cache"}
        return Response(page, media_type="text/html", headers=headers)

    @app.get(f"/{folder}/start.js", include_in_schema=False)
    async def start() -> Response:
        return Response(START, media_type="text/javascript", headers=_kept())

    for name, media_type in MEDIA_TYPES.items():
        file = _package_folder() / name

        async def asset(request: Request, file: Path = file, media_type: str = media_type) -> Response:
            return FileResponse(file, media_type=media_type, headers=_kept())

        app.add_route(f"/{folder}/{name}", asset, methods=["GET"], include_in_schema=False)


_SAFE = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def _kept() -> dict[str, str]:
    return {"cache-control": FOR_GOOD, **_SAFE}


def _package_folder() -> Path:
    """Find the folder without importing the package, since only its files are needed."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{PACKAGE} is not installed; it comes with the service's own requirements")
    return Path(spec.origin).parent / "static"


def _digest() -> str:
    return sha256(f"{version(PACKAGE)} {START}".encode()).hexdigest()[:12]
