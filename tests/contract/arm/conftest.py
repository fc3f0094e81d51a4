"""A cloud to talk to: the ARM stand-in on virtual time, with Azure's own client, burster's, and a plain one."""

import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from azure.core.pipeline.policies import RequestIdPolicy, SansIOHTTPPolicy
from azure.mgmt.compute.aio import ComputeManagementClient

from burster.clients.arm import Arm, ArmSettings
from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.lockstep import LabClock, run_lockstep
from burster.model.targets import Target


SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
SUBNET = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/pods"
TARGET = Target(
    name="azure", subscription=SUBSCRIPTION, resource_group="rg", region="eastus", sizes=("Standard_DC2es_v6",)
)
VERSION = "api-version=2022-08-01"


def vm_body(name: str, *, size: str = "Standard_DC2es_v6", region: str = "eastus", **properties: Any) -> dict[str, Any]:
    """A VM as cloud-api-adaptor asks for it; ``properties`` replace whole parts, None takes one away."""
    body: dict[str, Any] = {
        "location": region,
        "tags": {"team": "risk"},
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "storageProfile": {
                "imageReference": {"id": "/images/podvm"},
                "osDisk": {
                    "name": f"{name}-disk",
                    "createOption": "FromImage",
                    "deleteOption": "Delete",
                    "managedDisk": {
                        "storageAccountType": "Premium_LRS",
                        "securityProfile": {"securityEncryptionType": "VMGuestStateOnly"},
                    },
                },
            },
            "osProfile": {"computerName": name, "adminUsername": "peerpod"},
            "networkProfile": {
                "networkApiVersion": "2020-11-01",
                "networkInterfaceConfigurations": [
                    {
                        "name": f"{name}-net",
                        "properties": {
                            "deleteOption": "Delete",
                            "ipConfigurations": [{"name": "ip", "properties": {"subnet": {"id": SUBNET}}}],
                        },
                    }
                ],
            },
            "securityProfile": {
                "securityType": "ConfidentialVM",
                "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
            },
            "userData": "aGVsbG8=",
        },
    }
    body["properties"].update(copy.deepcopy(properties))
    body["properties"] = {key: value for key, value in body["properties"].items() if value is not None}
    return body


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        return self.body["error"]["code"]

    @property
    def message(self) -> str:
        return self.body["error"]["message"]


@dataclass
class World:
    clock: LabClock
    server: ArmServer
    arm: Arm
    compute: ComputeManagementClient
    http: aiohttp.ClientSession
    target: Target

    body = staticmethod(vm_body)
    subscription = SUBSCRIPTION
    subnet = SUBNET

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One plain request; ``path`` starts behind the subscription."""
        url = path if path.startswith("http") else f"{self.server.url}/subscriptions/{SUBSCRIPTION}/{path}"
        if "api-version" not in url and "retail" not in url:
            url += f"{'&' if '?' in url else '?'}{VERSION}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, url, json=body, headers=named) as response:
            text = await response.read()
            decoded = await response.json() if text else None
            return Answer(response.status, dict(response.headers), decoded)

    def vm_path(self, name: str) -> str:
        return f"resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/{name}"

    async def put(self, name: str, body: object = None, **headers: str) -> Answer:
        return await self.call("PUT", self.vm_path(name), body or vm_body(name), **headers)

    async def get(self, name: str) -> Answer:
        return await self.call("GET", self.vm_path(name))

    async def delete(self, name: str) -> Answer:
        return await self.call("DELETE", self.vm_path(name))

    async def made(self, *names: str) -> None:
        """VMs that are ready."""
        for name in names:
            assert (await self.put(name)).status == 201
        await self.clock.sleep(700)

    async def nic(self, name: str) -> Answer:
        return await self.call("GET", f"resourceGroups/rg/providers/Microsoft.Network/networkInterfaces/{name}-net")

    async def disk(self, name: str) -> Answer:
        return await self.call("GET", f"resourceGroups/rg/providers/Microsoft.Compute/disks/{name}-disk")


def _run(story: Callable[[World], Awaitable[Any]], *, config: ArmConfig | None = None, seed: int = 7) -> Any:
    async def main(clock: LabClock) -> Any:
        async with (
            ArmServer(clock, config=config, seed=seed) as server,
            Arm(ArmSettings(base_url=server.url, auth="none", poll_interval_ms=4_000)) as arm,
            ComputeManagementClient(
                object(),  # nobody asks it for a token
                SUBSCRIPTION,
                base_url=server.url,
                policies=[RequestIdPolicy(), SansIOHTTPPolicy()],
                polling_interval=4,
            ) as compute,
            aiohttp.ClientSession() as http,
        ):
            return await story(World(clock, server, arm, compute, http, TARGET))

    return run_lockstep(main)


@pytest.fixture
def lab():
    """Run a story in the lab: ``lab(story, config=..., seed=...)``."""
    return _run


@pytest.fixture
def target():
    return TARGET
