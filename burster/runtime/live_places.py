"""The places where a controller's bursts may run, each behind the fence of who leads. Put together for ``wiring``; nothing here decides."""

from collections.abc import Callable

import structlog

from burster.adaptors.azure_machines import AzureMachines
from burster.adaptors.azure_peer_pods import AzurePeerPods, OfferingReader
from burster.adaptors.azure_resources import AzureResources
from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.cluster_api import KubeApi
from burster.adaptors.confidential_nodes import ConfidentialNodes
from burster.adaptors.fence import Authority, FencedVms
from burster.adaptors.machine_cloud import FencedMachines, MachineCloud
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.adaptors.port import Places, TargetBook
from burster.adaptors.recorded_peer_pods import RecordedPeerPods
from burster.model import stimuli as s
from burster.model.targets import Target


_log = structlog.get_logger("burster.runtime.live_places")


def live_places(  # noqa: PLR0913 - what they are made of, each by its name
    api: KubeApi,
    cloud: MachineCloud,
    facts: OfferingReader,
    book: TargetBook,
    now_ms: Callable[[], int],
    authority: Authority | None,
    *,
    cluster: str,
    home: str,
) -> Places:
    """Return every place that burster can reach. ``authority``: without it nothing is written; None: nobody is asked.

    ``cluster``: what the cluster's tag says on machines; ``home``: burster's own namespace.
    """
    fenced = cloud if authority is None else FencedVms(cloud, authority)
    vms = AzureVms(fenced, api, book, now_ms)
    resources = AzureResources(fenced, PeerPodRecords(api), book, now_ms, cluster=cluster)
    machines = cloud if authority is None else FencedMachines(cloud, authority)
    return Places(
        book,
        {
            "Arm": AzurePeerPods(api, vms, facts, resources, home=home),
            "Record": RecordedPeerPods(api, now_ms, home=home),
            "Node": ConfidentialNodes(api, now_ms, home=home),
        },
        machines={"azure": AzureMachines(machines, api, book, facts, now_ms, cluster=cluster)},
    )


def refused(target: Target, why: str, told: s.Told) -> s.TargetRefused:
    """Return that a target can't be used here: for the engine there is none."""
    _log.warning("target.refused", target=target.name, why=why)
    return s.TargetRefused(
        name=target.name,
        uid=target.uid,
        generation=target.generation,
        code="ProviderNotSupported",
        message=why,
        told=told,
    )
