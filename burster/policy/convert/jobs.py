"""A ScaledJob as a BurstPolicy: KEDA goes on to create the Jobs, and those that find no room on-prem move to the cloud.

burster creates no Jobs. What a ScaledJob's triggers count has become Jobs by then, and a Job without room is a pending pod: so the
policy is about the pending pods of these Jobs, and the triggers stay with KEDA.
"""

import re
from typing import Any

from burster.policy.convert.notes import Notes, list_of, mapping_of
from burster.policy.convert.objects import head_metadata, number
from burster.policy.errors import Problem


def policy(value: dict[str, Any], notes: Notes, target: str, problems: list[Problem]) -> dict[str, Any] | None:
    """Return the policy about a ScaledJob's Jobs."""
    metadata, spec = mapping_of(value.get("metadata")), mapping_of(value.get("spec"))
    if not mapping_of(spec.get("jobTargetRef")):
        problems.append(notes.problem(("spec", "jobTargetRef"), "is required: it is the Job that KEDA creates"))
        return None
    name = str(metadata.get("name", ""))
    notes.changed(
        ("spec", "jobTargetRef"),
        "KEDA goes on to create the Jobs; the policy is about those whose pods find no room on-prem, by the Jobs' names",
    )
    for index, trigger in enumerate(list_of(spec.get("triggers"))):
        kind = mapping_of(trigger).get("type") or "without a type"
        notes.dropped(
            ("spec", "triggers", index),
            f"{kind} stays with KEDA: it decides how many Jobs there are, pending-pods which of them burst",
        )
    limits: dict[str, Any] = {}
    for key in spec:
        if key == "maxReplicaCount":
            limits["maxBursts"] = number(spec[key])
            notes.changed(("spec", key), "at most so many of the Jobs run in the cloud at one time (limits.maxBursts)")
        elif key not in {"jobTargetRef", "triggers"}:
            notes.dropped(("spec", key), "stays with KEDA, which goes on to create the Jobs")
    notes.assumed(("spec", "jobTargetRef"), "moving the pods of a Job needs burster's webhook in the cluster")
    made: dict[str, Any] = {
        "workload": {"kind": "Job", "namePattern": f"{re.escape(name)}-[a-z0-9]+"},
        "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "30s"}}],
    }
    if limits:
        made["limits"] = limits
    made["placement"] = {"strategy": "Move", "targets": [target]}
    notes.assumed(("spec",), "KEDA knows no money, so the policy has no budget: add limits.budget")
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": head_metadata(metadata, notes),
        "spec": made,
    }
