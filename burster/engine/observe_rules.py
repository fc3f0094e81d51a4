"""The passive half, for rules: versions of policies that are refused, namespaces and their labels, Trustees that answer or not.

Called by ``step`` for each such fact. Notes it, and has looked again who may be concerned; decides nothing.
"""

import msgspec

from burster.engine import statuses
from burster.engine.releasing import leaving
from burster.engine.state import State
from burster.model.stimuli import NamespaceGone, NamespaceSeen, PolicyRefused, TrusteeHealth


def policy_refused(state: State, stimulus: PolicyRefused) -> None:
    """Remember that a policy's latest version is not valid; what runs by an earlier one is kept, what waits is told."""
    statuses.remember(state, state.policy_statuses, stimulus.key, stimulus.told)
    stimulus = msgspec.structs.replace(stimulus, told={})
    if state.refused.get(stimulus.key) == stimulus:
        return
    state.refused[stimulus.key] = stimulus
    if stimulus.deleting:
        leaving.heard(state, stimulus.key, stimulus.uid, guarded=stimulus.guarded)
    else:
        state.leaving.pop(stimulus.key, None)
    _reopen(state, stimulus.key)


def policy_accepted(state: State, key: str) -> None:
    """Forget that a policy was refused: a valid version was seen, or it is gone."""
    if state.refused.pop(key, None) is not None:
        _reopen(state, key)


def namespace_seen(state: State, stimulus: NamespaceSeen) -> None:
    """Take a namespace's labels in."""
    if state.namespaces.get(stimulus.name) != stimulus.labels:
        state.namespaces[stimulus.name] = stimulus.labels
        _reopen_namespace(state, stimulus.name)


def namespace_gone(state: State, stimulus: NamespaceGone) -> None:
    """Forget a namespace: one of that name that comes later has to show its own labels."""
    if state.namespaces.pop(stimulus.name, None) is not None:
        _reopen_namespace(state, stimulus.name)


def trustee_health(state: State, stimulus: TrusteeHealth) -> None:
    """Note whether a target's Trustee answers."""
    trouble = None if stimulus.healthy else stimulus.message or "no reason was given."
    if state.trustees_down.get(stimulus.target) == trouble:
        return
    if trouble is None:
        del state.trustees_down[stimulus.target]
    else:
        state.trustees_down[stimulus.target] = trouble
    for key in sorted(state.policies):
        if stimulus.target in state.policies[key].policy.placement.targets:
            _reopen(state, key)


def _reopen(state: State, key: str) -> None:
    entry = state.policies.get(key)
    if entry is not None:
        entry.reopened = True


def _reopen_namespace(state: State, namespace: str) -> None:
    for key in sorted(state.policies):
        if state.policies[key].policy.namespace == namespace:
            state.policies[key].reopened = True
