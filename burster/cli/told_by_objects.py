"""Kubernetes objects as what people are shown. Pure; objects come from anybody, so nothing of them is taken for granted."""

from typing import Any, Final, cast

from burster.model.bursts import Burst
from burster.model.quantities import cost_micro_usd, format_micro_usd
from burster.policy.records import parse_time
from burster.surfaces.answers import BurstTold, Condition, EventTold, Happened
from burster.surfaces.view import BurstView, PendingView


_CONTROLLER: Final = "burster.dev/controller"
_TEXT_MAX: Final = 1_024

Object = dict[str, Any]


def running_micro_usd(burst: Burst, now_ms: int) -> int:
    """Return what a burst has cost so far by its record: its price since its first VM, or else its placing; 0 once it is settled."""
    status = burst.status
    since_ms = status.vm_started_at_ms or status.placed_at_ms
    if status.settled_micro_usd is not None or since_ms is None:
        return 0
    return cost_micro_usd(burst.spec.price_micro_usd_per_hour, max(0, now_ms - since_ms))


def burst_view(burst: Burst, now_ms: int) -> BurstView:
    """Return a burst for the picture of the whole."""
    status = burst.status
    settled = status.settled_micro_usd
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
        cost_micro_usd=running_micro_usd(burst, now_ms) if settled is None else settled,
        reserved_micro_usd=status.reserved_micro_usd or burst.spec.reserved_micro_usd,
        settled=settled is not None,
    )


def burst_told(burst: Burst) -> BurstTold:
    """Return a burst with the stations of its life that its record has times of."""
    spec, status = burst.spec, burst.status
    stations = (
        (spec.decided_at_ms, f"decided, {format_micro_usd(spec.reserved_micro_usd)} set aside"),
        (status.placed_at_ms, "the cloud pod is placed"),
        (status.vm_started_at_ms, "its first VM is there"),
        (status.serving_at_ms, "phase Serving"),
        (status.draining_at_ms, "phase Draining"),
        (status.released_at_ms, "phase Released: no VM is left"),
    )
    life = [Happened(at_ms=at_ms, what=what) for at_ms, what in stations if at_ms is not None]
    if status.reason:
        latest = max(one.at_ms for one in life)
        life.append(Happened(at_ms=latest, what=f"{status.reason}: {status.message}"[:_TEXT_MAX]))
    return BurstTold(
        burst=burst.key,
        policy=burst.policy_key,
        pod=burst.subject,
        offering=f"{spec.target}/{spec.region}/{spec.size}",
        phase=status.phase,
        decided_at_ms=spec.decided_at_ms,
        vms=status.vms,
        reserved_micro_usd=status.reserved_micro_usd,
        settled_micro_usd=status.settled_micro_usd,
        life=tuple(sorted(life, key=lambda one: one.at_ms)),
    )


def pending_view(pod: Object) -> PendingView | None:
    """Return a pod that the scheduler calls unschedulable, with its words; None for any other."""
    for condition in conditions_of(pod):
        if condition.type == "PodScheduled" and condition.reason == "Unschedulable":
            metadata = _section(pod, "metadata")
            return PendingView(
                pod=f"{metadata.get('namespace')}/{metadata.get('name')}",
                since_ms=condition.since_ms,
                why=condition.message,
            )
    return None


def conditions_of(obj: Object) -> tuple[Condition, ...]:
    """Return an object's conditions."""
    found = _section(obj, "status").get("conditions")
    members = cast("list[Any]", found) if isinstance(found, list) else []
    return tuple(
        Condition(
            type=_text(one, "type"),
            status=_text(one, "status"),
            reason=_text(one, "reason"),
            message=_text(one, "message"),
            since_ms=_time(one.get("lastTransitionTime")),
        )
        for one in map(_as_object, members)
    )


def is_of_burster(event: Object) -> bool:
    """Say whether an event says that the controller wrote it; anybody who may write events may say so."""
    return event.get("reportingComponent") == _CONTROLLER


def event_told(event: Object) -> EventTold:
    """Return an event for people."""
    about = _section(event, "involvedObject")
    moment = (
        event.get("lastTimestamp") or event.get("eventTime") or _section(event, "metadata").get("creationTimestamp")
    )
    return EventTold(
        at_ms=_time(moment),
        about=f"{_text(about, 'kind')} {_text(about, 'namespace')}/{_text(about, 'name')}",
        reason=_text(event, "reason"),
        message=_text(event, "message"),
    )


def zone_of(policy: Object) -> str:
    """Return the time zone of a policy's budget."""
    limits = _section(_section(policy, "spec"), "limits")
    return _text(_section(limits, "budget"), "timeZone") or "UTC"


def _section(obj: Object, name: str) -> Object:
    return _as_object(obj.get(name))


def _as_object(value: object) -> Object:
    return cast("Object", value) if isinstance(value, dict) else {}


def _text(obj: Object, name: str) -> str:
    value = obj.get(name)
    return value[:_TEXT_MAX] if isinstance(value, str) else ""


def _time(text: object) -> int:
    try:
        return parse_time(text) if isinstance(text, str) else 0
    except ValueError:
        return 0
