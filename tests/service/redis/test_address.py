"""The address of Redis: what cannot be used is refused in words that hold nothing of it."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.redis.address import read_address, without_arguments


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://user:s3cr/et@host:1/0", "host and port"),
        ("redis://:s3[cret@host", "host and port"),
        ("redis://:s3?cret=x@host", "host and port"),
        ("redis://u:1234/s3cret@host", "database"),
        ("redis://host:99999", "host and port"),
        ("redis://host/zero", "database"),
        ("redis://host?foo=bar", "foo"),
        ("redis://host?socket_timeout=soon", "socket_timeout"),
        ("redis://host?retry=5", "retry"),
        ("redis://host?db=x", "db"),
        ("redis://host?db=-1", "0 or more"),
        ("rediss://host?ssl_cert_reqs=maybe", "ssl_cert_reqs"),
        ("http://user:s3cret@host", "begins with none"),
        ("s3cret", "begins with none"),
        ("unix://", "socket"),
    ],
)
def test_address_that_cannot_be_used_is_refused_in_one_line(url: str, what: str) -> None:
    with pytest.raises(ValueError, match=what) as refused:
        read_address(url)
    assert "\n" not in str(refused.value)
    assert not {"s3cr", "cret", "pa"} & set(str(refused.value).split())


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:s3cret@host:26379/mymaster",
        "sentinel://host",
        "rediss+sentinel://host",
        "redis+cluster://host",
        "redis-cluster://host",
    ],
)
def test_sentinel_and_cluster_are_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match="not served yet"):
        read_address(url)


SECRETS = st.text(st.characters(codec="ascii", exclude_characters=" "), min_size=5, max_size=20)


@given(secret=SECRETS, before=st.sampled_from(["redis://user:", "rediss://:", "redis://", "unix://:"]))
def test_no_message_and_no_traceback_holds_a_piece_of_the_password(secret: str, before: str) -> None:
    url = f"{before}qq{secret}qq@host:1/0?foo=bar"
    said = ""
    try:
        read_address(url)
    except ValueError:
        said = traceback.format_exc()
    assert "qq" not in said


def test_what_redis_repeats_of_a_command_is_not_said() -> None:
    said = "ERR unknown command 'AUTH', with args beginning with: 's3cret', "
    assert without_arguments(said) == "ERR unknown command 'AUTH'"


def test_address_and_its_parts_are_read() -> None:
    read = read_address("redis://shop:s%40cret@host:1/3")
    assert (read.username, read.password, read.db) == ("shop", "s@cret", 3)
