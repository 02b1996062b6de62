"""Fetch one file over HTTP so that it arrives whole: resumed, verified, and renamed only when it is right.

`download` calls it. Bytes go to a `.part` file beside the destination; an interrupted transfer resumes from there.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from training.base.errors import ChecksumMismatch, DownloadFailed

OnBytes = Callable[[int, int | None], None]
"""Called with the bytes received so far and the bytes expected, which is None if the server does not say."""

_BLOCK_BYTES = 1 << 18
_RANGE_NOT_SATISFIABLE = 416


def fetch_file(
    url: str,
    destination: Path,
    *,
    max_bytes: int,
    md5: str | None = None,
    timeout_seconds: float = 30.0,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Fetch `url` to `destination`, resuming an earlier attempt, and return the destination.

    max_bytes: the largest file allowed; if a server sends more, the transfer stops and what arrived is removed.
    md5: the publisher's checksum in hex; None skips the check.
    timeout_seconds: the longest silence of the server, not the whole transfer.
    Raises `ChecksumMismatch` (the file is removed) and `DownloadFailed` (what arrived is kept).
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    try:
        _fetch_rest(url, part, timeout_seconds, max_bytes, on_bytes)
    except _TooLarge as error:
        part.unlink(missing_ok=True)
        raise DownloadFailed(
            f"{url} sends {error} bytes, at most {max_bytes:,} are expected of it; nothing is kept. Look whether the "
            "address still has what its publisher put there."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadFailed(
            f"{url} could not be fetched: {error}. What arrived is kept; run the command again to go on, or "
            f"fetch the file by hand and put it at {destination}."
        ) from error
    if md5 is not None:
        _require_md5(part, md5, url)
    return part.replace(destination)


def md5_of(path: Path) -> str:
    """Return the MD5 of a file in hex. Publishers of data sets give nothing better; it guards against damage."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class _TooLarge(Exception):
    """The file is larger than allowed; the message is the number of bytes, as far as it is known."""


def _fetch_rest(
    url: str, part: Path, timeout_seconds: float, max_bytes: int, on_bytes: OnBytes | None
) -> None:
    """Append what is missing to the part file, or start again if the server cannot resume."""
    n_there = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, n_there, timeout_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != _RANGE_NOT_SATISFIABLE or not n_there:
            raise
        # The part is as long as the file or longer: only fetching the whole file can tell whether it is right.
        response = _open(url, 0, timeout_seconds)
    with response:
        is_resumed = response.status == http.client.PARTIAL_CONTENT
        with part.open("ab" if is_resumed else "wb") as file:
            _copy(response, file, n_there if is_resumed else 0, max_bytes, on_bytes)


def _open(url: str, first_byte: int, timeout_seconds: float) -> http.client.HTTPResponse:
    headers = {"Range": f"bytes={first_byte}-"} if first_byte else {}
    response: http.client.HTTPResponse = urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=timeout_seconds
    )
    return response


def _copy(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    n_there: int,
    max_bytes: int,
    on_bytes: OnBytes | None,
) -> None:
    length = response.headers.get("Content-Length")
    n_expected = n_there + int(length) if length is not None else None
    if n_expected is not None and n_expected > max_bytes:
        raise _TooLarge(f"{n_expected:,}")
    while block := response.read(_BLOCK_BYTES):
        n_there += len(block)
        if n_there > max_bytes:
            raise _TooLarge(f"more than {max_bytes:,}")
        file.write(block)
        if on_bytes:
            on_bytes(n_there, n_expected)
    if n_expected is not None and n_there != n_expected:
        raise http.client.IncompleteRead(b"", n_expected - n_there)


def _require_md5(part: Path, md5: str, url: str) -> None:
    found = md5_of(part)
    if found != md5:
        part.unlink()
        raise ChecksumMismatch(
            f"{url} arrived with MD5 {found}, its publisher says {md5}. The file has been removed; "
            f"try again. If it happens twice, the publisher has changed the file."
        )
