"""The passive half, for targets: what they are, what they offer and may use, and what of it could not be read.

Called by ``step`` for each such fact. Notes it, and has everybody looked at again whom it could let go; decides nothing.
"""

from typing import Final

import msgspec

from burster.engine import statuses
from burster.engine.accounting import budgets
from burster.engine.bursts import lifecycle_actions as actions
from burster.engine.bursts import storms
from burster.engine.bursts.lifecycle import ACTIVE
from burster.engine.observe_world import reopen_all
from burster.engine.offers import consequences
from burster.engine.offers.offer_index import join_offerings, quota_keys
from burster.engine.state import State, TargetEntry
from burster.model.offerings import Quota
from burster.model.stimuli import (
    OfferingsSeen,
    QuotaSeen,
    TargetChecked,
    TargetGone,
    TargetRefused,
    TargetSeen,
    TargetUnread,
)


#: How long after its placing a pod's VM may not be counted in the cloud's usage yet.
_COUNTED_AFTER_MS: Final = 60_000


def target_seen(state: State, stimulus: TargetSeen) -> None:
    """Take a target in."""
    target = stimulus.target
    state.refused_targets.pop(target.name, None)
    statuses.remember(state, state.target_statuses, target.name, stimulus.told)
    entry = state.targets.get(target.name)
    if entry is None:
        scope = budgets.scope_of(state, "Target", target.name)
        entry = state.targets[target.name] = TargetEntry(target=target, scope=scope)
        if target.name in state.early_offerings:
            entry.listed, entry.read = state.early_offerings.pop(target.name), True
        _take_quotas(state, entry, state.early_quotas.pop(target.name, ()))
        entry.problems = state.early_problems.pop(target.name, ())
    else:
        if target.generation != entry.target.generation:
            # Whoever edits a target has looked at it: that is what the breaker waits for.
            entry.tripped = None
            consequences.checked_anew(entry)
            storms.reset_target(state, target.name)
        entry.target = target
    budgets.rules_changed(state, "Target", target.name)
    entry.offerings = join_offerings(target, entry.listed)
    reopen_all(state)


def target_refused(state: State, stimulus: TargetRefused) -> None:
    """Remember why a target can't be used; for all else it is gone."""
    _forget(state, stimulus.name)
    statuses.remember(state, state.target_statuses, stimulus.name, stimulus.told)
    state.refused_targets[stimulus.name] = msgspec.structs.replace(stimulus, told={})


def target_gone(state: State, stimulus: TargetGone) -> None:
    """Start nothing more at a target that is gone; what runs there keeps its lease and comes home by itself."""
    state.refused_targets.pop(stimulus.name, None)
    _forget(state, stimulus.name)
    state.early_problems.pop(stimulus.name, None)


def _forget(state: State, name: str) -> None:
    entry = state.targets.pop(name, None)
    if entry is not None:
        budgets.rules_changed(state, "Target", name)
        state.early_offerings[name] = entry.listed
        state.early_problems[name] = entry.problems
        state.early_quotas[name] = tuple(entry.quotas.values())


def target_unread(state: State, stimulus: TargetUnread) -> None:
    """Note that a fact about a target could not be read: for people only, as what was read before counts on."""
    target = state.targets.get(stimulus.target)
    if target is not None:
        target.unread[stimulus.fact] = stimulus.message


def target_checked(state: State, stimulus: TargetChecked) -> None:
    """Replace what is wrong at a target: nothing new starts there while any of it blocks."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_problems[stimulus.target] = stimulus.problems
        return
    sound = not any(problem.blocks for problem in stimulus.problems) and consequences.checked_anew(target)
    if sound or target.problems != stimulus.problems:
        target.problems = stimulus.problems
        reopen_all(state)


def offerings_seen(state: State, stimulus: OfferingsSeen) -> None:
    """Replace what a target offers."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_offerings[stimulus.target] = stimulus.offerings
        return
    target.read = True
    target.unread.pop("offerings", None)
    target.unread.pop("prices", None)
    if target.listed != stimulus.offerings:
        target.listed = stimulus.offerings
        target.offerings = join_offerings(target.target, target.listed)
        reopen_all(state)


def quota_seen(state: State, stimulus: QuotaSeen) -> None:
    """Replace what is known of a target's quota."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_quotas[stimulus.target] = stimulus.rows
        return
    target.unread.pop("quota", None)
    before = (target.quotas, target.launched)
    _take_quotas(state, target, stimulus.rows)
    if (target.quotas, target.launched) != before:
        reopen_all(state)


def _take_quotas(state: State, target: TargetEntry, rows: tuple[Quota, ...]) -> None:
    """Replace the rows; what burster launched and they can't count yet is counted on top."""
    target.quotas = {quota_keys(row.region or target.target.region, row.family)[0]: row for row in rows}
    target.launched = {}
    for burst in state.bursts.values():
        burst_spec, status = burst.burst.spec, burst.burst.status
        if burst_spec.target != target.target.name or status.phase not in ACTIVE:
            continue
        burst.launch_counted = False
        young = status.placed_at_ms is None or state.now_ms < status.placed_at_ms + _COUNTED_AFTER_MS
        if status.phase in {"Reserved", "Placing", "Provisioning"} and young and not burst.vms:
            actions.count_launch(state, burst, launched=True)
