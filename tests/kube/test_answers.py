import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import (
    BrokenError,
    ConflictError,
    InvalidError,
    MachineError,
    NotFoundError,
    UnavailableError,
)
from bot.kube.answers import error_for, watch_error
from bot.kube.model import BusyError, ExpiredError, ForbiddenError, NotInstalledError
from tests.support.kube import APPLICATIONS

WHAT = "Application argocd/shop"


def error(status, body="", **headers):
    raw = body if isinstance(body, bytes) else (json.dumps(body) if body else "").encode()
    return error_for(status, headers, raw, resource=APPLICATIONS, what=WHAT)


def a_status(message="", reason="", **details):
    return {"kind": "Status", "message": message, "reason": reason, "details": details}


FORBIDDEN = (
    'applications.argoproj.io "shop" is forbidden: User "system:serviceaccount:machine:machine" cannot patch '
    'resource "applications" in API group "argoproj.io" in the namespace "argocd"'
)
NOT_LET = "Kubernetes does not let system:serviceaccount:machine:machine patch applications.argoproj.io"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ((401, a_status("Unauthorized")), ForbiddenError, "Kubernetes does not accept our credentials."),
        (
            (403, a_status(FORBIDDEN)),
            ForbiddenError,
            f"{NOT_LET} in argocd.",
        ),
        (
            (403, a_status(FORBIDDEN.replace('in the namespace "argocd"', "at the cluster scope"))),
            ForbiddenError,
            f"{NOT_LET} in the whole cluster.",
        ),
        (
            (403, b"<html>no"),
            ForbiddenError,
            "Kubernetes does not let us do this with applications.argoproj.io.",
        ),
        ((404, a_status(name="shop", kind="applications")), NotFoundError, f"{WHAT} does not exist."),
        ((404, a_status(name="x", kind="namespaces")), NotFoundError, "The namespace does not exist."),
        (
            (404, b"404 page not found\n"),
            NotInstalledError,
            "Application (argoproj.io/v1alpha1) is not installed in this cluster.",
        ),
        (
            (404, a_status("the server could not find the requested resource")),
            NotInstalledError,
            "Application (argoproj.io/v1alpha1) is not installed in this cluster.",
        ),
        ((409, a_status(reason="AlreadyExists")), ConflictError, f"{WHAT} exists already."),
        (
            (409, a_status(reason="Conflict")),
            ConflictError,
            f"{WHAT} was changed by somebody else in the meantime.",
        ),
        (
            (422, a_status("secret!", causes=[{"field": "spec.project", "message": "secret!"}])),
            InvalidError,
            f"Kubernetes does not accept the change of {WHAT}: see spec.project.",
        ),
        (
            (400, a_status('strict decoding error: unknown field "operation.sink"')),
            InvalidError,
            f"Kubernetes does not accept the change of {WHAT}: see operation.sink.",
        ),
        ((415, b""), InvalidError, f"Kubernetes does not accept the change of {WHAT}."),
        ((410, a_status()), ExpiredError, "Kubernetes has forgotten the version that we know."),
        (
            (500, a_status("etcdserver: leader changed")),
            UnavailableError,
            "Kubernetes fails with status 500.",
        ),
        ((405, a_status("no")), BrokenError, "Kubernetes refuses the request with status 405."),
        (
            (400, a_status('admission webhook "rules.example.org" denied the request: not on\nFridays')),
            InvalidError,
            "The cluster's own rules do not allow it: not on Fridays",
        ),
    ],
)
def test_a_refusal_is_told_in_our_words(answer, kind, text):
    found = error(*answer)
    assert type(found) is kind
    assert str(found) == text


def test_an_answer_of_something_else_is_no_refusal():
    for status in (302, 404, 418):
        found = error(status, b"<html><title>Sign in</title></html>")
        assert type(found) is UnavailableError
        assert "something else answers" in str(found)


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("100000", 300), ("soon", None), ("", None)])
def test_a_busy_server_says_how_long_to_wait(header, seconds):
    found = error(429, **{"Retry-After": header})
    assert isinstance(found, BusyError)
    assert (found.retry_after and found.retry_after.total_seconds()) == seconds


def test_a_long_denial_is_cut():
    found = error(403, a_status(f'admission webhook "a" denied the request: {"no " * 500}'))
    assert isinstance(found, InvalidError)
    assert len(str(found)) < 400


def test_a_watch_that_ends_with_an_error_says_which():
    assert isinstance(watch_error({"code": 410}), ExpiredError)
    assert str(watch_error({"code": 500})) == "Kubernetes ends the watch with status 500."
    assert str(watch_error({"code": "<b>"})) == "Kubernetes ends the watch with status unknown."


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["name", "causes", "field", "kind"]), inner)
    ),
)


@given(
    st.integers(300, 599),
    st.binary() | st.fixed_dictionaries({"kind": st.just("Status"), "details": JSON, "message": JSON}),
)
def test_whatever_is_answered_becomes_one_of_our_errors(status, body):
    assert isinstance(error(status, body), MachineError)
