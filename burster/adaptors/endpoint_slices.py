"""A machine as an endpoint of its Service: an EndpointSlice of burster's own for each, beside those that Kubernetes keeps for pods.

Written only when the machine's port answers from here, and taken away before the machine is. The Burst owns it, so that it goes with its
record at the latest. A Service sends to it whether it has a selector or not: kube-proxy goes by the slice's label.
"""

import asyncio
from contextlib import suppress
from typing import Any, Final, Protocol

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, GROUP_VERSION, KubeApi
from burster.adaptors.manifests import BURST_LABEL, POLICY_LABEL
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import PublishEndpoint
from burster.model.stimuli import EndpointPublished


MANAGED_BY: Final = "burster.dev"
_SERVICE_LABEL: Final = "kubernetes.io/service-name"
_MANAGED_BY_LABEL: Final = "endpointslice.kubernetes.io/managed-by"
_LOOK_AGAIN_MS: Final = 5_000
_CONNECT_S: Final = 3.0


class Reach(Protocol):
    """Whether a machine's port answers."""

    async def __call__(self, address: str, port: int) -> None:
        """Come back if it does. Raises RemoteError Unavailable."""
        ...


async def connect(address: str, port: int) -> None:
    """Open a TCP connection and close it. What is behind it is not looked at: the workload opens its port when it is ready."""
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError) as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or "refused"
        raise RemoteError(
            "Unavailable", f"{address}:{port} does not answer: {why}", code="NoAnswer", retry_after_ms=_LOOK_AGAIN_MS
        ) from error
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


class EndpointSlices:
    """PublishEndpoint for machines."""

    def __init__(self, api: KubeApi, reach: Reach = connect, *, version: str = "v1") -> None:
        """``version``: of the group discovery.k8s.io; servers older than 1.21 have v1beta1 only."""
        self._api: Final = api
        self._reach: Final = reach
        self._version: Final = version

    async def publish(self, instruction: PublishEndpoint) -> EndpointPublished:
        """Write the endpoint once its port answers, or take it away.

        Raises Invalid, code ServiceNotUsable, where there is no Service to be an endpoint of.
        """
        burst = instruction.burst
        machine = burst.spec.machine
        if machine is None or not machine.service:
            return EndpointPublished(key=burst.key, ready=instruction.ready)
        if not instruction.ready:
            await self._withdraw(burst)
            return EndpointPublished(key=burst.key, ready=False)
        port_name = await self._port_name(burst.namespace, machine.service, machine.port)
        await self._reach(instruction.address, machine.port)
        found = await paths.read(self._api, self._path(burst))
        if found is not None and not _is_ours(found, burst):
            sentence = f"there is an EndpointSlice {burst.key} that is not this burst's"
            raise RemoteError("AlreadyExists", sentence, code="NameTaken")
        body = slice_of(burst, instruction.address, port_name, version=self._version)
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        await self._api.patch(self._path(burst), body, kind="apply", params=params)
        return EndpointPublished(key=burst.key, ready=True)

    async def _withdraw(self, burst: Burst) -> None:
        found = await paths.read(self._api, self._path(burst))
        if found is None or not _is_ours(found, burst):
            return
        try:
            await self._api.delete(self._path(burst), {"preconditions": {"uid": found["metadata"]["uid"]}})
        except RemoteError as error:
            if error.kind not in {"NotFound", "Conflict"}:  # Conflict: another one of its name by now
                raise

    async def _port_name(self, namespace: str, service: str, port: int) -> str:
        """Return what the Service calls the port: only what has its name is sent there."""
        found = await paths.read(self._api, f"/api/v1/namespaces/{namespace}/services/{service}")
        if found is None:
            raise RemoteError("Invalid", f"there is no Service {namespace}/{service}", code="ServiceNotUsable")
        spec: dict[str, Any] = found.get("spec") or {}
        ports: list[dict[str, Any]] = spec.get("ports") or []
        if spec.get("type") == "ExternalName" or not ports:
            raise RemoteError("Invalid", f"Service {namespace}/{service} has no ports", code="ServiceNotUsable")
        fitting = [one for one in ports if port in {one.get("targetPort"), one.get("port")}] or ports
        if len(fitting) > 1:
            names = ", ".join(str(one.get("name")) for one in fitting)
            sentence = (
                f"which port of Service {namespace}/{service} is {port}: {names}? none has it for its targetPort alone"
            )
            raise RemoteError("Invalid", sentence, code="ServiceNotUsable")
        return fitting[0].get("name") or ""

    def _path(self, burst: Burst) -> str:
        return f"/apis/discovery.k8s.io/{self._version}/namespaces/{burst.namespace}/endpointslices/{burst.name}"


def _is_ours(found: dict[str, Any], burst: Burst) -> bool:
    owners: list[dict[str, Any]] = found["metadata"].get("ownerReferences") or []
    return any(owner.get("uid") == burst.uid for owner in owners)


def slice_of(burst: Burst, address: str, port_name: str, *, version: str = "v1") -> dict[str, Any]:
    """Return the EndpointSlice of a burst's machine, which is ready."""
    machine = burst.spec.machine
    if machine is None:
        raise ValueError("only machines are endpoints of their own")
    endpoint: dict[str, Any] = {
        "addresses": [address],
        "conditions": {"ready": True, "serving": True, "terminating": False},
    }
    if burst.spec.zone and version == "v1":
        endpoint["zone"] = f"{burst.spec.region}-{burst.spec.zone}"
    return {
        "apiVersion": f"discovery.k8s.io/{version}",
        "kind": "EndpointSlice",
        "metadata": {
            "name": burst.name,
            "namespace": burst.namespace,
            "labels": {
                _SERVICE_LABEL: machine.service,
                _MANAGED_BY_LABEL: MANAGED_BY,
                BURST_LABEL: burst.name,
                POLICY_LABEL: burst.spec.policy,
            },
            "ownerReferences": [
                {
                    "apiVersion": GROUP_VERSION,
                    "kind": "Burst",
                    "name": burst.name,
                    "uid": burst.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": port_name, "port": machine.port, "protocol": "TCP"}],
    }
