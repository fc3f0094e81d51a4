"""A kubeconfig for the lab's API server.

The server makes one for whoever wants to point kubectl at it. The token opens nothing but the lab.
"""

from typing import Any

import yaml


def kubeconfig(url: str, token: str, *, namespace: str = "default") -> str:
    """The YAML of a kubeconfig with one cluster, one user and one context, all called burster-lab."""
    name = "burster-lab"
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
        "preferences": {},
    }
    return yaml.safe_dump(config, sort_keys=False)
