"""What people are shown, made from the engine's state whenever somebody asks. Reads only; bounded by ``surfaces.view``."""

from collections import deque

from burster.engine import ACTIVE, State
from burster.engine.accounting.costs import real_cost_micro_usd
from burster.engine.accounting.money import limits_of
from burster.engine.state import BurstEntry
from burster.model.decisions import Decision
from burster.model.limits import Budget
from burster.surfaces.view import (
    DECISIONS_MAX,
    LISTED_MAX,
    BudgetView,
    BurstView,
    LeakView,
    OnPremView,
    PendingView,
    StatusView,
    bounded,
)


class Viewer:
    """Keeps the latest decisions and renders views; the loop shows it every step."""

    def __init__(self, *, dry_run: bool = False, title: str = "") -> None:
        self._dry_run = dry_run
        self._title = title
        self._decisions: deque[Decision] = deque(maxlen=DECISIONS_MAX)
        self._why: dict[str, str] = {}
        self.decisions_total = 0

    def note(self, decisions: tuple[Decision, ...], state: State) -> None:
        """Remember what was decided, and of each waiting pod the first thing that stops it."""
        self.decisions_total += len(decisions)
        self._decisions.extend(decisions)
        for decision in decisions:
            if decision.subject in state.pods:
                self._why[decision.subject] = decision.reasons[0].sentence
        if len(self._why) > 2 * len(state.pods) + LISTED_MAX:
            self._why = {key: why for key, why in self._why.items() if key in state.pods}

    def view(self, state: State, now_ms: int) -> StatusView:
        """Return a snapshot."""
        waiting = sorted(
            (entry for entry in state.pods.values() if entry.pod.unschedulable),
            key=lambda entry: (entry.pod.unschedulable_since_ms or 0, entry.pod.key),
        )
        active = sorted(
            (entry for entry in state.bursts.values() if entry.burst.status.phase in ACTIVE),
            key=lambda entry: (entry.burst.spec.decided_at_ms, entry.burst.key),
        )
        by_phase: dict[str, int] = {}
        for entry in state.bursts.values():
            phase = entry.burst.status.phase
            by_phase[phase] = by_phase.get(phase, 0) + 1
        return StatusView(
            at_ms=now_ms,
            ready=state.ready and state.writable,
            not_ready_because=_why_not_ready(state),
            dry_run=self._dry_run,
            draining=state.draining,
            title=self._title,
            onprem=OnPremView(
                node_count=state.capacity_nodes,
                used=state.capacity_requested,
                used_known=state.capacity_known or not state.capacity_nodes,
                allocatable=state.capacity_allocatable,
            ),
            pending_total=len(waiting),
            pending=bounded(
                [
                    PendingView(
                        pod=entry.pod.key,
                        since_ms=entry.pod.unschedulable_since_ms or 0,
                        requests=entry.pod.requests,
                        policy=entry.policy,
                        why=self._why.get(entry.pod.key, ""),
                    )
                    for entry in waiting[:LISTED_MAX]
                ]
            ),
            bursts_by_phase=by_phase,
            bursts=bounded([_burst_view(state, entry) for entry in active[:LISTED_MAX]]),
            budgets=bounded(_budgets(state, now_ms)),
            spent_micro_usd=state.settled_total_micro_usd,
            accruing_micro_usd=sum(real_cost_micro_usd(state, entry) for entry in active),
            leaks=bounded(_leaks(state)),
            leaked_micro_usd=state.leaked_total_micro_usd,
            decisions_total=self.decisions_total,
            decisions=tuple(self._decisions),
        )


def _why_not_ready(state: State) -> str:
    if not state.ready:
        return "not every source has delivered its first list"
    return "" if state.writable else f"the ledger can't be written: {state.ledger_message}"


def _burst_view(state: State, entry: BurstEntry) -> BurstView:
    burst = entry.burst
    return BurstView(
        burst=burst.key,
        policy=burst.policy_key,
        pod=f"{burst.namespace}/{burst.spec.pod_name}",
        phase=burst.status.phase,
        strategy=burst.spec.strategy,
        reason=burst.status.reason,
        vm=burst.status.vms[-1] if burst.status.vms else "",
        size=burst.spec.size,
        region=burst.spec.region,
        decided_at_ms=burst.spec.decided_at_ms,
        cost_micro_usd=real_cost_micro_usd(state, entry),
        reserved_micro_usd=entry.held_micro_usd,
    )


def _leaks(state: State) -> list[LeakView]:
    """Return what nobody claims and whose grace is over, by target and kind."""
    groups: dict[tuple[str, str], list[int]] = {}
    for one in state.leftovers.values():
        if one.due:
            sums = groups.setdefault((one.target, one.resource.kind), [0, 0, 0])
            sums[0] += 1
            sums[1] += bool(one.proof)
            sums[2] += one.price_micro_usd_per_hour if one.cost_since_ms is not None else 0
    return [
        LeakView(target=target, kind=kind, count=count, ours=ours, cost_micro_usd_per_hour=cost)
        for (target, kind), (count, ours, cost) in sorted(groups.items())
    ]


def _budgets(state: State, now_ms: int) -> list[BudgetView]:
    """Return what is spent of each budget; of more policies than are shown, those that have most set aside: many idle ones hide nobody."""
    policies = sorted(state.policies.items())
    if len(policies) + len(state.targets) > LISTED_MAX:
        policies.sort(key=lambda item: (-item[1].account.outstanding_micro_usd, item[0]))
        policies = sorted(policies[: max(0, LISTED_MAX // 3 - len(state.targets))])
    scopes = [(key, entry.account, entry.policy.limits.budget) for key, entry in policies]
    scopes += [(name, entry.account, entry.target.limits.budget) for name, entry in sorted(state.targets.items())]
    views: list[BudgetView] = []
    for owner, account, budget in scopes:
        limits = dict(limits_of(budget)) or dict(limits_of(Budget(per_day_micro_usd=-1)))
        for kind, limit in limits.items():
            views.append(
                BudgetView(
                    owner=owner,
                    window=kind,
                    spent_micro_usd=account.window(kind, now_ms, budget.timezone).settled_micro_usd,
                    reserved_micro_usd=account.outstanding_micro_usd,
                    limit_micro_usd=limit if limit >= 0 else None,
                )
            )
    return views
