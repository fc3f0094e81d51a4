"""Lint of placement: strategies and places that this version can't serve, devices that no confidential VM has, missing fall-backs."""

import difflib
import re
from collections.abc import Iterator
from typing import Final

from burster.model.policies import Policy
from burster.model.targets import Target
from burster.policy.lint.base import PLACEMENT, SPEC, Hit, Known, PolicyRule, trigger_path
from burster.policy.problems import closest
from burster.policy.yaml_nodes import Path


GPU: Final = "nvidia.com/gpu"
#: what Azure joins with a TEE, as of the size tables of 2026: vendor's resource name -> (size, TEE)
_AZURE_DEVICES: Final = {GPU: ("Standard_NCC40ads_H100_v5", "SNP")}
_AZURE_GPU_SIZE: Final = re.compile(r"standard_n[a-z]*[0-9]+.*", re.IGNORECASE)
_AZURE_SNP: Final = re.compile(r"standard_(?:[de]c[0-9]+as?[a-z]*|ncc[0-9]+ads.*)_.*", re.IGNORECASE)
_AZURE_TDX: Final = re.compile(r"standard_[de]c[0-9]+e[a-z]*_v[0-9]+", re.IGNORECASE)
_DEVICES: Final = (
    "amd.com/gpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "aws.amazon.com/neurondevice",
    "google.com/tpu",
    "gpu.intel.com/i915",
    "gpu.intel.com/xe",
    "habana.ai/gaudi",
    "huawei.com/Ascend310",
    "huawei.com/Ascend310P",
    "huawei.com/Ascend910",
    GPU,
    "nvidia.com/gpu.shared",
    "qualcomm.com/qaic",
)
_DEVICE_FAMILIES: Final = ("nvidia.com/mig-", "huawei.com/Ascend910-", "requests.", "hugepages-")
_PLAIN: Final = ("cpu", "memory", "ephemeral-storage", "pods", "storage")
_TARGETS_MANY: Final = 8
#: kinds that this version moves by itself; the others need an admission webhook
_MOVED: Final = ("Pod",)


def _asked(policy: Policy) -> Iterator[tuple[Path, str]]:
    """Yield the devices that a policy is about, each with the field that says so."""
    trigger = policy.pending
    if trigger is not None:
        index = policy.triggers.index(trigger)
        for number, name in enumerate(trigger.resources):
            if name not in _PLAIN and not name.startswith("hugepages-"):
                yield trigger_path(index, "metadata", "resources", number), name
    for number, size in enumerate(policy.placement.sizes):
        if _AZURE_GPU_SIZE.fullmatch(size):
            yield (*PLACEMENT, "sizes", number), GPU


def _declared(target: Target) -> dict[str, list[tuple[str, str]]]:
    """Return the devices of a declared catalogue: name -> (size, TEE)."""
    found: dict[str, list[tuple[str, str]]] = {}
    for offering in target.catalogue:
        names = [name for name, _ in offering.resources.devices] + ([GPU] if offering.resources.gpus else [])
        for name in names:
            found.setdefault(name, []).append((offering.size, offering.tee))
    return found


def _device_and_tee(policy: Policy, known: Known) -> Iterator[Hit]:
    targets = known.named(policy)
    if not targets or not known.all_known(policy):
        yield from _device_on_azure(policy)
        return
    for path, name in _asked(policy):
        offered = [pair for target in targets for pair in _offers(target, name)]
        if any(tee in policy.confidential.tees for _, tee in offered):
            continue
        yield _no_device(policy, path, name, offered, [target.name for target in targets])


def _device_on_azure(policy: Policy) -> Iterator[Hit]:
    """Judge by what Azure has, where the targets are not at hand."""
    for path, name in _asked(policy):
        offered = _AZURE_DEVICES.get(name)
        if offered is not None and offered[1] not in policy.confidential.tees:
            yield _no_device(policy, path, name, [offered], ["on Azure"])


def _offers(target: Target, device: str) -> list[tuple[str, str]]:
    if target.catalogue:
        return _declared(target).get(device, [])
    offered = _AZURE_DEVICES.get(device) if target.provider == "azure" else None
    return [offered] if offered and offered[0] in target.sizes else []


def _no_device(policy: Policy, path: Path, name: str, offered: list[tuple[str, str]], places: list[str]) -> Hit:
    tees = " or ".join(policy.confidential.tees)
    if offered:
        exists = ", ".join(f"{size} with {_SPOKEN.get(tee, tee)}" for size, tee in offered)
        advice = f"set confidential.tees to {offered[0][1]} if that proof will do, and have the target allow it"
    elif name == GPU:
        exists = "of Azure's sizes only Standard_NCC40ads_H100_v5 joins a GPU with a TEE, and that is SEV-SNP (SNP)"
        advice = "have a target allow that size and SNP, or declare a place that has the device in its catalogue"
    else:
        exists = "no confidential size of Azure has it"
        advice = "declare a place that has the device in a target's catalogue"
    where = " or ".join(places)
    return Hit(path, f"no VM joins {name} with {tees} at {where}; what exists: {exists}".replace("at on", "on"), advice)


_SPOKEN: Final = {"SNP": "SEV-SNP (SNP)", "TDX": "Intel TDX (TDX)", "None": "no TEE"}


def _unknown_device(policy: Policy, known: Known) -> Iterator[Hit]:
    declared = sorted({name for target in known.named(policy) for name in _declared(target)})
    names = [*_DEVICES, *declared]
    for path, name in _asked(policy):
        if name in names or name.startswith(_DEVICE_FAMILIES):
            continue
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        yield Hit(
            path,
            f"no known device is called {name}" + (f"; did you mean {close[0]}?" if close else ""),
            "write the resource's name as the device plugin advertises it, or declare it in a target's catalogue",
        )


def _size_without_tee(policy: Policy, known: Known) -> Iterator[Hit]:
    """Yield sizes whose TEE, as far as Azure's names tell, is none of those asked for."""
    catalogued = {offering.size for target in known.named(policy) for offering in target.catalogue}
    for number, size in enumerate(policy.placement.sizes):
        tee = azure_tee(size)
        if size in catalogued or tee is None or tee in policy.confidential.tees or _AZURE_GPU_SIZE.fullmatch(size):
            continue
        what = "has no TEE" if tee == "None" else f"is {_SPOKEN[tee]}"
        yield Hit(
            (*PLACEMENT, "sizes", number),
            f"{size} {what}, but the policy asks for {' or '.join(policy.confidential.tees)}: it is never chosen",
            "choose a size of the right series (DCes and ECes are TDX, DCas and ECas are SNP)",
        )


def azure_tee(size: str) -> str | None:
    """Return the TEE of an Azure size as its name tells; None where the name is of no known form."""
    if _AZURE_TDX.fullmatch(size):
        return "TDX"
    if _AZURE_SNP.fullmatch(size):
        return "SNP"
    return "None" if re.fullmatch(r"standard_[a-z]+[0-9]+[a-z]*(?:_v[0-9]+)?", size, re.IGNORECASE) else None


def _webhook(policy: Policy, _known: Known) -> Iterator[Hit]:
    kind = policy.workload.kind
    if policy.placement.strategy == "Move" and kind and kind not in _MOVED:
        yield Hit(
            (*PLACEMENT, "strategy"),
            f"pods of a {kind} are re-created by their controller and need burster's webhook to become peer pods; this version"
            " moves bare pods only",
            "use Clone for services, or wait for a version with the webhook",
        )


def _single_target(policy: Policy, _known: Known) -> Iterator[Hit]:
    targets = policy.placement.targets
    if len(targets) == 1 and policy.placement.strategy not in {"Scale", "Signal"}:
        yield Hit(
            (*PLACEMENT, "targets"),
            f"{targets[0]} is the only target: when it has no room or no quota, nothing bursts",
            "name a second one in another region",
        )
    if len(targets) > _TARGETS_MANY:
        yield Hit(
            (*PLACEMENT, "targets"),
            f"{len(targets)} targets are tried one after the other: what fails everywhere takes long to say so",
            f"name {_TARGETS_MANY} or fewer",
        )


def _unknown_target(policy: Policy, known: Known) -> Iterator[Hit]:
    """Yield names that are in none of the files, where there are targets in them at all: others may be in the cluster only."""
    # a target that the policy names already is not what was meant by another name
    others = [name for name in known.targets if name not in policy.placement.targets]
    for index, name in enumerate(policy.placement.targets if known.targets else ()):
        if name not in known.targets:
            yield Hit(
                (*PLACEMENT, "targets", index),
                f"target {name} is in none of these files{closest(name, others)}",
                "correct the name, or check it together with the target's file",
            )


def _spot(policy: Policy, known: Known) -> Iterator[Hit]:
    placement = policy.placement
    declared = any(offering.spot for target in known.named(policy) for offering in target.catalogue)
    if placement.spot == "Never" or placement.strategy == "Machine" or declared:
        return
    effect = "nothing ever starts" if placement.spot == "Only" else "what starts is never spot"
    yield Hit(
        (*PLACEMENT, "spot"),
        f"cloud-api-adaptor makes no spot VMs on Azure: with {placement.spot} {effect}",
        "set spot to Never, or name a target whose catalogue has spot sizes",
    )


def _provider_share(policy: Policy, known: Known) -> Iterator[Hit]:
    if not policy.limits.provider_shares or not known.all_known(policy):
        return
    providers = {target.provider for target in known.named(policy)}
    for name, share in sorted(policy.limits.provider_shares.items()):
        if name not in providers:
            yield Hit(
                (*SPEC, "limits", "providerShares", name),
                f"none of the targets is of provider {name}: the share decides nothing",
                f"the targets' providers are {', '.join(sorted(providers))}",
            )
        elif providers == {name} and share < 100:  # noqa: PLR2004 (per cent)
            yield Hit(
                (*SPEC, "limits", "providerShares", name),
                f"all targets are of provider {name}, so at most {share} % of the vCPUs could be there, and the first burst"
                " would be 100 %",
                "name a target of another provider, or leave the share out",
            )


RULES: Final = (
    PolicyRule("device-without-tee", "a GPU or NPU and a TEE that no offering joins", _device_and_tee),
    PolicyRule("unknown-device", "a device name that nothing advertises", _unknown_device),
    PolicyRule("size-without-tee", "sizes whose TEE is not asked for", _size_without_tee),
    PolicyRule("move-needs-webhook", "Move of pods that a controller re-creates", _webhook),
    PolicyRule("fall-back", "one target only, or very many", _single_target),
    PolicyRule("unknown-target", "a target that is in none of the files checked together", _unknown_target),
    PolicyRule("spot-not-available", "spot, where peer pods have none", _spot),
    PolicyRule("provider-share", "a share of a provider that decides nothing or forbids all", _provider_share),
)
