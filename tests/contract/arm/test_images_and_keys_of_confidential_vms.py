"""Which image, disk encryption and security profile a confidential VM can have."""

import copy

import pytest

from burster.lab.arm import ArmConfig, Image


SET = "/subscriptions/s/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/{}"
CONFIDENTIAL = "ConfidentialVmEncryptedWithCustomerKey"


def _body(world, *, encryption="VMGuestStateOnly", key="", secure_boot=True, at_host=False, **disk):
    body = copy.deepcopy(world.body("burstvm-a"))
    profile = body["properties"]["storageProfile"]["osDisk"]["managedDisk"]["securityProfile"]
    profile["securityEncryptionType"] = encryption
    if key:
        profile["diskEncryptionSet"] = {"id": SET.format(key)}
    body["properties"]["securityProfile"]["uefiSettings"]["secureBootEnabled"] = secure_boot
    body["properties"]["securityProfile"]["encryptionAtHost"] = at_host
    body["properties"]["storageProfile"]["osDisk"].update(disk)
    return body


@pytest.mark.parametrize(
    ("image", "want"),
    [
        pytest.param(Image(id="/images/podvm", security_type=""), "Use of ConfidentialVM setting is not supported", id="plain"),
        pytest.param(
            Image(id="/images/podvm", security_type="TrustedLaunchSupported"), "ConfidentialVM setting is not supported", id="trusted"
        ),
        pytest.param(Image(id="/IMAGES/podvm", generation="V1"), "cannot boot Hypervisor Generation '1'", id="generation 1"),
        pytest.param(Image(id="/images/podvm", architecture="Arm64"), "CPU Architecture 'Arm64' was given", id="another processor"),
    ],
)  # fmt: skip
def test_an_image_that_is_not_made_for_it_is_refused(lab, image, want):
    async def story(world):
        answer = await world.put("burstvm-a")
        assert (answer.status, answer.code) == (400, "BadRequest")
        assert want in answer.message

    lab(story, config=ArmConfig(image_facts=(image,)))


@pytest.mark.parametrize(
    "kind", ["ConfidentialVM", "ConfidentialVmSupported", "TrustedLaunchAndConfidentialVmSupported"]
)
def test_an_image_that_is_made_for_it_is_taken(lab, kind):
    async def story(world):
        return (await world.put("burstvm-a")).status

    assert lab(story, config=ArmConfig(image_facts=(Image(id="/images/podvm", security_type=kind),))) == 201


def test_an_image_for_confidential_vms_only_makes_no_plain_one(lab):
    async def story(world):
        storage = {
            "imageReference": {"id": "/images/podvm"},
            "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "Premium_LRS"}},
        }
        body = world.body("burstvm-a", size="Standard_D2s_v6", securityProfile=None, storageProfile=storage)
        answer = await world.put("burstvm-a", body)
        assert "only supports creation of VMs and VM Scale Sets with 'ConfidentialVM' security type" in answer.message

    lab(story, config=ArmConfig(image_facts=(Image(id="/images/podvm", security_type="ConfidentialVM"),)))


@pytest.mark.parametrize(
    ("changes", "want_status", "want_code", "want_text"),
    [
        pytest.param({"encryption": "DiskWithVMGuestState"}, 201, "", "", id="Azure's own key"),
        pytest.param({"encryption": "DiskWithVMGuestState", "key": "good"}, 201, "", "", id="the customer's key"),
        pytest.param({"encryption": "DiskWithVMGuestState", "key": "plain"}, 400, "InvalidParameter", CONFIDENTIAL, id="another key"),
        pytest.param({"encryption": "DiskWithVMGuestState", "key": "gone"}, 404, "NotFound", "could not be found", id="no such set"),
        pytest.param({"key": "good"}, 400, "InvalidParameter", "can not be given with", id="a key without use"),
        pytest.param(
            {"encryption": "DiskWithVMGuestState", "secure_boot": False}, 400, "InvalidParameter", "secureBootEnabled", id="no secure boot"
        ),
        pytest.param(
            {"encryption": "DiskWithVMGuestState", "at_host": True}, 400, "InvalidParameter", "encryptionAtHost", id="encrypted twice"
        ),
        pytest.param({"encryption": "NonPersistedTPM"}, 201, "", "", id="no kept TPM"),
        pytest.param({"encryption": "DISK_WITH_VM_GUEST_STATE"}, 400, "InvalidParameter", "securityEncryptionType", id="misspelt"),
        pytest.param({"secure_boot": False}, 201, "", "", id="guest state only, no secure boot"),
    ],
)  # fmt: skip
def test_disk_encryption_and_its_keys(lab, changes, want_status, want_code, want_text):
    async def story(world):
        answer = await world.put("burstvm-a", _body(world, **changes))
        assert answer.status == want_status, answer.body
        if want_code:
            assert (answer.code, want_text in answer.message) == (want_code, True)

    sets = {SET.format("GOOD"): CONFIDENTIAL, SET.format("plain"): "EncryptionAtRestWithCustomerKey"}
    lab(story, config=ArmConfig(disk_encryption_sets=sets))


def test_the_disk_says_how_it_is_encrypted(lab):
    async def story(world):
        await world.put("burstvm-a", _body(world, encryption="DiskWithVMGuestState", key="good", diskSizeGB=64))
        disk = await world.compute.disks.get("rg", "burstvm-a-disk")
        assert disk.security_profile.security_type == "ConfidentialVM_DiskEncryptedWithCustomerKey"
        assert (disk.disk_size_gb, disk.disk_state, disk.sku.name) == (64, "Attached", "Premium_LRS")
        assert disk.managed_by.endswith("/virtualMachines/burstvm-a")
        assert disk.time_created is not None

    lab(story)


@pytest.mark.parametrize(
    ("tags", "want"),
    [
        pytest.param({f"t{number}": "" for number in range(51)}, "TooManyTags", id="too many"),
        pytest.param({"a/b": "x"}, "InvalidTagNameCharacters", id="a character that names can't have"),
        pytest.param({"a" * 513: "x"}, "InvalidTagNameLength", id="too long a name"),
        pytest.param({"a": "x" * 257}, "InvalidTagValueLength", id="too long a value"),
    ],
)
def test_tags_have_limits(lab, tags, want):
    async def story(world):
        answer = await world.put("burstvm-a", world.body("burstvm-a") | {"tags": tags})
        assert (answer.status, answer.code) == (400, want)
        fits = {f"t{number}": "x" * 256 for number in range(50)}
        assert (await world.put("burstvm-a", world.body("burstvm-a") | {"tags": fits})).status == 201

    lab(story)


@pytest.mark.parametrize("name", ["burst_vm", "burstvm-", "b" * 65])
def test_a_name_that_no_linux_host_has_is_refused(lab, name):
    async def story(world):
        answer = await world.put(name)
        assert (answer.status, answer.code) == (400, "InvalidParameter")
        assert "Linux host name cannot exceed 64 characters" in answer.message

    lab(story)


GALLERY = "/subscriptions/s/resourceGroups/images/providers/Microsoft.Compute/galleries/lab/images/podvm"


def _of_market(version):
    return {"publisher": "RedHat", "offer": "rhel-cvm", "sku": "9_6_cvm", "version": version}


@pytest.mark.parametrize(
    ("reference", "want"),
    [
        pytest.param({"id": f"{GALLERY}/versions/1.0.0"}, "", id="a version"),
        pytest.param({"id": GALLERY}, "", id="the latest of a definition"),
        pytest.param({"id": f"{GALLERY}/versions/1.0.1"}, "GalleryImageNotFound", id="no such version"),
        pytest.param({"communityGalleryImageId": "/communitygalleries/coco/images/podvm/versions/1"}, "", id="community"),
        pytest.param({"communityGalleryImageId": "/CommunityGalleries/coco/Images/other"}, "GalleryImageNotFound", id="no such one"),
        pytest.param(_of_market("latest"), "", id="the latest of the marketplace"),
        pytest.param(_of_market("9.6.1"), "", id="one of the marketplace"),
        pytest.param(_of_market("9.6.2"), "PlatformImageNotFound", id="none of the marketplace"),
    ],
)  # fmt: skip
def test_an_image_can_be_named_in_all_of_azures_ways(lab, reference, want):
    async def story(world):
        storage = world.body("burstvm-a")["properties"]["storageProfile"] | {"imageReference": reference}
        answer = await world.put("burstvm-a", world.body("burstvm-a", storageProfile=storage))
        if not want:
            assert answer.status == 201, answer.body
            vm = await world.compute.virtual_machines.get("rg", "burstvm-a")
            assert vm.storage_profile.image_reference is not None
            return
        assert (answer.status, answer.code) == (404, want)

    known = (
        f"{GALLERY}/versions/1.0.0",
        "/CommunityGalleries/coco/Images/podvm/Versions/1",
        "RedHat:rhel-cvm:9_6_cvm:9.6.1",
    )
    lab(story, config=ArmConfig(images=known))
