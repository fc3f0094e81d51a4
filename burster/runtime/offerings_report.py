"""What every target offers for what is asked for, ranked, with the reason against each size that can't be had: for `burster offerings`.

It reads as a controller would (sizes and usages from ARM, prices from the list) and ranks by the engine itself, which hears of nothing
else: what a running controller was refused lately is not known here. It reads only; what can't be read is told of its target.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Literal, Protocol

import msgspec

from burster.clients.arm import Arm
from burster.clients.arm_facts import Sku
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import Prices, snapshot_prices
from burster.engine import initial_state, step
from burster.engine.offers.why_not import Explained, explain_all
from burster.model.errors import RemoteError
from burster.model.offerings import Tee
from burster.model.pods import Resources
from burster.model.policies import Confidential, Placement, Policy, WorkloadSelector
from burster.model.stimuli import OfferingsSeen, QuotaSeen, Stimulus, TargetSeen
from burster.model.targets import Target
from burster.runtime.clock import SystemClock
from burster.runtime.doctor import Rules, chosen_of, read_rules
from burster.settings import Settings
from burster.sources.offerings import build_offerings, observe_offerings
from burster.sources.quota import observe_quota


SpotWish = Literal["Never", "Prefer", "Only"]


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """What one pod or machine asks for. Other than never, ``spot`` means a machine: cloud-api-adaptor makes no spot VMs."""

    requests: Resources = Resources()
    tees: tuple[Tee, ...] = ()  #: empty: those of the target
    spot: SpotWish = "Never"


class TargetOfferings(msgspec.Struct, frozen=True, kw_only=True):
    """What a target offers. ``refused``: why nothing can be said; the problems: why something is older than today, or not known."""

    target: str
    provider: str = ""
    region: str = ""
    offerings: tuple[Explained, ...] = ()
    prices_as_of: str = ""  #: the date of its price list; empty: today's
    prices_age_ms: int | None = None
    prices_problem: str = ""
    quota_problem: str = ""
    notes: tuple[str, ...] = ()
    refused: str = ""

    @property
    def fits(self) -> int:
        """How many could be had now."""
        return sum(one.rank is not None for one in self.offerings)


class OfferingsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at. ``rules``: instead of the cluster's own; ``catalogue``: sizes by region where no cloud is to be asked."""

    fit: Fit = Fit()
    target: str = ""
    rules: Rules | None = None
    catalogue: Callable[[str], list[Sku]] | None = None


class _Cloud(Protocol):
    """Who says what a target offers and may use."""

    async def offerings(self, target: Target) -> OfferingsSeen: ...
    async def quota(self, target: Target) -> QuotaSeen | None: ...


class _Live:
    def __init__(self, arm: Arm, prices: Prices) -> None:
        self._arm, self._prices = arm, prices

    async def offerings(self, target: Target) -> OfferingsSeen:
        return await observe_offerings(target, self._arm, self._prices)

    async def quota(self, target: Target) -> QuotaSeen | None:
        return await observe_quota(target, self._arm)


class _Shipped:
    """What comes with burster: published sizes and a dated price list. Nobody is asked."""

    def __init__(self, catalogue: Callable[[str], list[Sku]]) -> None:
        self._catalogue = catalogue

    async def offerings(self, target: Target) -> OfferingsSeen:
        prices = snapshot_prices(target.region)
        offerings = build_offerings(target, self._catalogue(target.region), prices)
        return OfferingsSeen(target=target.name, offerings=offerings, prices_as_of=prices.as_of)

    async def quota(self, target: Target) -> QuotaSeen | None:
        del target
        return None


_OFFLINE: Final = (
    "--offline: sizes and prices as published; nobody was asked what the subscription may use, nor for its quota."
)
_ELSEWHERE: Final = "No cloud lists its sizes: these are the target's own catalogue."


async def look(
    settings: Settings, options: OfferingsOptions, tell: Callable[[str], None]
) -> tuple[TargetOfferings, ...]:
    """Look at every target. ``tell`` hears what is being read. Raises InputError where there is nobody to ask, or no such target."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        rules = options.rules
        if rules is None:
            tell("targets")
            kube = settings.kube
            rules = await read_rules(
                await stack.enter_async_context(
                    await Kube.connect(
                        KubeSettings(kubeconfig=kube.kubeconfig, context=kube.context, in_cluster=kube.in_cluster)
                    )
                )
            )
        targets = chosen_of(rules, options.target)
        if options.catalogue is not None:
            cloud: _Cloud = _Shipped(options.catalogue)
        else:
            arm = await stack.enter_async_context(Arm(settings.arm.for_client(), now_ms=clock.now_ms))
            cloud = _Live(
                arm, await stack.enter_async_context(Prices(settings.prices.for_client(), now_ms=clock.now_ms))
            )
        max_age_ms = settings.prices.for_client().max_age_ms
        told = [
            await _look_at(target, options, cloud, now_ms=clock.now_ms(), max_age_ms=max_age_ms, tell=tell)
            for target in targets
        ]
        told += [
            TargetOfferings(target=name, refused=f"It is not valid: {why}")
            for name, why in sorted(rules.refused.items())
            if options.target in {"", name}
        ]
        return tuple(told)


async def _look_at(
    target: Target,
    options: OfferingsOptions,
    cloud: _Cloud,
    *,
    now_ms: int,
    max_age_ms: int,
    tell: Callable[[str], None],
) -> TargetOfferings:
    told = TargetOfferings(target=target.name, provider=target.provider, region=target.region)
    facts: list[Stimulus] = [TargetSeen(target=target)]
    if target.catalogue:
        return _ranked(told, target, options.fit, facts, now_ms, notes=(_ELSEWHERE,))
    tell(f"sizes and prices of {target.name}")
    try:
        seen = await cloud.offerings(target)
    except RemoteError as error:
        return msgspec.structs.replace(told, refused=f"Its sizes can't be read: {error}")
    tell(f"quota of {target.name}")
    quota_problem = ""
    try:
        quota = await cloud.quota(target)
    except RemoteError as error:
        quota, quota_problem = None, str(error)
    facts += [seen, *(() if quota is None else (quota,))]
    told = msgspec.structs.replace(
        told,
        prices_as_of=seen.prices_as_of,
        prices_age_ms=None if seen.prices_usable_ms is None else max(0, max_age_ms - seen.prices_usable_ms),
        prices_problem=seen.prices_problem,
        quota_problem=quota_problem,
    )
    notes = () if options.catalogue is None else (_OFFLINE,)
    return _ranked(told, target, options.fit, facts, now_ms, notes=notes)


def _ranked(
    told: TargetOfferings, target: Target, fit: Fit, facts: list[Stimulus], now_ms: int, *, notes: tuple[str, ...]
) -> TargetOfferings:
    state = step(initial_state(), facts, now_ms).state
    policy = Policy(
        namespace="",
        name="",
        workload=WorkloadSelector(),
        placement=Placement(
            targets=(target.name,), spot=fit.spot, strategy="Auto" if fit.spot == "Never" else "Machine"
        ),
        confidential=Confidential(tees=fit.tees or target.tees),
    )
    offerings = explain_all(state, policy, fit.requests, state.targets[target.name])
    return msgspec.structs.replace(told, offerings=offerings, notes=notes)
