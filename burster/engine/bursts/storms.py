"""Launches that fail again and again: one burst's, one workload's, a whole policy's or target's; and who is not tried because of it.

``ending`` tells of every launch that failed for another reason than want of room, ``lifecycle_actions`` of every one that came to serve.
``demand`` asks before it lets a pod wait in a queue, ``gates`` before it judges a policy. It must never end a burst: it only counts.

- **A burst** is over when its sandbox has failed three times, or when it has needed more than three VMs: the kubelet gives up after four
  minutes and makes another VM, for ever.
- **A workload** whose launches have failed three times in a row, with none of it serving, rests as a whole for 5 minutes, doubling to 30.
  Then one of its pods is tried for all of them; one that serves sets the others free. While it rests, a sandbox of it that is still being
  tried is given up at its next failure.
- **A target or a policy** is halted until somebody edits it when more than 45 % and more than 3 of its bursts have failed to launch within
  30 minutes, or more than 10 within a day, since the latest that came to serve, while none serves. One workload counts for 3 failures at
  most, so that a broken image is its own affair and not everybody's.
"""

from collections.abc import Callable
from typing import Final

from burster.engine.answers import Refusal
from burster.engine.bursts.lifecycle import ANSWERING
from burster.engine.state import BurstEntry, FailingWorkload, PolicyEntry, State
from burster.model.bursts import Burst
from burster.model.decisions import Reason
from burster.model.pods import Pod


#: A sandbox that failed this often costs more than it brings.
SANDBOX_FAILURES_MAX: Final = 3
#: More VMs than this for one launch are a storm, even where nobody has told of failures.
VMS_MAX: Final = 3
WORKLOAD_FAILURES_MAX: Final = 3
REST_FIRST_MS: Final = 300_000
REST_MAX_MS: Final = 1_800_000
FORGOTTEN_MS: Final = 10_800_000
#: What takes the ready deadline to fail rests for longer than that.
BEYOND_READY_MS: Final = 60_000
#: While one pod is tried for its workload, the others look again this often.
PROBE_LOOK_MS: Final = 60_000
UNHEALTHY_PERCENT: Final = 45
UNHEALTHY_MAX: Final = 3
UNHEALTHY_WINDOW_MS: Final = 1_800_000
BOOT_FAILURES_MAX: Final = 10
BOOT_WINDOW_MS: Final = 86_400_000
PER_SOURCE_MAX: Final = 3
_FAILURES_KEPT: Final = 256
_WORKLOADS_KEPT: Final = 1_000
#: Reasons in a record by which a successor knows a failed launch.
_LAUNCH_CODES: Final = frozenset({"NotReadyInTime", "AdmissionMismatch", "SandboxStorm"})


def rest_ms(failures: int, at_least_ms: int = 0) -> int:
    """Return how long to rest after so many failures in a row: 5 minutes, doubling to 30, and never less than ``at_least_ms``."""
    return max(min(REST_FIRST_MS * 2 ** min(max(0, failures - 1), 10), REST_MAX_MS), at_least_ms)


def sandbox_failures_allowed(state: State, burst: Burst) -> int:
    """Return how many sandbox failures end a burst: three, and one where its workload is known to fail."""
    known = state.failing.get(workload_of_burst(burst))
    return 1 if known is not None and known.failures >= WORKLOAD_FAILURES_MAX else SANDBOX_FAILURES_MAX


def workload_of_burst(burst: Burst) -> str:
    """Return ``namespace/kind/name`` of a burst's workload, or "" where it has none."""
    ref = burst.spec.workload
    return f"{burst.namespace}/{ref.kind}/{ref.name}" if ref is not None else ""


def workload_of_pod(pod: Pod) -> str:
    """Return ``namespace/kind/name`` of a pod's workload, or "" where it has none."""
    return f"{pod.namespace}/{pod.workload.kind}/{pod.workload.name}" if pod.workload is not None else ""


def launch_failed(state: State, entry: BurstEntry, reason: Reason, *, at_least_ms: int, blame_workload: bool) -> None:
    """Count a failed launch against its workload, its target and its policy, and halt what fails as a whole."""
    if blame_workload:
        _count_against_workload(state, entry, reason, at_least_ms)
    _note(state, entry.burst, state.now_ms)
    _check_breakers(state, entry.burst)


def served(state: State, entry: BurstEntry) -> None:
    """A launch has succeeded: its workload is sound, and whoever waited for that is looked at again."""
    _note_served(state, entry.burst, state.now_ms)
    workload = workload_of_burst(entry.burst)
    known = state.failing.pop(workload, None)
    if known is not None and known.failures >= WORKLOAD_FAILURES_MAX:
        _wake(state, workload)


def _note_served(state: State, burst: Burst, at_ms: int) -> None:
    for key in (burst.spec.target, burst.policy_key):
        state.served_at_ms[key] = max(at_ms, state.served_at_ms.get(key, 0))


def held(state: State, pod: Pod) -> tuple[int, Reason] | None:
    """Return until when a pod that is old enough is not to be tried, and why; None: it may be.

    The first of a failing workload's pods to ask after its rest is the one that is tried for all of them.
    """
    left = state.held_off.get(pod.key)
    if left is not None and left[0] > state.now_ms:
        return left[0], left[2]
    workload = workload_of_pod(pod)
    known = state.failing.get(workload)
    if known is None or known.failures < WORKLOAD_FAILURES_MAX:
        return None
    if known.until_ms > state.now_ms:
        return known.until_ms, _resting(workload, known, known.until_ms)
    if known.probe != pod.key and _is_tried(state, workload, known):
        due_ms = state.now_ms + PROBE_LOOK_MS
        return due_ms, _resting(workload, known, due_ms)
    known.probe = pod.key
    return None


def workload_hold(state: State, namespace: str, kind: str, name: str) -> tuple[int, Reason] | None:
    """Return until when nothing more of a workload is to be started, and why: for replicas that no pod stands for."""
    workload = f"{namespace}/{kind}/{name}"
    known = state.failing.get(workload)
    if known is None or known.failures < WORKLOAD_FAILURES_MAX:
        return None
    if known.until_ms > state.now_ms:
        return known.until_ms, _resting(workload, known, known.until_ms)
    if _is_launching(state, workload):
        due_ms = state.now_ms + PROBE_LOOK_MS
        return due_ms, _resting(workload, known, due_ms)
    return None


def breaker_gate(policy: PolicyEntry) -> Refusal | None:
    """Return why a policy is halted, or None where it is not."""
    if policy.tripped is None:
        return None
    sentence = f"The breaker of policy {policy.policy.name} is open until somebody edits it: {policy.tripped.sentence}"
    return Refusal(verdict="Deny", reason=Reason(code="BreakerOpen", sentence=sentence), whole_policy=True)


def reset_target(state: State, name: str) -> None:
    """Somebody has edited a target: what failed there before counts no more."""
    state.launch_failures = [one for one in state.launch_failures if one[3] != name]


def reset_policy(state: State, policy: PolicyEntry) -> None:
    """Somebody has edited a policy: what failed by it before counts no more, and its workloads are tried again."""
    key = policy.policy.key
    policy.tripped = None
    state.launch_failures = [one for one in state.launch_failures if one[2] != key]


def restore(state: State, entry: BurstEntry) -> None:
    """Count what a predecessor's record tells of: a failed launch, or one that came to serve."""
    status = entry.burst.status
    if status.serving_at_ms is not None:
        _note_served(state, entry.burst, min(status.serving_at_ms, state.now_ms))
        return
    if status.reason not in _LAUNCH_CODES:
        return
    at_ms = status.draining_at_ms if status.draining_at_ms is not None else status.released_at_ms
    _note(state, entry.burst, state.now_ms if at_ms is None else min(at_ms, state.now_ms))


def forget_old(state: State) -> None:
    """Drop what can matter no more."""
    oldest_ms = state.now_ms - BOOT_WINDOW_MS
    state.launch_failures = [one for one in state.launch_failures if one[0] > oldest_ms]
    state.failing = {key: one for key, one in state.failing.items() if one.until_ms + FORGOTTEN_MS >= state.now_ms}
    state.served_at_ms = {key: at_ms for key, at_ms in state.served_at_ms.items() if at_ms > oldest_ms}
    state.held_off = {key: left for key, left in state.held_off.items() if left[0] > state.now_ms and key in state.pods}


def _count_against_workload(state: State, entry: BurstEntry, reason: Reason, at_least_ms: int) -> None:
    workload = workload_of_burst(entry.burst)
    if not workload or _is_serving(state, workload):
        return
    known = state.failing.pop(workload, None)
    if known is None or known.until_ms + FORGOTTEN_MS < state.now_ms:
        known = FailingWorkload(failures=0, until_ms=state.now_ms, reason=reason)
    known.failures += 1
    known.reason, known.probe, known.until_ms = reason, "", state.now_ms
    state.failing[workload] = known  # the latest is the last to be forgotten
    while len(state.failing) > _WORKLOADS_KEPT:
        del state.failing[next(iter(state.failing))]
    if known.failures >= WORKLOAD_FAILURES_MAX:
        known.until_ms = state.now_ms + rest_ms(known.failures - WORKLOAD_FAILURES_MAX + 1, at_least_ms)
        _wake(state, workload)


def _resting(workload: str, known: FailingWorkload, due_ms: int) -> Reason:
    _, kind, name = workload.split("/", 2)
    one = "one of its machines" if kind == "BurstPolicy" else "one of its pods"
    return Reason(
        code="WorkloadFailing",
        sentence=(
            f"The last {known.failures} launches of {kind} {name} have all failed, so {one} is tried at a time. "
            f"The last one: {known.reason.sentence}"
        ),
        numbers={"failures": known.failures, "due_ms": due_ms},
    )


def _wake(state: State, workload: str) -> None:
    """Have the pods of a workload that no burst answers asked anew whether they may be tried."""
    for key, entry in state.pods.items():
        if not entry.burst and entry.policy and workload_of_pod(entry.pod) == workload:
            state.at(state.now_ms, "age", key)


def _is_tried(state: State, workload: str, known: FailingWorkload) -> bool:
    """Say whether the pod that is tried for its workload still is."""
    probe = state.pods.get(known.probe)
    if probe is not None and probe.pod.unschedulable and workload_of_pod(probe.pod) == workload:
        return True
    return _is_launching(state, workload)


def _is_launching(state: State, workload: str) -> bool:
    return any(
        entry.burst.status.phase in ANSWERING
        and entry.burst.status.phase != "Serving"
        and workload_of_burst(entry.burst) == workload
        for entry in state.bursts.values()
    )


def _is_serving(state: State, workload: str) -> bool:
    return any(
        entry.burst.status.phase == "Serving" and workload_of_burst(entry.burst) == workload
        for entry in state.bursts.values()
    )


def _note(state: State, burst: Burst, at_ms: int) -> None:
    whose = workload_of_burst(burst) or f"{burst.namespace}/{burst.spec.for_pod.name or burst.name}"
    state.launch_failures.append((at_ms, whose, burst.policy_key, burst.spec.target))
    state.launch_failures.sort()
    del state.launch_failures[:-_FAILURES_KEPT]


def _check_breakers(state: State, burst: Burst) -> None:
    """Halt the target if it is the target that fails; else the policy if it is the policy."""
    name, key = burst.spec.target, burst.policy_key
    target, policy = state.targets.get(name), state.policies.get(key)
    if target is not None and target.tripped is None:
        target.tripped = _trouble(
            state, name, f"at {name}", lambda one: one[3] == name, lambda b: b.spec.target == name
        )
        if target.tripped is not None:
            state.decide("Warn", target.tripped, subject=name)
            return
    if policy is not None and policy.tripped is None and (target is None or target.tripped is None):
        policy.tripped = _trouble(
            state, key, f"of policy {policy.policy.name}", lambda one: one[2] == key, lambda b: b.policy_key == key
        )
        if policy.tripped is not None:
            state.decide("Warn", policy.tripped, policy=key, subject=key)


def _trouble(
    state: State,
    key: str,
    where: str,
    counts: Callable[[tuple[int, str, str, str]], bool],
    is_of: Callable[[Burst], bool],
) -> Reason | None:
    """Return why a target or a policy is to be halted, or None."""
    phases = [entry.burst.status.phase for entry in state.bursts.values() if is_of(entry.burst)]
    out = sum(phase in ANSWERING for phase in phases)
    serving = phases.count("Serving")
    failed = [one for one in state.launch_failures if counts(one)]
    unhealthy = _at_most_some_each(failed, state.now_ms - UNHEALTHY_WINDOW_MS)
    total = unhealthy + out
    if unhealthy > UNHEALTHY_MAX and unhealthy * 100 > UNHEALTHY_PERCENT * total:
        return Reason(
            code="TooManyUnhealthy",
            sentence=f"{unhealthy} of {total} bursts {where} have failed to launch within 30 minutes.",
            numbers={"unhealthy": unhealthy, "total": total},
        )
    boots = _at_most_some_each(failed, max(state.now_ms - BOOT_WINDOW_MS, state.served_at_ms.get(key, 0)))
    if boots > BOOT_FAILURES_MAX and not serving:
        return Reason(
            code="LaunchesFail",
            sentence=f"{boots} bursts {where} have failed to launch since the latest that came to serve.",
            numbers={"boot_failures": boots},
        )
    return None


def _at_most_some_each(failures: list[tuple[int, str, str, str]], after_ms: int) -> int:
    """Count failures since a time, those of one workload three times at most."""
    counts: dict[str, int] = {}
    for at_ms, whose, _, _ in failures:
        if at_ms > after_ms:
            counts[whose] = counts.get(whose, 0) + 1
    return sum(min(count, PER_SOURCE_MAX) for count in counts.values())
