"""Lint of time: windows that never open, conditions that say nothing, waits and leases that fight the start of a VM."""

from collections.abc import Iterator
from typing import Final

from burster.model.policies import Policy
from burster.model.quantities import MILLIS_PER_SECOND, format_duration_ms
from burster.model.triggers import PendingPodsTrigger, PrometheusTrigger
from burster.model.windows import Window
from burster.policy.conditions import ConditionError, compile_condition
from burster.policy.lint.base import LIMITS, PLACEMENT, SPEC, Hit, Known, PolicyRule, trigger_path
from burster.policy.windows import is_open, next_change_ms


#: a confidential VM takes this long from its order to a pod that runs, on a good day
_START_MS: Final = 120_000
_POLLING_MIN_MS: Final = 5_000


def constant(text: str) -> bool | None:
    """Return what a condition without variables always is; None where it depends on something."""
    if not text:
        return None
    try:
        condition = compile_condition(text)
    except ConditionError:
        return None
    answer = None if condition.mentions else condition.holds({})
    return answer if isinstance(answer, bool) else None


def _never_open(policy: Policy, known: Known) -> Iterator[Hit]:
    if policy.windows and not any(_opens(window, known.at_ms) for window in policy.windows):
        yield Hit(
            (*SPEC, "windows"),
            "none of these windows is open now or ever will be: the policy never starts anything",
            "check firstDay and lastDay, and that the days between have such times",
        )
    for index, window in enumerate(policy.blackouts):
        if always_open(window, known.at_ms):
            yield Hit(
                (*SPEC, "blackouts", index),
                "this blackout never ends: the policy never starts anything",
                "give it from and to, or firstDay and lastDay",
            )


def _always_open(policy: Policy, known: Known) -> Iterator[Hit]:
    for index, window in enumerate(policy.windows):
        if always_open(window, known.at_ms):
            yield Hit(
                (*SPEC, "windows", index),
                "this window is open now and always will be: the policy is always in force",
                "remove it, or say when it ends",
            )


def _opens(window: Window, at_ms: int) -> bool:
    return is_open(window, at_ms) or next_change_ms(window, at_ms) is not None


def always_open(window: Window, at_ms: int) -> bool:
    """Whether a window is open now and never closes, as far as is looked (some hundred times of its start or end)."""
    change_ms = next_change_ms(window, at_ms)
    return is_open(window, at_ms) and (change_ms is None or is_open(window, change_ms))


def _past_blackout(policy: Policy, known: Known) -> Iterator[Hit]:
    for index, window in enumerate(policy.blackouts):
        if not _opens(window, known.at_ms):
            yield Hit(
                (*SPEC, "blackouts", index),
                "this blackout is over and never comes again",
                "remove it, or move its days",
            )


def _when_never(policy: Policy, _known: Known) -> Iterator[Hit]:
    if constant(policy.when) is False:
        yield Hit(
            (*SPEC, "when"),
            f"{policy.when!r} is never true: the policy never starts anything",
            "let it depend on pending, onprem, cloud, metrics, budget, now or pod, or remove it",
        )


def _when_always(policy: Policy, _known: Known) -> Iterator[Hit]:
    if constant(policy.when) is True:
        budget = policy.limits.budget
        free = budget.per_hour_micro_usd is budget.per_day_micro_usd is budget.per_month_micro_usd is None
        yield Hit(
            (*SPEC, "when"),
            f"{policy.when!r} is always true: it holds nothing back"
            + (", and there is no budget either" if free else ""),
            "remove it, or let it depend on pending, onprem, cloud, metrics, budget, now or pod",
        )


def _cooldown(policy: Policy, _known: Known) -> Iterator[Hit]:
    cooldown_ms = policy.scaling.cooldown_ms
    if policy.placement.strategy != "Move" and cooldown_ms < _START_MS:
        yield Hit(
            (*SPEC, "cooldownPeriod"),
            f"a cooldown of {format_duration_ms(cooldown_ms)} is shorter than a confidential VM takes to start (about"
            f" {format_duration_ms(_START_MS)}): a short lull costs a VM and buys the next one",
            f"set cooldownPeriod to {_START_MS // MILLIS_PER_SECOND} or more",
        )


def _lease(policy: Policy, known: Known) -> Iterator[Hit]:
    lease_ms = policy.placement.lease_ms
    for target in known.named(policy):
        if lease_ms < target.ready_deadline_ms:
            yield Hit(
                (*PLACEMENT, "lease"),
                f"a lease of {format_duration_ms(lease_ms)} is shorter than a pod may take to get ready at target"
                f" {target.name} ({format_duration_ms(target.ready_deadline_ms)}): it is renewed before it has worked",
                "lengthen the lease: its money is only set aside, not spent",
            )


def _pending_for_zero(policy: Policy, _known: Known) -> Iterator[Hit]:
    trigger = policy.pending
    if trigger is None or policy.pending_for_ms > 0 or policy.wait.mode == "BuyOrWait":
        return
    index = policy.triggers.index(trigger)
    at_once = policy.wait.mode == "AtOnce" and trigger.pending_for_ms > 0
    path = (*SPEC, "wait", "mode") if at_once else trigger_path(index, "metadata", "pendingFor")
    said = "wait.mode AtOnce" if at_once else "pendingFor 0"
    advice = (
        "take wait.mode PendingFor, by which the trigger's pendingFor counts"
        if at_once
        else "set pendingFor to 30s or more"
    )
    if policy.placement.strategy in {"Move", "Auto"}:
        yield Hit(
            path,
            f"with {said} a pod is taken off the on-prem queue the moment the scheduler has failed once, though a node may"
            " be free a second later, and what has moved stays until it ends",
            advice,
        )
    else:
        yield Hit(
            path,
            f"with {said} every roll-out and every restart of a node buys VMs",
            advice,
        )


def _polling(policy: Policy, _known: Known) -> Iterator[Hit]:
    polling_ms = policy.scaling.polling_ms
    polled = [one for one in policy.triggers if not isinstance(one, PendingPodsTrigger)]
    if polled and polling_ms < _POLLING_MIN_MS:
        source = (
            "Prometheus scrapes less often" if isinstance(polled[0], PrometheusTrigger) else "sources change less often"
        )
        yield Hit(
            (*SPEC, "pollingInterval"),
            f"asking every {format_duration_ms(polling_ms)} is load without news: {source}",
            "set pollingInterval to 5 or more; 30 is the default",
        )


def _wait(policy: Policy, _known: Known) -> Iterator[Hit]:
    wait = policy.wait
    if wait.mode != "BuyOrWait":
        return
    if wait.value_micro_usd_per_hour == 0:
        yield Hit(
            (*SPEC, "wait", "valuePerHour"),
            "without valuePerHour waiting costs nothing, so each pod waits until maxWait"
            f" ({format_duration_ms(wait.max_wait_ms)}) is over",
            "say what an hour of a pod's waiting costs its owner",
        )
    if wait.max_wait_ms < policy.pending_for_ms:
        yield Hit(
            (*SPEC, "wait", "maxWait"),
            f"maxWait {format_duration_ms(wait.max_wait_ms)} is over before pendingFor"
            f" {format_duration_ms(policy.pending_for_ms)}: it decides nothing",
            "set maxWait above pendingFor",
        )


def _launch_rate(policy: Policy, _known: Known) -> Iterator[Hit]:
    rate, most = policy.limits.launch_rate, policy.limits.max_bursts
    if rate is not None and most is not None and rate.count > most:
        yield Hit(
            (*LIMITS, "launchRate", "count"),
            f"{rate.count} launches per {format_duration_ms(rate.per_ms)} hold nothing back: maxBursts is {most}",
            "lower it, or leave launchRate out",
        )


RULES: Final = (
    PolicyRule("never-open", "windows that never open, or a blackout that never ends", _never_open),
    PolicyRule("window-without-effect", "a window that is always open", _always_open),
    PolicyRule("past-blackout", "a blackout that is over for good", _past_blackout),
    PolicyRule("when-never", "a condition that is constantly false", _when_never),
    PolicyRule("when-always", "a condition that is constantly true", _when_always),
    PolicyRule("cooldown-below-start", "a cooldown shorter than the start of a VM", _cooldown),
    PolicyRule("lease-below-start", "a lease shorter than a pod may take to get ready", _lease),
    PolicyRule("no-pending-for", "pods that count the moment they are unschedulable", _pending_for_zero),
    PolicyRule("polling-too-fast", "metrics polled more often than every 5 s", _polling),
    PolicyRule("wait-without-effect", "a buy-or-wait whose numbers decide nothing", _wait),
    PolicyRule("launch-rate-without-effect", "a launch rate above maxBursts", _launch_rate),
)
