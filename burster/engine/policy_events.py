"""Kubernetes events on policies: what people find in ``kubectl describe burstpolicy``.

Called by ``step`` at its end (what was decided in it), by ``policy_status`` (a condition has turned) and by the rooms to which something
happens that is no decision. One event for each kind of thing in a step, however many pods it is about; the adaptor joins what repeats.
Nothing is read back from here.
"""

from typing import Final

from burster.engine.state import State
from burster.model.decisions import Decision
from burster.model.instructions import Condition, EmitEvent


#: Condition -> (event when it turns true, event when it turns false); the names are formed as KEDA's are
_TURNS: Final = {
    "Ready": ("PolicyReady", "PolicyNotReady"),
    "Accepted": ("PolicyAccepted", "PolicyRefused"),
    "Fallback": ("FallbackActivated", "FallbackDeactivated"),
    "Paused": ("PolicyPaused", "PolicyUnpaused"),
}
#: Which of the two is bad news: it is told also of a policy that is seen for the first time.
_BAD: Final = {"Accepted": "False", "Ready": "False", "Fallback": "True", "Paused": "True"}
#: Why a policy is not ready that another event says already
_TOLD_OTHERWISE: Final = frozenset({"Invalid", "TooManyPolicies", "PolicyLeaving", "BreakerOpen"})
_MONEY: Final = ("Budget", "BudgetStop", "BudgetDrain", "RenewalsFirst", "BudgetHeldOff")
#: What no waiting mends and only people can: the pod's owner sees no burst, and would not know why
_STANDING: Final = frozenset({"MoveNeedsWebhook", "CloneWouldRunTwice"})
_MESSAGE_MAX: Final = 1_000


def tell_policy(state: State, key: str, uid: str, reason: str, message: str, *, warning: bool = False) -> None:
    """Write an event on a policy. ``uid``: of its object; without one it is in no API server and nothing is written."""
    if not uid:
        return
    namespace, _, name = key.partition("/")
    state.instructions.append(
        EmitEvent(
            key=f"event/BurstPolicy/{key}/{reason}/{state.now_ms}",
            namespace=namespace,
            kind="BurstPolicy",
            name=name,
            uid=uid,
            severity="Warning" if warning else "Normal",
            reason=reason,
            message=message[:_MESSAGE_MAX],
        )
    )


def tell_turn(state: State, key: str, uid: str, before: str | None, now: Condition) -> None:
    """Write that a condition has turned; ``before`` is its former status, None for a policy that is seen for the first time."""
    if now.type not in _TURNS or before == now.status or (before is None and now.status != _BAD[now.type]):
        return
    turned = _TURNS[now.type][now.status != "True"]
    if now.type == "Ready" and now.reason in _TOLD_OTHERWISE:
        return
    breaker = now.reason == "BreakerOpen"
    tell_policy(
        state,
        key,
        uid,
        "BreakerOpened" if breaker else turned,
        now.message,
        warning=breaker or (now.status == _BAD[now.type] and now.type != "Paused"),
    )


def tell_decided(state: State) -> None:
    """Write what was decided in this step: bursts that started, numbers that changed, and what money or the policy's strategy refused."""
    starts: dict[str, list[Decision]] = {}
    told: dict[tuple[str, str], Decision] = {}
    for decision in state.decisions:
        if decision.verdict == "Burst":
            starts.setdefault(decision.policy, []).append(decision)
        elif decision.verdict == "Scale" or (decision.verdict in {"Deny", "Wait"} and _is_told(decision)):
            told.setdefault((decision.policy, decision.reasons[0].code), decision)
    for key, decisions in starts.items():
        first = decisions[0]
        others = f" and {len(decisions) - 1} more" if len(decisions) > 1 else ""
        _tell(state, key, "BurstsStarted", f"{first.burst.partition('/')[2]} for {first.subject}{others}.")
    for (key, code), decision in told.items():
        message = " ".join(reason.sentence for reason in decision.reasons[:3])
        if decision.verdict == "Scale":
            changed = any(reason.code in {"ReplicasChanged", "PolicyGone"} for reason in decision.reasons)
            _tell(state, key, "ScaleTargetScaled" if changed else code, message, warning=not changed)
        else:
            _tell(state, key, "BurstRefused", f"{decision.subject}: {message}", warning=True)


def _is_told(refusal: Decision) -> bool:
    code = refusal.reasons[0].code
    return code in _STANDING or code.endswith(_MONEY)


def _tell(state: State, key: str, reason: str, message: str, *, warning: bool = False) -> None:
    policy = state.policies.get(key)
    if policy is not None:
        tell_policy(state, key, policy.policy.uid, reason, message, warning=warning)
