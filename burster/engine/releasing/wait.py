"""Buy or wait: whether renting for a pod is worth more than leaving it to on-prem for longer (``wait.mode: BuyOrWait``).

``wait_gate`` is asked by ``gates`` when an offering has been found; the ``note_`` functions are told by the ``observe`` rooms how fast
on-prem takes pods, how long the cloud needs to start one, and how long moved pods run. It must never hold a pod for longer than
``max_wait_ms``, counted as its pending time is.

The rule, in integers:

1. A pod that has waited ``max_wait_ms`` goes. What is left of that is the longest that it can still wait.
2. *expected wait* = (pods before it in its policy's queue + 1) x the time watched / pods of the policy that nodes took in that time,
   rounded up, and at most what is left. The time watched is the last 30 minutes, or since the engine began to watch (5 minutes at least),
   or since the oldest of the latest 256 such pods. No pod taken in that time: nobody knows, so it is all that is left.
3. *start* = the median, of the target's latest launches, of the time from decided to serving; 90 s before there was one (a confidential
   VM on Azure is made in 45-60 s, its guest and agent take 5-20 s more, then the image is pulled: an assumption, not a measurement).
4. *run* = what the policy declares, else the median of its latest moved pods that succeeded, else the lease.
5. A pod that runs for less time than its start takes waits.
6. *saved* = (expected wait - start) x ``valuePerHour``, rounded down; 0 where the start takes longer than the wait.
7. *rent* = price x (start + run), rounded up: a VM is paid for from its creation. The pod waits while the rent is more than what is saved.
"""

from bisect import bisect_left
from typing import Final

from burster.engine.answers import Refusal
from burster.engine.demand import queue_key
from burster.engine.state import PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.offerings import Offering
from burster.model.pods import Pod
from burster.model.quantities import MILLIS_PER_HOUR, cost_micro_usd, format_duration_ms, format_micro_usd


START_DEFAULT_MS: Final = 90_000
WINDOW_MS: Final = 1_800_000
WATCHED_MIN_MS: Final = 300_000
BOUND_MAX: Final = 256
SAMPLES_MAX: Final = 31
#: How long until a waiting pod is looked at anew.
AGAIN_MS: Final = 60_000


def wait_gate(
    state: State, policy: PolicyEntry, pod: Pod, offering: Offering, price_micro_usd_per_hour: int
) -> Refusal | None:
    """Return why a pod waits for on-prem a little longer, or None where it may go."""
    rules = policy.policy.wait
    if rules.mode != "BuyOrWait":
        return None
    since_ms = state.now_ms if pod.unschedulable_since_ms is None else pod.unschedulable_since_ms
    left_ms = since_ms + rules.max_wait_ms - state.now_ms
    if left_ms <= 0:
        return None
    expected_ms = _expected_wait_ms(state, policy, pod, left_ms)
    start_ms = start_time_ms(state, offering.target)
    run_ms = run_time_ms(state, policy)
    saved = max(0, expected_ms - start_ms) * rules.value_micro_usd_per_hour // MILLIS_PER_HOUR
    rent = cost_micro_usd(price_micro_usd_per_hour, start_ms + run_ms)
    numbers = {
        "expected_wait_ms": expected_ms,
        "start_ms": start_ms,
        "run_ms": run_ms,
        "rent_micro_usd": rent,
        "saved_micro_usd": saved,
    }
    if run_ms < start_ms:
        reason = Reason(
            code="TooShortToMove",
            sentence=(
                f"It runs for about {format_duration_ms(run_ms)}, and a start in the cloud takes {format_duration_ms(start_ms)}: "
                "it waits for on-prem."
            ),
            numbers=numbers,
        )
    elif rent > saved:
        reason = Reason(
            code="WaitIsCheaper",
            sentence=(
                f"On-prem is expected to take it within {format_duration_ms(expected_ms)}; renting costs {format_micro_usd(rent)} and "
                f"would save waiting worth {format_micro_usd(saved)}."
            ),
            numbers=numbers,
        )
    else:
        return None
    again_at_ms = state.now_ms + min(left_ms, AGAIN_MS)
    return Refusal(verdict="Wait", reason=reason, again_at_ms=again_at_ms)


def _expected_wait_ms(state: State, policy: PolicyEntry, pod: Pod, left_ms: int) -> int:
    bound = [at_ms for at_ms in state.learned.bound.get(policy.policy.key, ()) if at_ms > state.now_ms - WINDOW_MS]
    if not bound:
        return left_ms
    since_ms = state.now_ms if state.learned.since_ms is None else state.learned.since_ms
    watched_ms = min(WINDOW_MS, max(WATCHED_MIN_MS, state.now_ms - since_ms))
    if len(bound) == BOUND_MAX:
        watched_ms = max(1, state.now_ms - bound[0])
    wait_ms = -(-(_pods_before(policy, pod) + 1) * watched_ms // len(bound))
    return min(left_ms, wait_ms)


def _pods_before(policy: PolicyEntry, pod: Pod) -> int:
    """Return how many pods of the policy's queue are tried before this one: of higher priority, or of the same and waiting for longer."""
    place = queue_key(pod)
    if not policy.arrived and len(policy.queue) == len(policy.queued):
        return bisect_left(policy.queue, place)
    return sum(other < place for other in policy.queued.values())


def start_time_ms(state: State, target: str) -> int:
    """Return how long a start at a target takes, as far as it is known."""
    return _median(state.learned.starts.get(target, []), START_DEFAULT_MS)


def run_time_ms(state: State, policy: PolicyEntry) -> int:
    """Return how long a pod of a policy runs, as far as it is known."""
    rules = policy.policy
    if rules.wait.expected_run_ms is not None:
        return rules.wait.expected_run_ms
    return _median(state.learned.runs.get(rules.key, []), rules.placement.lease_ms)


def _median(samples: list[int], default: int) -> int:
    """Return the lower median, a value that was seen."""
    return sorted(samples)[(len(samples) - 1) // 2] if samples else default


def note_bound(state: State, policy: str) -> None:
    """An on-prem node has taken a pod that waited."""
    _add(state.learned.bound, policy, state.now_ms, BOUND_MAX)


def note_start(state: State, target: str, took_ms: int) -> None:
    """A burst has come to serve."""
    _add(state.learned.starts, target, max(0, took_ms), SAMPLES_MAX)


def note_run(state: State, policy: str, took_ms: int) -> None:
    """A moved pod has done its work."""
    _add(state.learned.runs, policy, max(0, took_ms), SAMPLES_MAX)


def _add(samples: dict[str, list[int]], key: str, value: int, most: int) -> None:
    kept = samples.setdefault(key, [])
    kept.append(value)
    del kept[:-most]


def forget_old(state: State) -> None:
    """Drop what is of no use any more: pods taken long ago, and what was learned of policies and targets that are gone."""
    learned, oldest_ms = state.learned, state.now_ms - WINDOW_MS
    bound = {key: [at_ms for at_ms in kept if at_ms > oldest_ms] for key, kept in learned.bound.items()}
    learned.bound = {key: kept for key, kept in bound.items() if kept and key in state.policies}
    learned.runs = {key: kept for key, kept in learned.runs.items() if key in state.policies}
    learned.starts = {key: kept for key, kept in learned.starts.items() if key in state.targets}
