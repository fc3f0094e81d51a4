"""May one more replica run in the cloud? The same gates as for a pod, asked for one that stands in for the workload's template.

Called by ``replica_scale``, ``replica_signals`` and ``replica_clones``. Answers with what ``gates`` answers and changes nothing. What a
template is not known to be is never taken for granted: without its images, rules about images refuse.
"""

import dataclasses
from typing import Final

import msgspec

from burster.engine.accounting import budgets
from burster.engine.accounting.scopes import Scope
from burster.engine.answers import Grant, Refusal
from burster.engine.gates import judge
from burster.engine.offers.offerings import index_of
from burster.engine.pauses import HOLDING
from burster.engine.state import PodEntry, PolicyEntry, State
from burster.model.decisions import Reason
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Policy
from burster.model.stimuli import WorkloadSeen
from burster.model.triggers import PendingPodsTrigger, WorkloadRef


#: How long the VM of a replica may outlive it in the workload's status: the pod's grace period (30 s unless it says otherwise) and the
#: VM's deletion, which takes a minute or two.
REPLICA_GOING_MS: Final = 300_000
#: A machine is of no workload but its policy.
_MACHINE_API: Final = "burster.dev/v1alpha1"
_MACHINE_KIND: Final = "BurstPolicy"
_SHARED: Final = frozenset(
    f"{kind}{limit}"
    for kind in ("Namespace", "Target", "Cluster")
    for limit in ("MaxBursts", "MaxVcpus", "LaunchRate", "ProviderShare", "Budget")
)


def workload_of(policy: Policy) -> WorkloadRef | None:
    """Return the workload that a policy's number is about: the one it names as the target, else the one whose pods it is about.

    None also for machines, which are of the policy itself and of no template.
    """
    if policy.machine is not None:
        return None
    if policy.scaling.target is not None:
        return policy.scaling.target
    selector = policy.workload
    if not (selector.kind and selector.name):
        return None
    return WorkloadRef(kind=selector.kind, name=selector.name, api_version=selector.api_version or "apps/v1")


def stand_in(policy: Policy, workload: WorkloadRef, seen: WorkloadSeen | None) -> PodEntry:
    """Return a pod like those of a workload's template: without a name, as it is none in particular."""
    owner = Owner(api_version=workload.api_version, kind="ReplicaSet", name=workload.name, uid="")
    pod = Pod(
        namespace=policy.namespace,
        name="",
        uid="",
        requests=seen.requests if seen is not None else Resources(),
        owner=owner,
        # a service, whatever kind sets its number: several of it may run at once
        workload=Owner(api_version=workload.api_version, kind="Deployment", name=workload.name, uid=""),
        images=seen.images if seen is not None else (),
        secrets=seen.secrets if seen is not None else (),
    )
    return PodEntry(pod=pod, policy=policy.key)


def stand_in_for_clone(policy: Policy, workload: WorkloadRef, seen: WorkloadSeen) -> PodEntry:
    """Return the same pod with its workload's true kind, from which a clone is to be made."""
    entry = stand_in(policy, workload, seen)
    owner = Owner(api_version=workload.api_version, kind=workload.kind, name=workload.name, uid="")
    return PodEntry(pod=msgspec.structs.replace(entry.pod, workload=owner), policy=policy.key)


def judge_scaled(
    state: State, entry: PolicyEntry, workload: WorkloadRef, seen: WorkloadSeen | None, *, at: str = ""
) -> Grant | Refusal:
    """Return whether a workload that somebody scales may have one more replica.

    Its template must be of a target's RuntimeClass already: its pods run where they are, and a plain one is no confidential one. Where the
    template names no VM size, cloud-api-adaptor chooses one, and the dearest that fits is reserved. ``at``: only at this target.
    """
    rules = entry.policy
    names = (at,) if at else rules.placement.targets
    if seen is not None:
        refusal = unproven(rules, seen)
        if refusal is not None:
            return refusal
        names = tuple(name for name in names if _has_class(state, name, seen.runtime_class))
        if not names:
            return _not_confidential(rules, workload, seen)
    refusals: list[Refusal] = []
    pod = stand_in(rules, workload, seen)
    for name in names:
        size = seen.size if seen is not None and seen.size else _dearest(state, rules, name, pod.pod.requests)
        answer = judge(state, pod, _as_clones(entry, (name,), size, drain_of(rules)))
        if isinstance(answer, Grant):
            return answer
        refusals.append(answer)
    return next((one for one in refusals if one.verdict == "Wait"), refusals[0])


def drain_of(rules: Policy) -> int:
    """Return for how long a replica that goes is paid for at most: money for it is set aside from the start."""
    return max(rules.placement.drain_ms, REPLICA_GOING_MS)


def judge_clone(state: State, entry: PolicyEntry, workload: WorkloadRef, seen: WorkloadSeen) -> Grant | Refusal:
    """Return whether a workload may have one more clone, for no pod in particular."""
    refusal = unproven(entry.policy, seen)
    if refusal is not None:
        return refusal
    return judge(
        state, stand_in_for_clone(entry.policy, workload, seen), _as_clones(entry, entry.policy.placement.targets, "")
    )


def stand_in_for_machine(policy: Policy) -> PodEntry:
    """Return a pod that asks for what one machine of a policy is to have: without a name, as there is none."""
    machine = policy.machine
    owner = Owner(api_version=_MACHINE_API, kind=_MACHINE_KIND, name=policy.name, uid="")
    pod = Pod(
        namespace=policy.namespace,
        name="",
        uid="",
        requests=machine.requests if machine is not None else Resources(),
        owner=owner,
        workload=owner,
    )
    return PodEntry(pod=pod, policy=policy.key)


def machine_subject(policy: Policy) -> str:
    """Return whom a machine is for, as its burst will say it."""
    return policy.key


def judge_machine(state: State, entry: PolicyEntry, pod: PodEntry) -> Grant | Refusal:
    """Return whether a policy may have one more machine."""
    rules = entry.policy
    triggers = tuple(one for one in rules.triggers if not isinstance(one, PendingPodsTrigger))
    at_once = msgspec.structs.replace(rules.wait, mode="AtOnce")
    seen_as = msgspec.structs.replace(rules, wait=at_once, triggers=triggers)
    return judge(state, pod, dataclasses.replace(entry, policy=seen_as))


def unproven(rules: Policy, seen: WorkloadSeen) -> Refusal | None:
    """Refuse a template that is not known, where the policy has rules about what it may hold."""
    proof = rules.confidential
    asked = proof.allowed_images or proof.images_by_digest or proof.secrets == "Sealed"
    if not asked or seen.images:
        return None
    sentence = f"The images of {seen.kind} {seen.name} are not known, and the policy has rules about images or Secrets."
    return Refusal(verdict="Deny", reason=Reason(code="TemplateUnknown", sentence=sentence), whole_policy=True)


def ask_again(state: State, entry: PolicyEntry, answer: Refusal) -> None:
    """Have a policy look again when what refuses its number may have changed: at a time, or when the providers' shares move."""
    if answer.again_at_ms is not None:
        state.at(answer.again_at_ms, "scaling", entry.policy.key)
    if any(one.code.endswith("ProviderShare") for one in (answer.reason, *answer.others)):
        state.share_waits[entry.policy.key] = None


def leaves_what_runs(reason: Reason) -> bool:
    """Say whether a refusal is about one more in a scope that others share, or about new ones alone: it takes nothing away."""
    return (
        reason.code in _SHARED
        or reason.code in {"BudgetStop", "BudgetHeldOff", "RenewalsFirst"}
        or reason.code in HOLDING
    )


def most_allowed(
    state: State, entry: PolicyEntry, grant: Grant, wanted: int, *, there: int = 0
) -> tuple[int, Reason | None]:
    """Return how many replicas limits and budgets would bear, where nothing is reserved for them, and what stops more.

    ``there``: so many are up already, and are not taken away because others use what they share with them.
    """
    rules = entry.policy
    vcpus = max(1, grant.offering.resources.cpu_millicores // 1000)
    allowed, stopped = wanted, None
    for scope in budgets.scopes_of(state, rules.key, rules.namespace, grant.target):
        limits = scope.limits
        if limits.max_bursts is not None and scope.active + allowed > limits.max_bursts:
            shared = 0 if scope.kind == "Policy" else min(allowed, there, limits.max_bursts)
            allowed = max(shared, limits.max_bursts - scope.active)
            sentence = _passes(wanted, limits.max_bursts, scope, scope.active)
            stopped = Reason(code=f"{scope.kind}MaxBursts", sentence=sentence)
        if limits.max_vcpus is not None and scope.vcpus + allowed * vcpus > limits.max_vcpus:
            shared = 0 if scope.kind == "Policy" else min(allowed, there, limits.max_vcpus // vcpus)
            allowed = max(shared, (limits.max_vcpus - scope.vcpus) // vcpus)
            sentence = _passes(wanted, limits.max_vcpus, scope, scope.vcpus)
            stopped = Reason(code=f"{scope.kind}MaxVcpus", sentence=sentence)
    while allowed:
        short = budgets.shortfall(state, rules.key, rules.namespace, grant.target, allowed * grant.reserve_micro_usd)
        if short is None:
            break
        stopped = short.reason
        kept = min(allowed, there) if leaves_what_runs(short.reason) else 0
        allowed = max(kept, _fewer(state, entry, grant, allowed))
        if allowed == kept:
            break
    return allowed, stopped


def _passes(wanted: int, limit: int, scope: Scope, used: int) -> str:
    return f"{wanted} replicas would pass the {limit} that {scope.called} allows; {used} are out."


def _fewer(state: State, entry: PolicyEntry, grant: Grant, refused: int) -> int:
    """Return the most replicas that money is there for, below a number that was refused."""
    rules = entry.policy
    low, high = 0, refused - 1
    while low < high:
        middle = (low + high + 1) // 2
        if budgets.shortfall(state, rules.key, rules.namespace, grant.target, middle * grant.reserve_micro_usd) is None:
            low = middle
        else:
            high = middle - 1
    return low


def dearest_place(state: State, rules: Policy, seen: WorkloadSeen) -> tuple[str, str, int, int, str] | None:
    """Return target, size, price per hour, vCPUs and provider of what a running replica costs at most; None where nothing tells."""
    for name in rules.placement.targets:
        target = state.targets.get(name)
        if target is None or not _has_class(state, name, seen.runtime_class):
            continue
        rows = index_of(target, rules).fit(seen.requests).usable
        sized = [row for row in rows if not seen.size or row.offering.size.casefold() == seen.size.casefold()]
        if sized:
            row = max(sized, key=lambda one: (one.price_micro_usd_per_hour, one.offering.size))
            return name, row.offering.size, row.price_micro_usd_per_hour, row.vcpus, row.offering.provider
    return None


def _as_clones(entry: PolicyEntry, targets: tuple[str, ...], size: str, drain_ms: int = 0) -> PolicyEntry:
    """Return the policy as the gates are to see it: a service's pod is to be started at once, at these targets."""
    rules = entry.policy
    sizes = rules.placement.sizes
    if size:
        # a size that the policy does not list stays one that is not allowed
        listed = not sizes or size.casefold() in {one.casefold() for one in sizes}
        sizes = (size,) if listed else (f"{size} (not in placement.sizes)",)
    placement = msgspec.structs.replace(
        rules.placement, strategy="Clone", targets=targets, sizes=sizes, drain_ms=drain_ms or rules.placement.drain_ms
    )
    at_once = msgspec.structs.replace(rules.wait, mode="AtOnce")
    # no pod waits for it; where its metrics may be read from is asked all the same
    triggers = tuple(one for one in rules.triggers if not isinstance(one, PendingPodsTrigger))
    seen_as = msgspec.structs.replace(rules, placement=placement, wait=at_once, triggers=triggers)
    return dataclasses.replace(entry, policy=seen_as)


def _has_class(state: State, name: str, runtime_class: str) -> bool:
    target = state.targets.get(name)
    return target is not None and target.target.runtime_class == runtime_class


def _dearest(state: State, rules: Policy, name: str, requests: Resources) -> str:
    target = state.targets.get(name)
    rows = () if target is None else index_of(target, rules).fit(requests).usable
    return max(rows, key=lambda row: (row.price_micro_usd_per_hour, row.offering.size)).offering.size if rows else ""


def _not_confidential(rules: Policy, workload: WorkloadRef, seen: WorkloadSeen) -> Refusal:
    sentence = (
        f"The template of {workload.kind} {workload.name} has RuntimeClass {seen.runtime_class or 'none'}, which is none of "
        f"target {', '.join(rules.placement.targets)}: its pods would not be confidential."
    )
    return Refusal(verdict="Deny", reason=Reason(code="NotConfidential", sentence=sentence), whole_policy=True)
