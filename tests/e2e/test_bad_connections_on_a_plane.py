"""Real controllers whose way to a real API server is bad, seeded; the server itself goes, etcd goes, and two lead for a moment.

Clones and Moves are under way all the time, and somebody else writes to the same objects.
"""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from burster.lab.apiserver.faults import Fault, Rule, SeededFaults
from burster.model.errors import RemoteError
from tests.e2e.plane_evidence import account_for, phase_of
from tests.e2e.real_lab import RULES, SERVICE, a_task
from tests.e2e.real_plane import Place, a_place
from tests.e2e.test_real_control_plane import is_home
from tests.support.audit_log import read_audit
from tests.support.bad_connection import BadConnection


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True), pytest.mark.timeout(900)]
_WRITES = ("create", "patch", "update", "delete")
MISHAPS = (
    # a request that hangs for longer than any request may take
    Rule(fault=Fault(delay_ms=11_000), share=0.2, verbs=("create",), resources=("pods",), at_most=1),
    Rule(fault=Fault(status=410), share=0.3, verbs=("watch",), at_most=6),
    Rule(fault=Fault(cut_after_events=2), share=0.3, verbs=("watch",), at_most=12),
    Rule(fault=Fault(cut_after_ms=3_000), share=0.5, verbs=("watch",), at_most=12),
    Rule(fault=Fault(lose_answer=True), share=0.10, verbs=_WRITES),
    Rule(fault=Fault(status=429, retry_after_s=1), share=0.06),
    Rule(fault=Fault(status=500), share=0.05),
    Rule(fault=Fault(reset=True), share=0.04),
    Rule(fault=Fault(delay_ms=1_000), share=0.05),
)
#: long enough for a second that is lost, short enough for a test
LEASE = {
    "BURSTER_ELECTION__LEASE_MS": "6000",
    "BURSTER_ELECTION__RENEW_MS": "4500",
    "BURSTER_ELECTION__RETRY_MS": "500",
}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path, rules=RULES, node_cpu="2500m") as place:
        yield place


class Load:
    """What there is to do meanwhile."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.tasks: list[str] = []
        self._chance = random.Random("load")

    async def more(self, tasks: int, replicas: int) -> None:
        new = range(len(self.tasks), len(self.tasks) + tasks)
        await self.place.apply("".join(a_task(number, self._chance.randint(4, 9)) for number in new))
        self.tasks.extend(f"default/task-{number}" for number in new)
        await self.place.kubectl("scale", "deployment/web", f"--replicas={replicas}")

    async def under_way(self) -> None:
        async def some() -> bool:
            phases = [phase_of(each) for each in await self.place.all_of("bursts")]
            return sum(phase not in {"", "Released"} for phase in phases) >= 4

        await self.place.until("bursts are under way", some)

    async def is_done(self) -> bool:
        pods = await self.place.all_of("pods")
        done = {f"default/{pod['metadata']['name']}" for pod in pods if pod["status"]["phase"] == "Succeeded"}
        return done >= set(self.tasks)


async def meddle(place: Place) -> None:
    """Write to burster's records and pods all the time, so that what it read a moment ago is old."""
    count = 0
    while True:
        with suppress(RemoteError):
            for kind in ("bursts", "pods"):
                for each in await place.all_of(kind):
                    meta = each["metadata"]
                    if meta["namespace"] == "default":
                        count += 1
                        base = "/apis/burster.dev/v1alpha1" if kind == "bursts" else "/api/v1"
                        path = f"{base}/namespaces/default/{kind}/{meta['name']}"
                        with suppress(RemoteError):
                            await place.kube.patch(path, {"metadata": {"annotations": {"meddled": str(count)}}})
                        await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)


async def test_everything_that_can_go_wrong_on_the_way(place: Place) -> None:
    loop = asyncio.get_running_loop()
    load = Load(place)
    began_s = loop.time()
    async with BadConnection(place.plane, SeededFaults(7, MISHAPS)) as bad:
        controller = place.controller(kubeconfig=bad.kubeconfig(place.world.folder / "bad"), **LEASE)
        await place.apply(SERVICE)
        meddling = asyncio.create_task(meddle(place))
        await a_bad_way(bad, load)
        await the_server_starts_anew(place, load)
        await etcd_goes_for_half_a_minute(place, load)
        bad.faults = lambda _: None
        successor = await two_lead_for_a_moment(place, load, bad, controller)
        meddling.cancel()
        await place.until("every task is done", load.is_done)
        await place.kubectl("scale", "deployment/web", "--replicas=1")
        await place.until("everything is home", lambda: is_home(place))
        for each in (controller, successor):
            await place.ends_well(each)

    asked = read_audit(place.plane.folder)
    struck = bad.struck() + Counter({"409": sum(each.code == 409 for each in asked)})
    sys.stderr.write(f"\nwhat struck: {dict(struck)}\n")
    wanted = {"delay", "429", "500", "410", "reset", "answer lost", "cut", "silent", "expired", "server away", "409"}
    assert wanted <= set(struck)
    assert place.hollow.runs.started_more_than_once() == {}
    await account_for(place, RULES, load.tasks, blind_ms=int((loop.time() - began_s) * 1000))


async def a_bad_way(bad: BadConnection, load: Load) -> None:
    await load.more(6, 4)
    await load.under_way()
    bad.silent.add("bursts.burster.dev")
    bad.expire.add("pods")
    for replicas in (1, 5, 2):
        await asyncio.sleep(6)
        await load.more(3, replicas)
    await load.under_way()


async def the_server_starts_anew(place: Place, load: Load) -> None:
    await place.restart_api_server()
    await load.more(4, 4)
    await load.under_way()


async def etcd_goes_for_half_a_minute(place: Place, load: Load) -> None:
    lead = await place.lead()
    place.plane.pause("etcd")
    await asyncio.sleep(30)
    place.plane.resume("etcd")
    await asyncio.to_thread(place.plane.await_ready)
    await place.until("one leads again", lambda: leads(place, more_than=lead))
    await load.more(4, 2)
    await load.under_way()


async def two_lead_for_a_moment(
    place: Place, load: Load, elders: BadConnection, elder: "subprocess.Popen[str]"
) -> "subprocess.Popen[str]":
    """Stop a leader, wake it when another leads; return the other."""
    lead = await place.lead()
    successor = place.controller(**LEASE)
    await asyncio.sleep(5)
    await load.more(3, 5)
    await load.under_way()
    elder.send_signal(signal.SIGSTOP)
    await place.until("the other leads", lambda: leads(place, more_than=lead))
    woken_s = time.monotonic()
    elder.send_signal(signal.SIGCONT)
    await asyncio.sleep(4)
    assert elders.writes_since(woken_s) == [], "who slept past its lease writes nothing"
    assert elder.poll() is None, "and stands by"
    return successor


async def leads(place: Place, more_than: int = 0) -> bool:
    try:
        return await place.lead() > more_than
    except RemoteError:
        return False
