"""What a Job controller knows of one Job beyond its object, and the rules for pods, counts and conditions.

Used by ``jobs``. Pure: no store, no loop; times come in as arguments.
"""

from collections import Counter
from typing import Final

import msgspec

from burster.lab.apiserver.objects import items, section
from burster.lab.cluster.objects import (
    Json,
    condition_of,
    controller_reference,
    is_finished,
    is_ready,
    is_terminating,
    rfc3339,
    with_condition,
)


INDEX: Final = "batch.kubernetes.io/job-completion-index"
FAILURES_OF_INDEX: Final = "batch.kubernetes.io/job-index-failure-count"
BACKOFF_MS: Final = 10_000
BACKOFF_MAX_MS: Final = 600_000
BACKOFF_LIMIT: Final = 6


class Verdict(msgspec.Struct, frozen=True):
    """A Job's end: whether badly, and the reason and message people read."""

    failed: bool
    reason: str
    message: str

    @property
    def event(self) -> tuple[str, str]:
        """Reason and message of the Event."""
        return ("BackoffLimitExceeded" if self.failed else "Completed"), self.message


def index_of(pod: Json) -> int | None:
    """Return the completion index, None where the Job isn't Indexed."""
    text = section(pod["metadata"], "annotations").get(INDEX)
    return None if text is None else int(text)


def _indexed(job: Json) -> bool:
    return job["spec"].get("completionMode") == "Indexed"


class JobState:
    """Counts of one Job. ``retry_at_ms``: no pod is created before."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.succeeded = 0
        self.failed = 0
        self.failed_in_a_row = 0
        self.retry_at_ms = 0
        self.refusals = 0
        self.done: set[int] = set()
        self.given_up: set[int] = set()
        self.failures: Counter[int] = Counter()
        self._terminating_since_ms: dict[str, int] = {}

    def adopt(self, job: Json) -> None:
        """Take over the counts that the object already carries: a restarted controller must not start from nothing."""
        status = section(job, "status")
        self.succeeded = max(self.succeeded, int(status.get("succeeded") or 0))
        self.failed = max(self.failed, int(status.get("failed") or 0))
        self.done |= _parse_indexes(status.get("completedIndexes") or "")
        self.given_up |= _parse_indexes(status.get("failedIndexes") or "")

    def finished(self, job: Json) -> bool:
        """Say whether the Job has ended."""
        ends = (condition_of(job, kind) for kind in ("Complete", "Failed"))
        return any(end is not None and end["status"] == "True" for end in ends)

    def succeed(self, job: Json, pod: Json) -> None:
        """Count a success; back-off starts anew."""
        self.failed_in_a_row = 0
        self.retry_at_ms = 0
        index = index_of(pod)
        if _indexed(job) and index is not None:
            self.done.add(index)
            self.succeeded = len(self.done)
        else:
            self.succeeded += 1

    def fail(self, job: Json, pod: Json, now_ms: int) -> None:
        """Count a failure; each in a row doubles the wait for the next pod."""
        self.failed += 1
        self.failed_in_a_row += 1
        self.retry_at_ms = now_ms + min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** min(self.failed_in_a_row - 1, 16))
        index = index_of(pod)
        if index is not None:
            self.failures[index] += 1
            limit = job["spec"].get("backoffLimitPerIndex")
            if limit is not None and self.failures[index] > int(limit):
                self.given_up.add(index)

    def replaces_only_failed(self, job: Json) -> bool:
        """Say whether a terminating pod keeps its place until it is Failed."""
        return job["spec"].get("podReplacementPolicy") == "Failed"

    def collector_wait_ms(self, job: Json, pod: Json, now_ms: int, collector_ms: int) -> int:
        """Return how long a terminating pod isn't counted yet; 0: count it now."""
        if not self.replaces_only_failed(job):
            return 0
        if pod["spec"].get("nodeName"):
            return collector_ms  # its kubelet will say how it ended
        since = self._terminating_since_ms.setdefault(pod["metadata"]["uid"], now_ms)
        return max(0, since + collector_ms - now_ms)

    def wanted(self, job: Json) -> int:
        """Return how many pods the Job may have alive now."""
        spec = job["spec"]
        if spec.get("suspend"):
            return 0
        parallelism = int(spec.get("parallelism", 1))
        completions = spec.get("completions")
        if completions is None:
            return 0 if self.succeeded else parallelism
        left = int(completions) - (len(self.done | self.given_up) if _indexed(job) else self.succeeded)
        return max(0, min(parallelism, left))

    def free_indexes(self, job: Json, taken: set[int | None], room: int) -> list[int | None]:
        """Return what the next pods are for: the lowest free indexes, or None for each pod of a Job without them."""
        if room <= 0:
            return []
        if not _indexed(job):
            return [None] * room
        busy = self.done | self.given_up | taken
        free: list[int | None] = [index for index in range(int(job["spec"]["completions"])) if index not in busy]
        return free[:room]

    def verdict(self, job: Json, live: int) -> Verdict | None:
        """Return the Job's end if this is it."""
        spec = job["spec"]
        completions = spec.get("completions")
        per_index = spec.get("backoffLimitPerIndex") is not None
        limit = spec.get("backoffLimit")
        if limit is not None or not per_index:
            most = BACKOFF_LIMIT if limit is None else int(limit)
            if self.failed > most:
                return Verdict(
                    failed=True, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"
                )
        if completions is None:
            complete = self.succeeded > 0 and live == 0
        else:
            complete = self.succeeded >= int(completions)
            if self.given_up and len(self.done | self.given_up) >= int(completions):
                return Verdict(failed=True, reason="FailedIndexes", message="Job has failed indexes")
        return Verdict(failed=False, reason="CompletionsReached", message="Job completed") if complete else None


def make_pod(job: Json, state: JobState, index: int | None, tracking: str) -> Json:
    """Return the pod to create, tracked by the finalizer."""
    meta, template = job["metadata"], job["spec"]["template"]
    template_meta = section(template, "metadata")
    uid, name = meta["uid"], meta["name"]
    labels = {
        **section(template_meta, "labels"),
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    annotations: dict[str, str] = dict(section(template_meta, "annotations"))
    spec = {"restartPolicy": "Never", **template["spec"]}
    own_name: Json = {"generateName": f"{name}-"}
    if index is not None:
        annotations[INDEX] = str(index)
        labels[INDEX] = str(index)
        spec["hostname"] = f"{name}-{index}"
        own_name = {"generateName": f"{name}-{index}-"}
        if job["spec"].get("backoffLimitPerIndex") is not None:
            annotations[FAILURES_OF_INDEX] = str(state.failures[index])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template_meta,
            **own_name,
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": annotations,
            "finalizers": [tracking],
            "ownerReferences": [controller_reference(job, "batch/v1", "Job")],
        },
        "spec": spec,
    }


def next_status(
    job: Json, state: JobState, pods: list[Json], live: list[Json], verdict: Verdict | None, now_ms: int
) -> Json:
    """Return the Job's new status."""
    status = section(job, "status")
    conditions: list[Json] = items(status, "conditions")
    new: Json = {
        **status,
        "startTime": status.get("startTime") or rfc3339(now_ms),
        "active": len(live),
        "ready": sum(map(is_ready, live)),
        "terminating": sum(is_terminating(pod) and not is_finished(pod) for pod in pods),
        "succeeded": state.succeeded,
        "failed": state.failed,
        "uncountedTerminatedPods": {},
    }
    if _indexed(job):
        new["completedIndexes"] = format_indexes(state.done)
        if state.given_up:
            new["failedIndexes"] = format_indexes(state.given_up)
    if verdict is not None:
        for kind in ("FailureTarget", "Failed") if verdict.failed else ("SuccessCriteriaMet", "Complete"):
            condition = {"type": kind, "status": "True", "reason": verdict.reason, "message": verdict.message}
            conditions = with_condition(conditions, condition, now_ms)
        if not verdict.failed:
            new["completionTime"] = rfc3339(now_ms)
    if conditions:
        new["conditions"] = conditions
    return new


def format_indexes(indexes: set[int]) -> str:
    """Return indexes as a Job's status writes them: ``0-2,5``."""
    parts: list[str] = []
    run: list[int] = []
    for index in [*sorted(indexes), None]:
        if run and (index is None or index != run[-1] + 1):
            separator = "-" if len(run) > 2 else ","  # noqa: PLR2004 - two neighbours are written apart
            parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}{separator}{run[-1]}")
            run = []
        if index is not None:
            run.append(index)
    return ",".join(parts)


def _parse_indexes(text: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
