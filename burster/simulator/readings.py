"""What the triggers of policies read in the virtual world: by a list of values over time, or by a formula of what happens on-prem.

Called by the run loop. It answers as the sources would: a value, the use of each pod of a measured workload, or that it could not be read.
What a policy makes of it is the engine's.
"""

from bisect import bisect_right
from typing import Final

import msgspec

from burster.model.policies import Policy
from burster.model.quantities import MILLIS_PER_SECOND
from burster.model.stimuli import MetricFailed, MetricRead, PodUse, ResourceRead, Stimulus
from burster.model.triggers import ResourceTrigger, Trigger
from burster.policy.formula import Formula
from burster.simulator.heap import TICK
from burster.simulator.pods import SimPod
from burster.simulator.world import World


#: What a formula may use: seconds since the start, pods that wait and are the policy's, percent of on-prem cpu and memory asked for.
NAMES: Final = ("seconds", "pending", "cpu", "memory")
_PERCENT: Final = 100


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """From ``at_ms`` on this is what is read; ``fails`` says why nothing is."""

    at_ms: int
    value_milli: int = 0
    fails: str = ""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What one trigger reads. For cpu and memory triggers it is the percent of its request that each pod of the source uses."""

    policy: str
    trigger: str
    points: tuple[Point, ...] = ()  #: by time; before the first one there is nothing to read
    formula: Formula | None = None  #: instead of points
    until_ms: int = 0  #: as long as the trace goes on, and at least until then


class Readings:
    """Reads every series at its policy's polling interval. ``busy`` says whether anything is left that a reading could change."""

    def __init__(
        self, world: World, policies: tuple[Policy, ...], series: tuple[Series, ...], patience_ms: int
    ) -> None:
        self._world = world
        self._policies = {policy.key: policy for policy in policies}
        self._series = series
        self._last_ms = max((one.until_ms for one in series), default=0) + patience_ms
        self.at_work = _nobody_at_work

    def start(self) -> None:
        """Read for the first time at once."""
        for one in self._series:
            self._world.agenda.at(0, TICK, self._poll, one)

    def _poll(self, one: Series) -> None:
        now_ms = self._world.now_ms
        policy = self._policies[one.policy]
        trigger = next(each for each in policy.triggers if each.name == one.trigger)
        fact = self._read(one, policy, trigger)
        if fact is not None:
            self._world.outbox.append(fact)
        again_ms = now_ms + policy.scaling.polling_ms
        goes_on = again_ms <= one.until_ms or not self._world.all_arrived or self._world.waiting or self.at_work()
        if goes_on and again_ms <= max(self._last_ms, self._world.last_event_ms):
            self._world.agenda.at(again_ms, TICK, self._poll, one)

    def _read(self, one: Series, policy: Policy, trigger: Trigger) -> Stimulus | None:
        at_ms = self._world.epoch_ms + self._world.now_ms
        found = self._value(one, policy)
        if found is None:
            return None
        value_milli, fails = found
        if fails:
            return MetricFailed(policy=policy.key, trigger=trigger.name, at_ms=at_ms, message=fails)
        if isinstance(trigger, ResourceTrigger):
            return self._use(policy, trigger, at_ms, value_milli)
        return MetricRead(policy=policy.key, trigger=trigger.name, at_ms=at_ms, value_milli=value_milli)

    def _value(self, one: Series, policy: Policy) -> tuple[int, str] | None:
        """Return the value now and why there is none, or None where nothing is to be read yet."""
        if one.formula is not None:
            outcome = one.formula.evaluate(self._known(one.formula, policy))
            return (0, outcome.reason) if outcome.milli is None else (max(0, outcome.milli), "")
        position = bisect_right(one.points, self._world.now_ms, key=lambda point: point.at_ms)
        if not position:
            return None
        point = one.points[position - 1]
        return point.value_milli, point.fails

    def _known(self, formula: Formula, policy: Policy) -> dict[str, float | None]:
        world, onprem = self._world, self._world.onprem
        known: dict[str, float | None] = {
            "seconds": world.now_ms / MILLIS_PER_SECOND,
            "cpu": _PERCENT * onprem.cpu_used / max(1, onprem.cpu_total),
            "memory": _PERCENT * onprem.memory_used / max(1, onprem.memory_total),
        }
        if "pending" in formula.names:
            known["pending"] = sum(
                pod.namespace == policy.namespace and policy.workload.matches(world.describe(pod))
                for pod in world.waiting.values()
            )
        return known

    def _use(self, policy: Policy, trigger: ResourceTrigger, at_ms: int, percent_milli: int) -> Stimulus:
        service = self._world.services.get((policy.namespace, trigger.source.name))
        if service is None:
            message = f"there is no {trigger.source.kind} {trigger.source.name} to measure"
            return MetricFailed(policy=policy.key, trigger=trigger.name, at_ms=at_ms, message=message)
        pods = tuple(self._pod_use(pod, trigger, percent_milli) for pod in service.replicas)
        return ResourceRead(
            policy=policy.key, trigger=trigger.name, at_ms=at_ms, replicas=len(service.replicas), pods=pods
        )

    def _pod_use(self, pod: SimPod, trigger: ResourceTrigger, percent_milli: int) -> PodUse:
        request = pod.requests.cpu_millicores if trigger.resource == "cpu" else pod.requests.memory_bytes
        if pod.pending_since_ms >= 0:
            return PodUse(request=request, ready=False)
        return PodUse(
            usage=request * percent_milli // (_PERCENT * 1000),
            request=request,
            started_at_ms=self._world.epoch_ms + pod.served_at_ms,
        )


def _nobody_at_work() -> bool:
    """Nothing else goes on."""
    return False
