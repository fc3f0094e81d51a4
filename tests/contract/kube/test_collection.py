"""What the garbage collector of a cluster does; asked only where one runs."""

import asyncio

import pytest

from .conftest import Api, a_config


@pytest.fixture(autouse=True)
def _with_controllers(api: Api) -> None:
    if not api.endpoint.has_controllers:
        pytest.skip("no controllers behind this API server")


async def _gone(api: Api, resource: str, name: str) -> bool:
    for _ in range(100):
        if (await api.call("GET", api.path(resource, name)))[0] == 404:
            return True
        await asyncio.sleep(0.1)
    return False


async def _owned(api: Api) -> None:
    owner = await api.create("configmaps", a_config("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await api.create("secrets", {"metadata": {"name": "owned", "ownerReferences": [reference]}})


async def test_what_is_owned_goes_with_its_owner(api: Api):
    await _owned(api)
    await api.ok("DELETE", api.path("configmaps", "owner"))
    assert await _gone(api, "secrets", "owned")


async def test_orphans_stay(api: Api):
    await _owned(api)
    await api.ok("DELETE", api.path("configmaps", "owner"), params={"propagationPolicy": "Orphan"})
    assert await _gone(api, "configmaps", "owner")
    assert "ownerReferences" not in (await api.get("secrets", "owned"))["metadata"]


async def test_in_the_foreground_the_owner_goes_last(api: Api):
    await _owned(api)
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    await api.ok("DELETE", api.path("configmaps", "owner"), body)
    assert await _gone(api, "configmaps", "owner")
    assert await _gone(api, "secrets", "owned")
