"""Which policies name a target, and what they need of it: what its checks are about depends on that. Pure."""

from collections.abc import Iterable

from burster.model.errors import RemoteError
from burster.model.policies import Policy
from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.sources.preflight.world import Known


def known_of(
    target: Target,
    policies: Iterable[Policy],
    offerings: OfferingsSeen | RemoteError | None = None,
    quota: QuotaSeen | RemoteError | None = None,
) -> Known:
    """Return what is known of a target before it is looked at."""
    own = sorted((policy for policy in policies if target.name in policy.placement.targets), key=lambda one: one.key)
    return Known(
        offerings=offerings,
        quota=quota,
        secure_boot_by=tuple(one.key for one in own if one.confidential.secure_boot),
        attested_by=tuple(one.key for one in own if one.confidential.attestation == "Required"),
        machines_by=tuple(one.key for one in own if one.placement.strategy == "Machine"),
        peer_pods_by=tuple(one.key for one in own if one.placement.strategy != "Machine"),
    )
