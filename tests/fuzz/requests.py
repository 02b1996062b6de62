"""Valid requests of every route, and the ways in which heads and bodies go wrong."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

from tests.fuzz.mutations import BYTEWISE, Mutation, mutated

PEOPLE = tuple(f"user-{number}" for number in range(6))
ITEMS = tuple(f"item-{number}" for number in range(40))
POSTS = ("/recommend", "/recommend/batch", "/similar", "/events")
GETS = (
    *("/health/live", "/health/ready", "/metrics", "/openapi.json"),
    *("/docs", "/nothing", "/recommend", "/admin/bundles"),
)
ODD_TARGETS = ("*", "http://fuzz/recommend", "/recommend?x=1", "/%72ecommend", "//", "/" + "a" * 9000)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "post", "BREW")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.12", "")
ODD_HEADERS = (
    b"transfer-encoding: chunked", b"transfer-encoding: identity", b"transfer-encoding: gzip, chunked",
    b"content-length: 5", b"content-length: 0", b"content-length: -1", b"content-length: 0x10",
    b"content-length: 5, 5", b"content-length:", b"content-length: 99999999999999999999", b"content-length: 52 ",
    b"connection: close", b"connection: keep-alive", b"connection: upgrade", b"connection: close, keep-alive",
    b"upgrade: h2c", b"upgrade: websocket", b"expect: 100-continue", b"expect: the unexpected",
    b"content-encoding: gzip", b"content-type: text/plain", b"content-type: application/json; charset=utf-16",
    b"content-type: application/JSON", b"x-request-id: my.own:id", b"x-request-id: " + b"a" * 200,
    b"x-request-id: not ours", b"host: other", b"accept: text/html", b"cookie: " + b"c" * 3000,
    b"x-long: " + b"l" * 9000, b"x-odd: \xff\xfe", b": no name", b"no colon", b" folded", b"x y: z", b"x-tab:\tz\t",
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 25.0, 1e400, -(2**63), 2**64, 10**400, 1e-400, "", "x" * 300, "\0", "\ud800", "é", "۱",
    [], {}, [[]], {"a": 1}, ["x"] * 600, "NaN", "item-1", "user-1",
)  # fmt: skip

LENGTH = re.compile(rb"content-length: ([0-9]+)")
ODD_TEXTS = (b"", b"null", b"[]", b"NaN", b"\x1f\x8b")


def valid_body(path: str, random: Random, number: int) -> dict[str, Any]:
    """What a shop sends. number: of the case, so that no two share a key."""
    if path == "/recommend/batch":
        return {"requests": [_recommend(random) for _ in range(random.randint(1, 3))]}
    if path == "/similar":
        return {"item_id": random.choice(ITEMS), "limit": random.randint(1, 12)}
    if path == "/events":
        return {"key": f"fuzz-{number}", "events": [_event(random) for _ in range(random.randint(1, 3))]}
    return _recommend(random)


def _recommend(random: Random) -> dict[str, Any]:
    body: dict[str, Any] = {"user_id": random.choice(PEOPLE), "limit": random.randint(1, 12)}
    optional: dict[str, Any] = {
        "session_id": "visit-1",
        "session": [{"item_id": random.choice(ITEMS), "kind": "click", "time": 1_700_000_000}],
        "exclude_items": random.sample(ITEMS, 3),
        "known_items": random.choice(("rank", "leave_out_bought", "leave_out_touched", "only")),
        "filter": {"categories": ["block-1"], "max_price": random.choice((5, 20.5))},
        "diversity": random.choice((0, 0.5, 1)),
        "explain": True,
        "placement": "basket",
    }
    for name in random.sample(sorted(optional), random.randint(0, 3)):
        body[name] = optional[name]
    return body


EVENT_KINDS = (
    *("view", "click", "cart", "purchase", "rating", "dislike", "impression"),
    *("removal", "return"),
)


def _event(random: Random) -> dict[str, Any]:
    """Of people whom nobody is asked about, so that answers do not depend on what came before."""
    return {
        "kind": random.choice(EVENT_KINDS),
        "item_id": random.choice(ITEMS),
        "user_id": f"fuzzer-{random.randrange(20)}",
    }


def spoilt_body(body: dict[str, Any], random: Random) -> bytes:
    """As JSON, mostly with something odd in it."""
    if random.random() < 0.6:
        _spoil(body, random)
    text = json.dumps(body, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    drawn = random.random()
    if drawn < 0.15:
        return mutated(text, random)
    if drawn < 0.18:
        return b"[" * random.choice((20, 2000)) + text
    if drawn < 0.2:
        return random.choice((*ODD_TEXTS, b"\xef\xbb\xbf" + text, text + text, b'"' + text))
    return text


def _spoil(value: Any, random: Random) -> None:
    """One place of it, in place."""
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not places:
        return
    place = random.choice(places)
    inner = value[place]
    if isinstance(inner, dict | list) and inner and random.random() < 0.6:
        _spoil(inner, random)
    elif isinstance(value, dict) and random.random() < 0.2:
        value[random.choice(("unknown", "", "user_id", "limit", "é"))] = random.choice(ODD_VALUES)
    elif isinstance(value, dict) and random.random() < 0.2:
        del value[place]
    else:
        value[place] = random.choice(ODD_VALUES)


def post(path: str, body: bytes, *more: bytes) -> bytes:
    """A whole request. more: header lines."""
    lines = [
        f"POST {path} HTTP/1.1".encode(),
        b"host: fuzz",
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        *more,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(path: str, body: bytes, random: Random) -> bytes:
    """The same without a declared length."""
    sizes = random.choice((1, 10, 1000))
    chunks = [body[start : start + sizes] for start in range(0, len(body), sizes)]
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    lines = (
        f"POST {path} HTTP/1.1",
        "host: fuzz",
        "content-type: application/json",
        "transfer-encoding: chunked",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + coded


def with_odd_header(data: bytes, random: Random) -> bytes:
    """A further header line, where one may stand."""
    head, separator, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    lines.insert(random.randint(1, len(lines)), random.choice(ODD_HEADERS))
    return b"\r\n".join(lines) + separator + body


def with_header_left_out(data: bytes, random: Random) -> bytes:
    """One header line less."""
    head, separator, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    if len(lines) > 1:
        del lines[random.randrange(1, len(lines))]
    return b"\r\n".join(lines) + separator + body


def with_other_line_ends(data: bytes, random: Random) -> bytes:
    """Line feeds alone, in the head or somewhere in it."""
    head, separator, body = data.partition(b"\r\n\r\n")
    count = random.choice((1, -1))
    return head.replace(b"\r\n", b"\n", count) + random.choice((separator, b"\n\n", b"\r\n\n")) + body


def with_other_first_line(data: bytes, random: Random) -> bytes:
    """Another method, target or version."""
    _, _, rest = data.partition(b"\r\n")
    target = random.choice((*POSTS, *GETS, *ODD_TARGETS))
    line = " ".join((random.choice(METHODS), target, random.choice(VERSIONS)))
    return line.encode() + b"\r\n" + rest


def with_other_length(data: bytes, random: Random) -> bytes:
    """The declared length, written or counted differently."""
    found = LENGTH.search(data)
    if found is None:
        return data
    length = int(found[1])
    written = (f"{length} ", f" \t{length}\t", f"0{length}", f"+{length}", f"{length}.0")
    counted = (str(length + 1), str(max(length - 1, 0)))
    return data[: found.start(1)] + random.choice(written + counted).encode() + data[found.end(1) :]


HEADWISE: tuple[Mutation, ...] = (
    with_odd_header,
    with_odd_header,
    with_header_left_out,
    with_other_line_ends,
    with_other_first_line,
    with_other_length,
)
VALID_FIRST_SHARE = 0.15


def draw_raw(random: Random, number: int) -> tuple[bytes, int]:
    """What one client sends, and how many bytes of it are a valid request that must be answered."""
    data = draw_request(random, number)
    if random.random() > VALID_FIRST_SHARE:
        return data, 0
    valid = post("/recommend", json.dumps(_recommend(random)).encode())
    return valid + data, len(valid)


def draw_request(random: Random, number: int) -> bytes:
    """One message, or several in a row, from valid to noise."""
    drawn = random.random()
    if drawn < 0.03:
        return random.randbytes(random.randint(1, 400))
    if drawn < 0.13:
        data = f"{random.choice(METHODS[:6])} {random.choice(GETS)} HTTP/1.1\r\nhost: fuzz\r\n\r\n".encode()
    else:
        data = _draw_post(random, number)
    if random.random() < 0.35:
        data = mutated(data, random, HEADWISE)
    if random.random() < 0.25:
        data = mutated(data, random, BYTEWISE)
    if random.random() < 0.12:
        data += draw_request(random, number)
    return data


def _draw_post(random: Random, number: int) -> bytes:
    path = random.choice(POSTS)
    body = valid_body(path, random, number)
    encoded = spoilt_body(body, random) if random.random() < 0.6 else json.dumps(body).encode()
    if random.random() < 0.1:
        return chunked(path, encoded, random)
    return post(path, encoded)
