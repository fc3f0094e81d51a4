"""Reads the policies' metrics: a tick of APScheduler's for each distinct query, one read for all who ask it, each told in its own words.

Called by the wiring's tap on the bus. Each server has slots of its own, so that a slow one delays nobody else's; each read has a deadline.
What fails is told as missing, never as zero, and is asked for again with growing, jittered pauses. It must never decide what a missing
value means: that is the engine's.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any, NamedTuple

import structlog
from apscheduler.triggers.interval import IntervalTrigger

from burster.clients.metric_errors import MetricError
from burster.model import stimuli as s
from burster.model.policies import Policy
from burster.model.targets import Target
from burster.runtime.clock import Clock
from burster.runtime.metric_queries import (
    QUERIES_MAX,
    QUERIES_PER_NAMESPACE_MAX,
    Asker,
    Permissions,
    Query,
    Terms,
    address_of,
    query_of,
    read_triggers,
    terms_of,
)
from burster.runtime.metric_reads import Answered, MetricReads, Reader
from burster.runtime.ticks import ClockScheduler
from burster.sources.metrics import Number, Value
from burster.sources.pod_use import Use


_log = structlog.get_logger("burster.runtime.metric_poller")


class PollNumbers(NamedTuple):
    """What the poller is doing, for /metrics."""

    queries: int = 0
    askers: int = 0
    failing: int = 0  #: queries whose latest answer was none
    oldest_s: float = 0.0  #: the age of the oldest value that counts


class _Poll:
    """What is known of one query."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.job = f"metric-{query.key.hex()}"
        self.interval_ms = 0
        self.busy = False
        self.latest = Answered()


class MetricPoller:
    """Keeps the queries of all policies, and polls them while ``run`` runs."""

    def __init__(
        self,
        reader: Reader,
        post: Callable[[s.Stimulus], None],
        clock: Clock,
        chance: random.Random,
        *,
        awake: Callable[[str], bool],
    ) -> None:
        """``awake`` says whether a policy has replicas: then their number is made anew at every sync, not only at every poll."""
        self.reads = MetricReads(reader, clock, chance)
        self._post = post
        self._clock = clock
        self._chance = chance
        self._awake = awake
        self._permissions = Permissions()
        self._policies: dict[str, Policy] = {}
        self._polls: dict[bytes, _Poll] = {}
        self._asked_by: dict[Asker, _Poll] = {}
        self._denied: dict[Asker, str] = {}
        self._of_namespace: Counter[str] = Counter()
        self._changed: set[str] = set()  #: policies whose triggers are to be arranged anew
        self._wake = asyncio.Event()
        self._scheduler: Any = None  # APScheduler ships no types
        self._group: asyncio.TaskGroup | None = None

    # -- rules on their way ---------------------------------------------------------------------------------------------

    def hear(self, stimulus: s.Stimulus) -> None:
        """Take what concerns metrics out of a fact on its way to the engine."""
        match stimulus:
            case s.PolicySeen(policy=policy):
                self.policy(policy)
            case s.PolicyGone(key=key):
                self.forget(key)
            case s.TargetSeen(target=target):
                self.target(target)
            case s.TargetGone(name=name) | s.TargetRefused(name=name):
                self.forget_target(name)
            case s.NamespaceSeen(name=name, labels=labels):
                self.namespace(name, labels)
            case s.NamespaceGone(name=name):
                self.namespace(name, None)
            case s.Tick(kind="evaluate"):
                self.review()
            case _:
                pass

    def policy(self, policy: Policy) -> None:
        """Note a policy as it is now."""
        self._policies[policy.key] = policy
        self._arrange_later(policy.key)

    def forget(self, key: str) -> None:
        """Read no more for a policy that is gone."""
        self._policies.pop(key, None)
        # at once: one of that name that comes next is another policy, and is told anew
        self._arrange(key)

    def target(self, target: Target) -> None:
        """Note what a target allows now."""
        known = self._permissions.targets.get(target.name)
        self._permissions.targets[target.name] = target
        if known != target:
            self._arrange_later(*(key for key, one in self._policies.items() if target.name in one.placement.targets))

    def forget_target(self, name: str) -> None:
        """Read nothing more that only this target allowed."""
        if self._permissions.targets.pop(name, None) is not None:
            self._arrange_later(*(key for key, one in self._policies.items() if name in one.placement.targets))

    def namespace(self, name: str, labels: dict[str, str] | None) -> None:
        """Note a namespace's labels; None: it is gone."""
        known = self._permissions.namespaces
        if labels is None:
            known.pop(name, None)
        elif known.get(name) != labels:
            known[name] = labels
            self._arrange_later(*(key for key, one in self._policies.items() if one.namespace == name))

    def review(self) -> None:
        """Look again at how often each query is needed; called by the evaluate tick."""
        for poll in self._polls.values():
            self._pace(poll)

    def _arrange_later(self, *keys: str) -> None:
        self._changed.update(keys)
        if keys:
            self._wake.set()

    # -- seeing ---------------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether something is asked for the first time, or about to be."""
        return bool(self._changed) or any(poll.busy and poll.latest.result is None for poll in self._polls.values())

    def numbers(self) -> PollNumbers:
        """Return how many queries there are, and how they do."""
        results = [
            (poll.latest.result, poll.latest.at_ms) for poll in self._polls.values() if poll.latest.result is not None
        ]
        read = [at_ms for result, at_ms in results if not isinstance(result, MetricError)]
        return PollNumbers(
            queries=len(self._polls),
            askers=len(self._asked_by),
            failing=len(results) - len(read),
            oldest_s=(self._clock.now_ms() - min(read)) / 1000 if read else 0.0,
        )

    # -- arranging ------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Poll until cancelled."""
        self._scheduler = ClockScheduler(self._clock)
        self._scheduler.start()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    changed, self._changed = sorted(self._changed), set()
                    for key in changed:
                        self._arrange(key)
        finally:
            self._group = None
            self._scheduler.shutdown(wait=False)

    def _arrange(self, key: str) -> None:
        """Have exactly a policy's triggers among the askers."""
        policy = self._policies.get(key)
        wanted: dict[Asker, tuple[Query, Terms]] = {}
        for trigger in read_triggers(policy) if policy is not None else ():
            asker, url = Asker(key, trigger.name), address_of(trigger)
            allowed = not url or policy is None or self._permissions.may_read(policy, url)
            if allowed and policy is not None:
                wanted[asker] = (query_of(policy.namespace, trigger), terms_of(policy, trigger))
            elif allowed is not None:
                self._deny(asker, "none of the policy's targets allows reading there (allowedMetricEndpoints)")
        for asker in [asker for asker in (*self._asked_by, *self._denied) if asker.policy == key]:
            if asker not in wanted and asker in self._asked_by:
                self._leave(asker)
            if asker in wanted or policy is None:
                self._denied.pop(asker, None)
        for asker, (query, terms) in wanted.items():
            self._join(asker, query, terms)

    def _deny(self, asker: Asker, why: str) -> None:
        if self._denied.get(asker) != why:
            self._denied[asker] = why
            self._tell(asker, None, MetricError("not_allowed", why), self._clock.now_ms())

    def _join(self, asker: Asker, query: Query, terms: Terms) -> None:
        before = self._asked_by.get(asker)
        poll = self._polls.get(query.key)
        if before is not None and before is not poll:
            self._leave(asker)
        if poll is None:
            namespace = query.namespace
            if len(self._polls) >= QUERIES_MAX or self._of_namespace[namespace] >= QUERIES_PER_NAMESPACE_MAX:
                self._deny(asker, f"namespace {namespace} asks too many different queries already")
                return
            poll = self._polls[query.key] = _Poll(query)
            self._of_namespace[namespace] += 1
        known = poll.query.askers.get(asker)
        poll.query.askers[asker] = terms
        self._asked_by[asker] = poll
        self._pace(poll)
        now_s = self._clock.monotonic()
        fresh = poll.latest.asked_s is not None and now_s < poll.latest.asked_s + poll.interval_ms / 1000
        if not fresh:
            self._due(poll)
        elif poll.latest.result is not None and known != terms:
            self._tell(asker, terms, poll.latest.result, poll.latest.at_ms)

    def _leave(self, asker: Asker) -> None:
        poll = self._asked_by.pop(asker)
        poll.query.askers.pop(asker, None)
        if not poll.query.askers:
            del self._polls[poll.query.key]
            self._of_namespace[poll.query.namespace] -= 1
            if poll.interval_ms:
                self._scheduler.remove_job(poll.job)
            if not any(one.query.server == poll.query.server for one in self._polls.values()):
                self.reads.forget(poll.query.server)
        else:
            self._pace(poll)

    def _pace(self, poll: _Poll) -> None:
        """Have a query's tick come as often as the most impatient of its askers needs."""
        interval_ms = min(
            terms.sync_ms if terms.sync_ms is not None and self._awake(asker.policy) else terms.polling_ms
            for asker, terms in poll.query.askers.items()
        )
        if interval_ms == poll.interval_ms or self._scheduler is None:
            return
        poll.interval_ms = interval_ms
        interval_s, now_s = interval_ms / 1000, self._clock.monotonic()
        # the first tick comes somewhere within the interval, so that not all queries of a start keep step for ever
        wait_s = interval_s * self._chance.uniform(0.5, 1.0)
        if poll.latest.asked_s is not None:
            wait_s = max(0.0, poll.latest.asked_s + interval_s - now_s)
        first = self._scheduler.now() + timedelta(seconds=wait_s)

        async def tick() -> None:
            self._due(poll)

        self._scheduler.add_job(
            tick,
            IntervalTrigger(seconds=max(1, interval_ms // 1000), start_date=first, timezone=UTC),
            id=poll.job,
            next_run_time=first,
            replace_existing=True,
        )

    # -- asking ---------------------------------------------------------------------------------------------------------

    def _due(self, poll: _Poll) -> None:
        if poll.busy or self._group is None or self._clock.monotonic() < poll.latest.pause.until_s:
            return
        poll.busy = True
        self._group.create_task(self._ask(poll), name=poll.query.server)

    async def _ask(self, poll: _Poll) -> None:
        before = poll.latest.result
        try:
            result = await self.reads.read(poll.query, poll.latest)
        finally:
            poll.busy = False
        _log_change(poll, before, result)
        for asker, terms in list(poll.query.askers.items()):
            self._tell(asker, terms, result, poll.latest.at_ms)

    def _tell(self, asker: Asker, terms: Terms | None, result: Value | MetricError, at_ms: int) -> None:
        """Post what an answer means for one trigger."""
        policy, trigger = asker
        match result:
            case Use(replicas=replicas, pods=pods):
                fact: s.Stimulus = s.ResourceRead(
                    policy=policy, trigger=trigger, at_ms=at_ms, replicas=replicas, pods=pods
                )
            case Number(value_milli=int(value)):
                fact = s.MetricRead(policy=policy, trigger=trigger, at_ms=at_ms, value_milli=value)
            case Number() if terms is not None and terms.null_is_zero:
                fact = s.MetricRead(policy=policy, trigger=trigger, at_ms=at_ms, value_milli=0)
            case Number(why=why):
                fact = s.MetricFailed(policy=policy, trigger=trigger, at_ms=at_ms, message=why or "there is no value")
            case MetricError(message=message):
                fact = s.MetricFailed(policy=policy, trigger=trigger, at_ms=at_ms, message=message)
        self._post(fact)


def _log_change(poll: _Poll, before: Value | MetricError | None, result: Value | MetricError) -> None:
    """Say in the log when a query begins or ceases to be answered; not at every tick."""
    was = before.fault if isinstance(before, MetricError) else ""
    asked_by = [f"{asker.policy}: {asker.trigger}" for asker in sorted(poll.query.askers)[:3]]
    if not isinstance(result, MetricError):
        if was:
            _log.info("metric.read_again", server=poll.query.server, asked_by=asked_by)
    elif result.fault != was:
        _log.warning(
            "metric.failed", server=poll.query.server, asked_by=asked_by, fault=result.fault, message=result.message
        )
