"""The stop of the whole cluster: one ConfigMap in burster's own namespace to ClusterStop.

It fails closed: a ConfigMap that is there and does not plainly say ``stop: "false"`` stops new bursts, whatever else it holds. Where there
is none, nothing is stopped. Until the first answer of the API server the runtime holds everything new; afterwards the last word stands,
since while the API server does not answer nothing could be started either. Called by the runtime. It must never decide what a stop means.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from burster.model.stimuli import ClusterStop, Stimulus
from burster.sources.feed import Feed
from burster.sources.reflector import Codec, meta_of_dict


NAME: Final = "burster-stop"
KEY: Final = "stop"
_RUNNING: Final = frozenset({"false", "f", "0"})
_WHO_MAX, _WHY_MAX = 100, 300
#: Posted before the first list: nobody knows yet.
NOT_READ: Final = ClusterStop(stopped=True, why=f"the ConfigMap {NAME} in burster's namespace has not been read yet.")


def path_of(home: str) -> str:
    """Return the path of the list that the ConfigMap is in."""
    return f"/api/v1/namespaces/{home}/configmaps"


class StopSink:
    """From the ConfigMap to stimuli."""

    def __init__(self, post: Callable[[Stimulus], None]) -> None:
        self._post = post
        self._there = False

    def seen(self, obj: dict[str, Any]) -> str | None:
        """Post what it says."""
        metadata: object = obj.get("metadata")
        if not isinstance(metadata, dict) or cast("dict[str, object]", metadata).get("name") != NAME:
            return None  # a server that ignores the selector must not stop anything
        self._there = True
        self._post(stop_of(obj))
        return NAME

    def gone(self, key: str, last: dict[str, Any] | None) -> None:  # noqa: ARG002 - its absence says all
        """Post that nothing is stopped."""
        self._there = False
        self._post(ClusterStop(stopped=False))

    def synced(self) -> None:
        """Post that nothing is stopped, where there is no such ConfigMap."""
        if not self._there:
            self._post(ClusterStop(stopped=False))


def stop_of(obj: dict[str, Any]) -> ClusterStop:
    """Return what a ConfigMap of that name says."""
    data: object = obj.get("data")
    told = cast("dict[str, object]", data) if isinstance(data, dict) else {}
    value = told.get(KEY)
    if isinstance(value, str) and value.strip().lower() in _RUNNING:
        return ClusterStop(stopped=False)
    why = _line(told.get("reason"), _WHY_MAX)
    if not (isinstance(value, str) and value.strip().lower() in {"true", "t", "1"}):
        unclear = f"its key {KEY} says neither true nor false, which counts as true."
        why = f"{why.rstrip('.')}; {unclear}" if why else unclear
    return ClusterStop(stopped=True, by=_line(told.get("by"), _WHO_MAX), why=why)


def _line(value: object, longest: int) -> str:
    """Return what somebody wrote as one printable line."""
    if not isinstance(value, str):
        return ""
    return "".join(one if one.isprintable() else " " for one in value.strip())[:longest]


async def run(feed: Feed, *, home: str) -> None:
    """Post stimuli about the stop until cancelled. ``home`` is burster's own namespace."""
    selector = {"fieldSelector": f"metadata.name={NAME}"}
    await feed.reflector(path_of(home), Codec(dict[str, Any], meta_of_dict), StopSink(feed.post), selector).run()
