"""Lint of triggers: what always fires, never fires, feeds itself, or sends a secret in the open."""

import re
from collections.abc import Iterator
from typing import Final

from burster.model.policies import Policy
from burster.model.triggers import (
    CronTrigger,
    HttpAccess,
    KubernetesWorkloadTrigger,
    MetricsApiTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    ResourceTrigger,
    Trigger,
)
from burster.model.windows import Window
from burster.policy.fields.amounts import MILLI
from burster.policy.lint.base import Hit, Known, PolicyRule, trigger_path
from burster.policy.lint.promql import Selector, excludes_bursts, literal_of, reads_nothing, selectors_of
from burster.policy.lint.timing import always_open


#: what the names of replicas and of clones end in
_REPLICA: Final = "-5d4f8c7b9-x2x4q"
_CLONE_END: Final = "-0a1b2c3d"
_PLAIN_NUMBER: Final = re.compile(r"\s*(?:vector\s*\(|scalar\s*\()?\s*([0-9]+(?:\.[0-9]+)?)\s*\)?\s*")


def _always_active(policy: Policy, _known: Known) -> Iterator[Hit]:
    for index, trigger in enumerate(policy.triggers):
        if isinstance(trigger, PrometheusTrigger) and reads_nothing(trigger.query):
            yield Hit(
                trigger_path(index, "metadata", "query"),
                f"the query of trigger {trigger.name} reads no metric, so its value is {_constant(trigger)}",
                "name the metric that tells of demand; for replicas that are always there use minReplicaCount",
            )


def _constant(trigger: PrometheusTrigger) -> str:
    plain = _PLAIN_NUMBER.fullmatch(trigger.query)
    if plain is None:
        return "the same whatever happens: it always fires, or it never does"
    if float(plain[1]) * MILLI > trigger.activation_milli:
        return f"always {plain[1]}: it asks for replicas without any demand, and never stops"
    return f"always {plain[1]}, and it is active only above {_milli(trigger.activation_milli)}: it never fires"


def _activation(policy: Policy, _known: Known) -> Iterator[Hit]:
    most = policy.scaling.max_replicas
    for index, trigger in enumerate(policy.triggers):
        if isinstance(trigger, CronTrigger | ResourceTrigger) or not policy.numeric:
            continue
        if trigger.activation_milli >= trigger.threshold_milli * most:
            yield Hit(
                trigger_path(index, "metadata"),
                f"trigger {trigger.name} becomes active only above {_milli(trigger.activation_milli)}, where"
                f" {_milli(trigger.threshold_milli)} per replica already asks for all {most}: it never fires, or all at once",
                "lower the activation, or raise the threshold or maxReplicaCount",
            )


def _cron(policy: Policy, known: Known) -> Iterator[Hit]:
    for index, trigger in enumerate(policy.triggers):
        if not isinstance(trigger, CronTrigger):
            continue
        if always_open(Window(timezone=trigger.timezone, start=trigger.start, end=trigger.end), known.at_ms):
            yield Hit(
                trigger_path(index, "metadata", "start"),
                f"trigger {trigger.name} is always active: whenever it starts it has just ended, and by KEDA's rule that is no end",
                "let it end at another time than it starts; for replicas that are always there use minReplicaCount",
            )
        if trigger.desired_replicas <= 0:
            yield Hit(
                trigger_path(index, "metadata", "desiredReplicas"),
                f"trigger {trigger.name} wants 0 replicas: it decides nothing",
                "set desiredReplicas to 1 or more, or remove the trigger",
            )


def _feeds_itself(policy: Policy, _known: Known) -> Iterator[Hit]:
    if policy.placement.strategy in {"Move", "Machine"}:
        return
    for index, trigger in enumerate(policy.triggers):
        if isinstance(trigger, PrometheusTrigger) and not excludes_bursts(trigger.query):
            yield from _query_feeds(policy, index, trigger)
        if isinstance(trigger, KubernetesWorkloadTrigger):
            yield from _selector_feeds(policy, index, trigger)


def _query_feeds(policy: Policy, index: int, trigger: PrometheusTrigger) -> Iterator[Hit]:
    for selector in selectors_of(trigger.query):
        counted = next((name for name in _own_names(policy, selector) if selector.counts(name, policy.namespace)), "")
        if counted:
            whom = "clones" if _clones(policy) else "the replicas it asks for"
            yield Hit(
                trigger_path(index, "metadata", "query"),
                f"{selector.metric} counts {whom} too (a name like {counted} passes its selector): each one started is a"
                " reason for the next",
                'narrow it by pod=~"NAME.*" to the names of the on-prem pods (a pattern is anchored; clones start with'
                " burst-)",
            )
            return


def _own_names(policy: Policy, selector: Selector) -> Iterator[str]:
    """Yield names that pods started by this policy may have, near to what the query's author had in mind."""
    target = policy.scaling.target
    if not _clones(policy):
        yield f"{target.name if target else 'cloud'}{_REPLICA}"
        return
    workload = policy.workload
    guesses = [literal_of(workload.name_pattern), literal_of(workload.pod_name_pattern), target.name if target else ""]
    guesses += [literal_of(matcher.value) for matcher in selector.of("pod")]
    for guess in [*dict.fromkeys(one for one in guesses if one), "web"]:
        yield f"burst-{guess}{_REPLICA}{_CLONE_END}"


def _clones(policy: Policy) -> bool:
    return policy.placement.strategy in {"Clone", "Auto"}


def _selector_feeds(policy: Policy, index: int, trigger: KubernetesWorkloadTrigger) -> Iterator[Hit]:
    if _clones(policy) and not excludes_bursts(trigger.pod_selector):
        yield Hit(
            trigger_path(index, "metadata", "podSelector"),
            f"clones carry their workload's labels, so {trigger.pod_selector!r} may count them: each one started is a reason"
            " for the next",
            "add !burster.dev/burst to podSelector",
        )


def _measures_itself(policy: Policy, _known: Known) -> Iterator[Hit]:
    target = policy.scaling.target
    for index, trigger in enumerate(policy.triggers):
        if isinstance(trigger, ResourceTrigger) and target is not None and trigger.source == target:
            yield Hit(
                trigger_path(index, "sourceRef"),
                f"{trigger.source.kind} {trigger.source.name} is both what is measured and what is scaled: at 0 replicas there"
                " is nothing to measure, and the on-prem load decides nothing",
                "name the on-prem workload in sourceRef",
            )


def _metrics_unused(policy: Policy, _known: Known) -> Iterator[Hit]:
    if policy.placement.strategy != "Move":
        return
    for index, trigger in enumerate(policy.triggers):
        if not isinstance(trigger, PendingPodsTrigger) and "metrics" not in policy.when:
            yield Hit(
                trigger_path(index),
                f"with Move the value of trigger {trigger.name} decides nothing: Move takes pending pods",
                f"use it in when (metrics[{trigger.name!r}]), or remove it",
            )


def _access(trigger: Trigger) -> tuple[str, str, HttpAccess] | None:
    """Return a trigger's address, the field it stands in, and how it is reached."""
    if isinstance(trigger, PrometheusTrigger):
        return trigger.server_address, "serverAddress", trigger.access
    if isinstance(trigger, MetricsApiTrigger):
        return trigger.url, "url", trigger.access
    return None


def _unsafe_ssl(policy: Policy, _known: Known) -> Iterator[Hit]:
    for index, trigger in enumerate(policy.triggers):
        access = _access(trigger)
        if access is not None and access[2].unsafe_ssl:
            yield Hit(
                trigger_path(index, "metadata", "unsafeSsl"),
                "nobody checks who answers: whoever sits between can start VMs at your cost",
                "give the CA in a TriggerAuthentication (parameter ca, authModes tls) instead",
            )


def _plain_http(policy: Policy, _known: Known) -> Iterator[Hit]:
    for index, trigger in enumerate(policy.triggers):
        access = _access(trigger)
        if access is None or not access[0].lower().startswith("http://"):
            continue
        modes = [mode for mode in access[2].auth_modes if mode != "tls"]
        if modes or access[2].auth is not None:
            yield Hit(
                trigger_path(index, "metadata", access[1]),
                f"credentials ({', '.join(modes) or 'authenticationRef'}) go over plain http, readable on the way",
                "use https",
            )


def _min_count(policy: Policy, _known: Known) -> Iterator[Hit]:
    trigger, most = policy.pending, policy.limits.max_bursts
    if trigger is not None and most is not None and 0 < most < trigger.min_count:
        yield Hit(
            trigger_path(policy.triggers.index(trigger), "metadata", "minCount"),
            f"{trigger.min_count} pods must be pending before any counts, but at most {most} may go: what is left is then too"
            " few to count",
            "set minCount to maxBursts or below",
        )


def _milli(value: int) -> str:
    return f"{value / 1000:g}"


RULES: Final = (
    PolicyRule(
        "always-active", "a query that reads no metric, so that its trigger always fires, or never", _always_active
    ),
    PolicyRule("activation-unreachable", "an activation above what the maximum needs", _activation),
    PolicyRule("cron-without-effect", "a cron trigger that is active always, or for nothing", _cron),
    PolicyRule("feeds-itself", "a query or selector that counts the pods it causes", _feeds_itself),
    PolicyRule("measures-itself", "cpu or memory of the very workload that is scaled", _measures_itself),
    PolicyRule("metrics-unused", "triggers whose values Move does not use", _metrics_unused),
    PolicyRule("unsafe-ssl", "an endpoint whose certificate nobody checks", _unsafe_ssl),
    PolicyRule("plain-http", "credentials sent over plain http", _plain_http),
    PolicyRule("min-count-above-limit", "more pending pods asked for than may go", _min_count),
)
