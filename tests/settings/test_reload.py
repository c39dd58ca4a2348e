from pathlib import Path

import pytest

from bot.settings.load import load_settings
from bot.settings.problems import Problem
from bot.settings.reload import POLL_EVERY, ConfigWatcher
from bot.settings.tree import Settings
from bot.telemetry.metrics import REGISTRY
from tests.support.clock import ManualClock

TEXT = """\
discord: {token_file: token, guild: "1", channels: {alerts: "1"}}
web: {host: 127.0.0.1, port: 8080}
alerts: {routes: [{channel: alerts}]}
"""


class Watched:
    """A configuration in a folder that is swapped as Kubernetes swaps a ConfigMap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions = 0
        self.taken: list[Settings] = []
        self.told: list[tuple[Problem, ...]] = []
        self.write(TEXT)
        (folder / "machine.yaml").symlink_to("..data/machine.yaml")
        (folder / "token").symlink_to("..data/token")
        path = folder / "machine.yaml"
        self.watcher = ConfigWatcher(
            path, {}, load_settings(path, {}), apply=self._apply, notify=self._notify, clock=ManualClock()
        )

    def write(self, text: str, token: str = "secret") -> None:
        self.versions += 1
        version = self.folder / f"..{self.versions}"
        version.mkdir()
        (version / "machine.yaml").write_text(text)
        (version / "token").write_text(token)
        (self.folder / "..next").symlink_to(version.name)
        (self.folder / "..next").replace(self.folder / "..data")

    async def _apply(self, settings: Settings) -> None:
        self.taken.append(settings)

    async def _notify(self, problems: tuple[Problem, ...]) -> None:
        self.told.append(problems)

    def told_keys(self) -> list[list[str]]:
        return [[problem.key for problem in problems] for problems in self.told]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def _successful() -> float | None:
    return REGISTRY.get_sample_value("the_machine_config_last_reload_successful")


async def test_nothing_happens_while_nothing_changes(watched: Watched) -> None:
    watched.write(TEXT)
    assert await watched.watcher.step() == POLL_EVERY
    assert (watched.taken, watched.told) == ([], [])


async def test_a_swapped_folder_is_taken(watched: Watched) -> None:
    watched.write(TEXT.replace("{channel: alerts}", "{channel: alerts, remind: 5m}"))
    await watched.watcher.step()
    await watched.watcher.step()
    assert len(watched.taken) == 1
    assert watched.watcher.settings is watched.taken[0]
    assert watched.told == []
    assert _successful() == 1


async def test_a_wrong_configuration_keeps_the_old_one_and_is_said_once(watched: Watched) -> None:
    before = watched.watcher.settings
    watched.write(TEXT.replace("{channel: alerts}", "{channel: alrts}"))
    await watched.watcher.step()
    await watched.watcher.step()
    assert watched.watcher.settings is before
    assert watched.taken == []
    assert watched.told_keys() == [["alerts.routes[0].channel"]]
    assert _successful() == 0
    watched.write(TEXT)
    await watched.watcher.step()
    assert _successful() == 1


async def test_a_missing_secret_is_noticed_when_it_comes_back(watched: Watched) -> None:
    watched.write(TEXT.replace("token_file: token", "token_file: later"))
    await watched.watcher.step()
    assert watched.told_keys() == [["discord.token_file"]]
    (watched.folder / "later").write_text("secret")
    await watched.watcher.step()
    assert len(watched.taken) == 1


async def test_what_needs_a_restart_is_said(watched: Watched) -> None:
    watched.write(TEXT.replace("8080", "9090"), token="another")
    await watched.watcher.step()
    assert watched.told_keys() == [["discord.token", "web.port"]]
    assert len(watched.taken) == 1


CLUSTER = TEXT + "kubernetes: {argocd: {news: [{channel: alerts}]}}\n"


async def test_routes_of_news_are_taken_at_once(watched: Watched) -> None:
    watched.write(CLUSTER)
    await watched.watcher.step()
    assert watched.told_keys() == [["kubernetes"]]

    restarted = ConfigWatcher(
        watched.folder / "machine.yaml",
        {},
        load_settings(watched.folder / "machine.yaml", {}),
        apply=watched._apply,
        notify=watched._notify,
        clock=ManualClock(),
    )
    watched.told.clear()
    watched.write(CLUSTER.replace("channel: alerts}]}}", "channel: none}], quiet: false}}"))
    await restarted.step()
    assert watched.told == []
    kubernetes = watched.taken[-1].kubernetes
    assert kubernetes is not None
    assert kubernetes.argocd is not None
    assert [route.channel for route in kubernetes.argocd.news] == ["none"]
    for text, key in (
        ("kubernetes: {context: home, argocd: {}}", "kubernetes.context"),
        ("kubernetes: {argocd: {namespaces: [apps]}}", "kubernetes.argocd.namespaces"),
        ("kubernetes: {}", "kubernetes.argocd"),
    ):
        watched.told.clear()
        watched.write(TEXT + text)
        await restarted.step()
        assert watched.told_keys() == [[key]]


async def test_a_signal_reloads_at_once(watched: Watched) -> None:
    assert await watched.watcher.reload()
    watched.write("[]")
    assert not await watched.watcher.reload()
