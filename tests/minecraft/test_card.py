"""What is drawn fits into a message, pings nobody and says what there is to say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat import layout
from bot.minecraft.card.parts import listed, motd_lines
from bot.minecraft.card.past import alt_text, render_choice, render_past
from bot.minecraft.card.servers import render_board, render_players, render_server
from bot.minecraft.card.whitelist import render_answer, render_request, render_whitelist
from bot.minecraft.history import Period, Sample, past_of, stretches_of
from bot.minecraft.model import (
    Address,
    Answer,
    Playing,
    Server,
    Standing,
    Stop,
    Trouble,
    View,
    settle,
)
from bot.minecraft.motd import Span, read_motd
from bot.minecraft.requests import Request, RequestState
from tests.support.minecraft import a_png

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOSTILE = "@everyone <@&1> `x` **b** [l](https://x.example) \u202e\n# big"


def an_answer(**more):
    values = {"online": 3, "most": 20, "version": "1.21.4", "protocol": 769, "names": ("alice",)}
    return Answer(**{**values, **more})


def a_view(name="survival", outcome=None, *, stop=None, **more):
    server = Server(name=name, address=Address("x"), shown_address=f"{name}.example.org")
    standing = settle(None, outcome or an_answer(), server=name, now=NOW)
    if stop:
        standing = Standing(
            server=name,
            condition=standing.condition,
            since=NOW,
            checked_at=NOW,
            trouble=standing.trouble,
            stop=stop,
        )
    return View(server=server, standing=standing, **more)


def text_of(rendered):
    view = getattr(rendered, "view", rendered)
    return "\n".join(
        item.content for item in view.walk_children() if isinstance(item, layout.discord.ui.TextDisplay)
    )


def buttons_of(rendered):
    view = getattr(rendered, "view", rendered)
    items = (getattr(item, "item", item) for item in view.walk_children())
    return [item.label for item in items if isinstance(item, layout.discord.ui.Button)]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 40, 300])
def test_a_board_of_any_size_fits(count):
    long = an_answer(names=tuple(HOSTILE for _ in range(200)), version=HOSTILE * 3)
    views = [a_view(f"server-{n}-with-a-long-name-of-forty", long, can_start=True) for n in range(count)]
    rendered = render_board(views, now=NOW)
    assert layout.problems(rendered.view) == []
    assert "@everyone" not in text_of(rendered)


@pytest.mark.parametrize("count", [1, 9])
def test_many_pods_fit_and_those_left_out_are_counted(count):
    pods = tuple(f"survival-{'x' * 60}-{n}: CrashLoopBackOff, restarted 30 times" for n in range(100))
    views = [
        a_view(f"server-{n}", Trouble.REFUSED, is_coming=True, can_start=True, pods=pods)
        for n in range(count)
    ]
    for rendered in (render_board(views, now=NOW), render_server(views[0])):
        assert layout.problems(rendered.view) == []
        assert "and 97 more pods" in text_of(rendered)
    up = a_view(pods=pods)
    assert layout.problems(render_server(up).view) == []
    assert "and 97 more pods" in text_of(render_server(up))


@pytest.mark.parametrize("count", [11, 40, 300])
def test_of_many_servers_those_where_most_play_are_named_first(count):
    names = tuple(f"player_{n:09}" for n in range(200))
    playing = [
        Playing(view=a_view(f"server-{n:03}"), names=names[:n], count=n, from_console=False)
        for n in range(count)
    ]
    rendered = render_players(playing)
    assert layout.problems(rendered) == []
    lines = text_of(rendered).splitlines()
    assert lines[1].startswith(f"**server-{count - 1:03}**  {count - 1} players · player\\_000000000, player")
    assert lines[-1] == "-# As the servers themselves tell everybody."
    assert ("more" in lines[-2]) == (count > 20)


def test_where_not_all_fit_those_in_trouble_come_first():
    views = [a_view(f"fine-{n:03}") for n in range(200)] + [a_view("broken", Trouble.GARBAGE)]
    text = text_of(render_board(views, now=NOW))
    assert text.splitlines()[2].startswith("**broken**  wrong protocol")
    assert "more" in text.splitlines()[-1]


def test_a_server_that_was_stopped_is_no_trouble_and_can_be_started():
    stopped = a_view("creative", Trouble.REFUSED, stop=Stop(by_id="7", at=NOW), can_start=True)
    rendered = render_board([stopped], now=NOW)
    assert "**creative**  offline since <t:1795262400:R>  ·  stopped by <@7>" in text_of(rendered)
    assert buttons_of(rendered) == ["Start creative…", "Players", "History"]
    assert "### STOPPED · creative" in text_of(render_server(stopped))
    assert buttons_of(render_server(stopped)) == ["Start…", "History"]


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.TIMEOUT, Trouble.NO_NAME])
def test_what_was_stopped_is_no_trouble_however_its_address_behaves(trouble):
    stopped = a_view("creative", trouble, stop=Stop(by_id="", at=NOW))
    assert "### STOPPED · creative" in text_of(render_server(stopped))
    assert "offline since <t:1795262400:R>  ·  stopped on purpose" in text_of(
        render_board([stopped], now=NOW)
    )


def test_a_server_whose_pod_is_not_ready_is_starting_and_can_be_stopped_but_not_started():
    pods = ("creative-0: ContainerCreating",)
    coming = a_view("creative", Trouble.REFUSED, can_start=True, is_wanted=True, is_coming=True, pods=pods)
    board = render_board([coming], now=NOW)
    assert "**creative**  starting\n-# creative-0: ContainerCreating" in text_of(board)
    assert buttons_of(board) == ["Players", "History"]
    assert "### STARTING · creative" in text_of(render_server(coming))
    assert buttons_of(render_server(coming)) == ["History", "Stop…"]


def test_a_server_that_hangs_can_be_stopped_from_its_card():
    hangs = a_view(outcome=Trouble.TIMEOUT, can_start=True, is_wanted=True)
    assert buttons_of(render_server(hangs)) == ["History", "Stop…"]


def test_a_server_that_runs_can_be_stopped_from_its_card():
    assert buttons_of(render_server(a_view(can_start=True))) == ["Players", "History", "Stop…"]


def test_a_card_shows_icon_message_and_address():
    motd = read_motd("§lWelcome§r\nSeason 7")
    rendered = render_server(a_view(outcome=an_answer(motd=motd, icon=a_png(), brand="modded")))
    assert [file.name for file in rendered.files] == ["icon.png"]
    text = text_of(rendered)
    assert "> **Welcome**\n> Season 7" in text
    assert "modded" in text
    assert "Join at `survival.example.org`" in text
    assert layout.problems(rendered.view) == []


@pytest.mark.parametrize(
    ("spans", "lines"),
    [
        ((Span("a ", bold=True), Span("b", italic=True)), ["**a** \u200b*b*"]),
        (
            (Span(" both ", bold=True, italic=True, underlined=True, strikethrough=True),),
            ["***__~~both~~__***"],
        ),
        ((Span("one\n\ntwo"),), ["one", "two"]),
        ((Span("   "),), []),
        ((Span("*not bold*"),), ["\\*not bold\\*"]),
    ],
)
def test_styles_become_those_of_discord(spans, lines):
    assert motd_lines(spans) == lines


@given(st.lists(st.builds(Span, st.text(), *[st.booleans()] * 4), max_size=6))
def test_no_message_of_the_day_pings_or_breaks_a_card(spans):
    rendered = render_server(a_view(outcome=an_answer(motd=read_motd([s.text for s in spans]))))
    assert layout.problems(rendered.view) == []
    lines = motd_lines(spans)
    assert not any("@everyone" in line or "@here" in line or "\n" in line for line in lines)


@given(st.lists(st.text(max_size=60), max_size=50), st.integers(0, 10**9))
def test_names_fit_their_room(names, count):
    assert layout.units(listed(names, 200, count)) <= 230


def test_names_are_listed_with_how_many_more_there_are():
    assert listed(["alice", "bob"], 100) == "alice, bob"
    assert listed(["alice"], 100, 3) == "alice and 2 more"
    assert listed([], 100, 3) == ""
    assert listed(["alice", "bob"], 8) == "alice and 1 more"


def test_players_of_many_servers_fit():
    names = tuple(f"player_{n}" for n in range(200))
    playing = [
        Playing(view=a_view(f"s{n}", an_answer(online=200)), names=names, count=200, from_console=False)
        for n in range(30)
    ]
    assert layout.problems(render_players(playing)) == []
    assert layout.problems(render_players([])) == []


def a_past(*samples, period=Period.DAY):
    start = NOW - period.length
    return past_of("survival", period, stretches_of(samples, start=start, end=NOW), start=start, end=NOW)


def test_a_past_of_which_nothing_is_known_says_so():
    rendered = render_past(a_past())
    assert "Nothing is known of this time." in text_of(rendered)
    assert "Nothing is known" in alt_text(a_past())
    assert layout.problems(rendered.view) == []


def test_many_outages_are_summed_up():
    samples = [Sample(NOW - timedelta(minutes=5 * n), up=n % 2 == 0, players=3) for n in range(288, 0, -1)]
    rendered = render_past(a_past(*samples), picture=b"png")
    text = text_of(rendered)
    assert "down 144 times, 12 h in all:" in text
    assert "and 139 shorter ones" in text
    assert "up **50 %** of the time" in text
    assert "at most 3, 3.0 on average, down for 12 h." in alt_text(a_past(*samples))
    assert layout.problems(rendered.view) == []


def test_whoever_was_down_for_a_moment_was_not_up_all_the_time():
    samples = [Sample(NOW - timedelta(minutes=5 * n), up=True, players=1) for n in range(288, 1, -1)]
    past = a_past(*samples, Sample(NOW - timedelta(seconds=20), up=False))
    assert "up **99.9 %** of the time" in text_of(render_past(past))


def test_a_choice_of_many_servers_fits():
    choice = render_choice([f"server-{n}" for n in range(100)])
    assert layout.problems(choice) == []
    assert "These are 25 of 100" in text_of(choice)
    assert layout.problems(render_choice([])) == []


def test_a_whitelist_of_any_length_fits():
    names = [f"player_{n:04}" for n in range(1000)]
    assert layout.problems(render_whitelist("survival", names, "")) == []
    assert "said something unknown: `what?`" in text_of(render_whitelist("survival", None, "what?"))


def a_request(**more):
    values = {
        "server": "survival", "player": "Steve", "asked_by": "7", "asked_at": NOW, "asked_in": 1, "number": 4,
    }  # fmt: skip
    return Request(**{**values, **more})


def test_a_request_can_be_settled_until_it_is():
    waiting = render_request(a_request(note=HOSTILE))
    assert "@everyone" not in text_of(waiting)
    assert buttons_of(waiting) == ["Add", "Decline"]
    assert layout.problems(waiting.view) == []
    added = a_request(state=RequestState.ADDED, settled_by="8", settled_at=NOW, outcome="Added Steve")
    assert "### ADDED · Steve on survival" in text_of(render_request(added))
    answer = render_answer(added)
    assert answer.ping_users == (7,)
    assert layout.problems(answer.view) == []
