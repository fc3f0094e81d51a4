"""``burster sweep-cloud`` and ``burster reaper --once`` as people run them: what is printed, and the exit code."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
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


class Earlier:
    """A clock that is ten minutes slow: what is made by it is ten minutes old."""

    def now_ms(self) -> int:
        return SystemClock().now_ms() - TEN_MINUTES

    def monotonic(self) -> float:
        return SystemClock().monotonic()


class Group:
    """A cluster with one target, its resource group, and the program."""

    def __init__(self, folder: Path, arm: ArmServer) -> None:
        self.folder, self.arm = folder, arm

    async def make(self, name: str) -> None:
        scope = (
            f"/subscriptions/{LAB_CONFIG['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{LAB_CONFIG['AZURE_RESOURCE_GROUP']}"
        )
        url = f"{self.arm.url}{scope}/providers/Microsoft.Compute/virtualMachines/{name}?api-version=2024-07-01"
        image = LAB_CONFIG["AZURE_IMAGE_ID"]
        body = vm_body(
            read_config(LAB_CONFIG), name=name, size="Standard_DC2es_v6", image=image, data="", disable_cvm=False
        )
        async with aiohttp.ClientSession() as web, web.put(url, data=orjson.dumps(body)) as answer:
            assert answer.status == 201, await answer.text()

    async def burster(self, *words: str) -> tuple[int, str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BURSTER_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "burster", *words, "--kubeconfig", str(self.folder / "kubeconfig")),
            stdout=-1,
            stderr=-1,
            env={
                **kept,
                "BURSTER_ARM__BASE_URL": self.arm.url,
                "BURSTER_ARM__AUTH": "none",
                "BURSTER_ARM__POLL_INTERVAL_MS": "100",
            },
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def a_group(folder: Path) -> AsyncIterator[Group]:
    store = Store(SystemClock().now_ms, seed=1)
    quick = ArmConfig(create_median_ms=1, create_p95_ms=2, create_max_ms=2, delete_min_ms=1, delete_max_ms=2)
    async with ApiServer(store) as api, ArmServer(Earlier(), config=quick) as arm:
        (folder / "kubeconfig").write_text(api.kubeconfig())
        async with await Kube.connect(KubeSettings(kubeconfig=str(folder / "kubeconfig"))) as kube:
            for crd in (*crds().values(), PEER_POD_CRD):
                await kube.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
            await kube.create("/apis/burster.dev/v1alpha1/bursttargets", TARGET)
        (folder / "targets.yaml").write_text(yaml.safe_dump(TARGET))
        yield Group(folder, arm)


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    async with a_group(tmp_path) as group:
        yield group


async def test_what_is_left_is_shown_and_deleted_by_yes_only(group: Group) -> None:
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    code, out, _ = await group.burster("sweep-cloud", "--dry-run", "-o", "json")
    (finding,) = orjson.loads(out)["findings"]
    assert (code, finding["fate"], finding["code"], finding["proof"]) == (1, "Goes", "Unclaimed", "Group")
    assert group.arm.vms
    code, out, err = await group.burster("sweep-cloud", "--yes")
    assert (code, group.arm.leaks()) == (0, ())
    assert f"deleting {STRAY}" in err
    assert "1 of 1 deleted" in out


@pytest.mark.long
async def test_a_table_tells_the_same_and_an_empty_one_that_nothing_is_left(group: Group) -> None:
    assert await group.burster("sweep-cloud") == (0, "Nothing is left behind.\n", "")
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    code, out, _ = await group.burster("sweep-cloud")
    assert code == 1
    assert STRAY in out
    assert "1 would be deleted by --yes" in out


@pytest.mark.long
async def test_wrong_words_and_a_cluster_that_is_not_there(group: Group) -> None:
    code, _, err = await group.burster("sweep-cloud", "--yes", "--dry-run")
    assert (code, "one of the two" in err) == (2, True)
    code, _, err = await group.burster("sweep-cloud", "--target", "west")
    assert (code, "there is azure" in err) == (2, True)
    text = (group.folder / "kubeconfig").read_text().replace("127.0.0.1:", "127.0.0.1:1", 1)
    (group.folder / "kubeconfig").write_text(text.replace(text.partition("127.0.0.1:")[2].partition("/")[0], "1", 1))
    code, _, err = await group.burster("sweep-cloud")
    assert code == 2
    assert "can't be asked" in err


@pytest.mark.long
async def test_the_reaper_tells_what_it_would_end_and_why_not_yet(group: Group) -> None:
    await group.make(STRAY)
    await asyncio.sleep(0.3)
    code, out, _ = await group.burster(
        "reaper", "--once", "--api-gone", "--targets", str(group.folder / "targets.yaml"), "-o", "json"
    )
    (finding,) = orjson.loads(out)["findings"]
    assert (code, finding["code"]) == (0, "NoMaxAge")
    code, _, err = await group.burster("reaper", "--once", "--api-gone")
    assert (code, "BURSTER_REAPER" in err) == (2, True)
