"""BurstPolicies and BurstTargets: API server to PolicySeen, PolicyRefused, PolicyGone, TargetSeen, TargetRefused and TargetGone.

A policy that does not compile is refused: what runs by it is kept under its last good version, and nothing new starts by either version,
since a rule that somebody meant to tighten must not go on in its loose form. A target that does not compile is gone for the engine: nothing
new starts there, and what runs there goes on under the terms that its record carries; there is nothing else of the last good version to
keep. Called by the runtime. It must never repair or guess.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import structlog
from msgspec import structs

from burster.model.errors import InputError
from burster.model.stimuli import (
    PolicyGone,
    PolicyRefused,
    PolicySeen,
    SourceName,
    SourceSynced,
    Stimulus,
    TargetGone,
    TargetRefused,
    TargetSeen,
)
from burster.policy.compile import compile_policy, compile_target
from burster.policy.records import DRAIN_FINALIZER
from burster.policy.status_objects import told_by
from burster.sources.feed import Feed
from burster.sources.policy_places import MOST, PolicyPlaces
from burster.sources.reflector import Codec, meta_of_dict


POLICIES_PATH: Final = "/apis/burster.dev/v1alpha1/burstpolicies"
TARGETS_PATH: Final = "/apis/burster.dev/v1alpha1/bursttargets"

Key = tuple[str, str]  #: namespace and name, uid

_MESSAGE_MAX: Final = 1_000

_log: Final = structlog.get_logger("burster.sources")


def _compiled_policy(obj: dict[str, Any]) -> Stimulus:
    policy, metadata = compile_policy(obj), cast("dict[str, Any]", obj["metadata"])
    return PolicySeen(policy=policy, deleting=_is_deleting(metadata), guarded=_is_guarded(metadata), told=told_by(obj))


def _is_deleting(metadata: dict[str, Any]) -> bool:
    return bool(metadata.get("deletionTimestamp"))


def _is_guarded(metadata: dict[str, Any]) -> bool:
    finalizers: object = metadata.get("finalizers")
    return isinstance(finalizers, list) and DRAIN_FINALIZER in finalizers


def _compiled_target(obj: dict[str, Any]) -> Stimulus:
    return TargetSeen(target=compile_target(obj), told=told_by(obj))


def _policy_refused(key: str, obj: dict[str, Any], message: str) -> PolicyRefused:
    metadata = cast("dict[str, Any]", obj["metadata"])
    return PolicyRefused(
        key=key,
        uid=str(metadata.get("uid") or ""),
        generation=_generation(metadata),
        message=message[:_MESSAGE_MAX],
        deleting=_is_deleting(metadata),
        guarded=_is_guarded(metadata),
        told=told_by(obj),
    )


def _target_refused(key: str, obj: dict[str, Any], message: str) -> Stimulus:
    metadata = cast("dict[str, Any]", obj["metadata"])
    return TargetRefused(
        name=key,
        uid=str(metadata.get("uid") or ""),
        generation=_generation(metadata),
        message=message[:_MESSAGE_MAX],
        told=told_by(obj),
    )


def _generation(metadata: dict[str, Any]) -> int:
    generation: object = metadata.get("generation")
    return generation if isinstance(generation, int) else 0


def _policy_gone(key: str) -> Stimulus:
    return PolicyGone(key=key)


def _target_gone(key: str) -> Stimulus:
    return TargetGone(name=key)


class RuleSink:
    """From objects to stimuli, for one of the two kinds."""

    def __init__(
        self,
        post: Callable[[Stimulus], None],
        source: SourceName,
        compiled: Callable[[dict[str, Any]], Stimulus],
        refused: Callable[[str, dict[str, Any], str], Stimulus],
        departed: Callable[[str], Stimulus],
        places: PolicyPlaces | None = None,
    ) -> None:
        """``places``: how many of a namespace count; None: all of them, where only a platform team writes."""
        self._post = post
        self._source: Final = source
        self._compiled = compiled
        self._refused = refused
        self._departed = departed
        self._places: Final = places
        self._uids: Final[dict[str, str]] = {}

    def seen(self, obj: dict[str, Any]) -> Key | None:
        """Post that it is valid, or that it is refused, and why in the log."""
        metadata: object = obj.get("metadata")
        if not isinstance(metadata, dict):
            raise InputError("an object without metadata")
        metadata = cast("dict[str, Any]", metadata)
        namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
        key = f"{namespace}/{name}" if namespace else str(name)
        uid = str(metadata.get("uid") or "")
        place = True if self._places is None else self._places.find(str(namespace), key)
        leaves = _is_deleting(metadata) and _is_guarded(metadata)  # its finalizer has to go whatever it says
        if place is None and not leaves:
            return key, uid
        self._uids[key] = uid
        try:
            stimulus = self._compiled(obj)
        except InputError as error:
            _log.warning("rule refused", source=self._source, key=key, error=str(error))
            stimulus = self._refused(key, obj, str(error))
        if self._places is not None and not place:
            why = self._places.wait(str(namespace), key, stimulus) if place is False else "Too many policies."
            stimulus = structs.replace(_policy_refused(key, obj, why), code="TooManyPolicies")
        self._post(stimulus)
        return key, uid

    def gone(self, key: Key, last: dict[str, Any] | None) -> None:  # noqa: ARG002 - its key says all
        """Post that it is gone, unless another of its name is there: a list tells what is new before what is gone."""
        name, uid = key
        if self._uids.get(name) == uid:
            del self._uids[name]
            self._post(self._departed(name))
            heir = None if self._places is None else self._places.leave(name.partition("/")[0], name)
            if heir is not None:
                self._post(heir)

    def synced(self) -> None:
        """Post SourceSynced."""
        self._post(SourceSynced(source=self._source))


async def run(feed: Feed, *, most: int = MOST) -> None:
    """Post stimuli about policies and targets until cancelled; ``most``: how many policies of one namespace count."""
    codec = Codec(dict[str, Any], meta_of_dict)
    rules = (
        (
            POLICIES_PATH,
            RuleSink(feed.post, "policies", _compiled_policy, _policy_refused, _policy_gone, PolicyPlaces(most)),
        ),
        (TARGETS_PATH, RuleSink(feed.post, "targets", _compiled_target, _target_refused, _target_gone)),
    )
    async with asyncio.TaskGroup() as group:
        for path, sink in rules:
            reflector = feed.apart().reflector(path, codec, sink)
            group.create_task(reflector.run(), name=f"{path.rsplit('/', 1)[1]}-reflector")
