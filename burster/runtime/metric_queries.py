"""Which queries the policies' triggers come to: each distinct question once, with everybody who asks it, and from where it may be read.

Kept by ``burster.runtime.metric_poller`` out of the rules on their way to the engine. Two triggers ask the same where endpoint, query and
credentials are the same; names, thresholds and what no result means are each asker's own. It must never do I/O or know what time it is.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from burster.model.policies import Policy
from burster.model.targets import Target
from burster.model.triggers import (
    CronTrigger,
    ExternalTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    Trigger,
)
from burster.policy.endpoints import endpoint_allowed, endpoint_of
from burster.sources.metrics import ReadTrigger


#: What Kubernetes itself is asked for, as a server among the others.
KUBERNETES: Final = "kubernetes"
#: More distinct queries than a cluster's policies can sensibly come to, and than one namespace may put upon the others.
QUERIES_MAX: Final = 5_000
QUERIES_PER_NAMESPACE_MAX: Final = 200


class Asker(NamedTuple):
    """A trigger of a policy."""

    policy: str
    trigger: str


class Terms(NamedTuple):
    """How an asker wants it. Terms of a trigger that was changed in anything are others: to the engine it was never read."""

    trigger: Trigger
    polling_ms: int
    sync_ms: (
        int | None
    )  #: how often its number is made anew while there is any; None: that is made of the latest poll's value
    null_is_zero: bool


class Query:
    """One question. ``server`` is whom it goes to: an endpoint, or KUBERNETES."""

    __slots__ = ("askers", "key", "namespace", "server", "trigger")

    def __init__(self, key: bytes, namespace: str, trigger: ReadTrigger, server: str) -> None:
        self.key = key
        self.namespace = namespace
        self.trigger = trigger
        self.server = server
        self.askers: dict[Asker, Terms] = {}


def read_triggers(policy: Policy) -> Iterable[ReadTrigger]:
    """Yield the triggers of a policy that are read: not pending pods, not cron, and no number that others push."""
    for trigger in policy.triggers:
        if isinstance(trigger, PendingPodsTrigger | CronTrigger):
            continue
        if isinstance(trigger, ExternalTrigger) and (trigger.scaler_address or not trigger.metric_name):
            continue
        yield trigger


def terms_of(policy: Policy, trigger: Trigger) -> Terms:
    """Return how a policy wants a trigger's value."""
    scaling = policy.scaling
    cached = trigger.use_cached_metrics or not policy.numeric
    return Terms(
        trigger=trigger,
        polling_ms=scaling.polling_ms,
        sync_ms=None if cached else min(scaling.sync_ms, scaling.polling_ms),
        null_is_zero=isinstance(trigger, PrometheusTrigger) and trigger.ignore_null_values,
    )


def query_of(namespace: str, trigger: ReadTrigger) -> Query:
    """Return the question that a trigger asks, without anybody who asks it."""
    url = address_of(trigger)
    asked = msgspec.structs.replace(
        trigger, name="", metric_type="AverageValue", threshold_milli=0, activation_milli=0, use_cached_metrics=False
    )
    if isinstance(asked, PrometheusTrigger):
        asked = msgspec.structs.replace(asked, ignore_null_values=True)
    # credentials of a namespace are that namespace's; without any, and with the cluster's own, all ask alike
    auth = trigger.access.auth if isinstance(trigger, PrometheusTrigger | MetricsApiTrigger) else None
    own = not url or (auth is not None and auth.kind == "TriggerAuthentication")
    key = msgspec.json.encode((namespace if own else "", asked), order="deterministic")
    return Query(key, namespace, trigger, endpoint_of(url) if url else KUBERNETES)


def address_of(trigger: Trigger) -> str:
    """Return where a trigger is read over HTTP; empty for what Kubernetes itself is asked."""
    match trigger:
        case PrometheusTrigger(server_address=address) | MetricsApiTrigger(url=address):
            return address
        case _:
            return ""


class Permissions:
    """From where the policies' metrics may be read: what the targets say that admit their namespaces."""

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.namespaces: dict[str, dict[str, str]] = {}  #: labels of each

    def may_read(self, policy: Policy, url: str) -> bool | None:
        """Say whether an address may be read for a policy; None: not enough is known yet.

        It may where one of the policy's targets lists the endpoint *and* lets the policy's namespace burst there: an allow-list is no
        licence for namespaces that have no business at the target.
        """
        labels = self.namespaces.get(policy.namespace)
        known = [self.targets[name] for name in policy.placement.targets if name in self.targets]
        if labels is None or not known:
            return None
        return any(
            endpoint_allowed(url, target.allowed_metric_endpoints)
            and not {"*", policy.namespace}.isdisjoint(target.allowed_namespaces)
            and target.required_namespace_labels.items() <= labels.items()
            for target in known
        )
