"""Confidential peer pods in the cluster: placed, verified, deleted, brought home.

A Move must never lose the pod and never run it twice, whatever instant the controller dies at. The order is: the record (with the
manifest), a mark on the record that the pod is being taken, the deletion by uid and resourceVersion, the new pod, a mark that it was
placed. After a restart a missing pod with only the first mark was taken by us and is written anew; without it, or with the second,
somebody else deleted it and it stays gone. Coming home is the same backwards: the first mark says that the pod is ours to bring home, and
goes when that is done. A moved pod that we delete is held by a finalizer until how it ended is on record.
"""

from typing import Any, Final

import orjson

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, HOME, WORKLOADS, KubeApi
from burster.adaptors.initdata import read_initdata
from burster.adaptors.manifests import UID_ANNOTATION, VERIFIED, build_clone, build_move, build_return
from burster.clients.kube_errors import NAMESPACE_GOING
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeletePod, MarkVerified, PlacePod, ReturnPod
from burster.model.stimuli import PodDeleted, PodPlaced, PodReturned, StatusWritten
from burster.model.targets import Proof, proof_of


TAKEN_ANNOTATION: Final = "burster.dev/taken"
PLACED_ANNOTATION: Final = "burster.dev/placed"
#: Keeps a moved pod that burster deletes until its last phase is on record; nobody else's deletion is held up by it.
OUTCOME_FINALIZER: Final = "burster.dev/outcome"
_TAKE_ATTEMPTS_MAX: Final = 4
#: What the readiness gate says, by what its place can prove
_PROVEN: Final[dict[Proof, str]] = {
    "Arm": "The VM is the confidential one that the policy demands.",
    "Record": "The VM is on record at its provider; that it is confidential, attestation proves.",
    "Node": "The node is labelled as the target demands.",
}


async def place_pod(api: KubeApi, instruction: PlacePod, *, home: str = HOME) -> PodPlaced:
    """Create the cloud pod, or find the one that an earlier attempt created. ``home`` is burster's own namespace.

    Raises RemoteError Conflict where the pending pod was bound, changed or deleted by somebody else and was not taken, Invalid where the
    initdata that was declared for it can't be had.
    """
    burst = instruction.burst
    if burst.spec.strategy == "Clone":
        return PodPlaced(key=burst.key, pod_uid=await _place_clone(api, burst, home))
    return PodPlaced(key=burst.key, pod_uid=await _place_move(api, burst, home))


async def _place_clone(api: KubeApi, burst: Burst, home: str) -> str:
    workload = burst.spec.workload
    if workload is None or workload.kind not in WORKLOADS:
        raise RemoteError("Invalid", "the record names no workload to clone")
    pod = await paths.read(api, paths.pods(burst.namespace, burst.spec.pod_name))
    if pod is not None and is_placed(pod, burst):
        return pod["metadata"]["uid"]  # an earlier attempt's, whose answer was lost
    prefix, plural = WORKLOADS[workload.kind]
    owner = await paths.read(api, f"{prefix}/namespaces/{burst.namespace}/{plural}/{workload.name}")
    if owner is None:
        raise RemoteError("Conflict", f"{workload.kind} {workload.name} is gone")
    initdata = await read_initdata(api, burst, home)
    return await _create(api, build_clone(owner["spec"]["template"], burst, initdata), burst)


async def _place_move(api: KubeApi, burst: Burst, home: str) -> str:
    record = await paths.read(api, paths.bursts(burst.namespace, burst.name))
    if record is None:
        raise RemoteError("Conflict", "the record is gone")
    manifest: dict[str, Any] | None = record["spec"].get("podManifest")
    if manifest is None:
        raise RemoteError("Invalid", "the record holds no manifest of the pod to move")
    marks = _annotations(record)
    taken, placed = marks.get(TAKEN_ANNOTATION) == "true", marks.get(PLACED_ANNOTATION)
    pod = await paths.read(api, paths.pods(burst.namespace, burst.spec.pod_name))
    if pod is not None and is_placed(pod, burst):
        uid: str = pod["metadata"]["uid"]
    elif placed:
        raise RemoteError("Conflict", "somebody else deleted the cloud pod")
    else:
        # Read before the pending pod is taken: a pod that can't get its initdata stays where it is.
        initdata = await read_initdata(api, burst, home)
        if pod is not None:
            await _take(api, burst, pod, taken=taken)
        elif not taken:
            raise RemoteError("Conflict", "somebody else deleted the pending pod")
        uid = await _create(api, build_move(manifest, burst, initdata), burst)
    if placed != uid:
        try:
            await _mark(api, burst, PLACED_ANNOTATION, uid)
        except RemoteError as error:
            # The pod is there: whatever stands against the mark must not be told as "not placed", nor as the end of it.
            if error.kind in {"Conflict", "NotFound", "Invalid", "Unauthorized"}:
                raise RemoteError(
                    "Unavailable", f"the cloud pod is there, and its record can't say so: {error}"
                ) from error
            raise
    return uid


async def _take(api: KubeApi, burst: Burst, pod: dict[str, Any], *, taken: bool) -> None:
    """Delete the pending pod, if it is still exactly that: never started, not bound. ``taken``: an earlier attempt may have done so."""
    if not taken:
        await _mark(api, burst, TAKEN_ANNOTATION, "true")
    for _ in range(_TAKE_ATTEMPTS_MAX):
        metadata = pod["metadata"]
        if metadata["uid"] != burst.spec.for_pod.uid or pod["spec"].get("nodeName"):
            break
        if metadata.get("deletionTimestamp"):
            if taken:
                # Ours, and held by a finalizer: its owner will let it go.
                raise RemoteError("Unavailable", "the pending pod is still going")
            break
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        try:
            await api.delete(
                paths.pods(burst.namespace, burst.spec.pod_name),
                {"preconditions": preconditions, "gracePeriodSeconds": 0, "propagationPolicy": "Background"},
            )
        except RemoteError as error:
            if error.kind not in {"Conflict", "NotFound"}:
                raise
        else:
            return
        again = await paths.read(api, paths.pods(burst.namespace, burst.spec.pod_name))
        if again is None:
            if taken:
                return  # an earlier attempt's deletion, late
            break
        pod = again
    await _mark(api, burst, TAKEN_ANNOTATION, None)
    raise RemoteError("Conflict", "the pending pod was bound, replaced or deleted meanwhile")


async def _mark(api: KubeApi, burst: Burst, annotation: str, value: str | None) -> None:
    body = {"metadata": {"annotations": {annotation: value}}}
    await api.patch(paths.bursts(burst.namespace, burst.name), body, params={"fieldManager": FIELD_MANAGER})


async def _create(api: KubeApi, pod: dict[str, Any], burst: Burst) -> str:
    try:
        written = orjson.loads(await api.create(paths.pods(burst.namespace), pod, {"fieldManager": FIELD_MANAGER}))
    except RemoteError as error:
        if error.kind != "AlreadyExists":
            raise
        found = await paths.read(api, paths.pods(burst.namespace, burst.spec.pod_name))
        if found is None:
            # Still going when we wrote, gone now: the engine asks once more.
            raise RemoteError("Unavailable", "a pod of that name has only just gone") from error
        if _is_taken(found, burst):
            raise RemoteError("Unavailable", "the pending pod is still going") from error
        if not is_placed(found, burst):
            raise RemoteError("Invalid", "another pod has taken the name") from error
        return found["metadata"]["uid"]
    return written["metadata"]["uid"]


def is_placed(pod: dict[str, Any], burst: Burst) -> bool:
    """Say whether this is the burst's cloud pod.

    The annotation alone could be anybody's: a clone is owned by its record as well, and a moved pod is another one than it was.
    """
    metadata = pod["metadata"]
    if _annotations(pod).get(UID_ANNOTATION) != burst.uid or not burst.uid:
        return False
    if burst.spec.strategy == "Move":
        return metadata["uid"] != burst.spec.for_pod.uid
    owners: list[dict[str, Any]] = metadata.get("ownerReferences") or []
    return any(owner.get("uid") == burst.uid and owner.get("controller") for owner in owners)


def _is_taken(pod: dict[str, Any], burst: Burst) -> bool:
    """Say whether this is the pending pod, deleted to be moved and not gone yet."""
    metadata = pod["metadata"]
    return metadata["uid"] == burst.spec.for_pod.uid and bool(metadata.get("deletionTimestamp"))


def _annotations(obj: dict[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


async def delete_pod(api: KubeApi, instruction: DeletePod) -> PodDeleted:
    """Ask for the cloud pod's graceful deletion, by uid.

    A moved pod is held by a finalizer first: a task may end its work within the grace, or have ended it just now, and only the pod's last
    phase tells. It is let go by an instruction that says so, and by no other: a request that is late can't know what is on record.
    """
    burst = instruction.burst
    only: dict[str, str] = {"uid": burst.status.pod_uid}
    if burst.spec.strategy == "Move":
        pod = await _hold_or_let_go(api, burst, let_go=instruction.let_go)
        if pod is None:
            return PodDeleted(key=burst.key, gone=True)
        if not _is_bound(pod):
            only["resourceVersion"] = pod["metadata"]["resourceVersion"]  # one that is bound by now is to be held
    body = {"preconditions": only, "gracePeriodSeconds": max(1, instruction.grace_ms // 1000)}
    path = paths.pods(burst.namespace, burst.spec.pod_name)
    try:
        await api.delete(path, body)
    except RemoteError as error:
        if error.kind not in {"NotFound", "Conflict"}:
            raise
        if error.kind == "Conflict" and not await paths.is_another(api, path, burst.status.pod_uid):
            raise RemoteError("Unavailable", "the cloud pod has just changed") from error
        return PodDeleted(key=burst.key, gone=True)
    return PodDeleted(key=burst.key)


async def _hold_or_let_go(api: KubeApi, burst: Burst, *, let_go: bool) -> dict[str, Any] | None:
    """Put the finalizer on a moved pod that is to be deleted, or take it off one that has ended; return the pod, None where it is gone.

    One that was never bound has nothing to tell, and no kubelet that would ever say how it ended: it is not held.
    """
    path = paths.pods(burst.namespace, burst.spec.pod_name)
    pod = await paths.read(api, path)
    if pod is None or pod["metadata"]["uid"] != burst.status.pod_uid:
        return None
    let_go = let_go or not _is_bound(pod)
    metadata = pod["metadata"]
    finalizers: list[str] = metadata.get("finalizers") or []
    if let_go == (OUTCOME_FINALIZER not in finalizers):
        return pod
    if not let_go and metadata.get("deletionTimestamp"):
        return pod  # no finalizer can be added to a pod that is going
    if not let_go and await _is_going(api, burst.namespace):
        return pod  # burster's rights there go too: nobody could take it off again
    kept = [name for name in finalizers if name != OUTCOME_FINALIZER]
    wanted = kept if let_go else [*kept, OUTCOME_FINALIZER]
    body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": wanted or None}}
    try:
        patched: dict[str, Any] = orjson.loads(await api.patch(path, body, params={"fieldManager": FIELD_MANAGER}))
    except RemoteError as error:
        if error.kind == "Conflict":
            raise RemoteError("Unavailable", "the cloud pod has just changed") from error
        if error.kind != "NotFound":
            raise
        return None
    return None if let_go and metadata.get("deletionTimestamp") else patched


def _is_bound(pod: dict[str, Any]) -> bool:
    return bool(pod["spec"].get("nodeName"))


async def return_pod(api: KubeApi, instruction: ReturnPod) -> PodReturned:
    """Write a moved pod anew on-prem; nothing is done where it was never taken, or is home already.

    One that is there under its name, and is not the cloud pod, is the return's own.
    """
    burst = instruction.burst
    record = await paths.read(api, paths.bursts(burst.namespace, burst.name))
    manifest = record["spec"].get("podManifest") if record is not None else None
    if record is None or manifest is None:
        raise RemoteError("Invalid", "there is no record that holds the manifest of the pod to bring home")
    if _annotations(record).get(TAKEN_ANNOTATION) != "true":
        return PodReturned(key=burst.key)
    try:
        await api.create(paths.pods(burst.namespace), build_return(manifest), {"fieldManager": FIELD_MANAGER})
    except RemoteError as error:
        if error.kind == "Unauthorized" and await _is_going(api, burst.namespace):
            # its RoleBinding is gone, so burster hears of a missing right before it could hear why nothing is taken there
            sentence = f"namespace {burst.namespace} is being deleted, and takes no pod any more"
            raise RemoteError("Unauthorized", sentence, code=NAMESPACE_GOING) from error
        if error.kind != "AlreadyExists":
            raise
        found = await paths.read(api, paths.pods(burst.namespace, burst.spec.pod_name))
        if found is None or is_placed(found, burst) or _is_taken(found, burst):
            raise RemoteError("Unavailable", "the former pod has not gone yet") from error
    await _mark(api, burst, TAKEN_ANNOTATION, None)
    return PodReturned(key=burst.key)


async def _is_going(api: KubeApi, namespace: str) -> bool:
    """Say whether a namespace is being deleted."""
    listed = orjson.loads(await api.get("/api/v1/namespaces", {"fieldSelector": f"metadata.name={namespace}"}))
    return any(one["metadata"].get("deletionTimestamp") for one in listed["items"])


async def mark_verified(api: KubeApi, instruction: MarkVerified) -> StatusWritten:
    """Set the pod's readiness gate."""
    burst = instruction.burst
    condition = {
        "type": VERIFIED,
        "status": "True",
        "reason": "VmVerified",
        "message": _PROVEN[proof_of(burst.spec.provider)],
    }
    body = {"metadata": {"uid": burst.status.pod_uid}, "status": {"conditions": [condition]}}
    await api.patch(paths.pods(burst.namespace, burst.spec.pod_name) + "/status", body, kind="strategic")
    return StatusWritten(key=burst.key, phase="Verified")
