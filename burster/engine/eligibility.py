"""Is the policy in force, may this target do its work, may this pod go at all? Three gates, asked before anything is counted or priced.

Called by ``gates`` for each kind of queued pod, and by ``replicas`` for policies whose demand is a number. Each is a list in the order in
which people are told; the first refusal settles it. What is not known refuses: nothing here ever guesses in favour of bursting.
"""

from typing import Final

from burster.engine.answers import Refusal
from burster.engine.condition_view import Seen, see
from burster.engine.pauses import outward_gate
from burster.engine.state import PolicyEntry, State, TargetEntry
from burster.model.decisions import Reason
from burster.model.pods import Pod
from burster.model.policies import Policy
from burster.model.quantities import format_duration_ms
from burster.model.triggers import ExternalTrigger, MetricsApiTrigger, PrometheusTrigger
from burster.policy.conditions import Condition, ConditionError, Unknown, compile_condition
from burster.policy.endpoints import endpoint_allowed
from burster.policy.images import has_digest, image_allowed
from burster.policy.windows import in_force


#: A condition that does not hold is asked again at each whole minute, should nothing else have asked before.
_AGAIN_MS: Final = 60_000


# --- 1: the policy ----------------------------------------------------------------------------------------------------


def policy_gate(state: State, entry: PolicyEntry) -> Refusal | None:
    """Return why a policy is not in force now, or None where it is."""
    return (
        _refused(state, entry.policy)  # 1: its latest version is not valid
        or outward_gate(entry.policy)  # 2: somebody has paused it
        or _out_of_time(state, entry.policy)  # 3: blackouts and windows
        or _nowhere_readable(state, entry.policy)  # 4: its metrics may not be read where they are
        or _when(state, entry)  # 5: its condition, unless that looks at each pod
    )


def _refused(state: State, policy: Policy) -> Refusal | None:
    refused = state.refused.get(policy.key)
    if refused is None:
        return None
    sentence = (
        f"The policy's generation {refused.generation} is not valid, so nothing new starts by it; what runs is kept under generation "
        f"{policy.generation}: {refused.message}"
    )
    return _deny(Reason(code="PolicyRefused", sentence=sentence, numbers={"generation": refused.generation}))


def _out_of_time(state: State, policy: Policy) -> Refusal | None:
    if not (policy.windows or policy.blackouts):
        return None
    try:
        now = in_force(policy.windows, policy.blackouts, state.now_ms)
    except ValueError as error:  # a zone that this machine does not know
        sentence = f"Its windows can't be read here, so it is not in force: {error}"
        return _deny(Reason(code="WindowUnknown", sentence=sentence))
    if now.open:
        return None
    until = "" if now.until_ms is None else f" for another {format_duration_ms(now.until_ms - state.now_ms)}"
    numbers = {} if now.until_ms is None else {"until_ms": now.until_ms}
    if now.blackout and now.window is not None:
        sentence = f"Blackout {_called(now.window.name)} is on{until}."
        reason = Reason(code="Blackout", sentence=sentence, numbers=numbers)
    else:
        sentence = f"No window of the policy is open{until or ', and none opens again'}."
        reason = Reason(code="OutsideWindows", sentence=sentence, numbers=numbers)
    return Refusal(verdict="Wait", reason=reason, whole_policy=True, again_at_ms=now.until_ms)


def _called(name: str) -> str:
    return name or "without a name"


def _nowhere_readable(state: State, policy: Policy) -> Refusal | None:
    addresses = metric_addresses(policy)
    if not addresses:
        return None
    known = [state.targets[name].target for name in policy.placement.targets if name in state.targets]
    for url in addresses if known else ():
        if not any(endpoint_allowed(url, target.allowed_metric_endpoints) for target in known):
            names = ", ".join(target.name for target in known)
            sentence = f"{url} is not among the allowedMetricEndpoints of {names}, so no metric is read there."
            return _deny(Reason(code="EndpointNotAllowed", sentence=sentence))
    return None


def metric_addresses(policy: Policy) -> tuple[str, ...]:
    """Return the addresses that a policy's triggers are read from."""
    found: list[str] = []
    for trigger in policy.triggers:
        if isinstance(trigger, PrometheusTrigger):
            found.append(trigger.server_address)
        elif isinstance(trigger, MetricsApiTrigger):
            found.append(trigger.url)
        elif isinstance(trigger, ExternalTrigger) and trigger.scaler_address:
            found.append(f"grpc://{trigger.scaler_address}")
    return tuple(found)


# --- when -------------------------------------------------------------------------------------------------------------


def _when(state: State, entry: PolicyEntry) -> Refusal | None:
    """Answer a condition that is the same for every pod, once in a step."""
    if not entry.policy.when:
        return None
    condition = _condition(entry.policy.when)
    if isinstance(condition, Refusal):
        return condition
    if "pod" in condition.mentions:
        return None
    known = entry.looked
    if known.turn == state.turn and state.deciding:
        return known.refusal
    seen = see(state, entry, condition.variables)
    refusal = _answered(state, entry.policy.when, condition.holds(seen.values), seen, whole_policy=True)
    if not state.deciding:
        return refusal
    if refusal is None and known.refusal is not None:
        # It holds again: also for those that were told that it does not, and are not asked anew by themselves.
        state.policies.get(entry.policy.key, entry).reopened = True
    known.turn, known.refusal = state.turn, refusal
    return refusal


def _when_of_pod(state: State, policy: Policy, pod: Pod) -> Refusal | None:
    """Answer a condition that looks at the pod; what it asks of the rest is looked up once in a step."""
    if not policy.when:
        return None
    condition = _condition(policy.when)
    if isinstance(condition, Refusal):
        return condition
    if "pod" not in condition.mentions:
        return None
    entry = state.policies.get(policy.key)
    if entry is None:
        return None
    of_pod = frozenset(name for name in condition.variables if name.startswith("pod."))
    known = state.seen.get(policy.key)
    if known is None:
        common = see(state, entry, condition.variables - of_pod)
        known = common.values, common.numbers
        if state.deciding:
            state.seen[policy.key] = known
    own = see(state, entry, of_pod, pod)
    seen = Seen(known[0] | own.values, known[1] | own.numbers)
    return _answered(state, policy.when, condition.holds(seen.values), seen, whole_policy=False)


def _condition(text: str) -> Condition | Refusal:
    try:
        return compile_condition(text)
    except ConditionError as error:  # can't be: it was compiled when the policy was read
        sentence = f"Its condition can't be read, so nothing starts by it: {error.message}"
        return _deny(Reason(code="WhenUnknown", sentence=sentence))


def _answered(state: State, text: str, answer: bool | Unknown, seen: Seen, *, whole_policy: bool) -> Refusal | None:  # noqa: FBT001 - the answer
    if answer is True:
        return None
    again_at_ms = (state.now_ms // _AGAIN_MS + 1) * _AGAIN_MS
    numbers = dict(sorted(seen.numbers.items()))
    if isinstance(answer, Unknown):
        sentence = f"Whether when holds is not known, so nothing starts: {answer.reason}."
        reason = Reason(code="WhenUnknown", sentence=sentence, numbers=numbers)
        return Refusal(verdict="Deny", reason=reason, whole_policy=whole_policy, again_at_ms=again_at_ms)
    sentence = f"when does not hold: {' '.join(text.split())}"
    reason = Reason(code="WhenFalse", sentence=sentence, numbers=numbers)
    return Refusal(verdict="Wait", reason=reason, whole_policy=whole_policy, again_at_ms=again_at_ms)


def reopen_for(state: State, group: str, policy_key: str = "") -> None:
    """Have policies look again whose condition did not hold and reads ``group`` (``onprem``, ``metrics``), now that it has changed."""
    keys = (policy_key,) if policy_key else tuple(state.policies)
    for key in keys:
        entry = state.policies.get(key)
        if entry is None or not entry.policy.when or not entry.queued:
            continue
        condition = _condition(entry.policy.when)
        if isinstance(condition, Condition) and group in condition.mentions:
            entry.reopened = True


def hear_metrics(state: State) -> None:
    """Have policies look again whose condition reads metrics, where one of their triggers was heard of in this step."""
    for key in sorted(state.scaling_open):
        reopen_for(state, "metrics", key)


# --- 2: the target ----------------------------------------------------------------------------------------------------


def target_gate(state: State, policy: Policy, target: TargetEntry) -> Refusal | None:
    """Return why nothing of a policy may run at a target, or None where it may."""
    return (
        _namespace_not_opted_in(state, policy, target)  # 1: the platform team's labels
        or _data_class(policy, target)  # 2: what it works on
        or _jurisdiction(policy, target)  # 3: whose law holds
        or _provable(policy, target)  # 4: who can show that it is confidential
        or _trustee(state, policy, target)  # 5: who gives out the keys
        or _not_readable(policy, target)  # 6: whose metrics it believes
        or _takes_no_machine(policy, target)  # 7: what it lends to machines
    )


def _namespace_not_opted_in(state: State, policy: Policy, target: TargetEntry) -> Refusal | None:
    required = target.target.required_namespace_labels
    if not required:
        return None
    labels = state.namespaces.get(policy.namespace)
    if labels is None:
        sentence = f"The labels of namespace {policy.namespace} are not known, and {target.target.name} requires some."
        return _deny(Reason(code="NamespaceUnknown", sentence=sentence))
    for name, value in sorted(required.items()):
        if labels.get(name) != value:
            sentence = f"Target {target.target.name} takes namespaces labelled {name}={value}, which {policy.namespace} is not."
            return _deny(Reason(code="NamespaceNotOptedIn", sentence=sentence))
    return None


def _data_class(policy: Policy, target: TargetEntry) -> Refusal | None:
    wanted = policy.confidential.data_class
    if not wanted or wanted in target.target.data_classes:
        return None
    listed = ", ".join(target.target.data_classes) or "none"
    sentence = f"Data of class {wanted} may not be worked on at {target.target.name}, which lists {listed}."
    return _deny(Reason(code="DataClassNotAllowed", sentence=sentence))


def _jurisdiction(policy: Policy, target: TargetEntry) -> Refusal | None:
    wanted = policy.confidential.jurisdictions
    if not wanted or target.target.jurisdiction in wanted:
        return None
    where = f"in {target.target.jurisdiction}" if target.target.jurisdiction else "in no declared jurisdiction"
    sentence = f"Target {target.target.name} is {where}, and the policy asks for {' or '.join(wanted)}."
    return _deny(Reason(code="JurisdictionNotAllowed", sentence=sentence))


def _provable(policy: Policy, target: TargetEntry) -> Refusal | None:
    if policy.confidential.attestation == "Required" or target.target.proof != "Record":
        return None
    sentence = (
        f"Nobody can show what VMs {target.target.name} has: of provider {target.target.provider} only records are read. Attestation alone "
        "proves that they are confidential, and the policy does not require it."
    )
    return _deny(Reason(code="ProofMissing", sentence=sentence))


def _trustee(state: State, policy: Policy, target: TargetEntry) -> Refusal | None:
    if policy.confidential.attestation != "Required":
        return None
    if not target.target.trustee_url:
        sentence = f"The policy requires attestation, and {target.target.name} declares no trustee.url to attest to."
        return _deny(Reason(code="TrusteeMissing", sentence=sentence))
    trouble = state.trustees_down.get(target.target.name)
    if trouble is None:
        return None
    sentence = f"The Trustee of {target.target.name} does not answer, so no pod there would get its keys: {trouble}"
    return Refusal(verdict="Wait", reason=Reason(code="TrusteeDown", sentence=sentence), whole_policy=True)


def _not_readable(policy: Policy, target: TargetEntry) -> Refusal | None:
    for url in metric_addresses(policy):
        if not endpoint_allowed(url, target.target.allowed_metric_endpoints):
            sentence = f"Target {target.target.name} does not list {url} in allowedMetricEndpoints."
            return _deny(Reason(code="EndpointNotAllowed", sentence=sentence))
    return None


def _takes_no_machine(policy: Policy, target: TargetEntry) -> Refusal | None:
    machine, lent = policy.machine, target.target.machines
    if machine is None:
        return None
    if lent is None:
        sentence = f"Target {target.target.name} takes no machines: it has no machines, which name images and a subnet."
        return _deny(Reason(code="MachinesNotTaken", sentence=sentence))
    if machine.image not in lent.images:
        sentence = f"Image {machine.image} is none of those that {target.target.name} allows for machines: {', '.join(lent.images)}."
        return _deny(Reason(code="MachineImageNotAllowed", sentence=sentence))
    return None


# --- 3: the pod -------------------------------------------------------------------------------------------------------


def pod_gate(state: State, policy: Policy, pod: Pod) -> Refusal | None:
    """Return why this pod may not burst by a policy, or None where it may. Alike pods get one answer, unless ``when`` looks at them."""
    return (
        _images(policy, pod)  # 1: what it runs
        or _secrets(policy, pod)  # 2: what it is given
        or _when_of_pod(state, policy, pod)  # 3: its condition, where that looks at each pod
    )


def _images(policy: Policy, pod: Pod) -> Refusal | None:
    rules = policy.confidential
    if not (rules.allowed_images or rules.images_by_digest):
        return None
    if not pod.images:
        sentence = "Its images are not known, and the policy allows only some."
        return Refusal(verdict="Deny", reason=Reason(code="ImagesUnknown", sentence=sentence))
    for image in pod.images:
        if rules.allowed_images and not image_allowed(image, rules.allowed_images):
            sentence = f"Image {image} is none of those that the policy allows: {', '.join(rules.allowed_images)}."
            return Refusal(verdict="Deny", reason=Reason(code="ImageNotAllowed", sentence=sentence))
        if rules.images_by_digest and not has_digest(image):
            sentence = f"Image {image} is not named by its digest (name@sha256:...), which the policy asks for."
            return Refusal(verdict="Deny", reason=Reason(code="ImageNotByDigest", sentence=sentence))
    return None


def _secrets(policy: Policy, pod: Pod) -> Refusal | None:
    if policy.confidential.secrets != "Sealed":
        return None
    for name in pod.secrets:
        if name not in policy.confidential.sealed_secrets:
            sentence = f"It refers to Secret {name}, which the policy does not name as sealed: only Trustee may open what it is given."
            return Refusal(verdict="Deny", reason=Reason(code="SecretNotSealed", sentence=sentence))
    return None


def _deny(reason: Reason) -> Refusal:
    return Refusal(verdict="Deny", reason=reason, whole_policy=True)
