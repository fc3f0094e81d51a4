"""Pods as they are written: a clone, a moved pod, and a moved pod come home. Pure; called by ``peer_pods`` and ``records``.

What is given is never changed, and what is returned shares its insides with it: it is made to be sent, not to be worked on.

Containers are never touched: an agent policy in the pod's initdata binds them (changing env, command or image breaks attestation). What
burster sets is the RuntimeClass, the VM size and its own marks.
"""

from typing import Any, Final

from burster.adaptors.cluster_api import GROUP_VERSION
from burster.adaptors.initdata import ANNOTATION as INITDATA
from burster.model.bursts import Burst


BURST_LABEL: Final = "burster.dev/burst"
POLICY_LABEL: Final = "burster.dev/policy"
UID_ANNOTATION: Final = "burster.dev/burst-uid"
MACHINE_TYPE: Final = "io.katacontainers.config.hypervisor.machine_type"
VERIFIED: Final = "burster.dev/verified"

_KATA: Final = "io.katacontainers.config."
_KEPT_METADATA: Final = ("name", "namespace", "labels", "annotations", "finalizers")
#: What a pod author may say to the hypervisor of a confidential VM: what is measured into it. Image, size, kernel parameters and whatever
#: else there is are the target's business.
_HYPERVISOR: Final = f"{_KATA}hypervisor."
_ALLOWED_HYPERVISOR: Final = frozenset({INITDATA})
#: Takes any file of the worker for the runtime's configuration (CVE-2026-50540): with it, all of the above could be said after all.
_CONFIG_PATHS: Final = frozenset({"io.katacontainers.config_path", f"{_KATA}config_path"})
#: Marks that a Deployment's own pods carry and a clone must not, or a ReplicaSet or a query would count it.
_NOT_FOR_CLONES: Final = ("pod-template-hash", "controller-revision-hash")


def build_clone(template: dict[str, Any], burst: Burst, initdata: str = "") -> dict[str, Any]:
    """Return a clone's manifest from its workload's pod template (``spec.template``). The Burst owns it, so no ReplicaSet adopts it.

    ``initdata`` is what policy or target declare, packed; without it the template's own annotation holds.
    """
    metadata: dict[str, Any] = template.get("metadata") or {}
    spec: dict[str, Any] = dict(template["spec"])
    template_labels: dict[str, str] = metadata.get("labels") or {}
    labels = {key: value for key, value in template_labels.items() if key not in _NOT_FOR_CLONES}
    template_gates: list[dict[str, Any]] = spec.get("readinessGates") or []
    gates = [gate for gate in template_gates if gate.get("conditionType") != VERIFIED]
    spec["readinessGates"] = [*gates, {"conditionType": VERIFIED}]
    pod = _confidential(
        {"labels": labels, "annotations": dict(metadata.get("annotations") or {})}, spec, burst, initdata
    )
    pod["metadata"]["ownerReferences"] = [
        {
            "apiVersion": GROUP_VERSION,
            "kind": "Burst",
            "name": burst.name,
            "uid": burst.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    return pod


def build_move(manifest: dict[str, Any], burst: Burst, initdata: str = "") -> dict[str, Any]:
    """Return a moved pod's manifest from the one kept in its record. It stays the user's own: nothing owns it."""
    return _confidential(manifest.get("metadata") or {}, dict(manifest["spec"]), burst, initdata)


def build_return(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a moved pod's manifest as it was on-prem."""
    return {"apiVersion": "v1", "kind": "Pod", **manifest}


def keep_manifest(pod: dict[str, Any]) -> dict[str, Any]:
    """Return what is needed of a pending pod to write it again: no identity, no status, no node."""
    metadata: dict[str, Any] = pod["metadata"]
    spec: dict[str, Any] = dict(pod["spec"])
    spec.pop("nodeName", None)
    return {
        "metadata": {key: metadata[key] for key in _KEPT_METADATA if metadata.get(key)},
        "spec": spec,
    }


def _confidential(metadata: dict[str, Any], spec: dict[str, Any], burst: Burst, initdata: str) -> dict[str, Any]:
    """Return the pod; ``spec`` is the caller's own copy and is completed here."""
    annotations: dict[str, str] = metadata.get("annotations") or {}
    annotations = {
        key: value
        for key, value in annotations.items()
        if key not in _CONFIG_PATHS and (not key.startswith(_HYPERVISOR) or key in _ALLOWED_HYPERVISOR)
    }
    if initdata:
        annotations[INITDATA] = initdata
    if burst.spec.node_selector:
        # its VM is one of its node's, as large as its requests say
        own: dict[str, str] = spec.get("nodeSelector") or {}
        spec["nodeSelector"] = {**own, **burst.spec.node_selector}
    else:
        annotations[MACHINE_TYPE] = burst.spec.size
    annotations[UID_ANNOTATION] = burst.uid
    spec.pop("nodeName", None)
    spec["runtimeClassName"] = burst.spec.runtime_class
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": burst.spec.pod_name,
            "namespace": burst.namespace,
            "labels": {
                **(metadata.get("labels") or {}),
                BURST_LABEL: burst.name,
                POLICY_LABEL: burst.spec.policy,
            },
            "annotations": annotations,
        },
        "spec": spec,
    }
