"""One sweep of a resource group by a process of its own, as the controller does it: listed, read, compared, decided. Prints its figures."""

import asyncio
import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from burster.adaptors.azure_resources import AzureResources
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.adaptors.port import TargetBook
from burster.cli import GC_THRESHOLDS
from burster.clients.arm import Arm, ArmSettings
from burster.engine import initial_state, step
from burster.lab.caa.config import LAB_CONFIG
from burster.model import stimuli as s
from burster.model.targets import Target
from burster.runtime.memory import settle


TARGET = Target(
    name="azure",
    subscription=LAB_CONFIG["AZURE_SUBSCRIPTION_ID"],
    resource_group=LAB_CONFIG["AZURE_RESOURCE_GROUP"],
    region=LAB_CONFIG["AZURE_REGION"],
    sizes=("Standard_DC2es_v6",),
    sweep="Delete",
    sweep_grace_ms=60_000,
    sweep_exclusive=True,
    assumed_price_micro_usd_per_hour=100_000,
)
SOURCES: tuple[s.SourceName, ...] = ("pods", "policies", "targets", "bursts", "cloud-pods")


class Records:
    """The API server's PeerPod records."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def get(self, path: str, _params: dict[str, str] | None = None) -> bytes:
        async with self._session.get(self._url + path) as answer:
            return await answer.read()


async def _sweep(arm_url: str, kube_url: str) -> dict[str, Any]:
    state = initial_state()
    book = TargetBook()
    book.put(TARGET)
    now_ms = time.time_ns() // 1_000_000
    step(state, [s.TargetSeen(target=TARGET), *(s.SourceSynced(source=name) for name in SOURCES)], now_ms)
    async with aiohttp.ClientSession() as session, Arm(ArmSettings(base_url=arm_url, auth="none")) as arm:
        resources = AzureResources(arm, PeerPodRecords(Records(kube_url, session)), book, lambda: now_ms)  # type: ignore[arg-type]
        settle()  # as the service does when it starts: what importing took is not what a sweep takes
        _forget_peak()
        began = time.perf_counter()
        listing = await resources.look(TARGET)
        listed = time.perf_counter()
        told = step(state, [_later(listing, now_ms + 120_000)], now_ms + 120_000)
        seconds = time.perf_counter() - began
        peak_mb = _peak_mb()
        due = step(state, [_later(listing, now_ms + 240_000)], now_ms + 240_000)
    return {
        "seconds": seconds,
        "listing_s": listed - began,
        "rss_mb": peak_mb,
        "vms": len(listing.vms),
        "decisions": len(told.decisions),
        "deletions": len(due.instructions),
    }


def _later(listing: s.CloudListed, at_ms: int) -> s.CloudListed:
    return msgspec.structs.replace(listing, listed_at_ms=at_ms)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def _peak_mb() -> float:
    """Return the most that was resident since the peak was forgotten."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)
    sys.stdout.write(json.dumps(asyncio.run(_sweep(sys.argv[1], sys.argv[2]))) + "\n")
