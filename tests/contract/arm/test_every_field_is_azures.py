"""Each field of each answer is one that Azure's own models have, under the very name, with a value that they can read."""

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from azure.mgmt.compute import models

from burster.lab.arm import ArmConfig, known_fault


def strange(model: Any, told: Mapping[str, Any], path: str = "") -> list[str]:
    """The paths of fields that the model does not know, or reads as something else."""
    known = {field._rest_name: attribute for attribute, field in model._attr_to_rest_field.items()}
    found = []
    for name, value in told.items():
        here = f"{path}.{name}" if path else name
        if name not in known:
            found.append(here)
            continue
        read = getattr(model, known[name])
        if isinstance(value, dict) and hasattr(read, "_attr_to_rest_field"):
            found += strange(read, value, here)
        elif isinstance(value, list):
            assert isinstance(read, list), here
            for each, one in zip(value, read, strict=True):
                if isinstance(each, dict):
                    found += strange(one, each, here)
        elif not isinstance(read, str | datetime) if isinstance(value, str) else read != value:
            found.append(f"{here}: {value} was read as {read!r}")
    return found


def _spot_with_everything(world) -> dict[str, Any]:
    body = copy.deepcopy(world.body("burstvm-a")) | {"zones": ["1"]}
    body["properties"] |= {
        "priority": "Spot",
        "evictionPolicy": "Deallocate",
        "billingProfile": {"maxPrice": 0.5},
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    }
    return body


async def _answers(world):
    """Every kind of answer, with Azure's model of it."""
    group = "resourceGroups/rg/providers/Microsoft.Compute"
    where = "providers/Microsoft.Compute/locations/eastus"

    async def told(path):
        answer = await world.call("GET", path)
        assert answer.status == 200, (path, answer.body)
        return answer.body

    yield models.VirtualMachine, (await world.put("burstvm-a", _spot_with_everything(world))).body
    world.server.faults.add(known_fault("AllocationFailed", name="podvm-failed"))
    yield models.VirtualMachine, (await world.put("podvm-failed")).body
    await world.clock.sleep(700)
    for name in ("burstvm-a", "podvm-failed"):
        for expand in ("userData", "instanceView"):
            yield models.VirtualMachine, await told(f"{group}/virtualMachines/{name}?$expand={expand}")
        yield models.VirtualMachineInstanceView, await told(f"{group}/virtualMachines/{name}/instanceView")
    for row in (await told(f"{group}/virtualMachines"))["value"]:
        yield models.VirtualMachine, row
    for row in (await told(f"{group}/disks"))["value"]:
        yield models.Disk, row
    for row in (await told("providers/Microsoft.Compute/skus?$filter=location eq 'eastus'"))["value"]:
        yield models.ResourceSku, row
    for row in (await told(f"{where}/usages"))["value"]:
        yield models.Usage, row
    for row in (await told(f"{where}/vmSizes"))["value"]:
        yield models.VirtualMachineSize, row
    yield models.GalleryImage, await told(f"{group}/galleries/lab/images/podvm")
    yield models.GalleryImageVersion, await told(f"{group}/galleries/lab/images/podvm/versions/1.0.0")
    yield models.CommunityGalleryImage, await told(f"{where}/communityGalleries/lab/images/podvm")
    yield models.CommunityGalleryImageVersion, await told(f"{where}/communityGalleries/lab/images/podvm/versions/1.0.0")
    yield models.SharedGalleryImage, await told(f"{where}/sharedGalleries/lab/images/podvm")
    yield models.SharedGalleryImageVersion, await told(f"{where}/sharedGalleries/lab/images/podvm/versions/1.0.0")
    yield models.Image, await told(f"{group}/images/old")
    market = f"{where}/publishers/RedHat/artifacttypes/vmimage/offers/rhel-cvm/skus/9_6_cvm/versions"
    for row in await told(market):
        yield models.VirtualMachineImageResource, row
    yield models.VirtualMachineImage, await told(f"{market}/9.6.2025061913")


@pytest.mark.parametrize("echo", [False, True], ids=["as Azure answers", "with the configurations it was asked for"])
def test_azures_models_know_every_field(lab, echo):
    async def story(world):
        found, kinds = {}, set()
        async for kind, told in _answers(world):
            kinds.add(kind)
            if wrong := strange(kind(told), told):
                found[kind.__name__] = wrong
        assert found == {}
        assert len(kinds) == 15

    config = ArmConfig(
        restricted={"eastus/Standard_DC4es_v6": "QuotaId"},
        restricted_zones={"eastus/Standard_DC8es_v6": ("2",)},
        show_network_configurations=echo,
    )
    lab(story, config=config)


def test_what_is_no_field_of_azures_is_found():
    assert strange(models.Usage({"unit": "Count", "limits": 5}), {"unit": "Count", "limits": 5}) == ["limits"]
