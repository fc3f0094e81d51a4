"""What a real kube-apiserver's own audit log says that burster's account asked of it: evidence that is neither burster's nor the lab's.

`audit_flags` has the server keep it; `read_audit` gives it in the order in which the server answered. It has the bodies of what was written
to pods and records, and of everything else only that it was asked.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from burster.policy.records import BURST_LABEL


ACCOUNT = "system:serviceaccount:burster-system:burster"
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Request",
            "users": [ACCOUNT],
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [{"group": "", "resources": ["pods"]}, {"group": "burster.dev"}],
        },
        {"level": "Metadata", "users": [ACCOUNT]},
        {"level": "None"},
    ],
}


@dataclass(frozen=True)
class Asked:
    """One request that was answered; times in seconds since the epoch."""

    verb: str
    resource: str  # with its subresource, as in pods/status
    namespace: str
    name: str
    code: int
    received_s: float
    done_s: float
    body: dict[str, Any]
    is_try: bool  # a server-side dry run

    @property
    def done(self) -> bool:
        return self.code < 300

    @property
    def object(self) -> tuple[str, str]:
        return self.namespace, self.name or (self.body.get("metadata") or {}).get("name", "")


def audit_flags(folder: Path) -> tuple[str, ...]:
    """Write the policy and return the server's flags for it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit-policy.yaml").write_text(json.dumps(_POLICY))
    return (f"--audit-policy-file={folder / 'audit-policy.yaml'}", f"--audit-log-path={folder / 'audit.jsonl'}")


def read_audit(folder: Path) -> list[Asked]:
    """Return everything that burster's account was answered, watches only once they have ended."""
    found = [
        _asked(event)
        for line in (folder / "audit.jsonl").read_text().splitlines()
        if (event := json.loads(line))["stage"] == "ResponseComplete"
    ]
    return sorted(found, key=lambda each: each.done_s)


def _asked(event: dict[str, Any]) -> Asked:
    ref = event.get("objectRef") or {}
    body = event.get("requestObject")
    return Asked(
        verb=event["verb"],
        resource="/".join(part for part in (ref.get("resource", ""), ref.get("subresource", "")) if part),
        namespace=ref.get("namespace", ""),
        name=ref.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        received_s=_seconds(event["requestReceivedTimestamp"]),
        done_s=_seconds(event["stageTimestamp"]),
        body=body if isinstance(body, dict) else {},
        is_try="dryRun=" in event["requestURI"],
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def creations(asked: Iterable[Asked], resource: str) -> list[Asked]:
    """Return what was really created of a kind."""
    return [
        each for each in asked if (each.verb, each.resource) == ("create", resource) and each.done and not each.is_try
    ]


def burst_of(pod: Asked) -> str:
    """Return the name of the record that a created pod is for; empty for one that came home."""
    return ((pod.body.get("metadata") or {}).get("labels") or {}).get(BURST_LABEL, "")


def unrecorded(asked: list[Asked]) -> list[str]:
    """Return the cloud pods whose creation was asked for before a record of them was there."""
    recorded: dict[tuple[str, str], float] = {}
    for each in creations(asked, "bursts"):
        recorded.setdefault(each.object, each.done_s)
    return [
        f"{pod.namespace}/{pod.object[1]}"
        for pod in creations(asked, "pods")
        if burst_of(pod) and recorded.get((pod.namespace, burst_of(pod)), float("inf")) > pod.received_s
    ]


def refused(asked: Iterable[Asked], unless: Iterable[tuple[float, float]] = ()) -> list[str]:
    """Return what burster's rights did not allow; ``unless`` are times in which a server that starts anew refuses everybody."""
    spans = [*unless]
    return sorted(
        {
            f"{each.verb} {each.resource} in {each.namespace or '*'}"
            for each in asked
            if each.code == 403 and not any(since <= each.done_s <= until for since, until in spans)
        }
    )
