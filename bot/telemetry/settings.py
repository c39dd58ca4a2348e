"""What can be configured about logs."""

from typing import Literal

from bot.configurable import Section


class LogSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious line that is written."""
    format: Literal["json", "console"] = "json"
    """One JSON object a line for a collector, or colours for a person."""
