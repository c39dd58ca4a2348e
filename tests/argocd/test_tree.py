from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.argocd.model import Application, Child
from bot.argocd.reading import read_application
from bot.argocd.tree import Family, TreeState, TreeSteps, is_settled, next_steps
from bot.kube.model import ObjectKey
from tests.support.argocd import a_raw_application, a_raw_resource

DONE, RUNNING, FAILED = TreeState.DONE, TreeState.RUNNING, TreeState.FAILED


def key(name: str) -> ObjectKey:
    return ObjectKey("argocd", name)


def an_app(name: str, *children: str | tuple[str, int], **metadata: Any) -> Application:
    """Return an Application; a child is a name, or a name and its wave."""
    pairs = [(child, 0) if isinstance(child, str) else child for child in children]
    resources = [
        a_raw_resource(child, kind="Application", namespace="", syncWave=wave) for child, wave in pairs
    ]
    return read_application(a_raw_application(name, metadata=metadata, status={"resources": resources}))


def tracked(name: str, parent: str, wave: int | None = None) -> Application:
    annotations = {"argocd.argoproj.io/tracking-id": f"{parent}:argoproj.io/Application:argocd/{name}"}
    if wave is not None:
        annotations["argocd.argoproj.io/sync-wave"] = str(wave)
    return an_app(name, annotations=annotations)


def family(*applications: Application) -> Family:
    return Family({application.key: application for application in applications})


def drawn(found: Family, root: str = "root") -> list[str]:
    return [
        f"{'  ' * branch.depth}{branch.key.name}@{branch.wave}"
        f"{'' if branch.application else ' missing'}{' again' if branch.is_again else ''}"
        for branch in found.grow(key(root))
    ]


def names(keys: tuple[ObjectKey, ...]) -> list[str]:
    return [each.name for each in keys]


def test_children_are_found_from_both_ends_and_stand_by_wave():
    found = family(
        an_app("root", ("storage", 1), ("cilium", -1), "absent"),
        an_app("storage", "longhorn"),
        an_app("longhorn"),
        an_app("cilium"),
        tracked("apps", "root", 6),
    )
    assert drawn(found) == [
        "root@0",
        "  cilium@-1",
        "  absent@0 missing",
        "  storage@1",
        "    longhorn@0",
        "  apps@6",
    ]


def test_the_wave_of_an_old_argo_cd_is_the_childs_own():
    assert family(an_app("root", "web"), tracked("web", "root", 4)).children(key("root")) == (
        Child(key("web"), 4),
    )


def test_what_a_set_makes_belongs_to_who_applies_the_set():
    resources = [
        a_raw_resource("monitoring", kind="ApplicationSet", group="argoproj.io", namespace="", syncWave=5)
    ]
    root = read_application(a_raw_application("root", status={"resources": resources}))
    owner = [{"kind": "ApplicationSet", "name": "monitoring", "controller": True}]
    found = family(root, an_app("loki", ownerReferences=owner), an_app("stray"))
    assert drawn(found) == ["root@0", "  loki@5"]


def test_a_circle_ends():
    found = family(an_app("root", "a"), an_app("a", "b"), an_app("b", "a", "root"))
    assert drawn(found) == ["root@0", "  a@0", "    b@0", "      a@0 again", "      root@0 again"]
    assert found.above(key("a")) == (key("b"),)


def test_whoever_names_itself_is_not_its_own_child():
    assert drawn(family(an_app("root", "root"))) == ["root@0"]


def test_the_parents_are_known_the_nearest_first():
    found = family(an_app("root", "a"), an_app("a", "b"), an_app("b"))
    assert found.above(key("b")) == (key("a"), key("root"))
    assert found.above(key("root")) == ()


def test_a_parent_that_is_not_known_is_none():
    assert family(tracked("web", "root")).above(key("web")) == ()


@pytest.mark.parametrize(
    ("sync", "health", "settled"),
    [
        ("Synced", "Healthy", True),
        ("Synced", "Suspended", True),
        ("Synced", "Progressing", False),
        ("OutOfSync", "Healthy", False),
        ("Unknown", "Healthy", False),
    ],
)
def test_the_next_wave_follows_what_is_synced_and_healthy(sync: str, health: str, settled: bool):
    status = {"sync": {"status": sync}, "health": {"status": health}}
    assert is_settled(read_application(a_raw_application(status=status))) is settled


# Syncing a tree.

TREE = family(
    an_app("root", ("cilium", 0), ("secrets", 0), ("storage", 1), ("apps", 2)),
    an_app("cilium"),
    an_app("secrets"),
    an_app("storage", ("longhorn", 0), ("volsync", 1)),
    an_app("longhorn"),
    an_app("volsync"),
    an_app("apps"),
)


def steps(states: Mapping[str, TreeState], *, at_once: int = 5, of: Family = TREE) -> TreeSteps:
    return next_steps(of, key("root"), {key(name): state for name, state in states.items()}, at_once=at_once)


def test_the_parent_goes_first():
    found = steps({})
    assert names(found.start) == ["root"]
    assert found.total == 7
    assert len(found.left) == 6


def test_nothing_follows_a_parent_that_still_runs():
    assert steps({"root": RUNNING}).start == ()


def test_a_wave_goes_together():
    found = steps({"root": DONE})
    assert names(found.start) == ["cilium", "secrets"]
    assert found.wave == 0


def test_no_more_run_at_once_than_may():
    assert names(steps({"root": DONE}, at_once=1).start) == ["cilium"]
    assert names(steps({"root": DONE, "cilium": RUNNING}, at_once=2).start) == ["secrets"]
    assert steps({"root": DONE, "cilium": RUNNING}, at_once=1).start == ()


def test_a_wave_waits_for_all_of_the_one_before_it():
    assert names(steps({"root": DONE, "cilium": DONE, "secrets": RUNNING}).start) == []
    found = steps({"root": DONE, "cilium": DONE, "secrets": DONE})
    assert names(found.start) == ["storage"]
    assert found.wave == 1


def test_a_wave_waits_for_the_trees_below_the_one_before_it():
    before = dict.fromkeys(("root", "cilium", "secrets", "storage"), DONE)
    assert names(steps(before).start) == ["longhorn"]
    assert names(steps(before | {"longhorn": DONE}).start) == ["volsync"]
    assert names(steps(before | {"longhorn": DONE, "volsync": DONE}).start) == ["apps"]


def test_when_all_is_done_it_is_over():
    everything = ("root", "cilium", "secrets", "storage", "longhorn", "volsync", "apps")
    found = steps(dict.fromkeys(everything, DONE))
    assert found.is_over
    assert found.succeeded
    assert found.wave is None


def test_a_failure_begins_nothing_more_and_lets_the_rest_end():
    found = steps({"root": DONE, "cilium": FAILED, "secrets": RUNNING})
    assert not found.is_over
    ended = steps({"root": DONE, "cilium": FAILED, "secrets": DONE})
    assert ended.is_over
    assert not ended.succeeded
    assert names(ended.failed) == ["cilium"]
    assert set(names(ended.left)) == {"storage", "longhorn", "volsync", "apps"}


def test_a_child_that_does_not_exist_yet_is_waited_for():
    of = family(an_app("root", "new", ("web", 1)), an_app("web"))
    found = steps({"root": DONE}, of=of)
    assert (names(found.missing), found.start, found.is_over) == (["new"], (), False)
    given_up = steps({"root": DONE, "new": FAILED}, of=of)
    assert given_up.is_over


def test_a_circle_is_synced_once():
    of = family(an_app("root", "a"), an_app("a", "root"))
    assert names(steps({"root": DONE}, of=of).start) == ["a"]
    assert steps({"root": DONE, "a": DONE}, of=of).succeeded


NAMES = ["root", "a", "b", "c", "d", "e"]
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.integers(-1, 2)), max_size=12)


@settings(max_examples=150, deadline=None)
@given(links=LINKS, at_once=st.integers(1, 3))
def test_every_tree_is_synced_to_its_end_in_order(links: list[tuple[str, str, int]], at_once: int):
    apps = [
        an_app(name, *[(child, wave) for parent, child, wave in links if parent == name]) for name in NAMES
    ]
    of = family(*apps)
    states: dict[str, TreeState] = {}
    for _ in range(2 * len(NAMES) + 2):
        found = steps(states, at_once=at_once, of=of)
        assert len(found.start) + len(found.running) <= at_once
        if found.is_over:
            break
        for begun in found.start:
            assert begun.name not in states
            parents = [parent for parent, child, _ in links if child == begun.name]
            assert begun.name == "root" or any(states.get(parent) is DONE for parent in parents)
            states[begun.name] = DONE
    assert found.succeeded
    assert set(states) == {branch.key.name for branch in of.grow(key("root"))}
    assert found.total == len(states)


@settings(max_examples=100, deadline=None)
@given(links=LINKS)
def test_growing_names_each_application_once_beside_its_repeats(links: list[tuple[str, str, int]]):
    apps = [
        an_app(name, *[(child, wave) for parent, child, wave in links if parent == name]) for name in NAMES
    ]
    first = [branch.key for branch in family(*apps).grow(key("root")) if not branch.is_again]
    assert len(first) == len(set(first))
