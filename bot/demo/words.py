"""What the terminal says."""

import json

from bot.demo.configuration import TOKEN

_ALERT = json.dumps(
    {
        "version": "4",
        "groupLabels": {"alertname": "HelloFromCurl"},
        "alerts": [
            {
                "labels": {"alertname": "HelloFromCurl", "severity": "warning", "pod": "curl-NOW"},
                "annotations": {"summary": "Somebody ran curl"},
            }
        ],
    },
    separators=(",", ":"),
)


def welcome(page: str, games: str, webhook: str) -> str:
    """Return what to open and what to try."""
    return f"""
The Machine runs, in a made-up Discord on this computer. Its morning begins now.

  Open   {page}
  and    {games}   (#minecraft)

  Try there
    - press Acknowledge on a card, then Details
    - type /argocd sync where one types messages, take storefront, send it, Confirm, and watch
    - the same for checkout, which crashes since its last deployment: somebody else must approve, so
      choose Sam under "Viewing as"; once it is deployed its alert is resolved
    - type /argocd tree for platform, /argocd diff for checkout, /machine changes, /alerts list
    - in #minecraft press Start creative…, Confirm, and watch; type /minecraft history for survival
    - under "Viewing as" choose Robin, whom no grant allows anything, and press again

  Post an alert of your own; each time adds a pod to its card:

{curl(webhook)}

Ctrl-C ends it and leaves nothing behind.
"""


def curl(webhook: str) -> str:
    """Return the line that posts an alert, for a shell."""
    # Each run is another pod: the same body twice would be a retry, and change nothing.
    alert = _ALERT.replace("NOW", "'$(date +%s)'")
    return f"curl -sS {webhook}/webhooks/alertmanager -H 'Authorization: Bearer {TOKEN}' -d '{alert}'"


def goodbye() -> str:
    """Return the last line."""
    return "\nThe demo has ended."
