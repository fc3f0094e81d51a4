"""A cluster with one target and its resource group, both on loopback in ordinary time, and the program run against them."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.caa.body import vm_body
from burster.lab.caa.config import LAB_CONFIG, read_config
from burster.lab.caa.peerpods import DEFINITION as PEER_POD_CRD
from burster.policy.crds import crds
from burster.runtime.clock import SystemClock


STRAY = "podvm-stray-0123abcd"
TEN_MINUTES = 600_000
TARGET: dict[str, Any] = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstTarget",
    "metadata": {"name": "azure"},
    "spec": {
        "azure": {
            "subscriptionId": LAB_CONFIG["AZURE_SUBSCRIPTION_ID"],
            "resourceGroup": LAB_CONFIG["AZURE_RESOURCE_GROUP"],
            "region": LAB_CONFIG["AZURE_REGION"],
        },
        "sizes": ["Standard_DC2es_v6"],
        "allowedNamespaces": [],
        "sweep": {"grace": "1m", "scope": {"exclusive": True}},
    },
}


class CloudClock:
    """The cloud's clock: right, but ten minutes slow while something is made, which is ten minutes old from the beginning."""

    behind_ms = 0

    def now_ms(self) -> int:
        return SystemClock().now_ms() - self.behind_ms

    def monotonic(self) -> float:
        return SystemClock().monotonic()


class Group:
    """A cluster with one target, its resource group, and the program."""

    def __init__(self, folder: Path, arm: ArmServer, store: Store, clock: CloudClock) -> None:
        self.folder, self.arm, self.store, self._clock = folder, arm, store, clock

    async def make(self, name: str) -> None:
        scope = (
            f"/subscriptions/{LAB_CONFIG['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{LAB_CONFIG['AZURE_RESOURCE_GROUP']}"
        )
        url = f"{self.arm.url}{scope}/providers/Microsoft.Compute/virtualMachines/{name}?api-version=2024-07-01"
        image = LAB_CONFIG["AZURE_IMAGE_ID"]
        body = vm_body(
            read_config(LAB_CONFIG), name=name, size="Standard_DC2es_v6", image=image, data="", disable_cvm=False
        )
        self._clock.behind_ms = TEN_MINUTES
        async with aiohttp.ClientSession() as web, web.put(url, data=orjson.dumps(body)) as answer:
            assert answer.status == 201, await answer.text()
        self._clock.behind_ms = 0

    async def start(self, *words: str, **variables: str) -> Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BURSTER_")}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "burster", *words, "--kubeconfig", str(self.folder / "kubeconfig")),
            stdout=-1,
            stderr=-1,
            env={
                **kept,
                "BURSTER_ARM__BASE_URL": self.arm.url,
                "BURSTER_ARM__AUTH": "none",
                "BURSTER_ARM__POLL_INTERVAL_MS": "100",
                **variables,
            },
        )

    async def burster(self, *words: str, **variables: str) -> tuple[int, str, str]:
        process = await self.start(*words, **variables)
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def a_group(folder: Path) -> AsyncIterator[Group]:
    store = Store(SystemClock().now_ms, seed=1)
    quick = ArmConfig(
        create_median_ms=1,
        create_p95_ms=2,
        create_max_ms=2,
        delete_min_ms=1,
        delete_max_ms=2,
        subscriptions=(LAB_CONFIG["AZURE_SUBSCRIPTION_ID"],),
    )
    clock = CloudClock()
    async with ApiServer(store) as api, ArmServer(clock, config=quick) as arm:
        (folder / "kubeconfig").write_text(api.kubeconfig())
        async with await Kube.connect(KubeSettings(kubeconfig=str(folder / "kubeconfig"))) as kube:
            for crd in (*crds().values(), PEER_POD_CRD):
                await kube.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
            await kube.create("/apis/burster.dev/v1alpha1/bursttargets", TARGET)
        (folder / "targets.yaml").write_text(yaml.safe_dump(TARGET))
        yield Group(folder, arm, store, clock)
