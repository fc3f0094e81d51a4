"""What the sweep remembers of something that no record claims."""

from dataclasses import dataclass

from burster.engine.sweeping.scope import Proof
from burster.model.offerings import CloudResource


#: (where: subscription and resource group, kind, name)
LeftoverKey = tuple[str, str, str]


@dataclass(slots=True)
class Leftover:
    """A VM, network interface, disk or public address in the cloud that nobody claims, from its first sight to its confirmed end."""

    target: str  #: whose listing showed it first
    resource: CloudResource
    vm: str  #: the VM that it is, or was a part of
    first_seen_ms: int
    proof: Proof = ""
    owner: str = ""  #: the burst that had it, by its record
    policy: str = ""  #: that burst's
    size: str = ""
    price_micro_usd_per_hour: int = 0
    cost_since_ms: int | None = (
        None  #: from when on it costs and that is not booked; None: what it costs is nobody's here
    )
    due: bool = False  #: the grace is over
    reported_at_ms: int | None = None
    asked: bool = False  #: its deletion was asked for
    failures: int = 0  #: deletions in a row that did not succeed
    again_at_ms: int = 0  #: not tried before
    cost_micro_usd: int = 0  #: booked so far
