"""What ARM is asked for when a machine is: confidential, closed, paid for, told apart, and nothing in it that is a secret."""

from typing import Any

import pytest

from burster.adaptors.machine_bodies import image_reference, machine_body, made_with, nobodys_key
from burster.model.errors import RemoteError
from burster.model.tags import LEASE_END_TAG, UID_TAG
from tests.support.machines import IMAGE, KEYS, NAME, NSG, SUBNET, a_machine, the_target


def body(burst: Any = None, **changes: Any) -> dict[str, Any]:
    wanted = {"cluster": "onprem", "user_data": "Zm9v", "lease_end_ms": 1_800_000_000_000} | changes
    return machine_body(burst or a_machine(), **wanted)


def test_it_is_confidential_with_a_vtpm_and_an_encrypted_guest_state() -> None:
    properties = body()["properties"]
    assert properties["securityProfile"] == {
        "securityType": "ConfidentialVM",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    }
    disk = properties["storageProfile"]["osDisk"]
    assert disk["managedDisk"]["securityProfile"] == {"securityEncryptionType": "VMGuestStateOnly"}
    assert "diskSizeGB" not in disk


def test_its_disk_may_be_encrypted_with_a_key_of_ones_own() -> None:
    source = {"encryption": "DiskWithVMGuestState", "disk_encryption_set": KEYS, "os_disk_gib": 64}
    disk = body(a_machine(source=source))["properties"]["storageProfile"]["osDisk"]
    assert disk["managedDisk"]["securityProfile"] == {
        "securityEncryptionType": "DiskWithVMGuestState",
        "diskEncryptionSet": {"id": KEYS},
    }
    assert disk["diskSizeGB"] == 64


def test_everything_made_with_it_has_its_name_and_goes_with_it() -> None:
    properties = body()["properties"]
    nic = properties["networkProfile"]["networkInterfaceConfigurations"][0]
    disk = properties["storageProfile"]["osDisk"]
    assert (nic["name"], nic["properties"]["deleteOption"]) == (f"{NAME}-net", "Delete")
    assert (disk["name"], disk["deleteOption"]) == (f"{NAME}-disk", "Delete")
    assert [made.name for made in made_with(a_machine(), the_target())] == [nic["name"], disk["name"]]


def test_it_has_no_public_address_and_the_security_group_that_was_asked_for() -> None:
    machine = a_machine(source={"network_security_group": NSG})
    nic = body(machine)["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]["properties"]
    assert nic["networkSecurityGroup"] == {"id": NSG}
    (address,) = nic["ipConfigurations"]
    assert address["properties"] == {"primary": True, "subnet": {"id": SUBNET}}


def test_nobody_can_log_in() -> None:
    profile = body()["properties"]["osProfile"]
    assert profile["linuxConfiguration"]["disablePasswordAuthentication"] is True
    assert "adminPassword" not in profile
    (key,) = profile["linuxConfiguration"]["ssh"]["publicKeys"]
    assert key["keyData"].startswith("ssh-rsa ")
    assert "PRIVATE" not in str(body())
    assert nobodys_key() == key["keyData"], "one for the process: it is made once"


def test_a_spot_machine_is_deleted_on_eviction_and_never_dearer_than_reserved() -> None:
    made = body(a_machine(spot=True, zone="2"))
    properties = made["properties"]
    assert (properties["priority"], properties["evictionPolicy"]) == ("Spot", "Delete")
    assert properties["billingProfile"] == {"maxPrice": 0.242}
    assert made["zones"] == ["2"]
    assert "priority" not in body()["properties"]
    assert "zones" not in body()


def test_its_tags_say_whose_it_is_and_azure_takes_their_names() -> None:
    tags = body()["tags"]
    assert tags == {
        "burster-cluster": "onprem",
        "burster-policy": "bank/scoring",
        "burster-burst": "bank/burst-scorer-0123abcd",
        UID_TAG: "u-1",
        LEASE_END_TAG: "1800000000000",
    }
    assert not [name for name in tags if set(name) & set("<>%&\\?/")]


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (IMAGE, {"id": IMAGE}),
        (IMAGE.rsplit("/versions", 1)[0], {"id": IMAGE.rsplit("/versions", 1)[0]}),
        (
            "/CommunityGalleries/cvm-1/Images/rhel/Versions/9.6.1",
            {"communityGalleryImageId": "/CommunityGalleries/cvm-1/Images/rhel/Versions/9.6.1"},
        ),
        (
            "/SharedGalleries/cvm-1/Images/rhel/Versions/9.6.1",
            {"sharedGalleryImageId": "/SharedGalleries/cvm-1/Images/rhel/Versions/9.6.1"},
        ),
        (
            "redhat:rhel-cvm:9_6_cvm:9.6.2025090101",
            {"publisher": "redhat", "offer": "rhel-cvm", "sku": "9_6_cvm", "version": "9.6.2025090101"},
        ),
    ],
)
def test_an_image_is_named_as_arm_wants_it(image: str, reference: dict[str, str]) -> None:
    assert image_reference(image) == reference


@pytest.mark.parametrize(
    "image",
    ["", "rhel", "redhat:rhel-byos:rhel-lvm96:latest", "acme:tool:cvm:1.0", "/subscriptions/s/thing", "a:b:c:d:e"],
)
def test_an_image_that_may_not_come_up_is_refused_before_anything_is_made(image: str) -> None:
    with pytest.raises(RemoteError) as refused:
        image_reference(image)
    assert (refused.value.kind, refused.value.code) == ("Invalid", "ImageNotUsable")


@pytest.mark.parametrize(
    "source",
    [
        {"subnet": ""},
        {"encryption": "DiskWithVMGuestState", "secure_boot": False},
        {"disk_encryption_set": KEYS},
    ],
)
def test_a_machine_that_azure_would_refuse_is_refused_here(source: dict[str, Any]) -> None:
    with pytest.raises(RemoteError) as refused:
        body(a_machine(source=source))
    assert refused.value.code == "MachineIncomplete"


def test_nothing_is_asked_for_without_a_record() -> None:
    with pytest.raises(RemoteError):
        body(a_machine(uid=""))
