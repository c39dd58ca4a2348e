"""What can be configured about logs."""

from typing import Literal

from pydantic import Field

from bot.configurable import Section


class LogSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious line that is written."""
    format: Literal["json", "console"] = "json"
    """One JSON object a line for a collector, or colours for a person."""
    trace_key: str = Field(default="traceId", pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,39}$")
    """The key under which a line names its trace, if there is one; links from Loki to Tempo look for it."""
