from collections.abc import Collection
from typing import Any

import pytest

from bot.argocd.finding import Owners
from bot.argocd.model import Application
from bot.argocd.reading import read_application
from bot.kube.model import ObjectKey
from tests.support.argocd import a_raw_application, a_raw_resource


class Few:
    """A handful of Applications that are known."""

    def __init__(self, *applications: Application) -> None:
        self.kept: dict[ObjectKey, Application] = {}
        self.owners = Owners(self)
        for application in applications:
            self.put(application)

    def put(self, application: Application) -> None:
        old = self.kept.get(application.key)
        self.kept[application.key] = application
        self.owners.change(application.key, old, application)

    def remove(self, key: ObjectKey) -> None:
        self.owners.change(key, self.kept.pop(key), None)

    def find(self, key: ObjectKey) -> Application | None:
        return self.kept.get(key)

    def values(self) -> Collection[Application]:
        return self.kept.values()


def app(
    name: str,
    *workloads: str,
    to: str = "",
    cluster: str = "",
    namespace: str = "argocd",
    project: str = "default",
):
    """Return an Application that owns workloads, each `Kind/namespace/name`."""
    parts = [workload.split("/") for workload in workloads]
    resources = [a_raw_resource(owned, kind=kind, namespace=where) for kind, where, owned in parts]
    spec = {"destination": {"name": cluster, "namespace": to or name}, "project": project}
    return read_application(
        a_raw_application(name, namespace=namespace, spec=spec, status={"resources": resources})
    )


def platform() -> Few:
    return Few(
        app("checkout", "Deployment/shop/web", "StatefulSet/shop/db", to="shop"),
        app("billing", "Deployment/shop/billing", "CronJob/shop/invoices", "DaemonSet/shop/agent", to="shop"),
        app("mail", to="mail", project="office"),
        app("mail", to="post", namespace="team-a", project="home"),
        app("prod-api", "Deployment/api/api", to="api", cluster="prod"),
        app("dev-api", "Deployment/api/api", to="api", cluster="dev"),
    )


CHECKOUT, BILLING, MAIL = (ObjectKey("argocd", name) for name in ("checkout", "billing", "mail"))


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        # What an Application owns.
        ({"namespace": "shop", "deployment": "web"}, CHECKOUT),
        ({"namespace": "shop", "statefulset": "db"}, CHECKOUT),
        ({"namespace": "shop", "deployment": "billing"}, BILLING),
        ({"namespace": "shop", "cronjob": "invoices"}, BILLING),
        ({"namespace": "shop", "job_name": "invoices-29384756"}, BILLING),
        ({"namespace": "shop", "daemonset": "agent"}, BILLING),
        ({"namespace": "shop", "workload_type": "deployment", "workload": "web"}, CHECKOUT),
        ({"namespace": "shop", "owner_kind": "StatefulSet", "owner_name": "db"}, CHECKOUT),
        ({"namespace": "shop", "pod": "web-7d4b9c8f6d-x2k9p"}, CHECKOUT),
        ({"namespace": "shop", "pod": "db-0"}, CHECKOUT),
        ({"namespace": "shop", "pod": "agent-x2k9p"}, BILLING),
        ({"namespace": "shop", "pod": "invoices-29384756-x2k9p"}, BILLING),
        ({"namespace": "monitoring", "exported_namespace": "shop", "deployment": "web"}, CHECKOUT),
        ({"namespace": "shop", "deployment": "unknown"}, None),
        ({"namespace": "shop"}, None),
        ({"deployment": "web"}, None),
        ({"namespace": "nowhere", "deployment": "web"}, None),
        ({}, None),
        # The only one of a namespace.
        ({"namespace": "mail", "deployment": "whatever"}, MAIL),
        ({"namespace": "mail"}, MAIL),
        ({"namespace": "post"}, ObjectKey("team-a", "mail")),
        # Several clusters.
        ({"namespace": "api", "deployment": "api"}, None),
        ({"namespace": "api", "deployment": "api", "cluster": "prod"}, ObjectKey("argocd", "prod-api")),
        ({"namespace": "api", "deployment": "api", "cluster": "elsewhere"}, None),
        # What names an Application.
        ({"argocd_app": "checkout"}, CHECKOUT),
        ({"label_argocd_argoproj_io_instance": "team-a_mail"}, ObjectKey("team-a", "mail")),
        ({"argocd_app": "mail"}, None),
        ({"argocd_app": "unknown", "namespace": "mail"}, MAIL),
        ({"name": "checkout", "dest_server": "https://x", "namespace": "argocd"}, CHECKOUT),
        ({"name": "mail", "sync_status": "OutOfSync", "namespace": "argocd"}, MAIL),
        ({"name": "mail", "dest_server": "x", "exported_namespace": "team-a"}, ObjectKey("team-a", "mail")),
        ({"name": "mail", "dest_server": "x", "namespace": "metrics", "project": "office"}, MAIL),
        ({"name": "mail", "dest_server": "x", "namespace": "metrics"}, None),
        ({"name": "checkout"}, None),
        # The name of a release is believed only where it fits.
        ({"namespace": "shop", "app_kubernetes_io_instance": "billing"}, BILLING),
        ({"namespace": "shop", "app_kubernetes_io_instance": "mail"}, None),
    ],
)
def test_an_alert_leads_to_the_one_application_that_it_can_be_about(
    labels: dict[str, str], found: ObjectKey | None
):
    assert platform().owners.find(labels) == found


def test_what_two_applications_claim_is_neithers():
    few = Few(app("a", "Deployment/shop/web", to="x"), app("b", "Deployment/shop/web", to="y"))
    assert few.owners.find({"namespace": "shop", "deployment": "web"}) is None


def test_what_changes_is_found_where_it_is_now():
    few = Few(app("a", "Deployment/shop/web", to="shop"))
    few.put(app("a", "Deployment/market/web", to="market"))
    assert few.owners.find({"namespace": "shop"}) is None
    assert few.owners.find({"namespace": "market", "deployment": "web"}) == ObjectKey("argocd", "a")
    few.remove(ObjectKey("argocd", "a"))
    assert few.owners.find({"namespace": "market"}) is None
    assert few.owners._by_namespace == {}


@pytest.mark.parametrize("name", [{"pod": "-" * 300}, {"pod": "a-" * 500}, {"job_name": "x" * 5000}])
def test_names_that_nobody_gives_end_quickly(name: dict[str, Any]):
    assert platform().owners.find({"namespace": "shop", **name}) is None
