"""What can be configured about those who send alerts and are asked what is true."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from bot.configurable import Duration, FileTwin, HttpUrl, Secret, Section

_GRAFANAS_OWN = "/api/alertmanager/grafana"
"""Where Grafana has the API of the Alertmanager inside it."""

Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,100}$")]
"""The name of an HTTP header."""


Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!_.*'()-]{1,150}$")]
"""The id of a tenant, as Mimir allows it."""


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
    tenant: Tenant | None = None
    """The tenant of a Mimir or Cortex, sent as `X-Scope-OrgID`."""
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

    @model_validator(mode="after")
    def _has_tenants(self) -> "AlertmanagerSettings":
        if self.tenant is not None and self.kind == "grafana":
            raise ValueError("expected tenant only with kind: alertmanager, for Grafana has organisations")
        return self

    @property
    def has_credentials(self) -> bool:
        """Whether we have something to show to whoever asks who we are."""
        return self.token is not None or self.basic is not None

    @property
    def request_headers(self) -> Mapping[str, str]:
        """The headers of every request: who we are, and for which tenant."""
        headers: dict[str, str] = {}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        elif self.basic is not None:
            pair = f"{self.basic.username}:{self.basic.password.get_secret_value()}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        if self.tenant is not None:
            headers["X-Scope-OrgID"] = self.tenant
        return headers

    @property
    def api_urls(self) -> tuple[str, ...]:
        """The addresses below which each replica has Alertmanager's `/api/v2`."""
        if self.kind == "alertmanager":
            return self.urls
        return tuple(f"{url.removesuffix(_GRAFANAS_OWN)}{_GRAFANAS_OWN}" for url in self.urls)
