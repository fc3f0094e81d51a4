"""Whether the target's Trustee answers, by a certificate that holds. Called by ``examine``."""

from typing import Final
from urllib.parse import urlsplit

from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import Known, World


_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


async def check_trustee(target: Target, world: World, known: Known, found: Findings) -> None:
    """Ask it whether it is well. That it answers says nothing of what it would release."""
    needed = f" {listed(known.attested_by)} wait until it answers." if known.attested_by else ""
    if not target.trustee_url:
        if known.attested_by:
            said = f"The target names no trustee.url, and attestation is required by {listed(known.attested_by)}."
            found.problem(c.TRUSTEE, said, "Write trustee.url in the target.")
        else:
            found.skipped(c.TRUSTEE, "The target names no trustee.url, and no policy here requires attestation.")
        return
    if world.trustee is None:
        found.skipped(c.TRUSTEE, f"{target.trustee_url} is not asked. {world.offline}")
        return
    if world.local_only and urlsplit(target.trustee_url).hostname not in _LOOPBACK:
        found.skipped(c.TRUSTEE, f"The cloud is a stand-in on this machine, so that {target.trustee_url} is not asked.")
        return
    try:
        await world.trustee.health(target.trustee_url)
    except RemoteError as error:
        cure = c.TRUSTEE.cure
        if error.code == "Certificate":
            cure = "Give it a certificate for that name, or say whose it is signed by: BURSTER_PREFLIGHT__CA_FILE."
        found.problem(c.TRUSTEE, f"{error.message.rstrip('.')}.{needed}", cure)
        return
    if urlsplit(target.trustee_url).scheme != "https":
        found.warning(
            c.TRUSTEE,
            f"{target.trustee_url} answers, in the clear: anybody on the way can answer in its place.",
            "Have it serve https, and write https in trustee.url.",
        )
    else:
        found.ok(c.TRUSTEE, f"{target.trustee_url} answers, and its certificate holds.")
