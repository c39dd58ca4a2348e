"""Which ports are taken, and what is said when they cannot be."""

import socket

import pytest

from bot.core.errors import UnavailableError
from bot.demo import ports
from bot.demo.ports import choose_ports


@pytest.fixture
def taken():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_that_was_asked_for_and_is_taken_is_refused(taken):
    with pytest.raises(UnavailableError, match=rf"Port {taken} is taken.*--port"):
        choose_ports(webhook=taken, page=0)


def test_the_option_of_the_page_is_named(taken):
    with pytest.raises(UnavailableError, match="--page-port"):
        choose_ports(webhook=0, page=taken)


def test_another_port_is_taken_where_the_usual_one_is_in_use(taken, monkeypatch):
    # The usual ports are constants; which of them is free is up to the machine that tests.
    monkeypatch.setattr(ports, "USUAL_WEBHOOK_PORT", taken)
    assert choose_ports(webhook=None, page=0).webhook not in {0, taken}


def test_zero_takes_a_free_port():
    chosen = choose_ports(webhook=0, page=0)
    assert chosen.webhook > 0
    assert chosen.page > 0
