"""What was expected against what was decided: each difference as one sentence. Called by ``run``."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from burster.engine import ACTIVE, State
from burster.engine.accounting.budgets import scope_of
from burster.model.bursts import Burst
from burster.model.decisions import Decision
from burster.model.policies import Policy
from burster.model.quantities import format_micro_usd, parse_micro_usd
from burster.simulator.cases.schema import Expectation


_COMING_HOME: Final = frozenset({"Draining", "Releasing", "Failed", "Lost"})
_SHOWN_MAX: Final = 3


@dataclass(slots=True)
class Seen:
    """What the engine has said so far in one case."""

    decisions: list[Decision] = field(default_factory=list[Decision])
    by_subject: dict[str, Decision] = field(default_factory=dict[str, Decision])
    #: a policy's own latest decision of each verdict: what it warned of is not wiped out by what it set
    by_policy: dict[str, dict[str, Decision]] = field(default_factory=dict[str, "dict[str, Decision]"])
    bursts: dict[str, Burst] = field(default_factory=dict[str, Burst])
    replicas: dict[str, int] = field(default_factory=dict[str, int])
    groups: dict[str, dict[str, None]] = field(default_factory=dict[str, "dict[str, None]"])

    def begin_step(self) -> None:
        """Forget what policies said as a whole: in each step only what is said in it counts."""
        self.by_policy.clear()

    def note(self, decisions: tuple[Decision, ...]) -> None:
        """Take in what one step decided."""
        self.decisions.extend(decisions)
        for decision in decisions:
            if decision.subject and decision.subject != decision.policy:
                self.by_subject[decision.subject] = decision
            # a number of replicas is the whole policy's, although it is said of the workload that has them
            if decision.policy and (decision.subject in {"", decision.policy} or decision.verdict == "Scale"):
                said = self.by_policy.setdefault(decision.policy, {})
                said.pop(decision.verdict, None)
                said[decision.verdict] = decision


def failures(
    expected: Expectation, seen: Seen, state: State, policies: dict[str, Policy], namespace: str
) -> Iterator[str]:
    """Yield what is not as expected."""
    policy = _policy_key(expected.policy, policies)
    if expected.pod is not None:
        key = expected.pod if "/" in expected.pod else f"{namespace}/{expected.pod}"
        members = list(seen.groups.get(key, {})) or [key]
        wrong = [
            text for member in members for text in _wrong(f"pod {member}", expected, seen.by_subject.get(member), seen)
        ]
        yield from wrong[:_SHOWN_MAX]
        if len(wrong) > _SHOWN_MAX:
            yield f"and {len(wrong) - _SHOWN_MAX} more of {key}"
        return
    if expected.verdict or expected.reason or expected.says or expected.silent:
        said = seen.by_policy.get(policy, {})
        decision = said.get(expected.verdict) if expected.verdict else None
        yield from _wrong(f"policy {policy}", expected, decision or next(reversed(said.values()), None), seen)
        return
    yield from _miscounted(expected, seen, state, policy)


def _policy_key(name: str | None, policies: dict[str, Policy]) -> str:
    if name is None:
        return ""
    return next((key for key in policies if name in {key, key.partition("/")[2]}), name)


def _wrong(who: str, expected: Expectation, decision: Decision | None, seen: Seen) -> Iterator[str]:
    if expected.silent:
        if decision is not None:
            yield f"{who}: expected no decision, decided {_shown(decision)}"
        return
    if decision is None:
        yield f"{who}: expected {_wanted(expected)}, and nothing was decided"
        return
    if not _as_wanted(expected, decision, seen.bursts.get(decision.burst)):
        yield f"{who}: expected {_wanted(expected)}, decided {_shown(decision, seen.bursts.get(decision.burst))}"


def _as_wanted(expected: Expectation, decision: Decision, burst: Burst | None) -> bool:
    if expected.verdict is not None and decision.verdict != expected.verdict:
        return False
    if expected.reason is not None and expected.reason not in {reason.code for reason in decision.reasons}:
        return False
    if expected.says is not None and not any(expected.says in reason.sentence for reason in decision.reasons):
        return False
    wanted = (expected.strategy, expected.target, expected.size)
    had = (burst.spec.strategy, burst.spec.target, burst.spec.size) if burst is not None else (None, None, None)
    return all(want is None or want == have for want, have in zip(wanted, had, strict=True))


def _wanted(expected: Expectation) -> str:
    parts = [part for part in (expected.verdict, expected.reason, expected.strategy, expected.size) if part is not None]
    if expected.target is not None:
        parts.append(f"at {expected.target}")
    if expected.says is not None:
        parts.append(f"saying {expected.says!r}")
    return " ".join(parts)


def _shown(decision: Decision, burst: Burst | None = None) -> str:
    codes = ", ".join(reason.code for reason in decision.reasons)
    where = f" as {burst.spec.strategy} on {burst.spec.size} at {burst.spec.target}" if burst is not None else ""
    return f"{decision.verdict}{where}: {codes} ({decision.reasons[0].sentence})"


def _miscounted(expected: Expectation, seen: Seen, state: State, policy: str) -> Iterator[str]:
    mine = [entry.burst for entry in state.bursts.values() if not policy or entry.burst.policy_key == policy]
    whose = f"policy {policy}: " if policy else ""
    active = sum(burst.status.phase in ACTIVE for burst in mine)
    counts = (
        (expected.bursts, active, "bursts"),
        (expected.serving, sum(burst.status.phase == "Serving" for burst in mine), "bursts that serve"),
        (expected.coming_home, sum(burst.status.phase in _COMING_HOME for burst in mine), "bursts on their way home"),
        (expected.replicas, seen.replicas.get(policy, active), "replicas"),
    )
    for want, have, what in counts:
        if want is not None and want != have:
            yield f"{whose}expected {want} {what}, found {have}"
    if policy:
        account = scope_of(state, "Policy", policy).account
        reserved, spent = account.outstanding_micro_usd, account.settled_total_micro_usd
    else:
        reserved = sum(entry.account.outstanding_micro_usd for entry in state.policies.values())
        spent = state.settled_total_micro_usd
    amounts = ((expected.reserved_at_most, reserved, "reserved"), (expected.spent_at_most, spent, "spent"))
    for limit, amount, what in amounts:
        if limit is not None and amount > parse_micro_usd(limit):
            yield f"{whose}expected at most {format_micro_usd(parse_micro_usd(limit))} {what}, found {format_micro_usd(amount)}"
