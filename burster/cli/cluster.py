"""What a cluster tells of bursting without a controller: Burst records, pending pods, conditions, Kubernetes events.

Called where no controller answers, and for people who may only look at their own namespace. Reads only; by the synchronous ``kubernetes``
client, so that a command starts no event loop. Amounts are those of the records: of what was settled long ago no record is left.
"""

import time
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import msgspec

from burster.cli.told_by_objects import (
    burst_told,
    burst_view,
    conditions_of,
    event_told,
    is_of_burster,
    pending_view,
    running_micro_usd,
    zone_of,
)
from burster.clients.kube_errors import not_asked
from burster.clients.kube_follow import Followed, Mirror
from burster.clients.kube_sync import KubeSync
from burster.engine import ACTIVE
from burster.model.bursts import Burst
from burster.model.errors import InputError, RemoteError
from burster.model.stimuli import Spend
from burster.policy.records import burst_from_object
from burster.runtime.answering import resolve
from burster.runtime.clock import SystemClock
from burster.surfaces.answers import (
    EventTold,
    Happened,
    HistoryAnswer,
    HistoryQuery,
    NotFoundError,
    PolicyAnswer,
    SubjectAnswer,
    WhyAnswer,
)
from burster.surfaces.spending import OpenMoney, SpendQuery, SpendReport, spend_report
from burster.surfaces.view import LISTED_MAX, StatusView, bounded


_GROUP: Final = "/apis/burster.dev/v1alpha1"
_PENDING: Final = (("fieldSelector", "status.phase=Pending,spec.nodeName="), ("labelSelector", "!burster.dev/burst"))
_LOOK_S: Final = 1.0
#: changes that come together are shown together
_TOGETHER_S: Final = 0.3

Object = dict[str, Any]


class ClusterRecords:
    """Answers from a cluster's objects, of one namespace or all ("")."""

    def __init__(self, kube: KubeSync, namespace: str) -> None:
        self._kube = kube
        self.namespace = namespace
        self._mirror: Mirror | None = None
        self._trouble = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mirror is not None:
            self._mirror.__exit__(kind, error, trace)

    @property
    def title(self) -> str:
        """Who it is, for people."""
        return f"the records of namespace {self.namespace}" if self.namespace else "the cluster's records"

    def follow(self) -> None:
        """Keep bursts, policies and pending pods as they are from now on, by watching them."""
        if self._mirror is None:
            what = (self._bursts(), self._policies(), self._pods())
            try:
                self._mirror = Mirror(self._kube, what).__enter__()
            except RemoteError as error:
                raise self._refused(error) from error

    def now_ms(self) -> int:
        """Return the time."""
        return SystemClock().now_ms()

    def wait(self) -> None:
        """Return when something has changed. Raises InputError once for each new trouble, after which it goes on."""
        mirror = self._mirror
        assert mirror is not None, "nobody waits who does not watch"  # noqa: S101 - states an invariant
        while True:
            came = mirror.wait(_LOOK_S)
            trouble = mirror.trouble
            if trouble != self._trouble:
                self._trouble = trouble
                if trouble:
                    raise InputError(f"the cluster can't be asked, and it is tried again: {trouble}")
            if came:
                time.sleep(_TOGETHER_S)
                return

    def status(self) -> StatusView:
        """Return what the records say."""
        bursts = self._burst_records()
        waiting = [view for pod in self._objects(self._pods()) if (view := pending_view(pod)) is not None]
        waiting.sort(key=lambda view: (view.since_ms, view.pod))
        now_ms = self.now_ms()
        active = [burst for burst in bursts if burst.status.phase in ACTIVE]
        phases: dict[str, int] = {}
        for burst in bursts:
            phases[burst.status.phase] = phases.get(burst.status.phase, 0) + 1
        return StatusView(
            at_ms=now_ms,
            title=self.title,
            pending_total=len(waiting),
            pending=bounded(waiting),
            bursts_by_phase=phases,
            bursts=bounded([burst_view(burst, now_ms) for burst in active[:LISTED_MAX]]),
            spent_micro_usd=sum(burst.status.settled_micro_usd or 0 for burst in bursts),
            accruing_micro_usd=sum(running_micro_usd(burst, now_ms) for burst in active),
        )

    def why(self, name: str) -> WhyAnswer:
        """Return what the objects say of a pod, a burst or a policy."""
        namespace, slash, plain = name.rpartition("/")
        if slash and self.namespace and namespace != self.namespace:
            raise InputError(f"{name} is not in namespace {self.namespace}: leave -n out, or name what is there")
        if not self.namespace and slash:
            # who asks about one namespace needs no right to see the others
            return ClusterRecords(self._kube, namespace).why(plain)
        bursts = self._burst_records()
        policies = {_key(one): one for one in self._objects(self._policies())}
        key = self._key_of(name if slash or not self.namespace else f"{self.namespace}/{plain}", bursts, policies)
        policy = policies.get(key)
        about = [
            burst for burst in bursts if key in {burst.key, burst.subject, f"{burst.namespace}/{burst.spec.pod_name}"}
        ]
        pod = self._pod(key)
        subject = None
        if pod is not None or about:
            told = [event for one in (key, *(burst.key for burst in about)) for event in self._events(one)]
            told = sorted(
                {
                    (event.at_ms, event.message): event for event in told if event.about.split()[0] != "BurstPolicy"
                }.values(),
                key=lambda event: event.at_ms,
            )
            subject = SubjectAnswer(
                about=key,
                seen=tuple(Happened(at_ms=event.at_ms, what=f"{event.reason}: {event.message}") for event in told),
                bursts=tuple(burst_told(burst) for burst in about[-LISTED_MAX:]),
                conditions=conditions_of(pod) if pod is not None else (),
            )
        return WhyAnswer(policy=None if policy is None else self._policy(key, policy, bursts), subject=subject)

    def history(self, query: HistoryQuery) -> HistoryAnswer:
        """Return burster's events, which the cluster keeps for an hour or so."""
        events = [event_told(one) for one in self._list(self._path("/api/v1", "events"), {}) if is_of_burster(one)]
        if query.policy:
            key = resolve(
                query.policy,
                [_key(one) for one in self._objects(self._policies())],
                what="is known of policy",
                where="here",
            )
            of_it = {burst.key for burst in self._burst_records() if burst.policy_key == key}
            events = [
                one for one in events if one.about == f"BurstPolicy {key}" or one.about.partition(" ")[2] in of_it
            ]
        if query.since_ms is not None:
            events = [one for one in events if one.at_ms >= query.since_ms]
        events.sort(key=lambda one: (one.at_ms, one.about, one.reason, one.message))
        return HistoryAnswer(events=tuple(events[-query.limit :]), total=len(events))

    def spend(self, query: SpendQuery) -> SpendReport:
        """Return what the records that are left say. Replicas of scaled workloads have none."""
        bursts, now_ms = self._burst_records(), self.now_ms()
        policies = self._objects(self._policies())
        if query.policy:
            names = (*(burst.policy_key for burst in bursts), *map(_key, policies))
            key = resolve(query.policy, names, what="was spent by policy", where="here")
            query = msgspec.structs.replace(query, policy=key)
        settled = [
            Spend(
                burst=burst.key,
                uid=burst.uid,
                policy=burst.policy_key,
                target=burst.spec.target,
                at_ms=burst.status.released_at_ms or burst.spec.decided_at_ms,
                micro_usd=burst.status.settled_micro_usd,
            )
            for burst in bursts
            if burst.status.settled_micro_usd is not None
        ]
        still_open = [
            OpenMoney(
                burst=burst.key,
                policy=burst.policy_key,
                target=burst.spec.target,
                reserved_micro_usd=burst.status.reserved_micro_usd or burst.spec.reserved_micro_usd,
                running_micro_usd=running_micro_usd(burst, now_ms),
            )
            for burst in bursts
            if burst.status.settled_micro_usd is None
        ]
        zones = {_key(one): zone_of(one) for one in policies}
        report = spend_report(
            settled,
            still_open,
            query,
            now_ms=now_ms,
            source=self.title,
            zone_of=lambda policy: zones.get(policy, "UTC"),
        )
        return msgspec.structs.replace(report, complete=False)

    def _key_of(self, name: str, bursts: list[Burst], policies: dict[str, Object]) -> str:
        known = [
            *policies,
            *(
                key
                for burst in bursts
                for key in (burst.key, burst.subject, f"{burst.namespace}/{burst.spec.pod_name}")
            ),
        ]
        try:
            return resolve(name, known, what="is known of", where="here")
        except NotFoundError:
            # a pod that nothing was ever decided about; of a bare name, one that waits
            pods = [_key(pod) for pod in self._objects(self._pods())]
            if "/" in name and self._pod(name) is not None:
                return name
            return resolve(name, (*known, *pods), what="is known of", where="here")

    def _policy(self, key: str, policy: Object, bursts: list[Burst]) -> PolicyAnswer:
        own = [burst for burst in bursts if burst.policy_key == key]
        return PolicyAnswer(
            about=key,
            bursts=len(own),
            settled_micro_usd=sum(burst.status.settled_micro_usd or 0 for burst in own),
            conditions=conditions_of(policy),
        )

    def _burst_records(self) -> list[Burst]:
        """Return the records that are as burster writes them; what somebody else has written counts nowhere."""
        found: list[Burst] = []
        for one in self._objects(self._bursts()):
            try:
                found.append(burst_from_object(one))
            except InputError:
                continue
        return sorted(found, key=lambda burst: (burst.spec.decided_at_ms, burst.key))

    def _pod(self, key: str) -> Object | None:
        namespace, _, name = key.partition("/")
        try:
            return self._kube.get(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}")
        except RemoteError as error:
            if error.kind in {"NotFound", "Invalid"}:
                return None
            raise self._refused(error) from error

    def _events(self, key: str) -> list[EventTold]:
        namespace, _, name = key.partition("/")
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/events"
        found = self._list(path, {"fieldSelector": f"involvedObject.name={name}"})
        return [event_told(one) for one in found if is_of_burster(one)]

    def _bursts(self) -> Followed:
        return Followed(path=self._path(_GROUP, "bursts"))

    def _policies(self) -> Followed:
        return Followed(path=self._path(_GROUP, "burstpolicies"))

    def _pods(self) -> Followed:
        return Followed(path=self._path("/api/v1", "pods"), params=_PENDING)

    def _path(self, group: str, plural: str) -> str:
        return (
            f"{group}/namespaces/{quote(self.namespace, safe='')}/{plural}" if self.namespace else f"{group}/{plural}"
        )

    def _objects(self, what: Followed) -> list[Object]:
        kept = None if self._mirror is None else self._mirror.objects(what)
        return self._list(what.path, dict(what.params)) if kept is None else kept

    def _list(self, path: str, params: dict[str, str]) -> list[Object]:
        try:
            return self._kube.list(path, params)
        except RemoteError as error:
            raise self._refused(error) from error

    def _refused(self, error: RemoteError) -> InputError:
        """Return one sentence for what stands in the way, and what to do."""
        if error.status == 403:  # noqa: PLR2004 - HTTP
            where = f"in namespace {self.namespace}" if self.namespace else "in all namespaces"
            cure = "the ClusterRole burster-view allows it" if self.namespace else "name one of yours with -n NAMESPACE"
            return InputError(f"you may not look at that {where} ({error}): {cure}")
        if error.kind == "NotFound":
            return InputError("this cluster has no Bursts: apply deploy/crds first, or choose another with --context")
        return not_asked(error)


def _key(obj: Object) -> str:
    metadata: Object = obj.get("metadata") or {}
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
