"""Kubernetes events: what happened, where people look first."""

import hashlib
from datetime import UTC, datetime
from typing import Final

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, GROUP_VERSION, KubeApi
from burster.model.instructions import EmitEvent


_MESSAGE_MAX: Final = 1024  #: the API server refuses longer notes


async def emit_event(api: KubeApi, instruction: EmitEvent, now_ms: int) -> None:
    """Write one event; its name comes from the instruction's key, so that a repeated one is one."""
    moment = datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha256(instruction.key.encode()).hexdigest()[:16]
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{instruction.name[:200]}.{digest}", "namespace": instruction.namespace},
        "involvedObject": {
            "apiVersion": "v1" if instruction.kind == "Pod" else GROUP_VERSION,
            "kind": instruction.kind,
            "namespace": instruction.namespace,
            "name": instruction.name,
            "uid": instruction.uid,
        },
        "reason": instruction.reason,
        "message": instruction.message[:_MESSAGE_MAX],
        "type": instruction.severity,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": "burster.dev/controller",
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    await api.create(paths.events(instruction.namespace), body)
