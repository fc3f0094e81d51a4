"""The reaper as a service: it starts, is asked how it is, ends by a signal; it is not called dead while it deletes, and writes events."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from burster.adaptors.cluster_events import EventRecorder
from burster.clients.kube import Kube, KubeSettings
from burster.engine.reaping import ReapRules
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.lockstep import LabClock, run_lockstep
from burster.runtime.clock import SystemClock
from burster.runtime.reaper import Reaper, ReaperOptions
from burster.runtime.reaper_service import ReaperMeter, TargetEvents, make_reaper
from burster.settings import Settings
from tests.support.abandoned import CLUSTER, HOUR, MINUTE, LeftCloud, a_machine, our_target
from tests.support.resource_group import STRAY, Group, a_group


SETTINGS = Settings.model_validate({"reaper": {"interval_ms": 10_000, "grace_ms": 240_000}})
DEADLINE_MS = 15 * MINUTE  #: of one deletion


class Process:
    """`burster reaper` on loopback, with what it says."""

    def __init__(self, group: Group, process: asyncio.subprocess.Process) -> None:
        self.group, self.process, self.said = group, process, list[dict[str, Any]]()

    async def until(self, event: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            async for line in self.process.stderr:
                self.said.append(orjson.loads(line))
                if self.said[-1]["event"] == event:
                    return self.said[-1]
        raise AssertionError(f"it ended without {event}: {self.said}")

    async def ended(self) -> int:
        async with asyncio.timeout(10):
            out, _ = await self.process.communicate()
        assert out == b""
        return self.process.returncode or 0


@asynccontextmanager
async def a_reaper(folder: Path, *words: str, **variables: str) -> AsyncIterator[Process]:
    async with a_group(folder) as group:
        await group.make(STRAY)
        process = await group.start(
            "reaper",
            *words,
            BURSTER_HTTP__HOST="127.0.0.1",
            BURSTER_HTTP__PORT="0",
            BURSTER_REAPER__INTERVAL_MS="10000",
            BURSTER_REAPER__GRACE_MS="240000",
            **variables,
        )
        try:
            yield Process(group, process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def asked(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as web, web.get(url) as answer:
        return answer.status, await answer.text()


async def test_it_deletes_tells_how_it_is_and_ends_by_a_signal(tmp_path: Path) -> None:
    async with a_reaper(tmp_path, "--mode", "delete") as it:
        url = (await it.until("reaper.started"))["listening"]
        found = await it.until("reaper.finding")
        assert (found["outcome"], found["name"], found["level"]) == ("Ended", STRAY, "warning")
        assert it.group.arm.leaks() == ()
        assert await asked(f"{url}/livez") == (200, "ok\n")
        await until_counted(url, r'^burster_reaper_rounds_total\{api="there"\} [1-9]')
        told = (await asked(f"{url}/metrics"))[1]
        assert 'burster_reaper_outcomes_total{kind="Vm",outcome="Ended",target="azure"} 1.0' in told
        events = it.group.store.list("events", "default")
        assert [(one["reason"], one["involvedObject"]["name"]) for one in events] == [("ReaperEnded", "azure")]
        assert STRAY in events[0]["message"]
        assert events[0]["reportingComponent"] == "burster.dev/reaper"
        it.process.send_signal(signal.SIGTERM)
        assert await it.ended() == 0


async def until_counted(url: str, pattern: str) -> None:
    async with asyncio.timeout(10):
        while not re.search(pattern, (await asked(f"{url}/metrics"))[1], re.MULTILINE):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


@pytest.mark.long
async def test_ctrl_c_ends_it_too_and_a_dry_run_deletes_nothing(tmp_path: Path) -> None:
    async with a_reaper(tmp_path, "--mode", "delete", BURSTER_DRY_RUN="true") as it:
        assert (await it.until("reaper.started"))["mode"] == "report"
        assert (await it.until("reaper.finding"))["outcome"] == "Reported"
        assert STRAY in it.group.arm.vms
        it.process.send_signal(signal.SIGINT)
        assert await it.ended() == 0
    assert it.group.store.list("events", "default") == []


@pytest.mark.long
async def test_a_port_that_is_taken_is_told_in_a_sentence(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = str(taken.sockets[0].getsockname()[1])
    async with a_group(tmp_path) as group, taken:
        code, _, err = await group.burster("reaper", BURSTER_HTTP__HOST="127.0.0.1", BURSTER_HTTP__PORT=port)
    assert code == 2
    assert "is in use" in err


class SlowCloud(LeftCloud):
    """Its deletions take as long as they may, or for ever."""

    def __init__(self, clock: LabClock, *things: Any, takes_s: float = DEADLINE_MS / 1000) -> None:
        super().__init__(*things)
        self._clock, self._takes_s = clock, takes_s

    async def delete_resource(self, _target: Any, resource: Any) -> None:
        await self._clock.sleep(self._takes_s)
        await super().delete_resource(_target, resource)


@pytest.mark.parametrize(("takes_s", "answers"), [(DEADLINE_MS / 1000, {200}), (100 * HOUR / 1000, {200, 503})])
def test_it_is_not_called_dead_while_it_deletes_but_where_it_hangs(takes_s: float, answers: set[int]) -> None:
    got: set[int] = set()

    async def main(clock: LabClock) -> None:
        lease_end_ms = clock.now_ms() - HOUR
        machines = [a_machine(f"db-{n}", lease_end_ms, created_at_ms=lease_end_ms) for n in range(5)]
        cloud = SlowCloud(clock, *machines, takes_s=takes_s)
        options = ReaperOptions(cluster=CLUSTER, mode="Delete", rules=ReapRules(), targets=(our_target(),))
        reaper = Reaper(cloud, None, clock, options)
        meter = ReaperMeter()
        async with TestClient(TestServer(meter.app(reaper, SETTINGS, clock), host="127.0.0.1")) as client:
            going = asyncio.create_task(reaper.run(meter))
            for _ in range(90):
                await clock.sleep(60)
                async with client.get("/livez") as answer:
                    got.add(answer.status)
            assert (len(cloud.deleted) == 5) == (503 not in got)
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)

    run_lockstep(main)
    assert got == answers


def test_what_was_ended_and_what_was_not_is_told_by_events_as_long_as_somebody_takes_them(tmp_path: Path) -> None:
    async def main(clock: LabClock) -> None:
        store = Store(clock.now_ms, seed=1)
        async with AsyncExitStack() as stack:
            gone = await stack.enter_async_context(AsyncExitStack())
            api = await gone.enter_async_context(ApiServer(store))
            (tmp_path / "kubeconfig").write_text(api.kubeconfig())
            kube = await stack.enter_async_context(
                await Kube.connect(KubeSettings(kubeconfig=str(tmp_path / "kubeconfig")))
            )
            then_ms = clock.now_ms() - HOUR
            cloud = LeftCloud(*(a_machine(f"db-{n}", then_ms, created_at_ms=then_ms) for n in range(3)))
            cloud.refuses.add("burstvm-db-1")
            tell = TargetEvents(EventRecorder(kube, clock.now_ms)).tell
            options = ReaperOptions(cluster=CLUSTER, mode="Delete", targets=(our_target(),))
            reaper = Reaper(cloud, None, clock, options, tell=tell)
            await reaper.round()
            told = {(one["reason"], one["message"].split()[1].rstrip(":")) for one in store.list("events", "default")}
            assert ("ReaperFailed", "burstvm-db-1") in told
            assert "ReaperEnded" in {reason for reason, _ in told}
            await gone.aclose()
            cloud.refuses.clear()
            # nobody takes an event any more: it ends what may go all the same
            assert [one.outcome for one in (await reaper.round()).reaped] == ["Ended"]

    run_lockstep(main)


async def test_in_a_dry_run_it_only_reports_whatever_its_mode_is(tmp_path: Path) -> None:
    async with a_group(tmp_path) as group, AsyncExitStack() as stack:
        settings = Settings.model_validate(
            {
                "dry_run": True,
                "reaper": {"mode": "delete", "grace_ms": 240_000},
                "kube": {"kubeconfig": str(group.folder / "kubeconfig")},
                "arm": {"base_url": group.arm.url, "auth": "none"},
            }
        )
        await group.make(STRAY)
        reaper = await make_reaper(settings, SystemClock(), stack)
        assert [one.outcome for one in (await reaper.round()).reaped] == ["Reported"]
        assert STRAY in group.arm.vms
