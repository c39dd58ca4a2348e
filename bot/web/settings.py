"""What can be configured about the web server that receives webhooks."""

from typing import Annotated

from pydantic import Field

from bot.configurable import FileTwin, NeedsRestart, Secret, Section


class WebSettings(Section):
    """Where the server listens, and whom it believes."""

    host: Annotated[str, NeedsRestart()] = Field(default="0.0.0.0", min_length=1)  # noqa: S104 (in a pod the sender is never on loopback)
    """The address to listen on."""
    port: Annotated[int, NeedsRestart()] = Field(default=8080, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""
    tokens: Annotated[tuple[Secret, ...], FileTwin(lines=True)] = ()
    """What senders authenticate with, as bearer token or basic password; several, so that one can change."""
    max_body_mib: Annotated[int, NeedsRestart()] = Field(default=32, ge=1, le=512)
    """The largest body that is accepted, in MiB, after decompression."""

    @property
    def max_body_bytes(self) -> int:
        """The largest body that is accepted, in bytes."""
        return self.max_body_mib * 1024 * 1024
