"""Pods that live for a minute to try the network from where they run: on each worker, or inside a canary peer pod.

Called for `burster doctor --probe-network`. They run in a namespace of their own, which is made for it and deleted with all that is in it,
also after Ctrl-C: a worker's probe is in the node's own network, which Pod Security forbids in burster's namespace. A probe has no token,
no rights, no volume, and writes nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

import msgspec

from burster.clients.kube import Kube, delete_options
from burster.clients.network_probe import ProbeReport
from burster.model.errors import RemoteError


LABEL: Final = "burster.dev/probe"
_PATH: Final = "/api/v1/namespaces"
_POLL_S: Final = 1.0
#: how long one probe works at most: its longest try takes 5 s, and its image has to be pulled
_DEADLINE_S: Final = 120
_CANARY_DEADLINE_S: Final = 900
_DELETE_S: Final = 20.0


class _Terminated(msgspec.Struct, rename="camel"):
    exit_code: int = 0
    message: str = ""


class _State(msgspec.Struct):
    terminated: _Terminated | None = None


class _ContainerStatus(msgspec.Struct):
    state: _State = msgspec.field(default_factory=_State)


class _Status(msgspec.Struct, rename="camel"):
    phase: str = ""
    message: str = ""
    container_statuses: list[_ContainerStatus] = []


class _Pod(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a probe ended: its report where it could say one, its exit code, or why there is neither."""

    report: ProbeReport | None = None
    exit_code: int | None = None
    trouble: str = ""


class ProbePods:
    """Probes in one namespace, which ``open_probes`` makes and deletes."""

    def __init__(self, kube: Kube, namespace: str, image: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._image = image

    async def on_node(self, node: str, words: Sequence[str]) -> Ended:
        """Try paths from a worker, in its own network."""
        pod = _pod(f"on-{node}"[:60].rstrip("-."), self._image, words, deadline_s=_DEADLINE_S)
        pod["spec"] |= {"nodeName": node, "hostNetwork": True, "tolerations": [{"operator": "Exists"}]}
        return await self._run(pod, _DEADLINE_S, grace_seconds=0)

    async def in_canary(self, runtime_class: str, annotations: dict[str, str], words: Sequence[str]) -> Ended:
        """Try paths from inside a peer pod, which costs a VM for as long as it lives."""
        pod = _pod("canary", self._image, words, deadline_s=_CANARY_DEADLINE_S)
        pod["spec"] |= {"runtimeClassName": runtime_class}
        pod["metadata"]["annotations"] = annotations
        return await self._run(pod, _CANARY_DEADLINE_S, grace_seconds=None)

    async def _run(self, pod: dict[str, Any], deadline_s: float, *, grace_seconds: int | None) -> Ended:
        path = f"{_PATH}/{self._namespace}/pods"
        name: str = pod["metadata"]["name"]
        try:
            await self._kube.create(path, pod)
            try:
                async with asyncio.timeout(deadline_s):
                    return await self._end_of(f"{path}/{name}")
            finally:
                await _deleted(self._kube, f"{path}/{name}", grace_seconds=grace_seconds)
        except TimeoutError:
            return Ended(trouble=f"the probe has not ended within {deadline_s:g} s")
        except RemoteError as error:
            return Ended(trouble=str(error))

    async def _end_of(self, path: str) -> Ended:
        while True:
            status = msgspec.json.decode(await self._kube.get(path), type=_Pod).status
            ended = [one.state.terminated for one in status.container_statuses if one.state.terminated is not None]
            if ended:
                return _read(ended[0])
            if status.phase in {"Failed", "Succeeded"}:
                return Ended(trouble=status.message or f"the probe is {status.phase}, and says nothing")
            await asyncio.sleep(_POLL_S)


@contextlib.asynccontextmanager
async def open_probes(kube: Kube, name: str, image: str) -> AsyncGenerator[ProbePods]:
    """Make the namespace, and delete it with everything in it when done. Raises RemoteError where it can't be made."""
    labels = {LABEL: "true", "pod-security.kubernetes.io/enforce": "privileged"}
    await kube.create(_PATH, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield ProbePods(kube, name, image)
    finally:
        await _deleted(kube, f"{_PATH}/{name}")


async def _deleted(kube: Kube, path: str, *, grace_seconds: int | None = None) -> None:
    """Delete, also while everything else is being cancelled; what can't be deleted goes with its namespace, or is told by it."""
    task = asyncio.ensure_future(_delete(kube, path, grace_seconds))
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


async def _delete(kube: Kube, path: str, grace_seconds: int | None) -> None:
    with contextlib.suppress(RemoteError, TimeoutError):
        async with asyncio.timeout(_DELETE_S):
            await kube.delete(path, delete_options(grace_seconds=grace_seconds))


def _read(ended: _Terminated) -> Ended:
    try:
        report = msgspec.json.decode(ended.message, type=ProbeReport)
    except msgspec.DecodeError:
        report = None
    return Ended(report=report, exit_code=ended.exit_code)


def _pod(name: str, image: str, words: Sequence[str], *, deadline_s: int) -> dict[str, Any]:
    container = {
        "name": "probe",
        "image": image,
        "command": ["burster", "probe", *words],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
        "env": [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "activeDeadlineSeconds": deadline_s,
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {LABEL: "true"}}, "spec": spec}
