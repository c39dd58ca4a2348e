"""The whole bot beside a real Argo CD: what people ask in Discord comes to be in the cluster.

Besides KUBECONFIG, MACHINE_TEST_ARGOCD_REPO names a folder with a Git repository whose branch `main` Argo CD's
repo-server can read as `file://` of the same path; the tests commit to it. MACHINE_TEST_ARGOCD_URL may name its
argocd-server, run without authentication; without it that part is skipped.
"""

import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml

from tests.support.api import an_api, path_of
from tests.support.chart_rights import EVERYTHING_ON
from tests.support.helm import render
from tests.support.installed import OF_RIGHTS, applied, as_the_bot
from tests.support.ports import free_port
from tests.support.running import a_process, a_town, write

pytestmark = [pytest.mark.timeout(180)]

GIT = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org")


class Platform:
    """An Application of ours in the real cluster, and what Git has of it."""

    def __init__(self, api, repo, name):
        self.api, self.repo, self.name = api, Path(repo), name

    def commit(self, *manifests, message, below=""):
        """Have the path of the Application hold these manifests and nothing else; returns the commit."""
        folder = self.repo / self.name / below if below else self.repo / self.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, manifest in enumerate(manifests):
            (folder / f"{number}.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
        return self.record(message=message)

    def record(self, *, message):
        """Commit what is in the folder; returns the commit."""
        self._git("add", "--all", self.name)
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD").strip()

    def forget(self):
        self._git("rm", "-r", "--quiet", "--ignore-unmatch", self.name)
        self._git("commit", "--quiet", "--allow-empty", "--message", f"Forget {self.name}")

    def _git(self, *arguments):
        return subprocess.run(
            [*GIT, *arguments], cwd=self.repo, check=True, capture_output=True, text=True
        ).stdout

    def application(self, name="", *, below="", project="default", **spec):
        """An Application as a person would write it."""
        path = f"{self.name}/{below}" if below else self.name
        return {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name or self.name, "namespace": "argocd"},
            "spec": {
                "project": project,
                "source": {"repoURL": f"file://{self.repo}", "path": path, "targetRevision": "main"},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": self.name},
                **spec,
            },
        }

    def config(self, content, name="config", **annotations):
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": self.name,
                "annotations": {
                    f"argocd.argoproj.io/{key.replace('_', '-')}": v for key, v in annotations.items()
                },
            },
            "data": {"content": content},
        }

    def broken(self):
        """A Deployment that the API server refuses: its selector does not fit its template."""
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": self.name},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "other"}},
                    "spec": {"containers": [{"name": "web", "image": "example.org/nothing:1"}]},
                },
            },
        }

    def balancer(self):
        """A Service that is healthy once somebody gives it an address."""
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": self.name},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        }

    async def give_an_address(self):
        path = path_of("v1", self.name, "services", "web", "status")
        given = await self.api.merge(path, {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}})
        assert given.status == 200, given.raw

    async def create(self, application):
        created = await self.api.create(self.api.apps(), application)
        assert created.status == 201, created.raw

    async def read(self, name=""):
        return (await self.api.get(self.api.apps(name or self.name))).json

    async def content(self, name="config"):
        found = await self.api.get(path_of("v1", self.name, "configmaps", name))
        return found.json["data"]["content"] if found.status == 200 else None

    async def until(self, is_so, name=""):
        """Wait until something is so of the Application, from one change to the next."""
        app = await self.read(name)
        path, version = self.api.apps(), app["metadata"]["resourceVersion"]
        if is_so(app):
            return app
        query = {"fieldSelector": f"metadata.name={name or self.name}", "resourceVersion": version}
        async with self.api.watch(path, timeoutSeconds="60", **query) as lines:
            async for event in lines:
                if event["type"] in {"ADDED", "MODIFIED"} and is_so(event["object"]):
                    return event["object"]
        raise AssertionError((await self.read(name)).get("status"))

    async def is_compared(self, state, name=""):
        return await self.until(lambda app: state_of(app) == state, name)


def state_of(app):
    return app.get("status", {}).get("sync", {}).get("status")


@pytest.fixture
async def platform():
    repo = os.environ.get("MACHINE_TEST_ARGOCD_REPO")
    if not repo or not os.environ.get("KUBECONFIG"):
        pytest.skip("MACHINE_TEST_ARGOCD_REPO or KUBECONFIG is not set")
    name = f"the-machine-test-{uuid.uuid4().hex[:8]}"
    async with an_api(None) as api:
        created = await api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        assert created.status == 201, created.raw
        made = Platform(api, repo, name)
        made.commit(made.config("1"), message="Begin")
        try:
            yield made
        finally:
            for app in (await api.get(api.apps())).json["items"]:
                if app["metadata"]["name"].startswith(name):
                    await api.ask("DELETE", api.apps(app["metadata"]["name"]))
            await api.ask("DELETE", f"/api/v1/namespaces/{name}")
            made.forget()


@pytest.fixture
async def town():
    async with a_town() as built:
        yield built


@pytest.fixture
async def rights(platform, tmp_path):
    """A kubeconfig that may do what the chart lets the bot do, and no more."""
    values = {
        **EVERYTHING_ON,
        "config": {**EVERYTHING_ON["config"], "kubernetes": {"argocd": {"write": True}}},
    }
    release = render(values, namespace=platform.name)
    rights = [each for each in release.documents if each["kind"] in OF_RIGHTS and not is_of_games(each)]
    async with applied(platform.api, rights, platform.name):
        yield await as_the_bot(platform.api, Path(os.environ["KUBECONFIG"]), tmp_path, platform.name)


def is_of_games(document):
    return document["metadata"].get("namespace") == "games"


@pytest.fixture
async def bot(town, rights, tmp_path):
    port = free_port()
    grants = [{"roles": ["operators"], "may": ["alerts:*", "machine:*", "argocd:*"]}]
    argocd = {"namespaces": ["argocd"], "write": True, "news": [{"channel": "critical"}]}
    if url := os.environ.get("MACHINE_TEST_ARGOCD_URL"):
        argocd["server"] = {"url": url, "token": "authentication-is-off"}
    config = write(
        tmp_path,
        town.configuration(
            f"sqlite+aiosqlite:///{tmp_path / 'machine.db'}",
            port=port,
            access={"grants": grants},
            kubernetes={"kubeconfig": str(rights), "argocd": argocd},
        ),
    )
    async with a_process(config, port=port) as process:
        await town.server.wait_ready(20)
        await process.wait_for("watch_synced", resource="applications.argoproj.io")
        yield process
        assert process.errors() == []


async def ask(town, command, *words, **options):
    """Type a command of `/argocd`, and wait for an answer that says all this."""
    asked = await town.server.slash(
        "argocd", command, user=town.ada, channel=town.channels["alerts"], options=options
    )

    def answered():
        answer = asked.original
        return answer if answer is not None and all(word in answer.text for word in words) else None

    try:
        return await town.server.wait_for(answered, timeout=30)
    except TimeoutError:
        raise AssertionError(asked.original and asked.original.text) from None


async def press(town, answer, action):
    custom_id = next(name for name in answer.custom_ids if name.startswith(f"tm:{action}"))
    return await town.server.click(answer, custom_id, town.ada)


async def confirm(town, preview):
    """Press Confirm; gives the id of the operation."""
    await town.server.wait_for(lambda: "tm:op-confirm" in str(preview.custom_ids))
    await press(town, preview, "op-confirm")
    name = next(name for name in preview.custom_ids if name.startswith("tm:op-confirm"))
    return name.rpartition(":")[2]


async def card_says(town, operation, *words, timeout=60):
    def found():
        return next(
            (
                message
                for message in town.messages("alerts")
                if f"tm:op-details:{operation}" in message.custom_ids
                and all(word in message.text for word in words)
            ),
            None,
        )

    try:
        return await town.server.wait_for(found, timeout=timeout)
    except TimeoutError:
        raise AssertionError([message.text for message in town.messages("alerts")]) from None


async def test_a_sync_from_discord_changes_the_cluster(platform, town, bot):
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    await ask(town, "status", platform.name, "OUT OF SYNC", app=platform.name)
    preview = await ask(town, "sync", "config", app=platform.name)
    operation = await confirm(town, preview)
    await card_says(town, operation, "Synced")
    assert await platform.content() == "1"
    app = await platform.is_compared("Synced")
    (entry,) = app["status"]["history"]
    assert "Ada" in entry["initiatedBy"]["username"]
    events = (await platform.api.get(path_of("v1", "argocd", "events"))).json["items"]
    ours = [each for each in events if each["involvedObject"]["name"] == platform.name]
    assert any("Ada" in each["message"] for each in ours if each.get("reportingComponent") == "the-machine")


async def test_what_pruning_would_delete_is_named_and_deleted_only_when_asked(platform, town, bot):
    platform.commit(platform.config("1"), platform.config("2", "extra"), message="Two")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    await card_says(town, await confirm(town, await ask(town, "sync", "extra", app=platform.name)), "Synced")
    platform.commit(platform.config("3"), message="Drop the extra one")
    preview = await ask(town, "sync", "Drop the extra one", "extra", app=platform.name)
    await card_says(town, await confirm(town, preview), "Synced")
    assert await platform.content() == "3"
    assert await platform.content("extra") == "2"
    preview = await ask(town, "sync", "extra", app=platform.name, prune=True)
    await card_says(town, await confirm(town, preview), "Synced")
    assert await platform.content("extra") is None


async def test_a_rollback_goes_back_to_what_ran_before(platform, town, bot):
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    await card_says(town, await confirm(town, await ask(town, "sync", "config", app=platform.name)), "Synced")
    platform.commit(platform.config("2"), message="Second")
    await card_says(town, await confirm(town, await ask(town, "sync", "Second", app=platform.name)), "Synced")
    assert await platform.content() == "2"
    await ask(town, "history", "Begin", app=platform.name)
    first = (await platform.read())["status"]["history"][0]["id"]
    preview = await ask(town, "rollback", app=platform.name, id=str(first))
    await card_says(town, await confirm(town, preview), "Rolled", "back")
    assert await platform.content() == "1"


async def test_a_rollback_works_though_the_newest_commit_is_broken(platform, town, bot):
    platform.commit(platform.config("first"), message="First")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    await card_says(town, await confirm(town, await ask(town, "sync", "First", app=platform.name)), "Synced")
    platform.commit(platform.config("second"), platform.config("2", "extra"), message="Second")
    await card_says(town, await confirm(town, await ask(town, "sync", "Second", app=platform.name)), "Synced")
    broken = platform.repo / platform.name / "0.yaml"
    broken.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, [\n", encoding="utf-8")
    platform.record(message="Break the file")
    await ask(town, "sync", "or go back with `/argocd rollback`", app=platform.name)
    preview = await ask(
        town, "rollback", "Prune is on", "ComparisonError", app=platform.name, id="0", prune=True
    )
    await card_says(town, await confirm(town, preview), "Rolled", "back")
    assert await platform.content() == "first"
    assert await platform.content("extra") is None


async def test_every_try_goes_to_what_was_confirmed(platform, town, bot):
    shown = platform.commit(platform.broken(), message="Break it")
    backoff = {"duration": "5s", "factor": 1, "maxDuration": "5s"}
    retry = {"limit": 2, "refresh": True, "backoff": backoff}
    await platform.create(platform.application(syncPolicy={"retry": retry}))
    await platform.is_compared("OutOfSync")
    operation = await confirm(town, await ask(town, "sync", "web", app=platform.name))
    await platform.until(lambda app: app["status"].get("operationState", {}).get("retryCount", 0) > 0)
    platform.commit(platform.config("2"), message="Mend it")
    await card_says(town, operation, "FAILED", "retried 2 times")
    assert (await platform.read())["status"]["operationState"]["syncResult"]["revision"] == shown


async def test_a_refused_resource_is_said_in_the_words_of_the_cluster(platform, town, bot):
    platform.commit(platform.broken(), message="Break it")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    operation = await confirm(town, await ask(town, "sync", "web", app=platform.name))
    card = await card_says(town, operation, "FAILED")
    assert "selector" in card.text


async def test_a_sync_that_waits_is_seen_and_terminated(platform, town, bot):
    late = platform.config("2", "late", sync_wave="1")
    platform.commit(platform.balancer(), late, message="Wait for ever")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    operation = await confirm(town, await ask(town, "sync", "web", app=platform.name))
    card = await card_says(town, operation, "%", "web")
    assert "wave" in card.text.lower()
    await ask(town, "terminate", "Its end is asked for", app=platform.name)
    card = await card_says(town, operation, "erminated")
    assert "Ada" in card.text or f"<@{town.ada.id}>" in card.text
    assert await platform.content("late") is None


async def test_a_sync_goes_on_through_a_death_of_the_bot(platform, town, bot):
    platform.commit(platform.balancer(), platform.config("2", "late", sync_wave="1"), message="Slow")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    operation = await confirm(town, await ask(town, "sync", "web", app=platform.name))
    await card_says(town, operation, "web")
    await bot.kill()
    await platform.give_an_address()
    await bot.start()
    await card_says(town, operation, "Synced")
    ids = {
        info["value"]
        for entry in [(await platform.read())["status"]["operationState"]["operation"]]
        for info in entry.get("info", [])
        if info["name"] == "the-machine/id"
    }
    assert ids == {operation}


async def test_syncs_of_others_are_news_when_they_fail(platform, town, bot):
    platform.commit(platform.broken(), message="Break it")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    by_hand = {"initiatedBy": {"username": "mallory"}, "sync": {"syncStrategy": {"hook": {}}}}
    await platform.api.merge(platform.api.apps(platform.name), {"operation": by_hand})

    def told():
        stories = [each for each in town.messages("critical") if platform.name in each.text]
        return next((each for each in stories if "SYNC FAILED" in each.text), None)

    story = await town.server.wait_for(told, timeout=60)
    assert "`mallory`" in story.text
    assert "selector" in story.text


async def test_children_are_synced_after_their_parents_by_wave(platform, town, bot):
    first, second = f"{platform.name}-a", f"{platform.name}-b"
    platform.commit(platform.config("1", "one"), message="One", below="children/one")
    platform.commit(platform.config("2", "two"), message="Two", below="children/two")
    apps = [
        platform.application(name, below=f"children/{place}")
        for name, place in ((first, "one"), (second, "two"))
    ]
    apps[1]["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": "1"}
    platform.commit(*apps, message="Parents", below="apps")
    parent = platform.application(below="apps")
    parent["spec"]["destination"]["namespace"] = "argocd"
    await platform.create(parent)
    await platform.is_compared("OutOfSync")
    preview = await ask(town, "sync-tree", platform.name, app=platform.name)
    card = await card_says(town, await confirm(town, preview), "Synced", timeout=90)
    assert re.search(r"3 of 3|3 Applications", card.text), card.text
    assert (await platform.content("one"), await platform.content("two")) == ("1", "2")
    await ask(town, "tree", first, second, app=platform.name)


async def test_a_refresh_notices_what_git_says_now(platform, town, bot):
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    await card_says(town, await confirm(town, await ask(town, "sync", "config", app=platform.name)), "Synced")
    platform.commit(platform.config("2"), message="Later")
    await ask(town, "refresh", "OUT OF SYNC", app=platform.name)
    await ask(town, "refresh", "OUT OF SYNC", app=platform.name, hard=True)


async def test_a_closed_window_refuses_and_says_until_when(platform, town, bot):
    closed = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": platform.name, "namespace": "argocd"},
        "spec": {
            "sourceRepos": ["*"],
            "destinations": [{"namespace": "*", "server": "*"}],
            "syncWindows": [closed],
        },
    }
    path = path_of("argoproj.io/v1alpha1", "argocd", "appprojects")
    assert (await platform.api.create(path, project)).status == 201
    try:
        await platform.create(platform.application(project=platform.name))
        await platform.is_compared("OutOfSync")
        await ask(town, "sync", "window", app=platform.name)
        assert await platform.content() is None
    finally:
        await platform.api.ask("DELETE", f"{path}/{platform.name}")


async def test_a_difference_is_shown_line_by_line_without_secrets(platform, town, bot):
    if not os.environ.get("MACHINE_TEST_ARGOCD_URL"):
        pytest.skip("MACHINE_TEST_ARGOCD_URL is not set")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "key", "namespace": platform.name},
        "stringData": {"password": "hunter2"},
    }
    platform.commit(platform.config("1"), secret, message="With a secret")
    await platform.create(platform.application())
    await platform.is_compared("OutOfSync")
    await card_says(town, await confirm(town, await ask(town, "sync", "config", app=platform.name)), "Synced")
    secret["stringData"]["password"] = "hunter3"
    platform.commit(platform.config("2"), secret, message="Change both")
    await ask(town, "refresh", "OUT OF SYNC", app=platform.name)
    answer = await ask(town, "diff", "config", app=platform.name)
    said = answer.text + "".join(attachment.text for attachment in getattr(answer, "attachments", ()))
    assert "hunter" not in said
    assert re.search(r"^\+.*content: .?2", said, re.MULTILINE), said
