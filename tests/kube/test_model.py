import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.errors import InvalidError
from bot.kube.model import ObjectKey, Reference, Resource, Right, key_of
from tests.support.kube import APPLICATIONS, CONFIG_MAPS, NAMESPACES, an_application


@pytest.mark.parametrize(
    ("resource", "arguments", "path"),
    [
        (APPLICATIONS, (), "/apis/argoproj.io/v1alpha1/applications"),
        (APPLICATIONS, ("argocd",), "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"),
        (
            APPLICATIONS,
            ("argocd", "shop"),
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop",
        ),
        (CONFIG_MAPS, ("argocd", "argocd-cm"), "/api/v1/namespaces/argocd/configmaps/argocd-cm"),
        (NAMESPACES, (None, "shop"), "/api/v1/namespaces/shop"),
        (
            Resource("apps", "v1", "deployments", "Deployment"),
            ("shop", "api", "scale"),
            "/apis/apps/v1/namespaces/shop/deployments/api/scale",
        ),
    ],
)
def test_a_resource_has_the_paths_of_the_api(resource, arguments, path):
    assert resource.path(*arguments) == path


@given(st.text() | st.sampled_from(["..", ".", "a/b", "%2e%2e", "a%2fb", "x" * 254]))
def test_no_name_leads_elsewhere(name):
    try:
        path = APPLICATIONS.path("argocd", name)
    except InvalidError:
        return
    assert path.count("/") == 7
    assert not {"?", "#", " "} & set(path)
    assert path.rpartition("/")[2] not in {"", ".", ".."}


def test_keys_and_resources_are_written_as_people_know_them():
    assert str(ObjectKey("argocd", "shop")) == "argocd/shop"
    assert str(ObjectKey("", "shop")) == "shop"
    assert (str(APPLICATIONS), str(CONFIG_MAPS)) == ("applications.argoproj.io", "configmaps")
    assert str(Right("patch", APPLICATIONS, "argocd", "shop")) == (
        "patch applications.argoproj.io shop in argocd"
    )
    assert str(Right("patch", APPLICATIONS, subresource="status")) == "patch applications.argoproj.io/status"


def test_an_object_names_itself():
    thing = {**an_application("shop", uid="1"), "apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
    assert key_of(thing) == ObjectKey("argocd", "shop")
    assert Reference.of(thing) == APPLICATIONS.reference(ObjectKey("argocd", "shop"), uid="1")
