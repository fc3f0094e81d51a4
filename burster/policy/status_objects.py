"""Statuses of policies and targets as API objects, and what a status that is there already says of its conditions.

What is written holds to ``statuses``. What is read may be anybody's word: it is taken only where it has the form that is written here.
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, get_args

from burster.model.instructions import Condition, ConditionStatus, ConditionType, WritePolicyStatus, WriteTargetStatus
from burster.model.quantities import format_micro_usd
from burster.model.stimuli import Told
from burster.policy.records import MESSAGE_MAX, format_time, parse_time
from burster.policy.schema import API_VERSION


_TYPES: Final[tuple[object, ...]] = get_args(ConditionType)
_STATUSES: Final[tuple[object, ...]] = get_args(ConditionStatus)
#: More than a status has; what follows is not looked at.
_LOOKED_AT: Final = 16


def policy_status_to_object(instruction: WritePolicyStatus) -> dict[str, Any]:
    """Return the body of a server-side apply to a policy's status subresource: the whole status."""
    namespace, _, name = instruction.policy.partition("/")
    status: dict[str, Any] = {
        "observedGeneration": instruction.generation,
        "conditions": _conditions(instruction.conditions, instruction.generation),
        "pending": instruction.pending,
        "bursts": instruction.bursts,
        "reservedUsd": format_micro_usd(instruction.reserved_micro_usd),
        "spentUsd": format_micro_usd(instruction.spent_micro_usd),
    }
    if instruction.replicas is not None:
        status["replicas"] = instruction.replicas
    return {
        "apiVersion": API_VERSION,
        "kind": "BurstPolicy",
        "metadata": {"namespace": namespace, "name": name},
        "status": status,
    }


def target_status_to_object(instruction: WriteTargetStatus) -> dict[str, Any]:
    """Return the body of a server-side apply to a target's status subresource: the whole status."""
    return {
        "apiVersion": API_VERSION,
        "kind": "BurstTarget",
        "metadata": {"name": instruction.target},
        "status": {
            "observedGeneration": instruction.generation,
            "conditions": _conditions(instruction.conditions, instruction.generation),
            "offerings": instruction.offerings,
            "bursts": instruction.bursts,
            "vcpus": instruction.vcpus,
            "reservedUsd": format_micro_usd(instruction.reserved_micro_usd),
            "spentUsd": format_micro_usd(instruction.spent_micro_usd),
        },
    }


def _conditions(conditions: Iterable[Condition], generation: int) -> list[dict[str, Any]]:
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "observedGeneration": generation,
            "lastTransitionTime": format_time(condition.since_ms)[:-5] + "Z",
            "reason": condition.reason,
            "message": condition.message[:MESSAGE_MAX],
        }
        for condition in conditions
    ]


def told_by(obj: Mapping[str, Any]) -> Told:
    """Return what an object's status says of each condition: its status, and since when (epoch ms)."""
    status: object = obj.get("status")
    found: object = cast("dict[str, Any]", status).get("conditions") if isinstance(status, dict) else None
    if not isinstance(found, list):
        return {}
    told: Told = {}
    for one in cast("list[object]", found)[:_LOOKED_AT]:
        if not isinstance(one, dict):
            continue
        values = cast("dict[str, object]", one)
        kind, state, since = values.get("type"), values.get("status"), values.get("lastTransitionTime")
        if kind in _TYPES and state in _STATUSES and isinstance(since, str):
            with contextlib.suppress(ValueError, OverflowError):
                told[str(kind)] = (str(state), parse_time(since))
    return told
