"""What ARM does not take, in its own words."""

import pytest

from burster.lab.arm import ArmConfig, known_fault


_TOO_LONG = "A" * (64 * 1024 + 4)
_PLAIN_DISK = {
    "imageReference": {"id": "/i"},
    "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "Premium_LRS"}},
}
_NOT_SUPPORTED = "The VM size '{size}' is not supported for creation of VMs and Virtual Machine Scale Set with '{asked}' security type."


@pytest.mark.parametrize(
    ("size", "properties", "want_code", "want_text"),
    [
        pytest.param("Standard_XYZ", {}, "InvalidParameter", "value Standard_XYZ provided for the VM size is not valid.", id="unknown"),
        pytest.param("Standard_DC2es_v5", {}, "InvalidParameter", "not valid", id="size of another region"),
        pytest.param("", {}, "InvalidParameter", "hardwareProfile.vmSize", id="no size"),
        pytest.param("Standard_DC2es_v6", {"storageProfile": {}}, "InvalidParameter", "imageReference", id="no image"),
        pytest.param("Standard_DC2es_v6", {"storageProfile": {"imageReference": {"id": "/i"}}}, "InvalidParameter", "osDisk", id="no disk"),
        pytest.param(
            "Standard_DC2es_v6", {"securityProfile": None, "storageProfile": _PLAIN_DISK}, "BadRequest",
            _NOT_SUPPORTED.format(size="Standard_DC2es_v6", asked="<NULL>"), id="confidential size as a plain VM",
        ),
        pytest.param(
            "Standard_D2s_v6", {}, "BadRequest", _NOT_SUPPORTED.format(size="Standard_D2s_v6", asked="ConfidentialVM"),
            id="plain size as a confidential VM",
        ),
        pytest.param(
            "Standard_DC2es_v6", {"securityProfile": {"securityType": "ConfidentialVM"}}, "InvalidParameter", "vTpmEnabled",
            id="no vTPM",
        ),
        pytest.param("Standard_DC2es_v6", {"storageProfile": _PLAIN_DISK}, "InvalidParameter", "securityEncryptionType", id="no key"),
        pytest.param("Standard_DC2es_v6", {"networkProfile": {}}, "InvalidParameter", "networkInterfaceConfigurations", id="no network"),
        pytest.param("Standard_DC2es_v6", {"userData": _TOO_LONG}, "InvalidParameter", "greater than 64KB", id="user data too long"),
        pytest.param("Standard_DC2es_v6", {"userData": "no base64!"}, "InvalidParameter", "valid base64", id="user data no base64"),
        pytest.param("Standard_DC2es_v6", {"hardwareProfile": 5}, "InvalidRequestContent", "hardware", id="wrong type"),
    ],
)  # fmt: skip
def test_a_body_that_azure_would_refuse_is_refused(lab, size, properties, want_code, want_text):
    async def story(world):
        answer = await world.put("podvm-a", world.body("podvm-a", **({"size": size} | properties)))
        assert (answer.status, answer.code) == (400, want_code)
        assert want_text in answer.message
        assert world.server.leaks() == ()

    lab(story)


def test_user_data_of_exactly_64_kib_is_taken(lab):
    async def story(world):
        return (await world.put("podvm-a", world.body("podvm-a", userData="A" * 64 * 1024))).status

    assert lab(story) == 201


def test_a_plain_vm_on_a_plain_size_is_taken_and_says_so(lab):
    async def story(world):
        body = world.body("podvm-a", size="Standard_D2s_v6", securityProfile=None, storageProfile=_PLAIN_DISK)
        assert (await world.put("podvm-a", body)).status == 201
        assert "securityProfile" not in (await world.get("podvm-a")).body["properties"]

    lab(story)


@pytest.mark.parametrize(
    ("path", "want_status", "want_code"),
    [
        pytest.param("resourceGroups/rg/providers/Microsoft.Compute/galleries/x", 404, "InvalidResourceType", id="unknown type"),
        pytest.param("providers/Microsoft.Compute/locations/atlantis/usages", 400, "NoRegisteredProviderFound", id="unknown region"),
        pytest.param("providers/Microsoft.Compute/skus?$filter=name eq 'x'", 400, "InvalidFilter", id="unknown filter"),
    ],
)  # fmt: skip
def test_other_requests_are_refused_in_arms_envelope(lab, path, want_status, want_code):
    async def story(world):
        answer = await world.call("GET", path)
        assert (answer.status, answer.code) == (want_status, want_code)

    lab(story)


def test_a_request_without_a_version_is_refused(lab):
    async def story(world):
        async with world.http.get(f"{world.server.url}/subscriptions/s/providers/Microsoft.Compute/skus") as response:
            return response.status, (await response.json())["error"]["code"]

    assert lab(story) == (400, "MissingApiVersionParameter")


def test_the_family_quota_is_enforced_in_azures_words_and_counts_what_is_still_deleting(lab):
    async def story(world):
        await world.made("podvm-a", "podvm-b")
        await world.delete("podvm-a")
        answer = await world.put("podvm-c")
        assert (answer.status, answer.code) == (409, "OperationNotAllowed")
        assert answer.message == (
            "Operation could not be completed as it results in exceeding approved standardDCEV6Family Cores quota. "
            "Additional details - Deployment Model: Resource Manager, Location: eastus, Current Limit: 5, Current Usage: 4, "
            "Additional Required: 2, (Minimum) New Limit Required: 6."
        )
        await world.clock.sleep(100)
        assert (await world.put("podvm-c")).status == 201

    lab(story, config=ArmConfig(quotas={"EastUS/StandardDCEV6family": 5}))


def test_the_regional_quota_is_enforced_over_all_families(lab):
    async def story(world):
        await world.made("podvm-a")
        answer = await world.put("podvm-b", world.body("podvm-b", size="Standard_EC4es_v6"))
        assert "exceeding approved Total Regional Cores quota" in answer.message
        assert (
            "Current Limit: 4, Current Usage: 2, Additional Required: 4, (Minimum) New Limit Required: 6."
            in answer.message
        )

    lab(story, config=ArmConfig(cores_quota=4))


@pytest.mark.parametrize(
    ("config", "want"),
    [
        pytest.param(
            ArmConfig(restricted={"eastus/standard_dc2es_v6": "NotAvailableForSubscription"}),
            "is currently not available in location 'eastus' zones '' for subscription",
            id="restricted",
        ),
        pytest.param(
            ArmConfig(faults=(known_fault("SkuNotAvailable", size="standard_dc2es_v6"),)),
            "Capacity Restrictions: Standard_DC2es_v6' is currently not available in location 'eastus'",
            id="no capacity",
        ),
    ],
)
def test_a_size_that_is_not_to_be_had_is_refused_at_once(lab, config, want):
    async def story(world):
        answer = await world.put("podvm-a")
        assert (answer.status, answer.code) == (409, "SkuNotAvailable")
        assert want in answer.message
        assert world.server.leaks() == ()

    lab(story, config=config)


def test_a_zone_can_be_closed_alone(lab):
    async def story(world):
        closed = await world.put("podvm-a", {**world.body("podvm-a"), "zones": ["2"]})
        assert closed.code == "SkuNotAvailable"
        assert (await world.put("podvm-a", {**world.body("podvm-a"), "zones": ["1"]})).status == 201
        unknown = await world.put("podvm-b", {**world.body("podvm-b"), "zones": ["9"]})
        assert (unknown.status, unknown.code) == (400, "InvalidAvailabilityZone")

    lab(story, config=ArmConfig(restricted_zones={"eastus/Standard_DC2es_v6": ("2",)}))


def test_a_full_subnet_takes_no_more_until_an_address_is_free(lab):
    async def story(world):
        await world.made("podvm-a", "podvm-b")
        answer = await world.put("podvm-c")
        assert (answer.status, answer.code) == (400, "SubnetIsFull")
        assert "does not have enough capacity for 1 IP addresses" in answer.message
        await world.arm.delete_vm(world.target, "podvm-a")
        assert (await world.put("podvm-c")).status == 201

    lab(story, config=ArmConfig(subnet_addresses=2))


def test_unknown_subnets_and_images_are_refused_where_the_known_ones_are_listed(lab):
    async def story(world):
        unknown_image = await world.put("podvm-a")
        assert (unknown_image.status, unknown_image.code) == (404, "GalleryImageNotFound")
        storage = world.body("podvm-a")["properties"]["storageProfile"] | {"imageReference": {"id": "/IMAGES/known"}}
        unknown_subnet = await world.put("podvm-a", world.body("podvm-a", storageProfile=storage))
        assert (unknown_subnet.status, unknown_subnet.code) == (400, "InvalidResourceReference")

    lab(story, config=ArmConfig(images=("/images/known",), subnets=("/subnets/known",)))
