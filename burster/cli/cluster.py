"""What a one-shot command can tell of a cluster by asking its API server once: records and pending pods, no controller needed.

Called by `burster status` without ``--run``. Reads only; by the synchronous ``kubernetes`` client, so that a command starts no event loop.
"""

from typing import Annotated, Any, Final

import typer

from burster.engine import ACTIVE
from burster.model.bursts import Burst
from burster.model.errors import InputError, RemoteError
from burster.policy.records import burst_from_object
from burster.surfaces.view import LISTED_MAX, BurstView, PendingView, StatusView, bounded


KubeconfigOption = Annotated[
    str, typer.Option("--kubeconfig", metavar="FILE", help="A kubeconfig; the usual one if left out.")
]
ContextOption = Annotated[str, typer.Option("--context", help="A context of the kubeconfig.")]

_BURSTS: Final = "/apis/burster.dev/v1alpha1/bursts"
_PENDING: Final = {"fieldSelector": "status.phase=Pending,spec.nodeName=", "labelSelector": "!burster.dev/burst"}


def status_of_cluster(kubeconfig: str, context: str, now_ms: int) -> StatusView:
    """Return what the cluster's records say. Raises InputError where it can't be asked."""
    from burster.clients.kube_sync import KubeSync

    try:
        with KubeSync.connect(kubeconfig=kubeconfig, context=context) as kube:
            objects = kube.list(_BURSTS)
            pods = kube.list("/api/v1/pods", _PENDING)
    except RemoteError as error:
        if error.kind == "NotFound":
            raise InputError(
                "this cluster has no Bursts: apply deploy/crds first, or choose another with --context"
            ) from error
        raise InputError(f"the cluster can't be asked: {error}") from error
    bursts = sorted((burst_from_object(obj) for obj in objects), key=lambda one: (one.spec.decided_at_ms, one.key))
    waiting = [view for pod in pods if (view := _pending(pod)) is not None]
    active = [burst for burst in bursts if burst.status.phase in ACTIVE]
    phases: dict[str, int] = {}
    for burst in bursts:
        phases[burst.status.phase] = phases.get(burst.status.phase, 0) + 1
    return StatusView(
        at_ms=now_ms,
        title="the cluster's records",
        pending_total=len(waiting),
        pending=bounded(waiting),
        bursts_by_phase=phases,
        bursts=bounded([_burst(burst) for burst in active[:LISTED_MAX]]),
        spent_micro_usd=sum(burst.status.settled_micro_usd or 0 for burst in bursts),
    )


def _burst(burst: Burst) -> BurstView:
    status = burst.status
    return BurstView(
        burst=burst.key,
        policy=burst.policy_key,
        pod=f"{burst.namespace}/{burst.spec.pod_name}",
        phase=status.phase,
        strategy=burst.spec.strategy,
        reason=status.reason,
        vm=status.vms[-1] if status.vms else "",
        size=burst.spec.size,
        region=burst.spec.region,
        decided_at_ms=burst.spec.decided_at_ms,
        cost_micro_usd=status.settled_micro_usd or 0,
        reserved_micro_usd=status.reserved_micro_usd or burst.spec.reserved_micro_usd,
        settled=status.settled_micro_usd is not None,
    )


def _pending(pod: dict[str, Any]) -> PendingView | None:
    """Return a pod that the scheduler calls unschedulable, with its words; None for any other."""
    from burster.policy.records import parse_time

    status: dict[str, Any] = pod.get("status") or {}
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    for condition in conditions:
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return PendingView(
                pod=f"{pod['metadata']['namespace']}/{pod['metadata']['name']}",
                since_ms=parse_time(condition["lastTransitionTime"]),
                why=str(condition.get("message") or ""),
            )
    return None
