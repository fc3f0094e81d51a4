"""Whether burster can log in, and whether subscription, region and resource group are there. The cloud's other checks need all of that.

Called by ``examine``. Who can't log in, or whom the subscription does not know, is asked nothing further: it would say the same again.
"""

from typing import Final

from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import Cloud


_FORBIDDEN: Final = 403
_ENABLED: Final = frozenset({"Enabled", "Warned"})
#: what is not asked where the cloud does not answer: it stays what it was, for a while
_REST_ON_THE_LOGIN: Final = (c.SUBSCRIPTION, c.REGION, c.RESOURCE_GROUP, c.ROLES, c.BROAD, c.SUBNET)
#: beyond it amounts of money and the age of leftovers are wrong by more than anybody would want
_SKEW_MAX_MS: Final = 300_000
_SKEW_TOLD_MS: Final = 30_000


async def check_place(target: Target, cloud: Cloud, found: Findings) -> bool:
    """Return whether the rest of the cloud can be asked."""
    try:
        subscription = await cloud.read_subscription(target)
    except RemoteError as error:
        return _tell_refused(target, error, found)
    found.ok(c.LOGIN, f"Logged in{f', tenant {subscription.tenant}' if subscription.tenant else ''}.")
    if subscription.state not in _ENABLED:
        found.problem(c.SUBSCRIPTION, f"Subscription {target.subscription} is {subscription.state}.")
    elif subscription.state == "Warned":
        found.warning(c.SUBSCRIPTION, f"Subscription {target.subscription} is Warned: it will be disabled before long.")
    else:
        found.ok(c.SUBSCRIPTION, f"{target.subscription} is {subscription.state}.")
    with found.asking(c.REGION):
        regions = await cloud.locations(target)
        if target.region.casefold() in {region.casefold() for region in regions}:
            found.ok(c.REGION, f"{target.region}, one of {len(regions)}.")
        else:
            found.problem(
                c.REGION, f"The subscription has no region {target.region!r}. It has {listed(sorted(regions))}."
            )
    with found.asking(c.RESOURCE_GROUP):
        await _check_group(target, cloud, found)
    return True


def check_clock(cloud: Cloud, found: Findings) -> None:
    """Compare clocks, once something was answered."""
    skew_ms = cloud.clock_skew_ms
    if skew_ms is None:
        found.skipped(c.CLOCK, "The cloud has not answered yet.")
        return
    said = f"This clock is {abs(skew_ms) / 1000:.0f} s {'ahead of' if skew_ms > 0 else 'behind'} the cloud's."
    if abs(skew_ms) > _SKEW_MAX_MS:
        found.problem(c.CLOCK, said)
    elif abs(skew_ms) > _SKEW_TOLD_MS:
        found.warning(c.CLOCK, said)
    else:
        found.ok(c.CLOCK, "They agree within half a minute.")


def _tell_refused(target: Target, error: RemoteError, found: Findings) -> bool:
    """Say what the first refusal means. Return whether there is any sense in asking further."""
    if error.kind == "Unauthorized" and error.status != _FORBIDDEN:
        found.problem(c.LOGIN, f"{error.message.rstrip('.')}.")
        return False
    if error.kind == "Unauthorized":
        found.ok(c.LOGIN, "Logged in.")
        found.problem(
            c.ROLES,
            f"burster's identity may not even read subscription {target.subscription}: {error.message.rstrip('.')}.",
        )
        return False
    if error.kind in {"NotFound", "Invalid"}:
        found.ok(c.LOGIN, "Logged in.")
        found.problem(
            c.SUBSCRIPTION,
            f"There is no subscription {target.subscription} that burster's identity sees: {error.message.rstrip('.')}.",
        )
        return False
    found.unread(c.LOGIN, error)
    for check in _REST_ON_THE_LOGIN:
        found.skipped(check, "The cloud has not answered.", unread=True)
    found.unread(c.CONFIDENTIAL_IMAGE, error)
    return False


async def _check_group(target: Target, cloud: Cloud, found: Findings) -> None:
    region = await cloud.read_resource_group(target)
    if region is None:
        found.problem(c.RESOURCE_GROUP, f"The subscription has no resource group {target.resource_group}.")
    elif region.casefold() != target.region.casefold():
        found.ok(
            c.RESOURCE_GROUP,
            f"{target.resource_group}; its own region is {region}, VMs in it may be in {target.region}.",
        )
    else:
        found.ok(c.RESOURCE_GROUP, f"{target.resource_group} in {region}.")
