"""Values for the chart, and how they are laid over one another."""

from collections.abc import Mapping
from typing import Any

import yaml

from tests.support.helm import CHART

EXAMPLES = sorted((CHART / "ci").glob("*.yaml"))
MINIMAL: dict[str, Any] = yaml.safe_load((CHART / "ci" / "minimal-values.yaml").read_text())
GUILD = "1136200000000000000"


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the layers as one, as Helm does it: mappings are merged, everything else is replaced."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
            result[key] = merged(result[key], value) if both else value
    return result
