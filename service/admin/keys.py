"""Checks operators' keys against a file, which is followed while the service runs.

A line is `name:key`, or `name:sha256:` and the 64 hexadecimal digits of the key's SHA-256, so that the file need not
hold the key itself. Empty lines and lines that begin with # are skipped. To rotate a key: add the new one, move its
users over, remove the old one; a restart is never needed.

A file that others may write is not read: whoever can write it could make a key. A file that others may read is used,
since containers get their secrets like this, but the log warns if it holds plain keys.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import re
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from service.contract.errors import AdminClosed, NotAuthorised

logger = logging.getLogger(__name__)

MAX_FILE_BYTES = 1_048_576
MIN_KEY_CHARACTERS = 16
REFUSAL_SECONDS = 0.25
"""How long a wrong key waits for its answer, while others do not wait."""

MAX_REFUSALS_AT_ONCE = 16
"""How many wrong keys may wait; beyond it they are refused at once, so that they cannot pile up."""

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")

Stamp = tuple[int, int, int, int]
NEVER = (0, 0, 0, 0)
"""The stamp before the first look."""


class KeysInvalid(ValueError):
    """A line of the file is not a key. The keys that were read before stay in force."""


class AdminKeys:
    """file: None refuses everything that needs a key."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp: Stamp | None = NEVER
        self._digests: dict[str, bytes] = {}
        self._n_refusing = 0
        self._follow()

    async def require(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the name of the key in `authorization: Bearer KEY`. headers: by lower-case name.

        Raises AdminClosed if there are no keys at all, and NotAuthorised.
        """
        self._follow()
        if not self._digests:
            if self._file is None:
                raise AdminClosed(
                    "no key is known here; put `name:key` into a file and name it in STILLROOM_ADMIN_KEYS_FILE"
                )
            raise AdminClosed(
                "the file that STILLROOM_ADMIN_KEYS_FILE names holds no key that can be used; the service's log "
                "says why, with the line"
            )
        scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
        name = self._name_of(key.strip()) if scheme.lower() == b"bearer" else None
        if name is None:
            await self._wait()
            raise NotAuthorised("send a key that is known here as `authorization: Bearer KEY`")
        return name

    def _name_of(self, key: bytes) -> str | None:
        """Compare all keys, each in constant time, so that the time reveals nothing."""
        digest, found = sha256(key).digest(), None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found

    async def _wait(self) -> None:
        if self._n_refusing >= MAX_REFUSALS_AT_ONCE:
            return
        self._n_refusing += 1
        try:
            await asyncio.sleep(REFUSAL_SECONDS)
        finally:
            self._n_refusing -= 1

    def _follow(self) -> None:
        """Read the file again if it has changed. A missing file leaves no key."""
        if self._file is None:
            return
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:
            logger.warning("%s is not there: no admin key is known", self._file)
            self._digests = {}
            return
        try:
            self._digests = self._read(self._file)
        except (OSError, ValueError) as error:
            logger.error("%s is not read, the keys of before stay: %s", self._file, error)
        else:
            logger.info("admin keys: %s", ", ".join(self._digests) or "none")

    def _read(self, file: Path) -> dict[str, bytes]:
        """Read the file. Raises OSError and KeysInvalid."""
        with open(file, "rb", opener=_open_at_once) as opened:
            mode = os.fstat(opened.fileno()).st_mode  # of the open file, not of its name
            if not stat.S_ISREG(mode):
                raise KeysInvalid(f"it is no file ({stat.filemode(mode)})")
            text = opened.read(MAX_FILE_BYTES + 1).decode("utf-8")
        if mode & 0o022:
            raise KeysInvalid(f"others may write it ({stat.filemode(mode)}); chmod go-w {file}")
        if len(text) > MAX_FILE_BYTES:
            raise KeysInvalid(f"it has more than {MAX_FILE_BYTES:,} bytes")
        digests = read_keys(text)
        if mode & 0o044 and any(":sha256:" not in line for line in _lines(text).values()):
            logger.warning(
                "%s holds keys that others may read (%s); chmod go-r it, or put their SHA-256 there",
                file,
                stat.filemode(mode),
            )
        return digests


def _open_at_once(path: str, flags: int) -> int:
    """Open without blocking: a pipe would wait for a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_keys(text: str) -> dict[str, bytes]:
    """Return each key's SHA-256 by its name. Raises KeysInvalid, whose text has no key."""
    digests: dict[str, bytes] = {}
    for number, line in _lines(text).items():
        name, _, key = line.strip().partition(":")
        if not _NAME.fullmatch(name):
            raise KeysInvalid(f"line {number}: a name has 1 to 64 letters, digits and . _ -, then a colon")
        if name in digests:
            raise KeysInvalid(f"line {number}: {name} is there already; a new key needs a name of its own")
        digest = _DIGEST.fullmatch(key)
        if key.startswith("sha256:") and digest is None:
            raise KeysInvalid(f"line {number}: after sha256: come 64 digits, 0 to 9 and a to f")
        if digest is None and len(key) < MIN_KEY_CHARACTERS:
            raise KeysInvalid(f"line {number}: a key has at least {MIN_KEY_CHARACTERS} characters")
        digests[name] = bytes.fromhex(digest[1]) if digest else sha256(key.encode()).digest()
    return digests


def _lines(text: str) -> dict[int, str]:
    """Return the lines that hold keys, by number."""
    numbered = enumerate(text.splitlines(), 1)
    return {number: line for number, line in numbered if line.strip() and not line.startswith("#")}


def _stamp(file: Path) -> Stamp | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
