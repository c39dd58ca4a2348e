"""What Discord refuses in a request's body: the documented rules always, the published OpenAPI schema when asked.

The environment variable MACHINE_TEST_OPENAPI names the schema file; without it only the documented rules hold.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulators.discord.state import (
    COMPONENTS_V2,
    EPHEMERAL,
    LOADING,
    SUPPRESS_EMBEDS,
    SUPPRESS_NOTIFICATIONS,
    Json,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW, BUTTON, TEXT_INPUT, SECTION, TEXT_DISPLAY, THUMBNAIL = 1, 2, 4, 9, 10, 11
GALLERY, FILE, SEPARATOR, CONTAINER, LABEL = 12, 13, 14, 17, 18
STRING_SELECT = 3
SELECTS = frozenset({3, 5, 6, 7, 8})
LINK_BUTTON = 5
V2_ONLY = frozenset({SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER})
IN_CONTAINER = frozenset({ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR})

MAX_CONTENT, MAX_TEXT, MAX_COMPONENTS = 2000, 4000, 40


class ApiError(Exception):
    """An answer other than success, as Discord words it."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(f"{status} ({code}): {message} {json.dumps(errors) if errors else ''}")
        self.status = status
        self.body: Json = {"message": message, "code": code}
        if errors:
            self.body["errors"] = errors


def invalid(path: str, message: str, code: str = "BASE_TYPE_INVALID") -> ApiError:
    """The 400 that names the field, given as `components/0/label`."""
    errors: Json = {"_errors": [{"code": code, "message": message}]}
    for part in reversed([p for p in path.split("/") if p]):
        errors = {part: errors}
    return ApiError(400, 50035, "Invalid Form Body", errors)


def check_message(final: Json, sent: Json, *, creating: bool, was_v2: bool = False) -> None:
    """Refuse a message that Discord would refuse.

    Args:
        final: the message as it would be: content, embeds, components, attachments, flags.
        sent: the body of the request, for the rules on what may be said together.
        creating: whether the message is new (an edit may change fewer flags).
        was_v2: whether the message already used Components V2.
    """
    _check_flags(sent.get("flags") or 0, creating=creating)
    v2 = bool(final["flags"] & COMPONENTS_V2)
    if was_v2 and "flags" in sent and not (sent["flags"] or 0) & COMPONENTS_V2:
        raise invalid(
            "flags", "IS_COMPONENTS_V2 cannot be removed.", "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG"
        )
    for legacy in ("content", "embeds", "sticker_ids", "poll"):
        if v2 and (final.get(legacy) or sent.get(legacy)):
            raise invalid(
                legacy,
                f"The '{legacy}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            )
    shown = (
        ("components",) if v2 else ("content", "embeds", "attachments", "components", "poll", "sticker_ids")
    )
    if not any(final.get(key) for key in shown):
        raise ApiError(400, 50006, "Cannot send an empty message")
    if len(final["content"]) > MAX_CONTENT:
        raise invalid("content", "Must be 2000 or fewer in length.", "BASE_TYPE_BAD_LENGTH")
    if len(final["attachments"]) > 10:
        raise invalid("attachments", "Must be 10 or fewer in length.", "BASE_TYPE_BAD_LENGTH")
    _check_embeds(final["embeds"])
    check_components(final["components"], v2=v2)
    _check_attachment_links(final)
    _check_allowed_mentions(sent.get("allowed_mentions"))


def _check_flags(flags: int, *, creating: bool) -> None:
    settable = SUPPRESS_EMBEDS | COMPONENTS_V2
    if creating:
        settable |= SUPPRESS_NOTIFICATIONS | EPHEMERAL
    if flags & ~settable & ~LOADING:
        raise invalid("flags", f"Flags {flags & ~settable} cannot be set.", "MESSAGE_FLAGS_INVALID")


def _check_embeds(embeds: list[Json]) -> None:
    if len(embeds) > 10:
        raise invalid("embeds", "Must be 10 or fewer in length.", "BASE_TYPE_BAD_LENGTH")
    total = 0
    for index, embed in enumerate(embeds):
        limits = {
            "title": (embed.get("title"), 256),
            "description": (embed.get("description"), 4096),
            "footer/text": ((embed.get("footer") or {}).get("text"), 2048),
            "author/name": ((embed.get("author") or {}).get("name"), 256),
        }
        for number, entry in enumerate(embed.get("fields") or ()):
            limits[f"fields/{number}/name"] = (entry.get("name"), 256)
            limits[f"fields/{number}/value"] = (entry.get("value"), 1024)
        for path, (text, limit) in limits.items():
            total += len(text or "")
            if len(text or "") > limit:
                raise invalid(f"embeds/{index}/{path}", f"Must be {limit} or fewer.", "BASE_TYPE_MAX_LENGTH")
        if len(embed.get("fields") or ()) > 25:
            raise invalid(f"embeds/{index}/fields", "Must be 25 or fewer.", "BASE_TYPE_MAX_LENGTH")
    if total > 6000:
        raise invalid("embeds", "Embed size exceeds maximum size of 6000", "MAX_EMBED_SIZE_EXCEEDED")


def _check_allowed_mentions(allowed: Json | None) -> None:
    for kind in ("users", "roles"):
        listed = (allowed or {}).get(kind) or ()
        if len(listed) > 100:
            raise invalid(f"allowed_mentions/{kind}", "Must be 100 or fewer.", "BASE_TYPE_BAD_LENGTH")
        if listed and kind in ((allowed or {}).get("parse") or ()):
            raise invalid(
                "allowed_mentions",
                f"parse:[{kind!r}] and {kind}: [ids...] are mutually exclusive.",
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
            )


def _check_attachment_links(final: Json) -> None:
    names = {attachment["filename"] for attachment in final["attachments"]}
    for component in walk(final["components"]):
        media = [component.get("media"), component.get("file")]
        media += [item.get("media") for item in component.get("items") or ()]
        for url in (link["url"] for link in media if link):
            if url.startswith("attachment://") and url.removeprefix("attachment://") not in names:
                raise invalid(
                    "components",
                    f"{url} names no attachment.",
                    "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                )


def check_components(components: list[Json], *, v2: bool) -> None:
    """The rules on components that the documentation gives."""
    everything = list(walk(components))
    if len(everything) > MAX_COMPONENTS and v2:
        raise invalid(
            "components", f"{len(everything)} of at most 40 components.", "COMPONENT_MAX_TOTAL_EXCEEDED"
        )
    if not v2 and len(components) > 5:
        raise invalid("components", "Must be 5 or fewer in length.", "BASE_TYPE_BAD_LENGTH")
    text = sum(len(c.get("content") or "") for c in everything if c["type"] == TEXT_DISPLAY)
    if text > MAX_TEXT:
        raise invalid("components", f"{text} of at most 4000 characters.", "COMPONENT_MAX_TEXT_EXCEEDED")
    seen: set[str] = set()
    numbers: set[int] = set()
    for component in everything:
        custom_id = component.get("custom_id")
        if custom_id is not None:
            if custom_id in seen:
                raise invalid("components", f"{custom_id!r} is used twice.", "COMPONENT_CUSTOM_ID_DUPLICATED")
            if not 1 <= len(custom_id) <= 100:
                raise invalid("components", "custom_id must be 1 to 100 characters.", "BASE_TYPE_BAD_LENGTH")
            seen.add(custom_id)
        number = component.get("id")
        if number:
            if number in numbers:
                raise invalid(
                    "components", f"Component id {number} is used twice.", "COMPONENT_ID_DUPLICATED"
                )
            numbers.add(number)
    for index, component in enumerate(components):
        path = f"components/{index}"
        if component["type"] not in (IN_CONTAINER | {CONTAINER} if v2 else {ROW}):
            raise invalid(path, f"Type {component['type']} cannot stand here.", "BASE_TYPE_CHOICES")
        _check_component(component, path)


def _check_component(component: Json, path: str) -> None:
    children = component.get("components") or []
    match component["type"]:
        case 1:
            _check_row(children, path)
        case 17:
            _sized(children, path, 1, MAX_COMPONENTS)
            for index, child in enumerate(children):
                if child["type"] not in IN_CONTAINER:
                    raise invalid(f"{path}/components/{index}", "Not in a container.", "BASE_TYPE_CHOICES")
                _check_component(child, f"{path}/components/{index}")
        case 9:
            _sized(children, path, 1, 3)
            accessory = component.get("accessory")
            if not accessory or accessory["type"] not in (BUTTON, THUMBNAIL):
                raise invalid(
                    f"{path}/accessory", "A button or a thumbnail is required.", "BASE_TYPE_REQUIRED"
                )
            if accessory["type"] == BUTTON:
                _check_button(accessory, f"{path}/accessory")
            for index, child in enumerate(children):
                _check_component(child, f"{path}/components/{index}")
        case 10:
            if not (component.get("content") or "").strip():
                raise invalid(f"{path}/content", "This field is required", "BASE_TYPE_REQUIRED")
        case 12:
            _sized(component.get("items") or [], f"{path}/items", 1, 10)


def _check_row(children: list[Json], path: str) -> None:
    _sized(children, f"{path}/components", 1, 5)
    for index, child in enumerate(children):
        here = f"{path}/components/{index}"
        if child["type"] in SELECTS:
            if len(children) > 1:
                raise invalid(here, "A select stands alone in its row.", "COMPONENT_LAYOUT_WIDTH_EXCEEDED")
            _check_select(child, here)
        elif child["type"] == BUTTON:
            _check_button(child, here)
        else:
            raise invalid(here, f"Type {child['type']} is not for rows.", "BASE_TYPE_CHOICES")


def _check_select(select: Json, path: str) -> None:
    if not select.get("custom_id"):
        raise invalid(f"{path}/custom_id", "This field is required", "BASE_TYPE_REQUIRED")
    if select["type"] != STRING_SELECT:
        return
    _sized(select.get("options") or [], f"{path}/options", 1, 25)
    values = [option["value"] for option in select["options"]]
    if len(set(values)) != len(values):
        raise invalid(f"{path}/options", "Option values repeat.", "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED")
    for option in select["options"]:
        for key, least in (("label", 1), ("value", 1), ("description", 0)):
            if key != "description" or option.get(key) is not None:
                _sized(option.get(key) or "", f"{path}/options/{key}", least, 100)
    if len(select.get("placeholder") or "") > 150:
        raise invalid(f"{path}/placeholder", "Must be 150 or fewer.", "BASE_TYPE_MAX_LENGTH")


def _check_button(button: Json, path: str) -> None:
    label = button.get("label") or ""
    if len(label) > 80:
        raise invalid(f"{path}/label", "Must be 80 or fewer in length.", "BASE_TYPE_MAX_LENGTH")
    if not label and not button.get("emoji"):
        raise invalid(f"{path}/label", "A label or an emoji is required.", "BASE_TYPE_REQUIRED")
    if button.get("style") == LINK_BUTTON:
        if button.get("custom_id") or not button.get("url"):
            raise invalid(f"{path}/url", "A link has a url and no custom_id.", "BASE_TYPE_REQUIRED")
        if len(button["url"]) > 512:
            raise invalid(f"{path}/url", "Must be 512 or fewer in length.", "BASE_TYPE_MAX_LENGTH")
    elif not button.get("custom_id") or button.get("url"):
        raise invalid(f"{path}/custom_id", "A custom id must be provided, and no url.", "BASE_TYPE_REQUIRED")


def check_modal(modal: Json) -> None:
    if not 1 <= len(modal.get("title") or "") <= 45:
        raise invalid("data/title", "Must be between 1 and 45 in length.", "BASE_TYPE_BAD_LENGTH")
    if not 1 <= len(modal.get("custom_id") or "") <= 100:
        raise invalid("data/custom_id", "Must be between 1 and 100 in length.", "BASE_TYPE_BAD_LENGTH")
    _sized(modal.get("components") or [], "data/components", 1, 5)
    for component in modal["components"]:
        if component["type"] not in (ROW, LABEL, TEXT_DISPLAY):
            raise invalid(
                "data/components", f"Type {component['type']} is not for modals.", "BASE_TYPE_CHOICES"
            )
        if len(component.get("label") or "") > 45 or len(component.get("description") or "") > 100:
            raise invalid("data/components", "Label or description too long.", "BASE_TYPE_MAX_LENGTH")


def _sized(value: list[Any] | str, path: str, least: int, most: int) -> None:
    if not least <= len(value) <= most:
        raise invalid(path, f"Must be between {least} and {most} in length.", "BASE_TYPE_BAD_LENGTH")


def number_components(components: list[Json]) -> list[Json]:
    """The components as Discord echoes them: each with an `id`, given ones kept, the others counted."""
    numbered = json.loads(json.dumps(components))
    taken = {component.get("id") for component in walk(numbered)}
    fresh = 0
    for component in walk(numbered):
        if not component.get("id"):
            fresh += 1
            while fresh in taken:
                fresh += 1
            component["id"] = fresh
    return numbered  # type: ignore[no-any-return]  # json.loads


class Schema:
    """Validators for the request bodies of Discord's OpenAPI file, compiled once for each process."""

    def __init__(self, path: Path) -> None:
        self._spec: Json = json.loads(path.read_bytes())

    def problem(self, method: str, template: str, body: Any) -> str | None:
        """Say what is wrong with a body sent to a path of the specification, None if nothing is."""
        validator = self._validator(method.lower(), template)
        if validator is None:
            return None
        error = next(iter(validator.iter_errors(_stringified(body))), None)
        if error is None:
            return None
        return f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"

    @functools.cache  # noqa: B019 - lives as long as the process, see `schema()`
    def _validator(self, method: str, template: str) -> Any:
        try:
            content = self._spec["paths"][template][method]["requestBody"]["content"]
        except KeyError:
            return None
        root = content["application/json"]["schema"]
        return _validator_class()({**root, "components": self._spec["components"]})


@functools.cache
def _validator_class() -> Any:
    """JSON Schema 2020-12, except that unions of Discord's typed objects are decided by `type`.

    Trying every arm of every component costs tens of milliseconds for one large card, and says of a wrong one only that it
    fits nowhere.
    """
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 - only where it is asked for

    union = Draft202012Validator.VALIDATORS["anyOf"]

    def decided(validator: Any, arms: list[Json], instance: Any, schema: Json) -> Iterator[Any]:
        if instance is None and {"type": "null"} in arms:
            return
        candidates = [arm for arm in arms if arm != {"type": "null"}]
        if isinstance(instance, dict) and "type" in instance:
            typed = [arm for arm in candidates if instance["type"] in _types_of(validator, arm)]
            candidates = typed or candidates
        if len(candidates) == 1:
            yield from validator.descend(instance, candidates[0])
        else:
            yield from union(validator, candidates, instance, schema)

    extend: Any = validators.extend
    return extend(Draft202012Validator, {"oneOf": decided, "anyOf": decided})


_TYPES: dict[str, frozenset[Any]] = {}


def _types_of(validator: Any, arm: Json) -> frozenset[Any]:
    """The values of `type` that an arm accepts, empty if it does not say."""
    reference = arm.get("$ref", "")
    if reference not in _TYPES:
        schema = arm
        if reference:
            schema = validator._resolver.lookup(reference).contents
        _TYPES[reference] = frozenset(schema.get("properties", {}).get("type", {}).get("enum", ()))
    return _TYPES[reference]


def _stringified(body: Any) -> Any:
    """discord.py sends some ids as integers, which Discord accepts and the schema does not."""
    if not isinstance(body, dict):
        return body
    if isinstance(body.get("data"), dict):
        return body | {"data": _stringified(body["data"])}
    changed: Json = {}
    if isinstance(body.get("recipient_id"), int):
        changed["recipient_id"] = str(body["recipient_id"])
    if isinstance(body.get("message_reference"), dict):
        changed["message_reference"] = {
            name: str(value) if name.endswith("_id") and value is not None else value
            for name, value in body["message_reference"].items()
        }
    if isinstance(body.get("allowed_mentions"), dict):
        mentions = dict(body["allowed_mentions"])
        for kind in ("users", "roles"):
            if isinstance(mentions.get(kind), list):
                mentions[kind] = [str(identifier) for identifier in mentions[kind]]
        changed["allowed_mentions"] = mentions
    if isinstance(body.get("attachments"), list):
        changed["attachments"] = [
            entry | {"id": str(entry["id"])} if "id" in entry else entry for entry in body["attachments"]
        ]
    return body | changed if changed else body


@functools.cache
def _schema_at(path: str) -> Schema:
    return Schema(Path(path))


def schema() -> Schema | None:
    """The schema that MACHINE_TEST_OPENAPI names, loaded once; None without it."""
    path = os.environ.get("MACHINE_TEST_OPENAPI")
    return _schema_at(path) if path else None
