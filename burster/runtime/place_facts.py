"""What targets offer and may use, by whoever knows: a cloud tells of its own targets only, elsewhere the catalogue is all there is."""

from typing import Final

from burster.model.stimuli import OfferingsSeen, QuotaSeen
from burster.model.targets import Target
from burster.runtime.cloud_facts import CloudFacts


class PlaceFacts:
    """CloudFacts for targets of every provider."""

    def __init__(self, cloud: CloudFacts) -> None:
        """``cloud`` reads from ARM and its price list."""
        self._cloud: Final = cloud

    async def offerings(self, target: Target) -> OfferingsSeen:
        """Return what a target offers besides its catalogue. Raises RemoteError."""
        if target.proof == "Arm":
            return await self._cloud.offerings(target)
        return OfferingsSeen(target=target.name, offerings=())

    async def quota(self, target: Target) -> QuotaSeen:
        """Return the quota's rows; none where no cloud has any. Raises RemoteError."""
        if target.proof == "Arm":
            return await self._cloud.quota(target)
        return QuotaSeen(target=target.name, rows=())
