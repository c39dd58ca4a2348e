"""Patches do what their specifications say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo.cluster.failures import ApiError
from bot.demo.cluster.patches import apply_operations, merge

PLAIN = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


# https://www.rfc-editor.org/rfc/rfc7386#appendix-A
@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merging_is_as_its_rfc_shows(target, patch, merged):
    assert merge(target, patch) == merged


@given(PLAIN, PLAIN)
def test_merging_twice_is_merging_once(target, patch):
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(st.dictionaries(st.text(max_size=2), PLAIN), st.dictionaries(st.text(max_size=2), PLAIN))
def test_a_json_patch_can_add_whatever_it_names(target, values):
    operations = [
        {"op": "add", "path": "/" + name.replace("~", "~0").replace("/", "~1"), "value": value}
        for name, value in values.items()
    ]
    before = repr(target)
    assert apply_operations(target, operations) == {**target, **values}
    assert repr(target) == before


@pytest.mark.parametrize(
    ("target", "operation", "patched"),
    [
        ({"a": [1, 3]}, {"op": "add", "path": "/a/1", "value": 2}, {"a": [1, 2, 3]}),
        ({"a": [1]}, {"op": "add", "path": "/a/-", "value": 2}, {"a": [1, 2]}),
        ({"a": [1, 2]}, {"op": "remove", "path": "/a/0"}, {"a": [2]}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ({"a": 1}, {"op": "copy", "from": "/a", "path": "/b"}, {"a": 1, "b": 1}),
        ({"a": 1}, {"op": "replace", "path": "", "value": 2}, 2),
        ({"a": 1}, {"op": "test", "path": "/a", "value": 1}, {"a": 1}),
    ],
)
def test_json_patches_know_all_operations(target, operation, patched):
    assert apply_operations(target, [operation]) == patched


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "test", "path": "/a/0", "value": 2}, 422),
        ({"op": "remove", "path": "/b"}, 422),
        ({"op": "replace", "path": "/a/7", "value": 1}, 422),
        ({"op": "add", "path": "/a/7", "value": 1}, 422),
        ({"op": "add", "path": "/a/x", "value": 1}, 422),
        ({"op": "add", "path": "/b/c", "value": 1}, 422),
        ({"op": "invent", "path": "/a"}, 400),
        ("nonsense", 400),
    ],
)
def test_operations_that_do_not_fit_are_refused(operation, code):
    with pytest.raises(ApiError) as caught:
        apply_operations({"a": [1]}, [operation])
    assert caught.value.code == code


def test_a_json_patch_is_a_list():
    with pytest.raises(ApiError):
        apply_operations({}, {"op": "add"})
