"""What can be configured about those who send alerts and are asked what is true."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from bot.configurable import Duration, FileTwin, HttpUrl, Secret, Section

_GRAFANAS_OWN = "/api/alertmanager/grafana"
"""Where Grafana has the API of the Alertmanager inside it."""

Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")]
"""The name of an HTTP header."""


class BasicAuthSettings(Section):
    """A user and a password."""

    username: str = Field(min_length=1)
    """The name of the user."""
    password: Annotated[Secret, FileTwin()]
    """The password of the user."""


class AlertmanagerSettings(Section):
    """One Alertmanager, or one cluster of its replicas; or one Grafana, or one of its organisations."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,63}$")]
    """What we call it; the `{source}` of its webhook's address."""
    kind: Literal["alertmanager", "grafana"] = "alertmanager"
    """What it is: an Alertmanager (Mimir's too), or a Grafana with its own alerting."""
    urls: tuple[HttpUrl, ...] = Field(min_length=1)
    """The addresses of the replicas of one cluster; of a Grafana the address that people open."""
    timeout: Duration = timedelta(seconds=10)
    """How long an answer may take."""
    token: Annotated[Secret | None, FileTwin()] = None
    """A bearer token, where something in front of it asks for one."""
    basic: BasicAuthSettings | None = None
    """User and password, where something in front of it asks for them."""
    external_url: HttpUrl | None = None
    """The address that links lead people to; without it the one that Alertmanager itself names."""
    hmac_secret: Annotated[Secret | None, FileTwin()] = None
    """The secret with which a Grafana signs what it sends; a valid signature is as good as a token."""
    hmac_header: Header = "X-Grafana-Alerting-Signature"
    """The header with the signature."""
    hmac_timestamp_header: Header | None = None
    """The header with the time of signing, if Grafana is told to send one; it is then asked for."""
    hmac_tolerance: Duration = timedelta(minutes=5)
    """How far the time of signing may be from ours."""

    @model_validator(mode="after")
    def _one_way_in(self) -> "AlertmanagerSettings":
        if self.token is not None and self.basic is not None:
            raise ValueError("expected either token or basic, not both")
        return self

    @model_validator(mode="after")
    def _signs_as_a_whole(self) -> "AlertmanagerSettings":
        if self.hmac_secret is None:
            if any(name.startswith("hmac_") for name in self.model_fields_set - {"hmac_secret"}):
                raise ValueError("expected hmac_secret beside the other keys of the signature")
        elif self.kind != "grafana":
            raise ValueError("expected hmac_secret only with kind: grafana, for Alertmanager does not sign")
        return self

    @property
    def api_urls(self) -> tuple[str, ...]:
        """The addresses below which each replica has Alertmanager's `/api/v2`."""
        if self.kind == "alertmanager":
            return self.urls
        return tuple(f"{url.removesuffix(_GRAFANAS_OWN)}{_GRAFANAS_OWN}" for url in self.urls)
