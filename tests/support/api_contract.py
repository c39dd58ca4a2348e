"""What an API server promises, ours and any real one: each function is a promise, asserted by its requests.

`tests/demo/cluster/test_contract.py` holds our server to it, `tests/cluster/test_contract.py` a real one.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from tests.support.api import (
    APPLY,
    JSON_PATCH,
    METADATA,
    METADATA_LIST,
    STRATEGIC,
    Api,
    Reply,
    path_of,
)

Promise = Callable[[Api], Awaitable[None]]
END_OF_INITIAL_EVENTS = {"k8s.io/initial-events-end": "true"}
STREAMING = {
    "sendInitialEvents": "true",
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": "true",
}


def an_application(name: str, **metadata: Any) -> dict[str, Any]:
    """The least that the schema takes."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, **metadata},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.org/shop.git", "path": "deploy"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
        },
    }


def a_deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": "app", "image": "registry.k8s.io/pause:3.10"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


async def create(api: Api, name: str, **metadata: Any) -> Reply:
    reply = await api.create(api.apps(), an_application(name, **metadata))
    assert reply.status == 201, reply.raw
    return reply


async def what_is_created_gets_an_identity(api: Api) -> None:
    metadata = (await create(api, "shop")).json["metadata"]
    assert metadata["generation"] == 1
    assert re.fullmatch(r"[0-9a-f-]{36}", metadata["uid"])
    assert int(metadata["resourceVersion"]) > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])


async def a_name_is_taken_once(api: Api) -> None:
    await create(api, "shop")
    reply = await api.create(api.apps(), an_application("shop"))
    assert (reply.status, reply.json["reason"]) == (409, "AlreadyExists")
    assert reply.message == 'applications.argoproj.io "shop" already exists'
    assert reply.json["details"] == {"name": "shop", "group": "argoproj.io", "kind": "applications"}


async def a_name_can_be_generated(api: Api) -> None:
    body = an_application("")
    body["metadata"] = {"generateName": "shop-"}
    reply = await api.create(api.apps(), body)
    assert re.fullmatch(r"shop-[a-z0-9]{5}", reply.json["metadata"]["name"])


async def nothing_is_created_in_a_namespace_that_is_not_there(api: Api) -> None:
    path = path_of("argoproj.io/v1alpha1", "nowhere", "applications")
    reply = await api.create(path, an_application("shop"))
    assert (reply.status, reply.message) == (404, 'namespaces "nowhere" not found')


async def the_namespace_of_the_body_must_be_that_of_the_path(api: Api) -> None:
    reply = await api.create(api.apps(), an_application("shop", namespace="default"))
    assert (reply.status, reply.json["reason"]) == (400, "BadRequest")
    assert "does not match the namespace" in reply.message


async def what_is_not_there_is_not_found(api: Api) -> None:
    reply = await api.get(api.apps("nobody"))
    assert (reply.status, reply.json["reason"]) == (404, "NotFound")
    assert reply.message == 'applications.argoproj.io "nobody" not found'
    assert reply.json["details"] == {"name": "nobody", "group": "argoproj.io", "kind": "applications"}


async def a_kind_that_is_not_installed_answers_in_plain_text(api: Api) -> None:
    for path in ("/apis/nobody.example.org/v1/things", "/apis/argoproj.io/v1alpha1/things"):
        reply = await api.get(path)
        assert reply.status == 404
        assert reply.raw.strip() == b"404 page not found"
        assert reply.headers["Content-Type"].startswith("text/plain")


async def a_merge_patch_merges_and_null_removes(api: Api) -> None:
    await create(api, "shop", annotations={"a": "1", "b": "2"})
    reply = await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": None, "c": "3"}}})
    assert (reply.status, reply.json["metadata"]["annotations"]) == (200, {"b": "2", "c": "3"})


async def annotations_do_not_raise_the_generation(api: Api) -> None:
    await create(api, "shop")
    reply = await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}})
    assert reply.json["metadata"]["generation"] == 1


async def operation_and_status_of_an_application_raise_the_generation(api: Api) -> None:
    await create(api, "shop")
    operation = {"initiatedBy": {"username": "ada"}, "sync": {"revision": "main"}}
    started = await api.merge(api.apps("shop"), {"operation": operation})
    assert (started.json["operation"], started.json["metadata"]["generation"]) == (operation, 2)
    synced = await api.merge(api.apps("shop"), {"status": {"health": {"status": "Healthy"}}})
    assert synced.json["metadata"]["generation"] == 3


async def one_patch_writes_metadata_operation_and_status(api: Api) -> None:
    state = {"operation": {}, "phase": "Running", "startedAt": "2026-03-01T08:00:00Z"}
    await create(api, "shop")
    before = await api.merge(api.apps("shop"), {"status": {"operationState": state}})
    reply = await api.merge(
        api.apps("shop"),
        {
            "metadata": {"resourceVersion": before.version},
            "operation": {"sync": {}},
            "status": {"operationState": None},
        },
    )
    assert reply.status == 200
    assert reply.json["operation"] == {"sync": {}}
    assert "operationState" not in reply.json["status"]


async def a_patch_that_changes_nothing_keeps_the_version(api: Api) -> None:
    before = await create(api, "shop", annotations={"a": "1"})
    reply = await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}})
    assert (reply.status, reply.version) == (200, before.version)


async def a_patch_with_a_stale_version_is_a_conflict(api: Api) -> None:
    before = await create(api, "shop")
    await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}})
    stale = {"metadata": {"resourceVersion": before.version, "annotations": {"a": "2"}}}
    reply = await api.merge(api.apps("shop"), stale)
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert reply.message == (
        'Operation cannot be fulfilled on applications.argoproj.io "shop": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert (await api.get(api.apps("shop"))).json["metadata"]["annotations"] == {"a": "1"}


async def a_json_patch_changes_what_its_test_finds(api: Api) -> None:
    await create(api, "shop")
    patch = [
        {"op": "test", "path": "/spec/project", "value": "default"},
        {"op": "replace", "path": "/spec/project", "value": "prod"},
        {"op": "add", "path": "/metadata/annotations", "value": {"a/b": "1"}},
        {"op": "replace", "path": "/metadata/annotations/a~1b", "value": "2"},
    ]
    reply = await api.ask("PATCH", api.apps("shop"), patch, content_type=JSON_PATCH)
    assert (reply.status, reply.json["spec"]["project"]) == (200, "prod")
    assert reply.json["metadata"]["annotations"] == {"a/b": "2"}


async def a_json_patch_whose_test_fails_is_refused(api: Api) -> None:
    await create(api, "shop")
    patch = [{"op": "test", "path": "/spec/project", "value": "prod"}]
    reply = await api.ask("PATCH", api.apps("shop"), patch, content_type=JSON_PATCH)
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert reply.message == "the server rejected our request due to an error in our request"


async def custom_resources_take_no_strategic_merge_patch(api: Api) -> None:
    await create(api, "shop")
    reply = await api.ask("PATCH", api.apps("shop"), {"spec": {}}, content_type=STRATEGIC)
    assert (reply.status, reply.json["reason"]) == (415, "UnsupportedMediaType")
    assert "application/merge-patch+json" in reply.message


async def an_application_has_no_status_of_its_own(api: Api) -> None:
    await create(api, "shop")
    reply = await api.merge(api.apps("shop", "status"), {"status": {"health": {"status": "Healthy"}}})
    assert (reply.status, reply.json["reason"]) == (404, "NotFound")


async def an_application_set_has_a_status_of_its_own(api: Api) -> None:
    body = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "shops"},
        "spec": {
            "generators": [{"list": {"elements": []}}],
            "template": {"metadata": {"name": "shop"}, "spec": an_application("shop")["spec"]},
        },
    }
    path = path_of("argoproj.io/v1alpha1", api.namespace, "applicationsets")
    assert (await api.create(path, body)).status == 201
    status = {"status": {"resourcesCount": 3}}
    assert "status" not in (await api.merge(f"{path}/shops", status)).json
    reply = await api.merge(f"{path}/shops/status", status)
    assert (reply.status, reply.json["status"]["resourcesCount"]) == (200, 3)
    assert reply.json["metadata"]["generation"] == 1


async def an_operation_that_is_not_there_cannot_be_terminated(api: Api) -> None:
    await create(api, "shop")
    reply = await api.merge(api.apps("shop"), {"status": {"operationState": {"phase": "Terminating"}}})
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    fields = {cause["field"] for cause in reply.json["details"]["causes"]}
    assert {"status.operationState.operation", "status.operationState.startedAt"} <= fields
    assert reply.json["details"]["kind"] == "Application"


async def what_is_put_needs_the_version_that_was_seen(api: Api) -> None:
    before = await create(api, "shop")
    reply = await api.ask("PUT", api.apps("shop"), an_application("shop"))
    assert reply.status == 422
    assert "metadata.resourceVersion" in reply.message
    body = {**before.json, "spec": {**before.json["spec"], "project": "prod"}}
    reply = await api.ask("PUT", api.apps("shop"), body)
    assert (reply.status, reply.json["metadata"]["generation"]) == (200, 2)
    assert (await api.ask("PUT", api.apps("shop"), body)).status == 409


async def a_dry_run_changes_nothing(api: Api) -> None:
    before = await create(api, "shop")
    change = {"metadata": {"annotations": {"a": "1"}}}
    reply = await api.merge(api.apps("shop"), change, dryRun="All")
    assert (reply.status, reply.json["metadata"]["annotations"]) == (200, {"a": "1"})
    assert (await api.get(api.apps("shop"))).version == before.version
    assert (await api.create(api.apps(), an_application("other"), dryRun="All")).status == 201
    assert (await api.get(api.apps("other"))).status == 404


async def an_apply_owns_its_fields_and_names_who_owns_others(api: Api) -> None:
    mine = an_application("shop")
    first = await api.ask("PATCH", api.apps("shop"), mine, content_type=APPLY, fieldManager="git")
    assert first.status == 201
    changed = {**mine, "spec": {**mine["spec"], "project": "prod"}}
    options = {"content_type": APPLY, "fieldManager": "the-machine"}
    reply = await api.ask("PATCH", api.apps("shop"), changed, **options)
    assert (reply.status, reply.json["reason"]) == (409, "Conflict")
    assert reply.message == 'Apply failed with 1 conflict: conflict with "git": .spec.project'
    assert reply.json["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "git"',
            "field": ".spec.project",
        }
    ]
    forced = await api.ask("PATCH", api.apps("shop"), changed, **options, force="true")
    assert (forced.status, forced.json["spec"]["project"]) == (200, "prod")


async def an_apply_must_say_whose_it_is(api: Api) -> None:
    reply = await api.ask("PATCH", api.apps("shop"), an_application("shop"), content_type=APPLY)
    assert reply.status == 422
    assert "fieldManager" in reply.message


async def a_write_names_its_manager(api: Api) -> None:
    await create(api, "shop")
    change = {"metadata": {"annotations": {"a": "1"}}}
    reply = await api.merge(api.apps("shop"), change, fieldManager="the-machine")
    managers = [entry["manager"] for entry in reply.json["metadata"]["managedFields"]]
    assert managers == ["tests", "the-machine"]


async def metadata_can_be_had_alone(api: Api) -> None:
    await create(api, "shop", labels={"team": "shop"})
    reply = await api.ask("GET", api.apps("shop"), accept=METADATA)
    assert reply.json["kind"] == "PartialObjectMetadata"
    assert reply.json["metadata"]["labels"] == {"team": "shop"}
    assert reply.json.keys() == {"kind", "apiVersion", "metadata"}
    listed = await api.ask("GET", api.apps(), accept=METADATA_LIST)
    assert listed.json["kind"] == "PartialObjectMetadataList"
    assert [item["metadata"]["name"] for item in listed.json["items"]] == ["shop"]
    assert all("spec" not in item for item in listed.json["items"])


async def labels_select(api: Api) -> None:
    await create(api, "a", labels={"team": "shop", "tier": "web"})
    await create(api, "b", labels={"team": "shop"})
    await create(api, "c", labels={"team": "bank"})
    await create(api, "d")
    for selector, names in {
        "team=shop": "ab",
        "team==shop,tier=web": "a",
        "team!=shop": "cd",
        "team in (shop, bank)": "abc",
        "team notin (shop)": "cd",
        "tier": "a",
        "!team": "d",
    }.items():
        reply = await api.get(api.apps(), labelSelector=selector)
        assert "".join(item["metadata"]["name"] for item in reply.json["items"]) == names, selector


async def only_the_name_and_the_namespace_are_fields_to_select_by(api: Api) -> None:
    await create(api, "a")
    await create(api, "b")
    reply = await api.get(api.apps(), fieldSelector="metadata.name=b")
    assert [item["metadata"]["name"] for item in reply.json["items"]] == ["b"]
    reply = await api.get(api.apps(), fieldSelector="spec.project=default")
    assert (reply.status, reply.json["reason"]) == (400, "BadRequest")


async def a_list_comes_in_pages_of_one_moment(api: Api) -> None:
    for name in "abc":
        await create(api, name)
    first = (await api.get(api.apps(), limit="2")).json
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    await create(api, "d")
    last = (await api.get(api.apps(), limit="2", **{"continue": first["metadata"]["continue"]})).json
    assert [item["metadata"]["name"] for item in last["items"]] == ["c"]
    assert not last["metadata"].get("continue")
    assert last["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def a_watch_tells_what_happens_after_a_version(api: Api) -> None:
    await create(api, "before")
    listed = await api.get(api.apps())
    async with api.watch(api.apps(), resourceVersion=listed.version) as lines:
        await create(api, "shop")
        assert await lines.next_change() == ("ADDED", "shop")
        patched = await api.merge(api.apps("shop"), {"metadata": {"annotations": {"a": "1"}}})
        event = await lines.next()
        assert (event["type"], event["object"]) == ("MODIFIED", patched.json)
        await api.ask("DELETE", api.apps("shop"))
        event = await lines.next()
        assert event["type"] == "DELETED"
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(patched.version)


async def a_watch_sees_what_it_missed(api: Api) -> None:
    listed = await api.get(api.apps())
    await create(api, "shop")
    await api.ask("DELETE", api.apps("shop"))
    async with api.watch(api.apps(), resourceVersion=listed.version) as lines:
        assert await lines.next_change() == ("ADDED", "shop")
        assert await lines.next_change() == ("DELETED", "shop")


async def a_watch_from_nowhere_begins_with_what_there_is(api: Api) -> None:
    await create(api, "a")
    async with api.watch(api.apps()) as lines:
        assert await lines.next_change() == ("ADDED", "a")


async def what_leaves_a_selection_is_deleted_from_it(api: Api) -> None:
    await create(api, "shop", labels={"team": "shop"})
    listed = await api.get(api.apps())
    async with api.watch(api.apps(), resourceVersion=listed.version, labelSelector="team=shop") as lines:
        await api.merge(api.apps("shop"), {"metadata": {"labels": {"team": "bank"}}})
        assert await lines.next_change() == ("DELETED", "shop")
        await api.merge(api.apps("shop"), {"metadata": {"labels": {"team": "shop"}}})
        assert await lines.next_change() == ("ADDED", "shop")


async def a_streaming_list_says_where_the_state_ends(api: Api) -> None:
    await create(api, "a")
    await create(api, "b")
    async with api.watch(api.apps(), **STREAMING) as lines:
        seen = [await lines.next() for _ in range(3)]
        assert [event["type"] for event in seen] == ["ADDED", "ADDED", "BOOKMARK"]
        assert {event["object"]["metadata"]["name"] for event in seen[:2]} == {"a", "b"}
        assert seen[2]["object"]["kind"] == "Application"
        metadata = seen[2]["object"]["metadata"]
        assert metadata["annotations"] == END_OF_INITIAL_EVENTS
        assert int(metadata["resourceVersion"]) > 0
        await create(api, "c")
        assert await lines.next_change() == ("ADDED", "c")


async def a_streaming_list_can_be_of_metadata(api: Api) -> None:
    await create(api, "a")
    async with api.watch(api.apps(), accept=METADATA, **STREAMING) as lines:
        assert (await lines.next())["object"]["kind"] == "PartialObjectMetadata"
        assert (await lines.next())["object"]["metadata"]["annotations"] == END_OF_INITIAL_EVENTS


async def a_streaming_list_must_say_how_old_it_may_be(api: Api) -> None:
    reply = await api.get(api.apps(), watch="true", sendInitialEvents="true")
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan" in reply.message


async def a_watch_from_a_forgotten_version_is_told_so_in_a_line(api: Api) -> None:
    async with api.watch(api.apps(), resourceVersion="1") as lines:
        assert lines.response.status == 200
        event = await lines.next()
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
        assert event["object"]["reason"] == "Expired"
        assert event["object"]["message"].startswith("too old resource version")
        assert await lines.next() is None


async def a_watch_ends_properly_when_its_time_is_over(api: Api) -> None:
    listed = await api.get(api.apps())
    async with api.watch(api.apps(), resourceVersion=listed.version, timeoutSeconds="1") as lines:
        async with asyncio.timeout(10):
            assert [event for event in await lines.rest() if event["type"] != "BOOKMARK"] == []


async def finalizers_hold_what_is_deleted(api: Api) -> None:
    await create(api, "shop", finalizers=["the-machine.example.org/wait"])
    reply = await api.ask("DELETE", api.apps("shop"))
    assert reply.status == 200
    assert reply.json["metadata"]["deletionTimestamp"]
    assert (await api.get(api.apps("shop"))).status == 200
    await api.merge(api.apps("shop"), {"metadata": {"finalizers": None}})
    assert (await api.get(api.apps("shop"))).status == 404


async def a_deletion_says_what_it_deleted(api: Api) -> None:
    uid = (await create(api, "shop")).json["metadata"]["uid"]
    other = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    assert (await api.ask("DELETE", api.apps("shop"), other)).status == 409
    reply = await api.ask("DELETE", api.apps("shop"), {"preconditions": {"uid": uid}})
    assert (reply.status, reply.json["kind"], reply.json["status"]) == (200, "Status", "Success")
    assert reply.json["details"]["uid"] == uid


async def the_items_of_a_list_of_built_in_kinds_do_not_say_what_they_are(api: Api) -> None:
    path = path_of("apps/v1", api.namespace, "deployments")
    assert (await api.create(path, a_deployment("web"))).status == 201
    listed = (await api.get(path)).json
    assert listed["kind"] == "DeploymentList"
    assert all("kind" not in item for item in listed["items"])
    await create(api, "shop")
    assert [item["kind"] for item in (await api.get(api.apps())).json["items"]] == ["Application"]


async def a_deployment_has_a_status_of_its_own(api: Api) -> None:
    path = path_of("apps/v1", api.namespace, "deployments")
    await api.create(path, a_deployment("web"))
    when = {"kubectl.kubernetes.io/restartedAt": "2026-03-01T08:00:00Z"}
    restart = {"spec": {"template": {"metadata": {"annotations": when}}}}
    reply = await api.merge(f"{path}/web", {**restart, "status": {"replicas": 7}})
    assert (reply.status, reply.json["metadata"]["generation"]) == (200, 2)
    assert reply.json.get("status", {}).get("replicas", 0) != 7
    assert (await api.get(f"{path}/web/status")).json["metadata"]["name"] == "web"


async def an_event_lies_where_its_object_lies(api: Api) -> None:
    uid = (await create(api, "shop")).json["metadata"]["uid"]
    about = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "name": "shop", "uid": uid}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "shop."},
        "involvedObject": {**about, "namespace": api.namespace},
        "reason": "OperationStarted",
        "message": "ada started a sync",
        "type": "Normal",
        "reportingComponent": "the-machine",
        "reportingInstance": "the-machine-0",
    }
    path = path_of("v1", api.namespace, "events")
    assert (await api.create(path, event)).status == 201
    stray = {**event, "involvedObject": {**about, "namespace": "default"}}
    reply = await api.create(path, stray)
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert "does not match event.namespace" in reply.message


async def one_may_ask_what_one_may(api: Api) -> None:
    attributes = {
        "group": "argoproj.io",
        "resource": "applications",
        "verb": "patch",
        "namespace": api.namespace,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    reply = await api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert (reply.status, reply.json["status"]["allowed"]) == (201, True)


async def discovery_tells_what_is_installed(api: Api) -> None:
    groups = (await api.get("/apis")).json["groups"]
    versions = {version["groupVersion"] for group in groups for version in group["versions"]}
    assert {"argoproj.io/v1alpha1", "apps/v1", "authorization.k8s.io/v1"} <= versions
    resources = (await api.get("/apis/argoproj.io/v1alpha1")).json["resources"]
    names = {resource["name"] for resource in resources}
    assert {"applications", "appprojects", "applicationsets", "applicationsets/status"} <= names
    assert "applications/status" not in names
    assert (await api.get("/api/v1")).json["groupVersion"] == "v1"
    assert (await api.get("/apis/nobody.example.org/v1")).status == 404


async def an_unknown_field_is_pruned_with_a_warning_or_refused(api: Api) -> None:
    """Needs the schemas."""
    await create(api, "shop")
    misspelt = {"spec": {"unheard": "prod"}}
    reply = await api.merge(api.apps("shop"), misspelt)
    assert (reply.status, reply.headers["Warning"]) == (200, '299 - "unknown field \\"spec.unheard\\""')
    assert "unheard" not in reply.json["spec"]
    reply = await api.merge(api.apps("shop"), misspelt, fieldValidation="Strict")
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert 'unknown field "spec.unheard"' in reply.message
    body = an_application("other")
    body["spec"]["unheard"] = "prod"
    reply = await api.create(api.apps(), body, fieldValidation="Strict")
    assert (reply.status, reply.json["reason"]) == (400, "BadRequest")


async def a_field_of_another_type_is_refused(api: Api) -> None:
    """Needs the schemas."""
    await create(api, "shop")
    reply = await api.merge(api.apps("shop"), {"spec": {"project": 1}})
    assert (reply.status, reply.json["reason"]) == (422, "Invalid")
    assert "spec.project" in {cause["field"] for cause in reply.json["details"]["causes"]}


WITH_SCHEMAS: tuple[Promise, ...] = (
    an_unknown_field_is_pruned_with_a_warning_or_refused,
    a_field_of_another_type_is_refused,
)
PROMISES: tuple[Promise, ...] = tuple(
    value
    for name, value in list(globals().items())
    if asyncio.iscoroutinefunction(value)
    and value.__module__ == __name__
    and name != "create"
    and value not in WITH_SCHEMAS
)
