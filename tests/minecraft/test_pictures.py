"""Pictures of the past, drawn by the real program."""

import json
import struct
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from bot.minecraft.drawing import HEIGHT, WIDTH, draw, figure_of
from bot.minecraft.history import Period, Sample, past_of, stretches_of
from bot.minecraft.pictures import Pictures, told_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BACK = bytes((0x2B, 0x2D, 0x31))


def a_past(period=Period.DAY, *, every=timedelta(minutes=5), players=lambda n: n % 9, server="survival"):
    start = NOW - period.length
    count = period.length // every
    samples = [
        Sample(start + every * n, up=not count // 2 < n < count * 0.6, players=players(n))
        for n in range(count)
    ]
    return past_of(server, period, stretches_of(samples, start=start, end=NOW), start=start, end=NOW)


def pixels(png):
    """The rows of a picture with 8 bits for each of 4 channels, unfiltered."""
    assert png.startswith(b"\x89PNG")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (width, height, depth, kind) == (WIDTH, HEIGHT, 8, 6)
    at, packed = 8, b""
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += length + 12
    raw, rows, before = zlib.decompress(packed), [], bytes(width * 4)
    for y in range(height):
        line = raw[y * (width * 4 + 1) : (y + 1) * (width * 4 + 1)]
        rows.append(before := _unfiltered(line[0], line[1:], before))
    return rows


def _unfiltered(kind, line, before):
    """One row; most of two million bytes need no guess."""
    match kind:
        case 0:
            return line
        case 2:
            return bytes((x + b) & 0xFF for x, b in zip(line, before, strict=True))
    out, before = bytearray(4) + line, bytes(4) + before
    for x in range(4, len(out)):
        a, b = out[x - 4], before[x]
        out[x] = (out[x] + (a, b, (a + b) // 2, _guessed(a, b, before[x - 4]))[kind - 1]) & 0xFF
    return bytes(out[4:])


def _guessed(a, b, c):
    if a == b == c:
        return a
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def colours(rows, x):
    return {row[4 * x : 4 * x + 3] for row in rows}


async def test_players_are_green_and_downtime_is_red():
    pytest.importorskip("matplotlib")
    png = await Pictures().draw(a_past(players=lambda _: 7))
    rows = pixels(png)
    up, down = rows[HEIGHT * 2 // 3][4 * 300 : 4 * 300 + 3], rows[HEIGHT * 2 // 3][4 * 680 : 4 * 680 + 3]
    assert up[1] > up[0] + 20
    assert up[1] > up[2] + 10
    assert down[0] > down[1] + 30
    assert rows[2][:3] == BACK
    assert any(pixel == bytes((0xF5, 0xA6, 0x23)) for x in range(60, WIDTH, 2) for pixel in colours(rows, x))


def test_what_nobody_saw_is_neither_players_nor_downtime():
    start = NOW - timedelta(days=1)
    minutes = (0, 5, 60, 65, 120)
    samples = [Sample(start + timedelta(minutes=n), up=n > 100, players=3) for n in minutes]
    past = past_of("x", Period.DAY, stretches_of(samples, start=start, end=NOW), start=start, end=NOW)
    told = told_of(past, "UTC")

    def after(moments):
        return [(moment - start.timestamp()) / 60 for moment in moments]

    assert [after(pair) for pair in told["down"]] == [[0, 11], [60, 71]]
    assert [*zip(after(told["at"]), told["players"], strict=True)][-2:] == [(120, 3), (126, 3)]


@pytest.mark.parametrize("period", Period)
def test_any_period_with_a_sample_every_15_seconds_has_no_more_points_than_can_be_drawn(period):
    pytest.importorskip("matplotlib")
    past = a_past(period, every=timedelta(seconds=15) if period is Period.WEEK else timedelta(minutes=5))
    told = told_of(past, "UTC")
    assert len(told["at"]) <= 2100
    assert max(value for value in told["players"] if value is not None) == past.peak
    assert draw(json.loads(json.dumps(told)))[:4] == b"\x89PNG"


def test_odd_names_are_no_formulas_and_a_server_without_players_is_drawn():
    pytest.importorskip("matplotlib")
    told = told_of(a_past(server=r"$\frac{$", players=lambda _: 0), "Europe/Oslo")
    assert draw(json.loads(json.dumps(told)))[:4] == b"\x89PNG"


@pytest.mark.parametrize(("zone", "minute"), [("UTC", 0), ("Asia/Kolkata", 30)])
def test_the_picture_says_its_time_zone_and_its_marks_are_at_full_hours_there(zone, minute):
    dates = pytest.importorskip("matplotlib.dates")
    agg = pytest.importorskip("matplotlib.backends.backend_agg")
    figure = figure_of(told_of(a_past(), zone))
    agg.FigureCanvasAgg(figure).draw()
    [axes] = figure.axes
    assert axes.get_title(loc="right") == zone
    assert {dates.num2date(tick, UTC).minute for tick in axes.get_xticks()} == {minute}


async def test_without_the_library_or_in_too_little_time_there_is_none():
    assert await Pictures(is_possible=False).draw(a_past()) is None
    assert await Pictures(within=timedelta(milliseconds=1), is_possible=True).draw(a_past()) is None


async def test_nothing_is_drawn_of_a_past_of_which_nothing_is_known():
    start = NOW - timedelta(days=1)
    assert await Pictures().draw(past_of("x", Period.DAY, (), start=start, end=NOW)) is None


async def test_a_program_that_fails_is_no_failure_of_the_answer(monkeypatch):
    # There is no honest way to have the library fail at will.
    monkeypatch.setattr("bot.minecraft.pictures.told_of", lambda _past, _zone: {"not": "what is expected"})
    assert await Pictures(is_possible=True).draw(a_past()) is None
