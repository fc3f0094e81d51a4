"""Facts are taken as they are stated, and nothing is made up for those that are not."""

import json

import msgspec
import pytest

from burster.clients.arm_wire import read_vm
from burster.clients.arm_wire_sizes import read_sku, read_usage


def _vm(**properties):
    return json.dumps({"id": "/x", "name": "x", "location": "East US", "properties": properties}).encode()


def test_a_vm_that_states_nothing_has_no_facts():
    vm, nic = read_vm(_vm())
    assert (vm.region, vm.size, vm.security_type, vm.encryption_type, vm.image, vm.subnet) == (
        "eastus",
        "",
        "",
        "",
        "",
        "",
    )
    assert (vm.secure_boot, vm.vtpm, vm.public_ip, vm.created_at_ms, nic) == (None, None, None, None, "")


def test_nulls_are_facts_not_stated():
    vm, nic = read_vm(
        _vm(securityProfile=None, storageProfile={"osDisk": None}, networkProfile={"networkInterfaces": None})
    )
    assert (vm.security_type, vm.encryption_type, nic) == ("", "", "")


@pytest.mark.parametrize(
    ("text", "want_ms"),
    [
        ("2026-01-05T08:00:00.000Z", 1_767_600_000_000),
        ("2026-01-05T08:00:00.1234567+00:00", 1_767_600_000_123),
        ("2026-01-05T08:00:00+00:00", 1_767_600_000_000),
    ],
)
def test_times_are_read_in_every_form_azure_writes(text, want_ms):
    assert read_vm(_vm(timeCreated=text))[0].created_at_ms == want_ms


@pytest.mark.parametrize(
    "properties",
    [
        {"securityProfile": {"uefiSettings": {"vTpmEnabled": "true"}}},
        {"securityProfile": {"uefiSettings": {"secureBootEnabled": 1}}},
        {"securityProfile": {"securityType": ["ConfidentialVM"]}},
        {"timeCreated": "yesterday"},
    ],
)
def test_a_fact_of_the_wrong_kind_is_refused_not_bent(properties):
    with pytest.raises(msgspec.ValidationError):
        read_vm(_vm(**properties))


@pytest.mark.parametrize("key", ["id", "communityGalleryImageId", "sharedGalleryImageId"])
def test_an_image_has_one_of_several_names(key):
    assert read_vm(_vm(storageProfile={"imageReference": {key: "/the/image"}}))[0].image == "/the/image"


def _sku(*, capabilities=None, **more):
    named = [{"name": name, "value": value} for name, value in (capabilities or {}).items()]
    row = {"name": "Standard_X", "resourceType": "virtualMachines", "family": "f", "capabilities": named} | more
    return read_sku(json.dumps(row).encode(), "eastus")


@pytest.mark.parametrize(
    ("stated", "want"), [("TDX", "TDX"), ("tdx", "TDX"), ("SNP", "SNP"), ("SomethingNew", "None"), ("", "None")]
)  # fmt: skip
def test_the_tee_is_what_the_list_says_and_nothing_else(stated, want):
    assert _sku(capabilities={"ConfidentialComputingType": stated}).tee == want


def test_a_name_that_looks_confidential_proves_nothing():
    assert _sku(name="Standard_DC2es_v6").tee == "None"


def test_amounts_are_whole_and_exact():
    resources = _sku(capabilities={"vCPUs": "2", "MemoryGB": "3.5", "GPUs": "1"}).resources
    assert (resources.cpu_millicores, resources.memory_bytes, resources.gpus) == (2_000, 3_758_096_384, 1)


@pytest.mark.parametrize("text", ["NaN", "-1", "lots", "1e400"])
def test_an_impossible_amount_is_refused(text):
    with pytest.raises(ValueError, match=text):
        _sku(capabilities={"MemoryGB": text})


def test_restrictions_of_place_close_the_size_and_those_of_zones_only_the_zones():
    sku = _sku(
        locationInfo=[{"location": "EastUS", "zones": ["1", "2", "3"]}, {"location": "westus", "zones": ["9"]}],
        restrictions=[
            {"type": "Zone", "reasonCode": "NotAvailableForSubscription", "restrictionInfo": {"zones": ["3"]}},
            {"type": "Location", "reasonCode": "QuotaId", "restrictionInfo": {"locations": ["eastus"]}},
        ],
    )
    assert (sku.zones, sku.restricted_zones, sku.restricted) == (("1", "2"), ("3",), "QuotaId")
    assert _sku(restrictions=[{"type": "Zone", "restrictionInfo": {"zones": ["1"]}}]).restricted == ""


@pytest.mark.parametrize(
    ("stated", "want"),
    [({"LowPriorityCapable": "True", "HyperVGenerations": "V1,V2"}, (True, "V1,V2")), ({}, (False, ""))],
)
def test_spot_and_generation_are_as_stated(stated, want):
    sku = _sku(capabilities=stated)
    assert (sku.spot_capable, sku.generation) == want


def test_what_is_no_vm_size_is_passed_over():
    assert _sku(resourceType="disks") is None


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("cores", "cores"),
        (" standardDCEV6Family ", "standardDCEV6Family"),
        ("StandardDCEV6family", "StandardDCEV6family"),
        ("lowPriorityCores", "lowPriorityCores"),
        (" Cores", "Cores"),
        ("lowprioritycores", "lowprioritycores"),
        ("virtualMachines", None),
        ("", None),
    ],
)
def test_only_rows_counted_in_vcpus_are_quota(name, want):
    row = read_usage(json.dumps({"name": {"value": name}, "currentValue": 2, "limit": 4}).encode(), "eastus")
    assert (row.family if row else None) == want


def test_whose_key_encrypts_a_confidential_disk_is_told():
    keys = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/diskEncryptionSets/ours"
    secured = {"securityEncryptionType": "DiskWithVMGuestState", "diskEncryptionSet": {"id": keys}}
    vm, _ = read_vm(_vm(storageProfile={"osDisk": {"managedDisk": {"securityProfile": secured}}}))
    assert (vm.encryption_type, vm.disk_encryption_set) == ("DiskWithVMGuestState", keys)
