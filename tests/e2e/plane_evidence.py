"""What happened on a real control plane, found out from who was there: the API server's audit log, the cloud's bill, the kubelets' log.

`account_for` is the audit after a scene; `Phases` tells while it goes on which Burst enters which phase.
"""

import asyncio
import random
from collections import Counter
from typing import Any, Self

import msgspec

from burster.engine.bursts.vms import stem_of, vm_stem
from burster.lab.checks import Evidence, check_evidence
from burster.ledger import Ledger
from burster.policy.compile import compile_documents
from burster.policy.load import load_text
from burster.runtime.clock import SystemClock
from burster.sources.reflector import Codec, Reflector, meta_of_dict
from tests.e2e.real_plane import LISTS, Place
from tests.support.audit_log import burst_of, creations, read_audit, refused, unrecorded


def phase_of(burst: dict[str, Any]) -> str:
    """Return a Burst's phase; empty for a moment after it was made."""
    return (burst.get("status") or {}).get("phase", "")


class Phases:
    """Follows every Burst by a watch of its own: `entered` are (uid, phase) in the order in which the API server told them."""

    def __init__(self, place: Place) -> None:
        self.entered: list[tuple[str, str]] = []
        self._news = asyncio.Event()
        codec = Codec(dict[str, Any], meta_of_dict)
        chance = random.Random("phases")
        self._reflector = Reflector(place.kube, LISTS["bursts"], codec, self, SystemClock(), chance)

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._reflector.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def next(self, phase: str, *, timeout_s: float) -> bool:
        """Return when a Burst enters a phase from now on; False where none did in time."""
        start = len(self.entered)
        try:
            async with asyncio.timeout(timeout_s):
                while all(told != phase for _, told in self.entered[start:]):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def seen(self, obj: dict[str, Any]) -> str:
        uid, phase = obj["metadata"]["uid"], phase_of(obj)
        if (uid, phase) not in self.entered:
            self.entered.append((uid, phase))
            self._news.set()
        return uid

    def gone(self, key: str, last: dict[str, Any] | None) -> None:
        pass

    def synced(self) -> None:
        pass


async def account_for(
    place: Place, rules: str, tasks: list[str], *, blind_ms: int, refused_in: tuple[str, ...] = ()
) -> None:
    """Fail where something has leaked, was done twice, passed a limit or is not accounted for.

    ``rules`` are all policies there were, ``tasks`` all finite pods, ``blind_ms`` how long no controller looked, ``refused_in`` the
    namespaces in which somebody took away what burster needs.
    """
    asked = read_audit(place.plane.folder)
    evidence = Evidence(
        arm=place.arm,
        runs=place.hollow.runs,
        pods=await place.all_of("pods"),
        bursts=[msgspec.json.decode(msgspec.json.encode(each)) for each in await place.all_of("bursts")],
        tasks=tasks,
        bursts_created=len(creations(asked, "bursts")),
        unrecorded=unrecorded(asked),
    )
    policies = compile_documents(load_text(rules)).policies
    with Ledger.read(place.ledger) as ledger:
        assert ledger.integrity() == ()
        found = check_evidence(evidence, ledger, policies, SystemClock().now_ms(), blind_ms=blind_ms)
        owners = {}
        for decision in ledger.decisions(verdict="Burst", limit=1_000_000):
            for key in (decision.burst, decision.subject):
                owners[vm_stem(key.partition("/")[2])] = decision.policy
    broken = [f"{each.name}: {each.detail}" for each in found if not each.ok]
    assert not broken, "\n".join([*broken, await place.everything_told()])
    elsewhere = [each for each in asked if each.namespace not in refused_in]
    assert refused(elsewhere, place.restarts) == [], "the shipped rights must do"
    made = Counter((pod.namespace, burst_of(pod)) for pod in creations(asked, "pods") if burst_of(pod))
    assert {burst: count for burst, count in made.items() if count > 1} == {}, "a cloud pod is made once"
    for policy in policies:
        limit = policy.limits.max_bursts
        assert limit is not None
        vms = [vm for vm in place.arm.billing.vms if owners.get(stem_of(vm.name)) == policy.key]
        starts = [(vm.began_at_ms, 1) for vm in vms]
        ends = [(vm.ended_at_ms, -1) for vm in vms if vm.ended_at_ms is not None]
        now = most = 0
        for _, change in sorted(starts + ends):
            now += change
            most = max(most, now)
        assert most <= limit, f"{policy.key}: {most} VMs at once"
    for pod in evidence.pods:
        kept = [one for one in pod["metadata"].get("finalizers", []) if one.startswith("burster.dev/")]
        assert not kept, f"{pod['metadata']['name']} is kept by {kept}"
    for number in range(len(place.started)):
        said = place.log_of(number).read_text()
        assert "Traceback" not in said, said[-5_000:]
