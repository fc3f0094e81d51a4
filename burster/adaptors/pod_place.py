"""What places of pods have in common: a pod is launched by writing it and released by deleting it, wherever it runs."""

from typing import Final

from burster.adaptors.cluster_api import HOME, KubeApi
from burster.adaptors.peer_pods import delete_pod, place_pod
from burster.model.bursts import Burst
from burster.model.instructions import DeletePod, PlacePod
from burster.model.stimuli import OfferingsSeen, PodDeleted, PodPlaced
from burster.model.targets import Target


class PodPlace:
    """The half of a ``Place`` that talks of pods; where the VM is, and how one looks at it, is each place's own."""

    def __init__(self, api: KubeApi, *, home: str = HOME) -> None:
        """``home`` is burster's own namespace: targets' initdata is there."""
        self._api: Final = api
        self._home: Final = home

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return nothing besides the target's own catalogue: no cloud is asked."""
        return OfferingsSeen(target=target.name, offerings=())

    async def launch(self, burst: Burst) -> PodPlaced:
        """Create the pod, or find the one that an earlier attempt created."""
        return await place_pod(self._api, PlacePod(key=f"place/{burst.key}", burst=burst), home=self._home)

    async def release(self, burst: Burst, *, grace_ms: int, let_go: bool = False) -> PodDeleted:
        """Have the pod deleted, by uid."""
        instruction = DeletePod(key=f"delete/{burst.key}", burst=burst, grace_ms=grace_ms, let_go=let_go)
        return await delete_pod(self._api, instruction)
