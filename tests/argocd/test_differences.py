"""What a sync would change is told line by line, and no value of a Secret ever is."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bot.argocd.differences import compare, compare_one
from bot.argocd.views import Change


def an_object(kind="ConfigMap", name="config", **parts):
    return {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, **parts.pop("metadata", {})},
        **parts,
    }


def an_item(live, wanted, *, kind="ConfigMap", modified=True, **more):
    """What argocd-server says of one resource."""
    return {
        "kind": kind,
        "namespace": "shop",
        "name": "config",
        "liveState": json.dumps(live),
        "targetState": json.dumps(wanted),
        "normalizedLiveState": json.dumps(live),
        "predictedLiveState": json.dumps(wanted),
        "modified": modified,
        **more,
    }


def test_what_differs_is_a_unified_diff():
    found = compare_one(an_item(an_object(data={"a": "1", "b": "2"}), an_object(data={"a": "1", "b": "3"})))
    assert found.change is Change.CHANGED
    assert "-  b: '2'" in found.text
    assert "+  b: '3'" in found.text
    assert (found.added, found.removed) == (1, 1)


def test_what_is_created_and_deleted_is_told_whole():
    created = compare_one(an_item(None, an_object()))
    deleted = compare_one(an_item(an_object(), None, modified=False))
    assert (created.change, created.removed) == (Change.CREATED, 0)
    assert (deleted.change, deleted.added) == (Change.DELETED, 0)


def test_what_is_the_same_and_hooks_are_left_out():
    same = an_item(an_object(), an_object(), modified=False)
    hook = an_item(None, an_object(), hook=True)
    assert compare([same, hook, an_item(None, None)]) == ()


def test_bookkeeping_is_left_out():
    noise = {
        "managedFields": [{"manager": "x"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"},
    }
    found = compare_one(an_item(an_object(metadata=noise, data={"a": "1"}), an_object(data={"a": "2"})))
    assert "managedFields" not in found.text
    assert "last-applied" not in found.text


def test_texts_of_several_lines_are_compared_line_by_line():
    live = an_object(data={"conf": "one\ntwo\nthree\n"})
    found = compare_one(an_item(live, an_object(data={"conf": "one\n2\nthree\n"})))
    assert "-    two" in found.text
    assert "+    2" in found.text


def test_what_cannot_be_read_is_said_to_be_so():
    found = compare_one({"kind": "ConfigMap", "name": "x", "liveState": "{", "targetState": "{}"})
    assert found.problem
    assert found.text == ""


def test_what_is_too_long_is_cut():
    many = an_object(data={f"key{number}": "x" * 100 for number in range(6_000)})
    found = compare_one(an_item(None, many))
    assert len(found.text) < 300_000
    assert found.text.endswith("… cut here")
    huge = an_object(data={f"key{number}": "x" for number in range(30_000)})
    assert compare_one(an_item(None, huge)).problem


values = st.text(alphabet="abcXYZ0123456789", min_size=12, max_size=40)


@given(
    st.dictionaries(st.sampled_from(["user", "password", "token"]), values),
    st.dictionaries(st.sampled_from(["user", "password", "token"]), values),
    st.sampled_from(["data", "stringData"]),
)
def test_values_of_secrets_are_never_told(live, wanted, part):
    item = an_item(an_object("Secret", **{part: live}), an_object("Secret", **{part: wanted}), kind="Secret")
    found = compare_one(item)
    for value in (*live.values(), *wanted.values()):
        assert value not in found.text
    for name in live.keys() & wanted.keys():
        if live[name] != wanted[name]:
            assert f"-  {name}: ++++++++\n" in found.text


@given(
    st.recursive(
        st.none() | st.booleans() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_the_server_says_nothing_breaks(anything):
    for written in (json.dumps(anything), str(anything)):
        compare([{"kind": "A", "liveState": written, "targetState": written, "modified": True}])
