"""One look at everything that bursting needs, for a person: reads rules and objects, asks every check, and answers with a report.

Called by `burster doctor`. It opens its own connections from the settings that a controller would have, reads only, and never raises
RemoteError: what can't be read is a finding.
"""

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

import msgspec

from burster.clients.arm import Arm
from burster.clients.arm_facts import Sku
from burster.clients.arm_settings import check_way
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices
from burster.clients.trustee import TrusteeClient
from burster.model.errors import InputError, RemoteError
from burster.model.policies import Policy
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.policy.compile import compile_policy, compile_target
from burster.runtime.clock import SystemClock
from burster.runtime.preflight_poller import places_of
from burster.runtime.probing import ProbeOptions, Prober
from burster.settings import Settings
from burster.sources.offerings import observe_offerings
from burster.sources.policies import POLICIES_PATH, TARGETS_PATH
from burster.sources.preflight import BY_CODE, CHECKS, Finding, World, examine, examine_cluster, known_of
from burster.sources.preflight.adaptor import installation_of
from burster.sources.preflight.objects import find_config_maps, read_all
from burster.sources.quota import observe_quota


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finding as people are shown it."""

    check: str
    group: str
    title: str
    verdict: str
    sentence: str
    cure: str = ""
    blocks: bool = False  #: nothing new starts at the target while it is so


class TargetReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a target; ``refused`` says why there is nothing to look at."""

    target: str
    provider: str = ""
    findings: tuple[Told, ...] = ()
    refused: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    at_ms: int
    cluster: str  #: the API server's address
    findings: tuple[Told, ...]  #: of what all targets share
    targets: tuple[TargetReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def everything(self) -> tuple[Told, ...]:
        """All findings."""
        return (*self.findings, *(one for target in self.targets for one in target.findings))

    @property
    def well(self) -> bool:
        """Whether nothing is wrong; warnings are allowed."""
        return not any(one.verdict == "problem" for one in self.everything) and not any(
            one.refused for one in self.targets
        )


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Targets and policies to look at; ``refused``: target -> why it can't be used."""

    targets: tuple[Target, ...]
    policies: tuple[Policy, ...] = ()
    refused: dict[str, str] = {}
    notes: tuple[str, ...] = ()


class DoctorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at. ``rules``: instead of the cluster's own; ``target``: this one only; ``offline``: the cluster only."""

    target: str = ""
    rules: Rules | None = None
    offline: bool = False
    probe: ProbeOptions | None = None  #: try the network from the workers too


_OFFLINE: Final = "--offline: only the cluster is asked."


async def examine_all(
    settings: Settings,
    options: DoctorOptions,
    tell: Callable[[str], None],
    agree: Callable[[str], bool] = lambda _: False,
) -> Report:
    """Look at everything. Raises InputError where there is nobody to ask, or no such target.

    ``tell`` hears what is being looked at; ``agree`` is asked before anything that costs money.
    """
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(
            await Kube.connect(
                KubeSettings(
                    kubeconfig=settings.kube.kubeconfig,
                    context=settings.kube.context,
                    in_cluster=settings.kube.in_cluster,
                )
            )
        )
        cloud = prices = trustee = None
        if not options.offline:
            cloud = await stack.enter_async_context(Arm(settings.arm.for_client(), now_ms=clock.now_ms))
            # whether the list can be read is asked, and not whether it could be some hours ago
            asked_anew = msgspec.structs.replace(settings.prices.for_client(), fresh_ms=0)
            prices = await stack.enter_async_context(Prices(asked_anew, now_ms=clock.now_ms))
            trustee = await stack.enter_async_context(TrusteeClient(settings.preflight.ca_file))
        world = World(
            api=kube,
            places=places_of(settings),
            cloud=cloud,
            trustee=trustee,
            now_ms=clock.now_ms,
            account="" if settings.kube.in_cluster else f"system:serviceaccount:{settings.namespace}:burster",
            dry_run=False,
            local_only=check_way(settings.arm.for_client()),
            offline=_OFFLINE,
        )
        tell("rules")
        rules = options.rules or await read_rules(kube)
        targets = chosen_of(rules, options.target)
        tell("the cluster")
        shared = await examine_cluster(world, targets)
        reports: list[TargetReport] = []
        prober = None
        if options.probe is not None:
            prober = await stack.enter_async_context(Prober(kube, cloud, world.places, options.probe, agree))
        for target in targets:
            tell(target.name)
            findings, offerings = await _examine(target, world, rules.policies, cloud, prices)
            if prober is not None:
                tell(f"the network of {target.name}")
                config = await _config_of(world, target)
                findings += await prober.probe(target, config, offerings)
            reports.append(TargetReport(target=target.name, provider=target.provider, findings=_told(findings)))
        reports += [
            TargetReport(target=name, refused=why)
            for name, why in sorted(rules.refused.items())
            if options.target in {"", name}
        ]
        return Report(
            at_ms=world.now_ms(), cluster=kube.host, findings=_told(shared), targets=tuple(reports), notes=rules.notes
        )


def rules_of(objects: Iterable[dict[str, Any]]) -> Rules:
    """Return targets and policies that were read from files, valid by their schema. Raises InputError."""
    targets: list[Target] = []
    policies: list[Policy] = []
    for one in objects:
        if one.get("kind") == "BurstTarget":
            targets.append(compile_target(one))
        elif one.get("kind") == "BurstPolicy":
            policies.append(compile_policy(one))
    return Rules(targets=tuple(targets), policies=tuple(policies))


async def read_rules(kube: Kube) -> Rules:
    """Return the cluster's targets and policies; a target that does not compile is told, a policy left out."""
    targets: list[Target] = []
    policies: list[Policy] = []
    refused: dict[str, str] = {}
    notes: list[str] = []
    for path in (TARGETS_PATH, POLICIES_PATH):
        try:
            objects: list[dict[str, Any]] = await read_all(kube, path, dict)
        except RemoteError as error:
            notes.append(f"{path.rpartition('/')[2]} can't be read: {error}")
            continue
        for one in objects:
            try:
                if path == TARGETS_PATH:
                    targets.append(compile_target(one))
                else:
                    policies.append(compile_policy(one))
            except InputError as error:
                if path == TARGETS_PATH:
                    refused[str(one.get("metadata", {}).get("name", "?"))] = str(error)
    return Rules(targets=tuple(targets), policies=tuple(policies), refused=refused, notes=tuple(notes))


def chosen_of(rules: Rules, name: str) -> tuple[Target, ...]:
    """Return the targets to look at: the one named, else all by name. Raises InputError where there is none of that name."""
    if not name:
        return tuple(sorted(rules.targets, key=lambda one: one.name))
    chosen = tuple(one for one in rules.targets if one.name == name)
    if not chosen and name not in rules.refused:
        known = ", ".join(sorted([one.name for one in rules.targets] + list(rules.refused))) or "none"
        raise InputError(f"there is no BurstTarget {name}: there is {known}")
    return chosen


async def _examine(
    target: Target, world: World, policies: tuple[Policy, ...], cloud: Arm | None, prices: Prices | None
) -> tuple[tuple[Finding, ...], OfferingsSeen | None]:
    offerings: OfferingsSeen | RemoteError | None = None
    quota: QuotaSeen | RemoteError | None = None
    skus = _SkusOnce(cloud)
    if cloud is not None and prices is not None and target.proof == "Arm":
        try:
            offerings = await observe_offerings(target, skus, prices)
        except RemoteError as error:
            offerings = error
        try:
            quota = await observe_quota(target, cloud)
        except RemoteError as error:
            quota = error
    known = known_of(target, policies, offerings, quota)
    found = await examine(target, world, known, tees={sku.name.casefold(): sku.tee for sku in skus.read})
    return found, offerings if isinstance(offerings, OfferingsSeen) else None


async def _config_of(world: World, target: Target) -> dict[str, str]:
    """Return what cloud-api-adaptor is told of its ports; nothing where that can't be read, which its own check tells."""
    try:
        config = installation_of(target, await find_config_maps(world.api, world.places))
    except RemoteError:
        return {}
    return (config.data if config is not None else None) or {}


class _SkusOnce:
    """The region's sizes, which are read once: they are long, and wanted twice."""

    def __init__(self, cloud: Arm | None) -> None:
        self._cloud = cloud
        self.read: list[Sku] = []

    async def skus(self, target: Target) -> list[Sku]:
        """Return the sizes of the target's region."""
        if not self.read and self._cloud is not None:
            self.read = await self._cloud.skus(target)
        return self.read


def _told(findings: Iterable[Finding]) -> tuple[Told, ...]:
    """Return findings in the order of the checks' list."""
    order = {check.code: number for number, check in enumerate(CHECKS)}
    return tuple(
        Told(
            check=one.check,
            group=BY_CODE[one.check].group,
            title=BY_CODE[one.check].title,
            verdict=one.verdict,
            sentence=one.sentence,
            cure=one.cure,
            blocks=one.verdict == "problem"
            and (BY_CODE[one.check].closes if one.unread else BY_CODE[one.check].blocks),
        )
        for one in sorted(findings, key=lambda one: order[one.check])
    )
