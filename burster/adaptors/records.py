"""Burst records: written before anything is created, kept up to date, forgotten at the end."""

from typing import Any, Final

import orjson

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, FINALIZER, HOME, KubeApi
from burster.adaptors.initdata import read_initdata
from burster.adaptors.manifests import build_move, keep_manifest
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import ForgetBurst, RecordBurst, WriteStatus
from burster.model.stimuli import BurstRecorded, RecordDeleted, StatusWritten
from burster.policy.records import burst_to_object, format_time, status_to_object


#: Answers after which the engine gives a record up.
_FINAL: Final = frozenset({"Conflict", "NotFound", "AlreadyExists", "Invalid", "Unauthorized"})


async def record_burst(api: KubeApi, instruction: RecordBurst, *, home: str = HOME) -> BurstRecorded:
    """Write a record. For a Move the pending pod is read, the final one tried by a server-side dry run, and its manifest kept.

    Raises RemoteError Conflict where the pending pod is not as decided on, Invalid or Unauthorized where the API refuses the final pod.
    """
    burst = instruction.burst
    try:
        manifest = await _try_move(api, burst, home) if burst.spec.strategy == "Move" else None
    except RemoteError as error:
        # "No" must mean that there is no record: an earlier attempt, whose answer was lost, may have written it.
        found = await paths.read(api, paths.bursts(burst.namespace, burst.name)) if error.kind in _FINAL else None
        if found is None or not _is_ours(found, burst):
            raise
        return BurstRecorded(key=burst.key, uid=found["metadata"]["uid"])
    body = burst_to_object(burst, finalizers=(FINALIZER,), pod_manifest=manifest)
    body.pop("status", None)
    try:
        written: dict[str, Any] = orjson.loads(
            await api.create(paths.bursts(burst.namespace), body, {"fieldManager": FIELD_MANAGER})
        )
    except RemoteError as error:
        if error.kind != "AlreadyExists":
            raise
        found = await paths.read(api, paths.bursts(burst.namespace, burst.name))
        if found is None or not _is_ours(found, burst):
            raise
        written = found
    return BurstRecorded(key=burst.key, uid=written["metadata"]["uid"])


def _is_ours(found: dict[str, Any], burst: Burst) -> bool:
    """Say whether a record of this name is this very decision's: an earlier write whose answer was lost."""
    spec: dict[str, Any] = found.get("spec") or {}
    for_pod: dict[str, Any] = spec.get("forPod") or {}
    if spec.get("policy") != burst.spec.policy or (for_pod.get("uid") or "") != burst.spec.for_pod.uid:
        return False
    # Without a pod it is the moment that tells one decision from another.
    return bool(burst.spec.for_pod.uid) or spec.get("decidedAt") == format_time(burst.spec.decided_at_ms)


async def _try_move(api: KubeApi, burst: Burst, home: str) -> dict[str, Any]:
    pod = await paths.read(api, paths.pods(burst.namespace, burst.spec.for_pod.name))
    if pod is None or pod["metadata"]["uid"] != burst.spec.for_pod.uid:
        raise RemoteError("Conflict", "the pending pod is gone")
    if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
        raise RemoteError("Conflict", "the pending pod was bound or is being deleted")
    manifest = keep_manifest(pod)
    trial = build_move(manifest, burst, await read_initdata(api, burst, home))
    # The pod's own name is taken by the pod itself; everything else is as it will be.
    trial["metadata"].pop("name")
    trial["metadata"]["generateName"] = f"{burst.spec.pod_name[:200]}-"
    await api.create(paths.pods(burst.namespace), trial, {"dryRun": "All", "fieldManager": FIELD_MANAGER})
    return manifest


async def write_status(api: KubeApi, instruction: WriteStatus) -> StatusWritten:
    """Write the whole status by server-side apply."""
    burst = instruction.burst
    await api.patch(
        paths.bursts(burst.namespace, burst.name) + "/status",
        status_to_object(burst, observed_generation=1),
        kind="apply",
        params={"fieldManager": FIELD_MANAGER, "force": "true"},
    )
    return StatusWritten(key=burst.key, phase=burst.status.phase)


async def forget_burst(api: KubeApi, instruction: ForgetBurst) -> RecordDeleted:
    """Delete a released record; its finalizer goes last."""
    burst = instruction.burst
    path = paths.bursts(burst.namespace, burst.name)
    try:
        await api.delete(path, {"preconditions": {"uid": burst.uid}})
        await api.patch(path, {"metadata": {"uid": burst.uid, "finalizers": None}})
    except RemoteError as error:
        if error.kind not in {"NotFound", "Conflict"}:
            raise
        if error.kind == "Conflict" and not await paths.is_another(api, path, burst.uid):
            raise RemoteError("Unavailable", "the record has just changed") from error
    return RecordDeleted(key=burst.key)
