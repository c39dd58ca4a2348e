"""Questions about oneself: may I, and who am I."""

from collections.abc import Callable

from bot.demo.cluster.failures import Json
from bot.demo.cluster.rights import Asked, Rights

Review = Callable[[Rights, str, Json], Json]


def _may_i(rights: Rights, user: str, body: Json) -> Json:
    about = (body.get("spec") or {}).get("resourceAttributes") or {}
    subresource = about.get("subresource", "")
    resource = about.get("resource", "")
    asked = Asked(
        verb=about.get("verb", ""),
        group=about.get("group", ""),
        resource=f"{resource}/{subresource}" if subresource else resource,
        namespace=about.get("namespace"),
        name=about.get("name"),
    )
    return {"allowed": True, "reason": "RBAC: allowed"} if rights.allows(user, asked) else {"allowed": False}


def _who_am_i(_rights: Rights, user: str, _body: Json) -> Json:
    return {"userInfo": {"username": user, "groups": ["system:authenticated"]}}


REVIEWS: dict[tuple[str, str], Review] = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): _may_i,
    ("authentication.k8s.io", "selfsubjectreviews"): _who_am_i,
}
"""What everybody may ask, by group and plural; nothing of it is stored."""


def answer(review: Review, rights: Rights, user: str, body: Json) -> Json:
    """Return the review with its answer."""
    return {**body, "metadata": body.get("metadata") or {}, "status": review(rights, user, body)}
