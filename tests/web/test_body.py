"""Inflating, within a limit."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.body import BodyTooLargeError, inflate

TEXT = b'{"version":"4"}' * 100


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
    ],
)
def test_gzip_and_both_kinds_of_deflate_are_read(encoding, compress):
    assert inflate(compress(TEXT), encoding, max_bytes=len(TEXT)) == TEXT


def test_one_byte_over_the_limit_is_too_large():
    with pytest.raises(BodyTooLargeError):
        inflate(gzip.compress(TEXT), "gzip", max_bytes=len(TEXT) - 1)


@pytest.mark.parametrize(
    "damaged",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not gzip", id="not gzip"),
        pytest.param(gzip.compress(TEXT)[:-9], id="without its end"),
        pytest.param(gzip.compress(TEXT)[:20], id="only its beginning"),
        pytest.param(gzip.compress(TEXT) + b"more", id="with more after it"),
    ],
)
def test_what_is_not_whole_gzip_is_not_inflated(damaged):
    assert inflate(damaged, "gzip", max_bytes=10_000) is None


def test_an_encoding_that_nobody_announced_is_not_inflated():
    assert inflate(TEXT, "br", max_bytes=10_000) is None


@given(st.binary(max_size=2_000), st.sampled_from(["gzip", "deflate", "zstd"]))
def test_no_bytes_make_it_raise_anything_else(data, encoding):
    with contextlib.suppress(BodyTooLargeError):
        inflate(data, encoding, max_bytes=1_000)
