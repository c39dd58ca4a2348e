"""A kubeconfig, as JSON: every reader of kubeconfigs reads it as YAML."""

import json
from pathlib import Path

CONTEXT = "simulated"


def write_kubeconfig(
    path: Path, *, server: str, user: str, token: str = "", token_file: Path | None = None, namespace: str
) -> Path:
    """Write one that names a server and how to be known there; returns the path."""
    credentials = {"tokenFile": str(token_file)} if token_file else {"token": token}
    configuration = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [
            {"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user, "namespace": namespace}}
        ],
        "current-context": CONTEXT,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
    return path
