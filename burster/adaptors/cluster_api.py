"""What the adaptors need of a Kubernetes API, and the paths they use.

``clients.kube.Kube`` is one; a test's fake is another. Bodies go in as JSON values and come out as bytes.
"""

from typing import Any, Final, Literal, Protocol

import orjson

from burster.model.errors import RemoteError


GROUP_VERSION: Final = "burster.dev/v1alpha1"
FIELD_MANAGER: Final = "burster"
FINALIZER: Final = "burster.dev/release"
HOME: Final = "burster-system"  #: burster's own namespace, where nothing else is said
PatchKind = Literal["merge", "strategic", "apply"]

#: kind -> (API prefix, plural) of the workloads a clone can be made from
WORKLOADS: Final[dict[str, tuple[str, str]]] = {
    "Deployment": ("/apis/apps/v1", "deployments"),
    "ReplicaSet": ("/apis/apps/v1", "replicasets"),
}


class KubeApi(Protocol):
    """Requests to a Kubernetes API server; each raises RemoteError where it does not succeed."""

    async def get(self, path: str, params: dict[str, str] | None = None) -> bytes:
        """GET."""
        ...

    async def create(self, path: str, body: Any, params: dict[str, str] | None = None) -> bytes:
        """POST."""
        ...

    async def patch(
        self, path: str, body: Any, *, kind: PatchKind = "merge", params: dict[str, str] | None = None
    ) -> bytes:
        """PATCH with the content type of ``kind``."""
        ...

    async def delete(self, path: str, body: Any = None, params: dict[str, str] | None = None) -> bytes:
        """DELETE with DeleteOptions."""
        ...


def pods(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's pods, or of one."""
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def bursts(namespace: str, name: str = "") -> str:
    """Return the path of a namespace's Burst records, or of one."""
    return f"/apis/{GROUP_VERSION}/namespaces/{namespace}/bursts" + (f"/{name}" if name else "")


def burst_policies(namespace: str, name: str) -> str:
    """Return the path of a policy."""
    return f"/apis/{GROUP_VERSION}/namespaces/{namespace}/burstpolicies/{name}"


def burst_targets(name: str) -> str:
    """Return the path of a target."""
    return f"/apis/{GROUP_VERSION}/bursttargets/{name}"


def config_maps(namespace: str, name: str) -> str:
    """Return the path of a ConfigMap."""
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def events(namespace: str) -> str:
    """Return the path of a namespace's events."""
    return f"/api/v1/namespaces/{namespace}/events"


async def read(api: KubeApi, path: str) -> dict[str, Any] | None:
    """Return an object, or None where there is none."""
    try:
        return orjson.loads(await api.get(path))
    except RemoteError as error:
        if error.kind == "NotFound":
            return None
        raise


async def is_another(api: KubeApi, path: str, uid: str) -> bool:
    """Say whether an object of a name is not the one of this uid any more, or is gone: a Conflict alone may be a write that was beaten."""
    found = await read(api, path)
    return found is None or found["metadata"]["uid"] != uid
