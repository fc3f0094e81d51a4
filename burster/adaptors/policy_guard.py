"""The finalizer ``burster.dev/drain``: on a policy before anything is made by it, off again when nothing of it is left.

A policy that was deleted while burster does not look would take with it the rules by which its bursts come home. The finalizer is put on
before the first Burst record or the first number, once for each policy and controller; afterwards that costs no request. It must never be
put on a policy that is being deleted: nothing more may be made by that one.
"""

import asyncio
from typing import Any, Final

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, KubeApi
from burster.model.errors import RemoteError
from burster.model.instructions import ReleasePolicy
from burster.model.stimuli import PolicyReleased
from burster.policy.records import DRAIN_FINALIZER


#: How often one that somebody else edits at the same moment is read anew.
_TRIES: Final = 5


class PolicyGuard:
    """Remembers which policies are kept."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._kept: set[str] = set()
        self._lock = asyncio.Lock()

    def forget(self, policy: str) -> None:
        """Look again before the next thing is made by a policy: it is gone, or somebody has taken the finalizer off."""
        self._kept.discard(policy)

    async def keep(self, policy: str) -> None:
        """Put the finalizer on.

        Raises RemoteError NotFound (code PolicyGone) where there is no such policy, Conflict (code PolicyLeaving) where it is being
        deleted.
        """
        if policy in self._kept:
            return
        async with self._lock:
            if policy not in self._kept:
                await self._change(policy, put=True)
                self._kept.add(policy)

    async def release(self, instruction: ReleasePolicy) -> PolicyReleased:
        """Take the finalizer off; one that is gone, or another of the same name, needs nothing."""
        self.forget(instruction.policy)
        await self._change(instruction.policy, put=False, uid=instruction.uid)
        return PolicyReleased(policy=instruction.policy)

    async def _change(self, policy: str, *, put: bool, uid: str = "") -> None:
        namespace, _, name = policy.partition("/")
        path = paths.burst_policies(namespace, name)
        for attempt in range(_TRIES):
            found = await paths.read(self._api, path)
            wanted = _wanted(found, policy, put=put, uid=uid)
            if found is None or wanted is None:
                return
            metadata = {
                "uid": found["metadata"]["uid"],
                "resourceVersion": found["metadata"]["resourceVersion"],
                "finalizers": wanted or None,
            }
            try:
                await self._api.patch(path, {"metadata": metadata}, params={"fieldManager": FIELD_MANAGER})
            except RemoteError as error:
                if not put and error.kind == "NotFound":
                    return
                if error.kind != "Conflict" or attempt == _TRIES - 1:
                    raise
            else:
                return


def _wanted(found: dict[str, Any] | None, policy: str, *, put: bool, uid: str) -> list[str] | None:
    """Return the finalizers that a policy is to have, or None where there is nothing to change."""
    if found is None:
        if put:
            raise RemoteError("NotFound", f"there is no BurstPolicy {policy} any more", code="PolicyGone")
        return None
    metadata: dict[str, Any] = found["metadata"]
    finalizers: list[str] = list(metadata.get("finalizers") or ())
    if put:
        if metadata.get("deletionTimestamp"):
            raise RemoteError("Conflict", f"BurstPolicy {policy} is being deleted", code="PolicyLeaving")
        return None if DRAIN_FINALIZER in finalizers else [*finalizers, DRAIN_FINALIZER]
    if DRAIN_FINALIZER not in finalizers or (uid and metadata.get("uid") != uid):
        return None
    return [one for one in finalizers if one != DRAIN_FINALIZER]
