"""Burst records: API server to BurstSeen and BurstGone. Called by the runtime; it must never write one."""

from collections.abc import Callable
from typing import Any, Final

from burster.model.errors import InputError
from burster.model.stimuli import BurstGone, BurstSeen, SourceSynced, Stimulus
from burster.policy.records import burst_from_object, parse_time
from burster.sources.feed import Feed
from burster.sources.reflector import Codec, meta_of_dict


PATH: Final = "/apis/burster.dev/v1alpha1/bursts"

Key = tuple[str, str]  #: burst key, uid


class BurstSink:
    """From objects to stimuli."""

    def __init__(self, post: Callable[[Stimulus], None]) -> None:
        self._post = post

    def seen(self, obj: dict[str, Any]) -> Key | None:
        """Post BurstSeen."""
        burst = burst_from_object(obj)
        self._post(BurstSeen(burst=burst, created_at_ms=_created_at_ms(obj)))
        return burst.key, burst.uid

    def gone(self, key: Key, last: dict[str, Any] | None) -> None:  # noqa: ARG002 - its key says all
        """Post BurstGone."""
        self._post(BurstGone(key=key[0], uid=key[1]))

    def synced(self) -> None:
        """Post SourceSynced."""
        self._post(SourceSynced(source="bursts"))


def _created_at_ms(obj: dict[str, Any]) -> int:
    """Return when the API server says that an object was made. Raises InputError."""
    text: object = obj["metadata"].get("creationTimestamp")
    try:
        return parse_time(text) if isinstance(text, str) else 0
    except (ValueError, OverflowError) as error:
        raise InputError(f"a creationTimestamp that is none: {error}") from None


async def run(feed: Feed) -> None:
    """Post stimuli about Burst records until cancelled."""
    await feed.reflector(PATH, Codec(dict[str, Any], meta_of_dict), BurstSink(feed.post)).run()
