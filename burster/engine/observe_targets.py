"""The passive half, for targets: what they are, what they offer and may use, and what of it could not be read.

Called by ``step`` for each such fact. Notes it, and has everybody looked at again whom it could let go; decides nothing.
"""

from typing import Final

import msgspec

from burster.engine import statuses
from burster.engine.accounting import budgets
from burster.engine.bursts import storms
from burster.engine.observe_world import reopen_all
from burster.engine.offers import consequences, quotas
from burster.engine.offers.offer_index import join_offerings
from burster.engine.state import State, TargetEntry
from burster.model.stimuli import (
    OfferingsSeen,
    QuotaSeen,
    TargetChecked,
    TargetGone,
    TargetRefused,
    TargetSeen,
    TargetUnread,
)


#: For how long it is remembered what a target offered that is not there now.
_KEPT_MS: Final = 86_400_000


def target_seen(state: State, stimulus: TargetSeen) -> None:
    """Take a target in."""
    target = stimulus.target
    state.refused_targets.pop(target.name, None)
    statuses.remember(state, state.target_statuses, target.name, stimulus.told)
    entry = state.targets.get(target.name)
    if entry is None:
        scope = budgets.scope_of(state, "Target", target.name)
        entry = state.targets[target.name] = TargetEntry(target=target, scope=scope)
        early = state.early_offerings.pop(target.name, None)
        if early is not None:
            _take_offerings(state, entry, *early)
        rows = state.early_quotas.pop(target.name, None)
        if rows is not None:
            quotas.take(state, entry, rows)
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


def forget_old(state: State) -> None:
    """Drop what targets offered and might use that went a day ago and did not come back."""
    oldest_ms = state.now_ms - _KEPT_MS
    early = {name: one for name, one in state.early_offerings.items() if one[0] > oldest_ms}
    state.early_offerings = early
    state.early_quotas = {name: rows for name, rows in state.early_quotas.items() if name in early}


def _forget(state: State, name: str) -> None:
    entry = state.targets.pop(name, None)
    if entry is not None:
        budgets.rules_changed(state, "Target", name)
        if entry.read:
            usable_ms = None if entry.prices_until_ms is None else entry.prices_until_ms - state.now_ms
            seen = OfferingsSeen(
                target=name,
                offerings=entry.listed,
                prices_as_of=entry.prices_as_of,
                prices_usable_ms=usable_ms,
                prices_problem=entry.prices_problem,
            )
            state.early_offerings[name] = (state.now_ms, seen)
        state.early_problems[name] = entry.problems
        if entry.quotas_read_ms is not None:
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
    """Replace what a target offers, and what is known of its prices."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_offerings[stimulus.target] = (state.now_ms, stimulus)
        return
    _take_offerings(state, target, state.now_ms, stimulus)


def _take_offerings(state: State, target: TargetEntry, heard_ms: int, stimulus: OfferingsSeen) -> None:
    target.read = True
    target.unread.pop("offerings", None)
    target.unread.pop("prices", None)
    if stimulus.prices_problem:
        target.unread["prices"] = stimulus.prices_problem
    too_old = target.prices_until_ms is not None and target.prices_until_ms <= state.now_ms
    target.prices_as_of, target.prices_problem = stimulus.prices_as_of, stimulus.prices_problem
    usable_ms = stimulus.prices_usable_ms
    target.prices_until_ms = None if usable_ms is None else heard_ms + usable_ms
    if target.prices_until_ms is not None:
        state.at(max(state.now_ms, target.prices_until_ms), "status", target.target.name)
    if target.listed != stimulus.offerings or too_old:
        target.listed = stimulus.offerings
        target.offerings = join_offerings(target.target, target.listed)
        quotas.recount(state, {target.target.name})  # a size's family is known by its offerings
        reopen_all(state)


def quota_seen(state: State, stimulus: QuotaSeen) -> None:
    """Replace what is known of a target's quota."""
    target = state.targets.get(stimulus.target)
    if target is None:
        state.early_quotas[stimulus.target] = stimulus.rows
        return
    target.unread.pop("quota", None)
    before = (target.quotas, target.launched, target.quotas_read_ms is None)
    quotas.take(state, target, stimulus.rows)
    if (target.quotas, target.launched, False) != before:
        reopen_all(state)
