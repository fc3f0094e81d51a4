"""What must hold after a run, each found out from the lab's own evidence, not from burster's word.

Called at the end of a demo, by crash tests, and by tests on a real control plane that gather the evidence there. Every check says how it
was found out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from burster.engine import initial_state, snapshot, step
from burster.engine.accounting.money import limits_of, window_of
from burster.engine.bursts.vms import machine_name, stem_of, vm_stem
from burster.lab.arm import ArmServer
from burster.lab.arm.billing import BilledVm
from burster.lab.cluster.runs import Run, RunLog
from burster.lab.demo_result import Invariant
from burster.lab.player import Player
from burster.lab.site import Site
from burster.lab.witness import Witness
from burster.ledger import Ledger
from burster.ledger.replay import replay
from burster.model.policies import Policy
from burster.model.quantities import cost_micro_usd, format_micro_usd
from burster.model.tags import MACHINE_PREFIX
from burster.policy.records import burst_from_object


#: A VM's end is confirmed by polling: what is settled may exceed the truth by one interval a VM, never fall short of it.
_POLL_ALLOWANCE_MS = 75_000
#: How long a VM without a machine can stay around: until its pod is given up, and the sweep's grace after that.
_NEVER_ALLOCATED_MS = 30 * 60_000


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run without asking burster."""

    arm: ArmServer  #: the cloud, and its bill
    runs: RunLog  #: every start of a pod's containers
    pods: list[dict[str, Any]]  #: what the API server has at the end
    bursts: list[dict[str, Any]]
    tasks: Sequence[str]  #: the finite pods that were asked for, as namespace/name
    bursts_created: int
    unrecorded: Sequence[str]  #: cloud pods that were created without a record


def check_run(  # noqa: PLR0913 - the evidence
    site: Site,
    player: Player,
    witness: Witness,
    ledger: Ledger,
    policies: Sequence[Policy],
    now_ms: int,
    *,
    blind_ms: int = 0,
) -> tuple[Invariant, ...]:
    """Return everything that must hold, and whether it does. ``blind_ms``: how long nobody watched, a VM's end included."""
    evidence = Evidence(
        arm=site.arm,
        runs=site.cluster.runs,
        pods=site.store.list("pods"),
        bursts=site.store.list("bursts.burster.dev"),
        tasks=player.tasks,
        bursts_created=witness.bursts_created,
        unrecorded=witness.unrecorded,
    )
    return check_evidence(evidence, ledger, policies, now_ms, blind_ms=blind_ms)


def check_evidence(
    evidence: Evidence, ledger: Ledger, policies: Sequence[Policy], now_ms: int, *, blind_ms: int = 0
) -> tuple[Invariant, ...]:
    """Return the same of any cluster."""
    return (
        _no_leaks(evidence),
        _no_double_runs(evidence),
        _no_lost_pods(evidence),
        _records_first(evidence),
        _only_confidential(evidence),
        _budgets_held(evidence, policies, ledger, now_ms),
        _nothing_unpaid(evidence, ledger, now_ms),
        _money_agrees(evidence, ledger, now_ms, blind_ms),
        _replays(ledger),
    )


def _no_leaks(evidence: Evidence) -> Invariant:
    leaks = evidence.arm.leaks()
    records = [burst_from_object(obj) for obj in evidence.bursts]
    active = [burst.key for burst in records if burst.status.phase != "Released"]
    detail = f"{len(leaks)} resources left in the cloud, {len(active)} records not released"
    if leaks:
        detail += f"; the first: {leaks[0]}"
    return Invariant(name="nothing leaks", ok=not leaks and not active, detail=detail)


def _no_double_runs(evidence: Evidence) -> Invariant:
    tasks = set(evidence.tasks)
    twice = {
        task for task, runs in evidence.runs.started_more_than_once().items() if task in tasks and _ran_twice(runs)
    }
    overlapping = {task for task in evidence.runs.overlapping() if task in tasks}
    detail = (
        f"{len(twice | overlapping)} of {len(tasks)} tasks started again after they had worked or while they worked"
    )
    return Invariant(name="no task ran twice", ok=not twice and not overlapping, detail=detail)


def _ran_twice(runs: Sequence[Run]) -> bool:
    """Say whether a task was started again although it had ended its work; one that was brought home unfinished may start again."""
    return any(run.outcome in {"Succeeded", "Failed"} for run in runs[:-1])


def _no_lost_pods(evidence: Evidence) -> Invariant:
    done = {run.task for run in evidence.runs if run.outcome == "Succeeded"}
    there = {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in evidence.pods}
    lost = [task for task in evidence.tasks if task not in done and task not in there]
    detail = f"{len(evidence.tasks) - len(lost)} of {len(evidence.tasks)} tasks are done or still there"
    return Invariant(name="no pod is lost", ok=not lost, detail=detail)


def _records_first(evidence: Evidence) -> Invariant:
    detail = (
        f"{len(evidence.unrecorded)} cloud pods were created without a record, of {evidence.bursts_created} records"
    )
    return Invariant(name="a record before each cloud pod", ok=not evidence.unrecorded, detail=detail)


def _only_confidential(evidence: Evidence) -> Invariant:
    plain = [vm.name for vm in evidence.arm.billing.vms if vm.security_type != "ConfidentialVM"]
    detail = f"{len(evidence.arm.billing.vms)} VMs were made, {len(plain)} of them not confidential"
    return Invariant(name="only confidential VMs", ok=not plain, detail=detail)


def _budgets_held(evidence: Evidence, policies: Sequence[Policy], ledger: Ledger, now_ms: int) -> Invariant:
    owners = _owners(ledger)
    worst, broken = "no policy has a budget", False
    share = -1.0
    for policy in policies:
        vms = [vm for vm in evidence.arm.billing.vms if owners.get(whose(vm.name)) == policy.key]
        for kind, limit in limits_of(policy.limits.budget):
            zone = policy.limits.budget.timezone
            spent = _largest_window(vms, now_ms, lambda at_ms, kind=kind, zone=zone: window_of(kind, at_ms, zone)[0])
            broken = broken or spent > limit
            if limit and spent / limit > share:
                share = spent / limit
                worst = f"at most {format_micro_usd(spent)} of {format_micro_usd(limit)} per {kind} for {policy.key}, by the cloud's bill"
    return Invariant(name="budgets hold", ok=not broken, detail=worst)


def _owners(ledger: Ledger) -> dict[str, str]:
    """Return whose VMs are whose, by the stem of their names: from what was decided, for records are forgotten in time."""
    owners: dict[str, str] = {}
    for decision in ledger.decisions(verdict="Burst", limit=1_000_000):
        burst = decision.burst.partition("/")[2]
        pod = decision.subject.partition("/")[2]
        owners[vm_stem(burst)] = decision.policy
        owners[vm_stem(pod)] = decision.policy
        owners[machine_name(decision.burst)] = decision.policy
    return owners


def whose(vm_name: str) -> str:
    """Return what of a VM's name tells whose it is: a machine's is one burst's as a whole, a pod's less its sandbox."""
    return vm_name if vm_name.startswith(MACHINE_PREFIX) else stem_of(vm_name)


def _largest_window(vms: Sequence[BilledVm], now_ms: int, window_at: Callable[[int], int]) -> int:
    """Return the most that the VMs really cost within one window; a VM over a border counts in both by its time in each."""
    spent: dict[int, int] = {}
    for vm in vms:
        start, end = vm.began_at_ms, vm.ended_at_ms if vm.ended_at_ms is not None else now_ms
        cursor = start
        while cursor < end:
            # windows begin at whole quarters of an hour, in every zone
            border = min(end, (cursor // 900_000 + 1) * 900_000)
            window = window_at(cursor)
            spent[window] = spent.get(window, 0) + cost_micro_usd(vm.price_micro_usd_per_hour or 0, border - cursor)
            cursor = border
    return max(spent.values(), default=0)


def _nothing_unpaid(evidence: Evidence, ledger: Ledger, now_ms: int) -> Invariant:
    settled = sum(spend.micro_usd for spend in ledger.spend())
    truth = evidence.arm.billing.cost_micro_usd(now_ms)
    detail = f"{format_micro_usd(truth)} on the cloud's bill, {format_micro_usd(settled)} settled{_worst_bill(evidence, ledger, now_ms)}"
    return Invariant(name="nothing is left out of the money", ok=truth <= settled, detail=detail)


def _money_agrees(evidence: Evidence, ledger: Ledger, now_ms: int, blind_ms: int) -> Invariant:
    settled = sum(spend.micro_usd for spend in ledger.spend())
    truth = evidence.arm.billing.cost_micro_usd(now_ms)
    allowance = sum(_allowance_micro_usd(vm, blind_ms) for vm in evidence.arm.billing.vms)
    detail = f"{format_micro_usd(settled - truth)} settled beyond the bill, {format_micro_usd(allowance)} can come from looking late"
    return Invariant(name="what is settled is what it cost", ok=settled <= truth + allowance, detail=detail)


def _allowance_micro_usd(vm: BilledVm, blind_ms: int) -> int:
    """Return by how much a VM's settled money may exceed its bill.

    A VM that was never allocated is free, but from outside it is a VM in state Failed like any other, so its time is counted.
    """
    unbilled_ms = _NEVER_ALLOCATED_MS if vm.ended_at_ms == vm.began_at_ms else 0
    return cost_micro_usd(vm.price_micro_usd_per_hour or 0, _POLL_ALLOWANCE_MS + blind_ms + unbilled_ms)


def _worst_bill(evidence: Evidence, ledger: Ledger, now_ms: int) -> str:
    """Return the pod whose settled money falls short of its VMs' bill the most, for who has to find out why; empty if none does."""
    stems: dict[str, str] = {}
    for decision in ledger.decisions(verdict="Burst", limit=1_000_000):
        stems[vm_stem(decision.burst.partition("/")[2])] = decision.subject
        stems[vm_stem(decision.subject.partition("/")[2])] = decision.subject
        stems[machine_name(decision.burst)] = decision.subject
    subjects = {decision.burst: decision.subject for decision in ledger.decisions(verdict="Burst", limit=1_000_000)}
    balance: dict[str, int] = {}
    for spend in ledger.spend():
        subject = subjects.get(spend.burst, "")
        balance[subject] = balance.get(subject, 0) + spend.micro_usd
    for vm in evidence.arm.billing.vms:
        subject = stems.get(whose(vm.name), "")
        balance[subject] = balance.get(subject, 0) - vm.cost_micro_usd(now_ms)
    worst = min(balance, key=lambda subject: (balance[subject], subject), default="")
    if not balance or balance[worst] >= 0:
        return ""
    return f"; {worst or 'a VM nobody asked for'} is short of {format_micro_usd(-balance[worst])}"


def _replays(ledger: Ledger) -> Invariant:
    report = replay(ledger, initial_state, step, snapshot.restore)
    if report.difference is not None:
        return Invariant(name="decisions replay", ok=False, detail=report.difference.sentence)
    detail = f"{report.steps} steps, fed to the engine again, gave the same {report.decisions} decisions"
    return Invariant(name="decisions replay", ok=True, detail=detail)
