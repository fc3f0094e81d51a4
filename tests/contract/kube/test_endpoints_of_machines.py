"""A machine is an endpoint of its Service on both servers: written when its port answers, beside what others keep, and taken away again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from burster.adaptors.endpoint_slices import EndpointSlices, connect
from burster.clients.kube import Kube, KubeSettings
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import PublishEndpoint
from burster.policy.records import burst_to_object
from tests.support.machines import a_machine

from .conftest import Api


ROOT = Path(__file__).parents[3]
V1_SINCE = (1, 21)
BURSTS = "bursts.burster.dev/v1alpha1"


async def answers(address: str, port: int) -> None:
    """Everything answers."""


class Site:
    """A Service, a Burst record, and the part that makes one an endpoint of the other."""

    def __init__(self, api: Api, kube: Kube, burst: Burst) -> None:
        self.api = api
        self.burst = burst
        self._kube = kube
        self.version = "v1" if api.endpoint.version >= V1_SINCE else "v1beta1"
        self.kind = f"endpointslices.discovery.k8s.io/{self.version}"

    async def publish(self, *, ready: bool = True, reach: Any = answers, address: str = "10.1.0.4") -> bool:
        slices = EndpointSlices(self._kube, reach, version=self.version)
        asked = PublishEndpoint(key="k", burst=self.burst, address=address, ready=ready)
        return (await slices.publish(asked)).ready

    async def slices(self) -> list[dict[str, Any]]:
        listed = await self.api.ok("GET", self.api.path(self.kind), params={"labelSelector": "burster.dev/burst"})
        return listed["items"]


@pytest.fixture
async def site(api: Api) -> AsyncIterator[Site]:
    definition = yaml.safe_load((ROOT / "deploy/crds/burster.dev_bursts.yaml").read_text())
    path = api.path("/customresourcedefinitions.apiextensions.k8s.io/v1")
    assert (await api.call("POST", path, definition))[0] in (201, 409)
    for _ in range(100):
        if (await api.call("GET", api.path(BURSTS)))[0] == 200:
            break
        await asyncio.sleep(0.1)
    body = burst_to_object(msgspec.structs.replace(a_machine(uid=""), namespace=api.namespace))
    body.pop("status", None)
    made = await api.create(BURSTS, body)
    burst = msgspec.structs.replace(a_machine(uid=made["metadata"]["uid"]), namespace=api.namespace)
    ports = [{"name": "scores", "port": 443, "targetPort": 8443}, {"name": "metrics", "port": 9090}]
    await api.create(
        "services", {"metadata": {"name": "scorer"}, "spec": {"selector": {"app": "scorer"}, "ports": ports}}
    )
    async with await Kube.connect(KubeSettings(kubeconfig=str(api.endpoint.kubeconfig))) as kube:
        yield Site(api, kube, burst)


async def test_it_is_written_for_its_service_under_the_ports_own_name(site: Site) -> None:
    assert await site.publish()
    (found,) = await site.slices()
    assert found["addressType"] == "IPv4"
    (endpoint,) = found["endpoints"]
    assert endpoint["addresses"] == ["10.1.0.4"]
    assert endpoint["conditions"]["ready"] is True
    assert [(port["name"], port["port"], port["protocol"]) for port in found["ports"]] == [("scores", 8443, "TCP")]
    labels = found["metadata"]["labels"]
    assert labels["kubernetes.io/service-name"] == "scorer"
    assert labels["endpointslice.kubernetes.io/managed-by"] == "burster.dev"
    (owner,) = found["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Burst", site.burst.uid)


async def test_it_is_written_twice_without_harm_and_follows_a_new_address(site: Site) -> None:
    await site.publish()
    await site.publish(address="10.1.0.9")
    (found,) = await site.slices()
    assert found["endpoints"][0]["addresses"] == ["10.1.0.9"]
    managers = [each["manager"] for each in found["metadata"]["managedFields"]]
    assert managers == ["burster"]


async def test_it_is_taken_away_and_that_twice_too(site: Site) -> None:
    await site.publish()
    assert not await site.publish(ready=False)
    assert not await site.publish(ready=False)
    assert await site.slices() == []


async def test_nothing_is_written_while_the_port_does_not_answer(site: Site) -> None:
    site.burst = msgspec.structs.replace(
        site.burst,
        spec=msgspec.structs.replace(
            site.burst.spec, machine=msgspec.structs.replace(site.burst.spec.machine, port=await a_closed_port())
        ),
    )
    ports = [{"name": "scores", "port": site.burst.spec.machine.port}]
    await site.api.merge("services", "scorer", {"spec": {"ports": ports}})
    with pytest.raises(RemoteError) as silent:
        await site.publish(reach=connect, address="127.0.0.1")
    assert (silent.value.kind, silent.value.code) == ("Unavailable", "NoAnswer")
    assert await site.slices() == []


async def a_closed_port() -> int:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


async def test_a_service_that_is_not_there_or_does_not_say_which_port_is_refused(site: Site) -> None:
    one = {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}
    await site.api.merge("services", "scorer", {"spec": one})
    with pytest.raises(RemoteError) as unclear:
        await site.publish()
    assert (unclear.value.kind, unclear.value.code) == ("Invalid", "ServiceNotUsable")
    await site.api.ok("DELETE", site.api.path("services", "scorer"))
    with pytest.raises(RemoteError) as missing:
        await site.publish()
    assert missing.value.code == "ServiceNotUsable"


async def test_somebody_elses_slice_of_that_name_is_left_alone(site: Site) -> None:
    theirs = {
        "metadata": {"name": site.burst.name, "labels": {"burster.dev/burst": "x"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.9.9"]}],
        "ports": [],
    }
    await site.api.create(site.kind, theirs)
    with pytest.raises(RemoteError) as taken:
        await site.publish()
    assert taken.value.code == "NameTaken"
    await site.publish(ready=False)
    (found,) = await site.slices()
    assert found["endpoints"][0]["addresses"] == ["10.9.9.9"]


async def test_a_machine_without_a_service_is_nobodys_endpoint(site: Site) -> None:
    machine = msgspec.structs.replace(site.burst.spec.machine, service="")
    site.burst = msgspec.structs.replace(site.burst, spec=msgspec.structs.replace(site.burst.spec, machine=machine))
    assert await site.publish()
    assert await site.slices() == []
