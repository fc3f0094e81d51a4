"""The reference page of reason codes: every one that the engine can give, read from its source.

The source says which codes there are and how their sentences read; what a code goes with is written down here. A code that the source has
and this module does not know, or the other way round, is an error: so the page can't fall behind.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from burster.model.decisions import Decision, Reason, Verdict
from burster.surfaces import words
from tools.reference.tables import table


ENGINE: Final = Path(__file__).parents[2] / "burster" / "engine"
_INTRODUCTION: Final = """\
# Reasons

Made by `make reference` from `burster/engine`; edit that, not this page.

Every decision has a verdict and at least one reason: a code that does not change, a sentence for people, and the numbers behind it.
The first reason is the one that settled it. `burster why`, events, logs, metrics and the status page all show the same record. In the
sentences below, `…` stands for what is filled in.

A pod is told a refusal when it changes, not every time it is looked at: a second `Wait` for another reason means that the first one no
longer holds.
"""


class Told(NamedTuple):
    """A code in the source: where, and how its sentence reads."""

    code: str
    sentence: str
    place: str


#: Codes that are put together in the source: the expression there -> the codes it can give, and what else to know of it
_COMPUTED: Final[dict[str, tuple[str, ...]]] = {
    "f'Strategy{strategy}'": ("StrategyClone", "StrategyMove", "StrategyMachine"),
    "WENT_AWAY": ("MachineGone",),
    "STOPPED_ITSELF": ("MachineStopped",),
    "TAKEN_AWAY": ("SpotEvicted",),
    "_TAKEN": ("NameTaken",),
    "failure.code or f'Machine{failure.kind}'": ("Machine…",),
    "f'Pod{pod.phase}'": ("PodSucceeded", "PodFailed"),
    "problem.code": ("(the check's own code)",),
    "choice.reason.code": (),  # Choice's own reason, found where it is made
    **{
        f"f'{{scope.kind}}{what}'": tuple(f"{kind}{what}" for kind in ("Policy", "Namespace", "Target", "Cluster"))
        for what in ("MaxBursts", "LaunchRate", "ProviderShare", "MaxVcpus", "Budget")
    },
    "reason.code": (),  # the same
    "'TriggerActive' if fact.active else 'TriggerInactive'": ("TriggerActive", "TriggerInactive"),
    "stimulus.code or f'Sandbox{stimulus.kind}'": ("Sandbox…",),
    "stimulus.code or stimulus.kind": ("(the refusal's own code)",),
    "failure.code or 'Capacity'": (),  # told inside CapacityRefused
    "wanted": ("NextSize", "NextZone", "NextRegion", "NextTarget"),
    "consequence": (),  # the same, where nothing is left to be left alone
    "''": (),  # stands for no reason
}
#: Parameters named ``code`` that are filled by a caller: the function -> its callers' codes are found as plain text
_PASSED_ON: Final = frozenset({"code"})
#: A mapping in the source whose values are codes
_MAPPED: Final = "codes[objection]"

_SANDBOX: Final = (
    "The cloud's own code where there is one (`AllocationFailed`, `SkuNotAvailable`, …), else `Sandbox` and the kind of failure. "
    "Where the cloud has no room, the size and larger ones of its family are left alone for a while."
)
_MACHINE: Final = (
    "A machine could not be made: the cloud's own code where there is one, else `Machine` and the kind of failure. What follows is told "
    "after it."
)
_REFUSALS_HEAD: Final = (
    "In the order in which people usually meet them. `Wait`: time or freed room can change it without anybody acting. "
    "`Deny`: a person has to.\n"
)

_REFUSALS: Final = (
    "NoPolicy", "NotByPods", "FilteredOut", "CountedForReplicas", "CountedForMachines", "NoBurstsOfItsOwn",
    "TooYoung", "TooFew", "BackingOff", "ReadAnew", "WorkloadFailing", "RoomOnPrem",
    "WaitIsCheaper", "TooShortToMove", "LedgerNotWritable", "ComingHome", "ClusterStopped", "PolicyLeaving",
    "PolicyRefused", "Paused", "PausedScaleOut", "Blackout", "OutsideWindows",
    "WindowUnknown", "EndpointNotAllowed", "WhenFalse", "WhenUnknown", "PolicyMaxBursts", "PolicyLaunchRate", "CloneWouldRunTwice",
    "MoveNeedsWebhook", "ImagesUnknown", "ImageNotAllowed", "ImageNotByDigest", "SecretNotSealed",
    "NamespaceUnknown", "NamespaceNotOptedIn", "DataClassNotAllowed", "JurisdictionNotAllowed", "ProofMissing", "TrusteeMissing",
    "TrusteeDown",
    "AlreadyPeerPod", "MachinesNotTaken", "MachineImageNotAllowed",
    "TargetMissing", "BreakerOpen", "TargetStopped", "TargetEvacuated", "NamespaceNotAllowed",
    "NamespaceMaxBursts", "NamespaceLaunchRate", "TargetMaxBursts", "TargetLaunchRate", "ClusterMaxBursts", "ClusterLaunchRate",
    "NoOfferings",
    "SpotNotAllowed", "SpotNotPossible", "SpreadTooUneven",
    "NotInRegion", "NotInZones",
    "NoSizeAllowed", "TeeNotOffered", "NoSizeFits", "SizeRestricted", "PriceUnknown", "CapacityRefused", "QuotaExhausted",
    "SpotNotOffered", "PricesTooOld", "QuotaUnknown",
    "PolicyProviderShare", "NamespaceProviderShare", "TargetProviderShare", "ClusterProviderShare",
    "PolicyMaxVcpus", "NamespaceMaxVcpus", "TargetMaxVcpus", "ClusterMaxVcpus",
    "ScaleTargetUnknown", "ScaleTargetOwned", "NotConfidential", "TemplateUnknown",
    "PolicyBudget", "NamespaceBudget", "TargetBudget", "ClusterBudget", "RenewalsFirst", "BudgetStop", "BudgetDrain",
    "BudgetHeldOff",
)  # fmt: skip
_DENIED: Final = frozenset(
    {
        "NoPolicy", "FilteredOut", "NoBurstsOfItsOwn", "SpotNotAllowed", "SpotNotPossible", "SpotNotOffered",
        "PolicyRefused", "MachinesNotTaken", "MachineImageNotAllowed", "NotInZones",
        "WindowUnknown", "EndpointNotAllowed", "WhenUnknown", "ImagesUnknown", "ImageNotAllowed",
        "ImageNotByDigest", "SecretNotSealed", "NamespaceUnknown", "NamespaceNotOptedIn", "DataClassNotAllowed", "JurisdictionNotAllowed",
        "ProofMissing", "TrusteeMissing",
        "ScaleTargetOwned", "NotConfidential", "TemplateUnknown",
        "LedgerNotWritable", "ComingHome", "ClusterStopped", "PolicyLeaving", "Paused", "PausedScaleOut",
        "CloneWouldRunTwice", "MoveNeedsWebhook", "AlreadyPeerPod", "TargetMissing", "BreakerOpen",
        "TargetEvacuated", "NamespaceNotAllowed", "NotInRegion", "NoSizeAllowed", "TeeNotOffered", "NoSizeFits", "SizeRestricted",
        "PriceUnknown",
    }
)  # fmt: skip
#: code -> what it goes with; in the order of a burst's life
_OTHERS: Final[dict[str, tuple[str, str]]] = {
    "Pending": ("Burst", "The first of a burst's reasons: how long its pod has waited."),
    "StrategyClone": ("Burst", "A service's pod: a clone serves beside it."),
    "StrategyMove": ("Burst", "The pending pod itself goes."),
    "StrategyMachine": ("Burst", "A confidential VM without a pod, for no pod in particular."),
    "Cheapest": ("Burst", "The offering that was chosen."),
    "Reserved": ("Burst", "What was set aside for it before anything was created."),
    "AnsweredByClone": ("Resolved", "No new burst is needed."),
    "RunsOnPrem": ("Resolved or Release", "The pod no longer needs a burst; a clone of it goes, at once or after its cool-down."),
    "PodGone": ("Resolved or Release", "The same, because nobody wants the pod any more."),
    "Replaced": ("Resolved or Release", "The same; the new pod is judged by itself."),
    "NoLongerPending": ("Release", "Its clone goes, at once or after its cool-down."),
    "DemandGone": ("Release", "The clone is drained."),
    "ReleaseOrder": ("Release", "Follows the first reason: why this one, how many are on their way, and why others are kept."),
    "ReplicasChanged": ("Scale", "A number is set or published; after it the chain from the values to the number that is wanted."),
    "PausedScaleIn": ("Scale", "The number would fall, and stays: a person wants to keep what runs."),
    "ScaleNotSet": ("Scale", "The API server did not take the number; it is set again after a pause, as it is wanted by then."),
    "OutsideBounds": ("Scale", "The number is brought within minReplicaCount and maxReplicaCount, whatever the values say."),
    "ScaleTargetActivated": ("Scale or Burst", "From zero or the idle number to the first; the next sync counts on."),
    "ScaleTargetDeactivated": ("Scale", "Back to zero or the idle number, after the cool-down."),
    "BelowMinimum": ("Scale", "Up to minReplicaCount without any trigger."),
    "OriginalNoted": ("Note", "On record before the number is first set, and once a day: a successor restores it too."),
    "OriginalRestored": ("Note", "The policy is done with the workload: what was noted counts no more."),
    "ScalerActive": ("Scale", "Part of a chain: a trigger is active, and the number is the sync's."),
    "ScalerNotActive": ("Scale", "Part of a chain: no trigger is active."),
    "ScalerCooldown": ("Scale", "Part of a chain: the cool-down holds the number up."),
    "TriggerError": ("Scale", "Part of a chain: a value is missing, so nothing is bought or given up."),
    "MetricsMissing": ("Scale", "The number stays: some values are missing, and the others would make it smaller."),
    "TriggerValue": ("Scale or Burst", "Part of a chain: what a trigger is worth, and what it proposes."),
    "TriggerFallback": ("Scale or Burst", "The same for a trigger whose declared fallback stands for it."),
    "TriggerMissing": ("Scale or Burst", "The same for a trigger that has no value, and why."),
    "DesiredWithinRange": ("Scale or Burst", "Part of a chain: nothing limits what is proposed."),
    "ScaleUpLimit": ("Scale or Burst", "The rules for growing allow less for now; the next sync goes on."),
    "ScaleDownLimit": ("Scale or Burst", "The rules for shrinking allow no less for now."),
    "ScaleUpStabilized": ("Scale or Burst", "A smaller number was proposed within the window for growing."),
    "ScaleDownStabilized": ("Scale or Burst", "A larger number was proposed within the window for shrinking."),
    "TooManyReplicas": ("Scale or Burst", "maxReplicaCount holds the number."),
    "TooFewReplicas": ("Scale or Burst", "minReplicaCount, or 1 before the cool-down has passed, holds the number."),
    "TooManyClones": ("Release", "The number has fallen: the surplus comes home by the policy's order."),
    "TooManyMachines": ("Release", "The same of machines."),
    "LeaseRenewed": ("Renew", "The next period's worst case is set aside."),
    "LeaseNotRenewed": ("Release", "The burst is drained before its lease ends. Finite work comes home and starts again."),
    "PolicyGone": ("Release", "Everything of the policy comes home; what it spent stays spent."),
    "RecordDeleted": ("Release", "The burst comes home, then its record goes."),
    "RecordGone": ("Release", "The burst comes home without a record."),
    "AmbiguousPolicies": ("Warn", "Told once: the policy that comes first by name takes such pods."),
    "BudgetWarning": ("Warn", "Told once for each scope and window; nothing is refused yet."),
    "PodSucceeded": ("Release", "Finite work is done; its pod stays for its owner to read, its VM goes."),
    "PodFailed": ("Release", "The same for work that ended badly; a clone that ended is drained."),
    "PodDeleted": ("Release", "The VM's absence is confirmed, then the burst is closed."),
    "Verified": ("an event, no decision", "The VM is what was asked for: the burst serves."),
    "VmMismatch": ("Fail", "The burst comes home, and the target's breaker opens."),
    "NodesFull": ("Fail", "No confidential node took the pod within 30s: it goes home, and to the next target."),
    "AdmissionMismatch": ("Fail", "What came out of admission is not what was asked for: the burst comes home; its pod backs off."),
    "NotRecordedInTime": ("Fail", "The money comes back at once; the pod backs off."),
    "NotPlacedInTime": ("Fail", "The money comes back when no VM is left; the pod backs off."),
    "NotReadyInTime": ("Fail", "The burst comes home; its pod backs off."),
    "Sandbox…": ("Fail", _SANDBOX),
    "NextSize": ("Fail", "After the cloud's own code: another size is tried, and what is left alone until when."),
    "NextZone": ("Fail", "The same: the same size in another zone. Of machines only."),
    "NextRegion": ("Fail", "The same: the region has no quota left, so another target, which is another region."),
    "NextTarget": ("Fail", "The same: the place has no address, or no node with room, left, or refuses in words that are not understood."),
    "TriedAgain": ("Fail", "The same: it passes by itself, and the size is not to blame."),
    "RequestRefused": ("Fail", "The same: what was asked for is wrong, wherever it goes; its workload rests."),
    "Machine…": ("Fail", _MACHINE),
    "NameTaken": ("Fail", "Something of the machine's name is there and is not this burst's: it is left alone; the next has another name."),
    "MachineGone": ("Fail", "The cloud has the machine no more, or never showed it; what it has left is deleted, and the policy rests."),
    "MachineStopped": ("Release or Fail", "The machine's guest has shut down: it is deleted, and the policy's machines rest for a while."),
    "SpotEvicted": ("Fail", "The cloud has taken a spot machine back: spot of that size is left alone there for an hour; another starts."),
    "SandboxStorm": ("Fail", "The kubelet would make one VM after the other: the burst comes home; its pod backs off for longer."),
    "TooManyUnhealthy": ("Warn", "The breaker of the target or the policy opens: nothing new until somebody edits it."),
    "LaunchesFail": ("Warn", "The same, for many failures over a longer time with nothing that serves."),
    "VmLost": ("Fail", "Cloud and cluster disagree: the pod is deleted; a moved one comes home."),
    "(the check's own code)": (
        "Deny",
        "A check of the target has found something that blocks it: see [doctor](../doctor.md). `NotCheckedYet` waits for the first one.",
    ),
    "(the refusal's own code)": (
        "Fail or Release",
        "An instruction can't succeed: the code is the API server's or the cloud's, or the kind of failure (`Invalid`, `Conflict`, …).",
    ),
    "NotReturned": ("Fail", "Somebody has to write the moved pod anew."),
    "VmOutlivedPod": ("Sweep", "The VM is deleted: the target says `sweep.mode: Delete`, and the grace has passed."),
    "VmLeftBehind": ("Sweep", "Told once; the burst stays in Releasing, and its money reserved, until the VM is gone."),
    "VmUnclaimed": (
        "Sweep",
        (
            "Told once; the VM is left alone, or deleted after the next listing where it is this cluster's by `sweep.scope` and the mode is"
            " Delete."
        ),
    ),
    "PartUnclaimed": ("Sweep", "The same of a network interface, a disk or a public address that a VM has left behind."),
    "SweepDeletes": ("Sweep", "It is deleted: it is this cluster's for certain, and the target says `sweep.mode: Delete`."),
    "LeftoverGone": ("Sweep", "It is confirmed gone, and what it has cost is settled."),
    "SweepFails": ("Warn", "Told once; the deletion is tried again, once an hour at last."),
    "DeletionFails": ("Warn", "Told once; the deletion is tried again each minute, and what the machine costs until then is reserved."),
    "RecordForeign": ("Warn", "Told once; the record counts for nothing, and nothing is done about it."),
    "Dearer": ("in `burster offerings` only", "It could be chosen, were the cheaper ones not there."),
    # of the chain that `burster why POLICY` shows
    "Holds": ("in a chain only", "This check stands in nothing's way."),
    "Budget": ("in a chain only", "What of a budget is spent and reserved."),
    "TriggerActive": ("in a chain only", "The trigger is above its activation value."),
    "TriggerInactive": ("in a chain only", "The trigger is not above its activation value: it calls for nothing."),
    "Answered": ("in a chain only", "A burst answers the pod already."),
}  # fmt: skip


def reasons_page() -> str:
    """Return the page as Markdown. Raises LookupError where source and this module know different codes."""
    told = find_reasons()
    sentences: dict[str, list[str]] = {}
    for one in told:
        if one.sentence not in sentences.setdefault(one.code, []):
            sentences[one.code].append(one.sentence)
    known = {*_REFUSALS, *_OTHERS}
    if known != set(sentences):
        raise LookupError(
            f"reasons that tools/reference/reasons.py does not know: {sorted(set(sentences) - known)}; "
            f"reasons that the engine no longer gives: {sorted(known - set(sentences))}"
        )
    refusals = [
        (f"`{code}`", "Deny" if code in _DENIED else "Wait", _told(sentences[code]), _change(code))
        for code in _REFUSALS
    ]
    others = [(_name(code), verdict, _told(sentences[code]), note) for code, (verdict, note) in _OTHERS.items()]
    return "\n".join(
        [
            _INTRODUCTION,
            "## Why a pod does not burst now\n",
            _REFUSALS_HEAD,
            table(("code", "verdict", "sentence", "what would change it"), refusals),
            "## What else is decided\n",
            table(("code", "verdict", "sentence", "what it means"), others),
        ]
    )


def _change(code: str) -> str:
    verdict: Verdict = "Deny" if code in _DENIED else "Wait"
    return words.what_would_change(Decision(at_ms=0, verdict=verdict, reasons=(Reason(code=code, sentence=""),)))


def _name(code: str) -> str:
    return code if code.startswith("(") else f"`{code}`"


def _told(sentences: list[str]) -> str:
    return " / ".join(sentence for sentence in sentences if sentence) or "…"


def find_reasons(folder: Path = ENGINE) -> list[Told]:
    """Return every reason that the source makes. Raises LookupError for a code that can't be read from it."""
    found: list[Told] = []
    for path in sorted(folder.rglob("*.py")):
        module = ast.parse(path.read_text("utf-8"))
        for function in _scopes(module):
            found += _in_scope(function, module, path.name)
    return found


def _scopes(module: ast.Module) -> Iterator[ast.AST]:
    yield module
    yield from (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef))


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, those of functions inside it left out."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from _own_nodes(child)


def _in_scope(scope: ast.AST, module: ast.Module, place: str) -> Iterator[Told]:
    for node in _own_nodes(scope):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Reason":
            given = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            sentence = _pattern(_assigned(given["sentence"], scope), module)
            for code, pattern in _codes(given["code"], sentence, scope, module, place):
                yield Told(code, pattern, place)


def _codes(code: ast.expr, sentence: str, scope: ast.AST, module: ast.Module, place: str) -> Iterator[tuple[str, str]]:
    text = ast.unparse(code)
    if text in _COMPUTED:
        yield from ((each, sentence) for each in _COMPUTED[text])
    elif isinstance(code, ast.Constant):
        yield str(code.value), sentence
    elif text == _MAPPED:
        codes, sentences = _mapping(scope, "codes", module), _mapping(scope, "sentences", module)
        yield from ((codes[key], sentences.get(key, "")) for key in codes)
    elif text in _PASSED_ON:
        yield from ((each, sentence) for each in _given_to(scope, module))
    else:
        raise LookupError(f"{place}:{code.lineno}: what codes can {text} give? Say so in tools/reference/reasons.py")


def _mapping(scope: ast.AST, name: str, module: ast.Module) -> dict[str, str]:
    """Return a dict of the source by its text keys, its values as text patterns."""
    for node in _own_nodes(scope):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            value = node.value
            if isinstance(value, ast.Dict):
                return {
                    str(key.value): _pattern(each, module)
                    for key, each in zip(value.keys, value.values, strict=True)
                    if isinstance(key, ast.Constant)
                }
    return {}


_CODE_TEXT: Final = re.compile(r"[A-Z][A-Za-z]+")


def _given_to(scope: ast.AST, module: ast.Module) -> list[str]:
    """Return the codes a function is given: those its loop runs over, else what it is called with."""
    taken = scope.args.args if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef) else []
    if "code" not in {argument.arg for argument in taken}:
        return _texts(scope)
    name = getattr(scope, "name", "")
    given: list[str] = []
    for function in _scopes(module):
        for node in _own_nodes(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                plain = [each.value for each in node.args if isinstance(each, ast.Constant)]
                texts = [each for each in plain if isinstance(each, str) and _CODE_TEXT.fullmatch(each)]
                given += texts or _texts(function)
    return list(dict.fromkeys(given))


def _texts(scope: ast.AST) -> list[str]:
    """Return the codes among the tuples that a scope's loops run over."""
    return [
        each.value
        for loop in _own_nodes(scope)
        if isinstance(loop, ast.For)
        for each in ast.walk(loop.iter)
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and _CODE_TEXT.fullmatch(each.value)
    ]


def _assigned(sentence: ast.expr, scope: ast.AST) -> ast.expr:
    """Return what a sentence's name was last given in its scope, where it is a name."""
    if not isinstance(sentence, ast.Name):
        return sentence
    given = [
        node.value
        for node in _own_nodes(scope)
        if isinstance(node, ast.Assign)
        and node.lineno < sentence.lineno
        and any(isinstance(target, ast.Name) and target.id == sentence.id for target in node.targets)
    ]
    return max(given, key=lambda node: node.lineno, default=sentence)


def _pattern(node: ast.expr, module: ast.Module) -> str:
    """Return a text of the source with … for what is filled in; of a call, what the function there returns."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        for function in _scopes(module):
            if getattr(function, "name", "") == node.func.id:
                returned = [each.value for each in _own_nodes(function) if isinstance(each, ast.Return) and each.value]
                return " / ".join(_pattern(each, module) for each in returned)
    return ""
