"""How a controller behaves, apart from where it connects to. Made of settings, or by hand in a lab; taken by ``wiring``."""

import msgspec

from burster.adaptors.cluster_api import HOME
from burster.model.addresses import Network
from burster.model.limits import Limits
from burster.runtime.ticks import TickKind
from burster.sources import nodes
from burster.sources.metered_requests import RequestsPlace
from burster.sources.policy_places import MOST


class ControllerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a controller behaves; where it connects to is given as objects."""

    dry_run: bool = False
    concurrency: int = 16
    max_delay_ms: int = 200
    max_stimuli: int = 5_000
    intervals_ms: dict[TickKind, int] = msgspec.field(
        default_factory=lambda: {
            "evaluate": 15_000,
            "gc": 120_000,
            "offerings": 43_200_000,
            "preflight": 300_000,
            "quota": 600_000,
        }
    )
    namespace_max_policies: int = MOST  #: policies of one namespace that count
    limits: Limits = Limits()  #: what all policies at all targets together may use at most
    home: str = HOME  #: burster's own namespace
    metric_networks: tuple[Network, ...] = ()  #: where metrics may be read; none: anywhere but on this machine
    onprem_pods_max: int = nodes.PODS_MAX  #: in a larger cluster pods on nodes are not followed
    onprem_requests: RequestsPlace | None = None  #: who adds up what they ask for there
    cluster: str = ""  #: the settings' ``cluster_id``: what the cluster's tag says on machines
    preflight_keep_ms: int = 900_000  #: how long a check counts on that can't be made again
    seed: int = 0
    title: str = ""
