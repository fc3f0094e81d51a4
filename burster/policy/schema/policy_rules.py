"""What must hold between the parts of a BurstPolicy, in Python with exact places, and in CEL for API servers.

Called by the schema once every part is valid for itself. Looks at nothing outside the policy: what contradicts a target is found by
``meeting``, what two policies contradict each other in by ``ambiguity``.
"""

from typing import Final

from burster.policy.expressions import check_condition, check_formula
from burster.policy.refusals import FieldErrors, Findings
from burster.policy.schema.policy_fields import PolicyFields
from burster.policy.schema.scaling import SCALING_RULES
from burster.policy.schema.triggers import CronSpec, PendingPodsSpec, ResourceSpec, Trigger


_METRIC: Final = "t.type != 'pending-pods'"

SPEC_RULES: Final = (
    *SCALING_RULES,
    (
        "self.placement.strategy != 'Scale' || has(self.scaleTargetRef)",
        "strategy Scale sets the number of a workload: name it by scaleTargetRef",
    ),
    (
        "self.placement.strategy != 'Move' || self.triggers.exists(t, t.type == 'pending-pods')",
        "strategy Move takes pending pods: it needs a trigger of type pending-pods",
    ),
    (
        "self.placement.strategy != 'Move' || !has(self.scaleTargetRef)",
        "strategy Move takes the pending pods themselves: scaleTargetRef can't be given",
    ),
    (
        "!(self.placement.strategy in ['Auto', 'Clone']) || !self.triggers.exists(t, " + _METRIC + ") ||"
        " has(self.workload.ownerRef) || has(self.scaleTargetRef)",
        "cloning by metrics needs one workload whose template is taken: name it by workload.ownerRef or scaleTargetRef",
    ),
    (
        (
            "self.placement.strategy in ['Scale', 'Signal'] || self.triggers.all(t, t.type != 'pending-pods' || !has(t.metadata) ||"
            " !has(t.metadata.namespaces) || size(t.metadata.namespaces) == 0)"
        ),
        "pods of other namespaces can only be counted, by strategies Scale and Signal: namespaces can't be given",
    ),
    (
        "self.wait.mode == 'PendingFor' || self.triggers.exists(t, t.type == 'pending-pods')",
        "only pending pods wait: wait.mode needs a trigger of type pending-pods",
    ),
    (
        "(self.placement.strategy == 'Machine') == has(self.machine)",
        "strategy Machine needs machine, which says what each is, and no other strategy has it",
    ),
    (
        "self.placement.strategy != 'Machine' || !has(self.scaleTargetRef)",
        "strategy Machine starts machines of its own: scaleTargetRef can't be given",
    ),
    (
        "self.placement.strategy != 'Machine' || self.wait.mode != 'BuyOrWait'",
        "BuyOrWait weighs a pod's waiting, and a machine is started for no pod in particular",
    ),
    (
        (
            "self.placement.strategy != 'Machine' || (!has(self.confidential.initdata) && self.confidential.secrets.mode == 'Any' &&"
            " !self.confidential.images.digestOnly && (!has(self.confidential.images.allowed) ||"
            " size(self.confidential.images.allowed) == 0))"
        ),
        "initdata, images and secrets are about pods: a machine has the image and the user data that machine names",
    ),
    (
        "self.placement.strategy != 'Machine' || !has(self.placement.spread) || self.placement.spread.by != 'zone'",
        "machines are spread over the target's machines.zones by themselves: spread.by can't be zone",
    ),
    (
        "!has(self.machine) || self.machine.encryption != 'DiskWithVMGuestState' || self.confidential.secureBoot",
        "encryption DiskWithVMGuestState needs secure boot",
    ),
    (
        "!has(self.fallback) || self.triggers.exists(t, !(t.type in ['pending-pods', 'cron', 'cpu', 'memory']))",
        "fallback is for triggers that are read, and there is none that can fail",
    ),
    (
        "self.triggers.all(t, !has(t.name) || self.triggers.exists_one(u, has(u.name) && u.name == t.name))",
        "two triggers have the same name",
    ),
)


def trigger_names(triggers: tuple[Trigger, ...]) -> tuple[str, ...]:
    """Return each trigger's name: its own, or its type, or, where that would be taken, ``s`` with its place and its type as in KEDA."""
    given = [trigger.name for trigger in triggers]
    types = [trigger.type for trigger in triggers]
    return tuple(
        name or (kind if types.count(kind) == 1 and kind not in given else f"s{index}-{kind}")
        for index, (name, kind) in enumerate(zip(given, types, strict=True))
    )


def check_spec(spec: PolicyFields) -> None:
    """Raise FieldErrors with everything that contradicts itself in a spec."""
    wrong = Findings()
    spec.check_numbers(wrong)
    _check_names(spec, wrong)
    _check_strategy(spec, wrong)
    _check_machine(spec, wrong)
    _check_waiting(spec, wrong)
    _check_modifiers(spec, wrong)
    wrong.raise_any()


def _check_names(spec: PolicyFields, wrong: Findings) -> None:
    names = trigger_names(spec.triggers)
    for index, name in enumerate(names):
        if name in names[:index]:
            first = names.index(name)
            wrong.at(
                "triggers", index, "name", message=f"{name!r} is the name of triggers[{first}] too: give each its own"
            )
    for field, windows in (("windows", spec.windows), ("blackouts", spec.blackouts)):
        called = [window.name for window in windows]
        for index, name in enumerate(called):
            if name is not None and name in called[:index]:
                first = called.index(name)
                wrong.at(
                    field, index, "name", message=f"{name!r} is the name of {field}[{first}] too: give each its own"
                )
    if spec.when is not None:
        try:
            check_condition(spec.when, names)
        except FieldErrors as error:
            wrong.add(error, "when")


def _check_strategy(spec: PolicyFields, wrong: Findings) -> None:
    strategy = spec.placement.strategy
    pending = any(isinstance(trigger, PendingPodsSpec) for trigger in spec.triggers)
    metrics = any(not isinstance(trigger, PendingPodsSpec) for trigger in spec.triggers)
    if strategy == "Scale" and spec.scale_target_ref is None:
        wrong.at("scaleTargetRef", message="is required by strategy Scale: name the cloud workload whose number is set")
    if strategy == "Move":
        if not pending:
            wrong.at(
                "triggers",
                message="need one of type pending-pods: strategy Move takes pending pods, and metrics find none",
            )
        if spec.scale_target_ref is not None:
            wrong.at(
                "scaleTargetRef",
                message="has no meaning for strategy Move, which takes the pending pods themselves: remove it",
            )
    if strategy in {"Auto", "Clone"} and metrics and spec.workload.owner_ref is None and spec.scale_target_ref is None:
        wrong.at(
            "workload",
            "ownerRef",
            message="is required where metrics say how many clones there are (or scaleTargetRef):"
            " name the one workload whose template is taken",
        )
    if strategy not in {"Scale", "Signal"}:
        for index, trigger in enumerate(spec.triggers):
            if isinstance(trigger, PendingPodsSpec) and trigger.metadata.namespaces:
                wrong.at(
                    "triggers",
                    index,
                    "metadata",
                    "namespaces",
                    message="is for strategies Scale and Signal only: a policy starts pods of its own namespace; write a policy for each"
                    " namespace",
                )


def _check_machine(spec: PolicyFields, wrong: Findings) -> None:
    machine, asked = spec.machine, spec.confidential
    if spec.placement.strategy != "Machine":
        if machine is not None:
            wrong.at(
                "machine",
                message=f"is for strategy Machine only, and placement.strategy is {spec.placement.strategy}: remove one, or write Machine",
            )
        return
    if machine is None:
        wrong.at("machine", message="is required by strategy Machine: say what each needs (requests) and its image")
    elif machine.encryption == "DiskWithVMGuestState" and not asked.secure_boot:
        wrong.at(
            "machine",
            "encryption",
            message="DiskWithVMGuestState needs secure boot, as Azure demands: set confidential.secureBoot to true, or write"
            " VMGuestStateOnly",
        )
    if spec.scale_target_ref is not None:
        wrong.at("scaleTargetRef", message="has no meaning for strategy Machine, which starts its own: remove it")
    if spec.wait.mode == "BuyOrWait":
        wrong.at(
            "wait",
            "mode",
            message="BuyOrWait weighs a pod's waiting, and a machine is started for no pod in particular: write PendingFor or AtOnce",
        )
    spread = spec.placement.spread
    if spread is not None and spread.by == "zone":
        wrong.at(
            "placement",
            "spread",
            "by",
            message="zone can't be given for machines, which are spread over the target's machines.zones by themselves: remove spread",
        )
    instead = "is about pods, and a machine has none: "
    if asked.initdata is not None:
        wrong.at("confidential", "initdata", message=f"{instead}what it starts with is machine.userData; remove it")
    if asked.images.allowed or asked.images.digest_only:
        wrong.at("confidential", "images", message=f"{instead}its image is machine.image; remove it")
    if asked.secrets.mode != "Any":
        wrong.at("confidential", "secrets", message=f"{instead}it mounts no Secret; remove it")


def _check_waiting(spec: PolicyFields, wrong: Findings) -> None:
    if spec.wait.mode != "PendingFor" and not any(isinstance(trigger, PendingPodsSpec) for trigger in spec.triggers):
        wrong.at(
            "wait",
            "mode",
            message=f"{spec.wait.mode} is for pending pods, and no trigger is of type pending-pods: remove it or add one",
        )
    never_fail = (PendingPodsSpec, CronSpec, ResourceSpec)
    if spec.fallback and all(isinstance(trigger, never_fail) for trigger in spec.triggers):
        wrong.at(
            "fallback",
            message="is for triggers that are read and can fail; pending-pods, cron, cpu and memory have none, as in KEDA: remove it",
        )


def _check_modifiers(spec: PolicyFields, wrong: Findings) -> None:
    modifiers = spec.advanced.scaling_modifiers
    if modifiers is None:
        if spec.fallback and spec.fallback.behavior == "scalingModifiers":
            wrong.at(
                "fallback",
                "behavior",
                message="scalingModifiers lets the formula decide, and there is none: write advanced.scalingModifiers",
            )
        return
    where = ("advanced", "scalingModifiers", "formula")
    names: list[str] = []
    for name, trigger in zip(trigger_names(spec.triggers), spec.triggers, strict=True):
        if not isinstance(trigger, ResourceSpec):
            names.append(name)
        elif name in modifiers.words:
            wrong.at(
                *where,
                message=f"uses {name}, a {trigger.type} trigger, which formulas can't use, as in KEDA: remove it",
            )
            return
    try:
        check_formula(modifiers.formula, [name for name in names if name.isidentifier()])
    except FieldErrors as error:
        wrong.add(error, *where)
