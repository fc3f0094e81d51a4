"""Whether the target's sizes can be had: offered, of an allowed TEE, with quota, at a known price. Judged from what was read already. Pure.

Called by ``examine`` with the same facts by which the engine chooses: nothing is read twice.
"""

from collections.abc import Mapping
from typing import Final

from burster.model.errors import RemoteError
from burster.model.offerings import Quota
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.adaptor_config import default_size
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import Known


_CORES: Final = "cores"
_NEARLY_PERCENT: Final = 90
_OF_THE_LIST: Final = (c.OFFERED, c.PRICES, c.PRICE_LIST)
#: an answer that was given, and is none
_SENSELESS: Final = frozenset({"Protocol", "Invalid", "NotFound"})


def check_offerings(target: Target, known: Known, found: Findings) -> None:
    """Look at what the region offers of the target's sizes, and at their prices."""
    offerings = known.offerings
    if offerings is None:
        for check in _OF_THE_LIST:
            found.skipped(check, "What it offers was not read yet.")
    elif isinstance(offerings, RemoteError):
        _unread(offerings, found)
    else:
        _offered(target, offerings, found)
        _prices(target, offerings, found)
        _price_list(offerings, found)


def _unread(error: RemoteError, found: Findings) -> None:
    """Tell an answer that makes no sense, or an empty one, from none."""
    if error.kind in _SENSELESS:
        found.problem(c.OFFERED, f"{error.message.rstrip('.')}.")
        for check in (c.PRICES, c.PRICE_LIST):
            found.skipped(check, "What it offers was not read.")
    else:
        for check in _OF_THE_LIST:
            found.unread(check, error)


def check_quota(target: Target, known: Known, found: Findings) -> None:
    """Look at the quota of the families that the target's sizes are of."""
    quota = known.quota
    if isinstance(quota, RemoteError):
        found.unread(c.QUOTA, quota)
    elif quota is None or not isinstance(known.offerings, OfferingsSeen):
        found.skipped(c.QUOTA, "Usages, or what is offered, were not read yet.")
    else:
        _quota(target, known.offerings, quota, found)


def check_default_size(target: Target, data: Mapping[str, str], tees: Mapping[str, str], found: Findings) -> None:
    """Look at the size of a peer pod that names none; ``tees``: size in lower case -> its TEE, as the SKUs tell."""
    name = default_size(data)
    tee = tees.get(name.casefold())
    if tee is None:
        found.skipped(c.DEFAULT_SIZE, f"{name}: its TEE was not read.")
    elif tee in target.tees:
        found.ok(c.DEFAULT_SIZE, f"{name}, {tee}.")
    else:
        found.warning(c.DEFAULT_SIZE, f"{name} is {tee}, and the target allows {' and '.join(target.tees)} only.")


def _offered(target: Target, seen: OfferingsSeen, found: Findings) -> None:
    plain = [one for one in seen.offerings if not one.spot]
    good = [one for one in plain if not one.restricted and one.tee in target.tees]
    others = [f"{one.size} ({one.restricted or f'its TEE is {one.tee}'})" for one in plain if one not in good]
    if not plain:
        found.problem(c.OFFERED, f"The cloud's list of sizes for {target.region} is empty.")
    elif not good:
        found.problem(c.OFFERED, f"None of its sizes can be used: {listed(others)}.")
    elif others:
        found.warning(c.OFFERED, f"{len(good)} of {len(plain)} sizes can be used; not {listed(others)}.")
    else:
        found.ok(c.OFFERED, f"All {len(good)} in {target.region}, {' and '.join(sorted({one.tee for one in good}))}.")


def _prices(target: Target, seen: OfferingsSeen, found: Findings) -> None:
    usable = [one for one in seen.offerings if not one.restricted and not one.spot]
    negotiated = {size.casefold() for size in target.negotiated_micro_usd_per_hour}
    unknown = [
        one.size for one in usable if one.price_micro_usd_per_hour is None and one.size.casefold() not in negotiated
    ]
    nonsense = sorted({one.price_problem for one in usable if one.price_problem})
    said = f"No price for {listed(unknown)}{f' ({listed(nonsense)})' if nonsense else ''}"
    as_of = seen.prices_as_of or max((one.price_as_of for one in usable if one.price_as_of), default="")
    assumed = target.assumed_price_micro_usd_per_hour is not None
    if seen.prices_usable_ms is not None and seen.prices_usable_ms <= 0 and not assumed:
        found.problem(
            c.PRICES, f"The prices are of {as_of or 'an unknown day'}, which is too long ago to start anything by."
        )
    elif unknown and assumed:
        found.warning(c.PRICES, f"{said}: assumedPricePerHour stands for it.")
    elif unknown and len(unknown) == len(usable):
        found.problem(c.PRICES, f"{said}.")
    elif unknown:
        found.warning(c.PRICES, f"{said}. They are not chosen.")
    elif as_of:
        found.warning(c.PRICES, f"They are of {as_of}.")
    else:
        found.ok(c.PRICES, f"All {len(usable)} known, from today's list.")


def _price_list(seen: OfferingsSeen, found: Findings) -> None:
    if seen.prices_problem:
        found.problem(c.PRICE_LIST, f"{seen.prices_problem.rstrip('.')}.")
    elif seen.prices_as_of:
        found.warning(
            c.PRICE_LIST, f"It is not asked for: the list that comes with burster counts, of {seen.prices_as_of}."
        )
    else:
        found.ok(c.PRICE_LIST, "Read, in USD.")


def _quota(target: Target, offerings: OfferingsSeen, quota: QuotaSeen, found: Findings) -> None:
    rows = {row.family.casefold(): row for row in quota.rows}
    families = sorted({one.family for one in offerings.offerings if one.family and not one.restricted and not one.spot})
    cores = rows.get(_CORES)
    known = {family: rows[family.casefold()] for family in families if family.casefold() in rows}
    none = [family for family, row in known.items() if row.limit_vcpus <= 0]
    if cores is not None and cores.limit_vcpus <= 0:
        found.problem(c.QUOTA, f"The quota of all cores in {target.region} is 0.")
    elif known and len(none) == len(families):
        found.problem(c.QUOTA, f"The quota is 0 for {listed(none)} in {target.region}.")
    elif not known:
        found.warning(c.QUOTA, f"The cloud tells no quota for {listed(families) or 'any of its families'}.")
    else:
        _tell_rest(cores, known, none, found)


def _tell_rest(cores: Quota | None, known: Mapping[str, Quota], none: list[str], found: Findings) -> None:
    room = [f"{row.limit_vcpus - row.used_vcpus} of {row.limit_vcpus} in {name}" for name, row in known.items()]
    rows = [*known.values(), *([cores] if cores is not None else [])]
    nearly = [
        row.family for row in rows if row.limit_vcpus and row.used_vcpus * 100 >= row.limit_vcpus * _NEARLY_PERCENT
    ]
    said = f"vCPUs free: {listed(room)}"
    if none:
        found.warning(c.QUOTA, f"{said}. It is 0 for {listed(none)}.")
    elif nearly:
        found.warning(c.QUOTA, f"{said}. Nearly used up: {listed(nearly)}.")
    else:
        found.ok(c.QUOTA, f"{said}.")
