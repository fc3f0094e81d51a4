"""Numbers and verdicts in words, the same in tables, on the status page, in the live view and in reports.

Pure functions. Units are read from the names the engine gives its numbers (``wanted_micro_usd``, ``pending_ms``, ``memory_bytes``).
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from burster.model.decisions import Decision
from burster.model.pods import Resources
from burster.model.quantities import format_duration_ms, format_memory_bytes, format_micro_usd
from burster.surfaces.view import LeakView


#: scope -> whose bursts count, and where its limits are written
_SCOPES: Final = {
    "Policy": ("this policy", "in the policy"),
    "Namespace": ("this namespace", "of the namespace in the target"),
    "Target": ("this target", "in the target"),
    "Cluster": ("any policy", "of the cluster"),
}
#: what a scope's limit on something needs to let a pod go
_FREED: Final = {
    "MaxBursts": "A burst of {whose} that comes home, or a larger limits.maxBursts {where}.",
    "MaxVcpus": "A burst of {whose} that comes home, or a larger limits.maxVcpus {where}.",
    "LaunchRate": "Time: one more may go when the oldest of these launches is long enough ago. Or a larger limits.launchRate {where}.",
    "ProviderShare": "More at other providers, a burst that comes home from this one, or a larger share in limits.providerShares {where}.",
    "Budget": "A burst that settles for less than was reserved, the next hour, day or month, or a larger budget {where}.",
}
_SCOPED: Final = {
    f"{scope}{limit}": text.format(whose=whose, where=where)
    for limit, text in _FREED.items()
    for scope, (whose, where) in _SCOPES.items()
}
#: what a person, or time, can do about a refusal; by the code of the reason that settled it
_CHANGES: Final = {
    "NoPolicy": "A BurstPolicy in the pod's namespace whose workload selector matches it.",
    "NotByPods": "A pending-pods trigger in the policy; by metrics alone its clones answer pods as they come.",
    "FilteredOut": "Another filter in the policy's pending-pods trigger, or a pod that passes it.",
    "CountedForReplicas": "The replicas that the policy asks for: they answer it together with the other pods.",
    "CountedForMachines": "Room on-prem: the machines that it counts for serve beside it and answer no pod.",
    "MachinesNotTaken": "The platform team giving the target machines: images and a subnet.",
    "MachineImageNotAllowed": "The platform team adding the image to the target's machines.images, or another image in the policy.",
    "NotInZones": "A zone in the target's machines.zones that has the size, or another size.",
    "NoBurstsOfItsOwn": "Strategy Auto, Clone or Move in a policy for such pods.",
    "SpotNotAllowed": "A size that is no spot size: peer pods have none.",
    "SpotNotPossible": "placement.spot: Never in the policy; cloud-api-adaptor makes no spot VMs.",
    "SpreadTooUneven": "Room at the other places of placement.spread, a larger maxSkew, or whenUnsatisfiable: ScheduleAnyway.",
    "TooYoung": "It bursts if it is still pending when the policy's pendingFor has passed.",
    "TooFew": "More pending pods, or a smaller minCount in the policy.",
    "RenewalsFirst": "The renewals, a few minutes from now; the next hour, day or month, or a larger budget.",
    "BudgetHeldOff": "The end of the window that was short, a day at most, or another budget.",
    "BudgetStop": "The next hour, day or month, a larger budget, or a larger stopAtPercent.",
    "BudgetDrain": "The next hour, day or month, a larger budget, or a larger drainAtPercent.",
    **_SCOPED,
    "BackingOff": "Time: it is tried again when the pause after the last failure has passed.",
    "ReadAnew": "Time: it is looked at again within seconds.",
    "WorkloadFailing": "A launch of the workload that succeeds: one of its pods is tried at a time, after a pause.",
    "RoomOnPrem": "An on-prem node that takes it; it may burst again when the time that it is left to on-prem has passed.",
    "WaitIsCheaper": "A longer queue on-prem, a lower price, a larger wait.valuePerHour, or the wait.maxWait in the policy passing.",
    "TooShortToMove": "The wait.maxWait in the policy passing, or a faster start in the cloud.",
    "LedgerNotWritable": "A ledger that can be written again: free space, permissions, the disk.",
    "ComingHome": "Somebody who cancels the drain.",
    "ClusterStopped": "Somebody who lifts the stop: deletes the ConfigMap burster-stop in burster's namespace.",
    "PolicyLeaving": "Another policy: this one is being deleted.",
    "Paused": "Removing the annotation burster.dev/paused from the policy.",
    "PausedScaleOut": "Removing the annotation burster.dev/paused-scale-out from the policy.",
    "PolicyRefused": "Correcting the policy: its latest version is not valid.",
    "Blackout": "Time: the blackout ends by itself. Or another blackout in the policy.",
    "OutsideWindows": "Time: a window opens by itself, where one opens again. Or another window in the policy.",
    "WindowUnknown": "A time zone in the policy's windows that this machine knows too, or the zone's data on this machine.",
    "EndpointNotAllowed": "The platform team adding scheme, host and port to the target's allowedMetricEndpoints.",
    "WhenFalse": "The values that the policy's when looks at; it is asked again when they change, and each minute.",
    "WhenUnknown": "The value that is missing; it is asked again when it is there, and each minute. Or another when in the policy.",
    "ImagesUnknown": "A pod whose images can be read.",
    "ImageNotAllowed": "An image that the policy allows, or the image added to confidential.images.allowed.",
    "ImageNotByDigest": "The image named by its digest (name@sha256:...), or confidential.images.digestOnly: false.",
    "SecretNotSealed": "A sealed secret, named in confidential.secrets.sealed, in its place.",
    "NamespaceUnknown": "The right to read the namespace: its labels are not known yet.",
    "NamespaceNotOptedIn": "The platform team labelling the namespace.",
    "DataClassNotAllowed": "A target that lists this class of data, or another class of data.",
    "JurisdictionNotAllowed": "A target where another law holds, or more jurisdictions in the policy.",
    "ProofMissing": "attestation: Required in the policy, or a target whose VMs can be looked at.",
    "TrusteeMissing": "A trustee.url at the target, another target, or attestation: VmOnly in the policy.",
    "TrusteeDown": "The target's Trustee answering again; it is asked again by itself.",
    "TargetMissing": "A valid BurstTarget of that name.",
    "NotCheckedYet": "The first check of the target, within a minute of its coming or its last edit.",
    "TargetStopped": "Whoever mends what the cloud refused (rights, image, configuration); then an edit or a clean check of the target.",
    "TargetEvacuated": "Somebody who ends the evacuation of the target, or another target in the policy.",
    "BreakerOpen": "Somebody who looks into the failures and resets the breaker.",
    "NamespaceNotAllowed": "The platform team adding the namespace to the target's allowedNamespaces.",
    "CloneWouldRunTwice": "Strategy Auto or Move in the policy.",
    "AlreadyPeerPod": "A free slot (kata.peerpods.io/vm) on a worker: more workers, or a larger PEERPODS_LIMIT_PER_NODE.",
    "MoveNeedsWebhook": "A bare pod in its place, or strategy Clone where it is a service: this version has no admission webhook.",
    "ScaleTargetUnknown": "A workload of that name in the policy's namespace, or a scaleTargetRef in the policy.",
    "ScaleTargetOwned": "Removing the HPA or ScaledObject that sets the workload's number, or strategy Signal in the policy.",
    "NotConfidential": "The target's RuntimeClass in the workload's template.",
    "TemplateUnknown": "Sight of the workload's template, or no rules about images and Secrets in the policy.",
    "NoOfferings": "The cloud answering with what it offers; it is asked again by itself.",
    "NotInRegion": "A size in the target's sizes that its region has.",
    "NoSizeFits": "A larger confidential size in the target's sizes, or smaller requests of the pod.",
    "NoSizeAllowed": "A size in the policy's placement.sizes that the target offers.",
    "TeeNotOffered": "A size with the confidential hardware that policy and target ask for.",
    "SizeRestricted": "A subscription that may use the size, or another size.",
    "PriceUnknown": "A known price, or assumedPricePerHour in the target.",
    "PricesTooOld": "A price list that can be read again, prices.perHour in the target, or a larger BURSTER_PRICES__MAX_AGE_DAYS.",
    "QuotaUnknown": "Usages that can be read: the right Microsoft.Compute/locations/usages/read, or whenQuotaUnknown: Allow in the target.",
    "SpotNotOffered": "A size that is sold as spot, or placement.spot: Prefer in the policy.",
    "CapacityRefused": "Time: the cloud is asked again when the memory of its refusal has passed.",
    "QuotaExhausted": "A larger vCPU quota for the family or the region, or a burst of it that comes home.",
}
_BY_VERDICT: Final = {
    "Wait": "Time, or room that frees up.",
    "Deny": "A person who changes the rule or the limit named above.",
}


def what_would_change(decision: Decision) -> str:
    """Return what would change a refusal, in a sentence; empty for decisions that refuse nothing."""
    if decision.verdict not in _BY_VERDICT:
        return ""
    code = decision.reasons[0].code if decision.reasons else ""
    return _CHANGES.get(code, _BY_VERDICT[decision.verdict])


def sentence(decision: Decision) -> str:
    """Return the sentence of the reason that settled it."""
    return decision.reasons[0].sentence if decision.reasons else ""


def moment(at_ms: int) -> str:
    """Return a moment as UTC date and time to the millisecond."""
    return _utc(at_ms).strftime("%Y-%m-%d %H:%M:%S.") + f"{at_ms % 1000:03d}Z"


def clock_time(at_ms: int) -> str:
    """Return a moment's time of day in UTC."""
    return _utc(at_ms).strftime("%H:%M:%S")


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)


def resources(value: Resources) -> str:
    """Return requests or room: ``2 cpu, 4Gi, 1 GPU``."""
    parts = [f"{value.cpu_millicores / 1000:g} cpu", format_memory_bytes(value.memory_bytes)]
    if value.gpus:
        parts.append(f"{value.gpus} GPU")
    return ", ".join(parts)


def _count(value: int) -> str:
    return f"{value:,}"


#: suffix of a number's name -> how it is written; the first that fits
_UNITS: Final[tuple[tuple[str, str, Callable[[int], str]], ...]] = (
    ("_micro_usd_per_hour", "", lambda value: f"{format_micro_usd(value)}/h"),
    ("_micro_usd", "", format_micro_usd),
    ("_at_ms", "", moment),
    ("_until_ms", "", moment),
    ("due_ms", "due", moment),
    ("_ms", "", lambda value: format_duration_ms(value) if value >= 0 else f"{value}ms"),
    ("_bytes", "", format_memory_bytes),
    ("_millicores", "", lambda value: f"{value / 1000:g}"),
)


def number(name: str, value: int) -> str:
    """Return one of a reason's numbers in words: ``pending_ms``, 5200 -> ``pending 5.2s``."""
    for suffix, kept, write in _UNITS:
        if name.endswith(suffix):
            label = name.removesuffix(suffix) + kept
            return f"{label.replace('_', ' ').strip()} {write(value)}"
    return f"{name.replace('_', ' ')} {_count(value)}"


def numbers(values: dict[str, int]) -> str:
    """Return a reason's numbers in words, in the order the engine gave them."""
    return ", ".join(number(name, value) for name, value in values.items())


def percent(part: int, whole: int) -> int:
    """Return how much of the whole a part is, 0 where there is no whole: never more precise than a bar can show."""
    return 0 if whole <= 0 else max(0, round(100 * part / whole))


_PLURALS: Final = {"Vm": "VMs", "Nic": "network interfaces", "PublicIp": "public addresses", "Disk": "disks"}


def left_behind(leaks: Sequence[LeakView]) -> str:
    """Return in one line what is in the cloud and no record claims; empty where there is nothing."""
    if not leaks:
        return ""
    places: dict[str, list[str]] = {}
    for leak in leaks:
        places.setdefault(leak.target, []).append(f"{leak.count} {_PLURALS.get(leak.kind, leak.kind)}")
    told = "; ".join(f"{', '.join(counts)} at {target}" for target, counts in places.items())
    cost = sum(leak.cost_micro_usd_per_hour for leak in leaks)
    return f"{told}" + (f", {format_micro_usd(cost)} an hour" if cost else "")
