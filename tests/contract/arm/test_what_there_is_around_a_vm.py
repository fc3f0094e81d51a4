"""Images, subnets, subscriptions, groups and rights as ARM tells of them, read by Azure's own client where it has one."""

import pytest
from azure.core.exceptions import ResourceNotFoundError

from burster.lab.arm import ArmConfig, Image, Role


GALLERY = "/subscriptions/{s}/resourceGroups/images/providers/Microsoft.Compute/galleries/lab/images/podvm"
URN = "RedHat:rhel-cvm:9_6_cvm"


def test_the_parts_of_vms_are_listed_page_by_page(lab):
    async def story(world):
        await world.made(*(f"podvm-{number}" for number in range(5)))
        disks = [disk async for disk in world.compute.disks.list_by_resource_group("rg")]
        assert [disk.name for disk in disks] == [f"podvm-{number}-disk" for number in range(5)]
        assert {disk.disk_state for disk in disks} == {"Attached"}
        first = await world.call("GET", "resourceGroups/rg/providers/Microsoft.Network/networkInterfaces")
        assert [nic["name"] for nic in first.body["value"]] == ["podvm-0-net", "podvm-1-net"]
        second = await world.call("GET", first.body["nextLink"])
        assert [nic["name"] for nic in second.body["value"]] == ["podvm-2-net", "podvm-3-net"]
        none = await world.call("GET", "resourceGroups/rg/providers/Microsoft.Network/publicIPAddresses")
        assert none.body == {"value": []}

    lab(story, config=ArmConfig(list_page_size=2))


def test_an_instance_view_says_what_the_machine_does(lab):
    async def story(world):
        await world.put("podvm-a")
        young = await world.compute.virtual_machines.instance_view("rg", "podvm-a")
        assert [status.code for status in young.statuses] == ["ProvisioningState/creating"]
        await world.clock.sleep(700)
        whole = await world.compute.virtual_machines.get("rg", "podvm-a", expand="instanceView")
        assert [status.code for status in whole.instance_view.statuses] == [
            "ProvisioningState/succeeded",
            "PowerState/running",
        ]
        assert whole.instance_view.hyper_v_generation == "V2"

    lab(story)


def test_a_gallery_image_says_what_it_is_made_for(lab):
    async def story(world):
        image = await world.compute.gallery_images.get("images", "lab", "podvm")
        facts = {feature.name: feature.value for feature in image.features}
        assert (image.hyper_v_generation, image.architecture, facts["SecurityType"]) == ("V2", "x64", "ConfidentialVM")
        version = await world.compute.gallery_image_versions.get("images", "lab", "podvm", "1.0.0")
        assert version.id.endswith("/versions/1.0.0")
        assert version.provisioning_state == "Succeeded"
        assert version.storage_profile.os_disk_image.size_in_gb == 32

    image = Image(id=GALLERY.format(s="00000000-0000-0000-0000-000000000001"), security_type="ConfidentialVM")
    lab(story, config=ArmConfig(image_facts=(image,)))


def test_only_the_versions_that_the_lab_lists_are_there_and_their_definition_with_them(lab):
    async def story(world):
        await world.compute.gallery_images.get("images", "lab", "podvm")
        await world.compute.gallery_image_versions.get("images", "lab", "podvm", "1.0.0")
        for version in ("1.0.1", "1.0"):
            with pytest.raises(ResourceNotFoundError) as raised:
                await world.compute.gallery_image_versions.get("images", "lab", "podvm", version)
            assert raised.value.error.code == "ResourceNotFound"
        with pytest.raises(ResourceNotFoundError):
            await world.compute.gallery_images.get("images", "lab", "other")

    known = GALLERY.format(s="00000000-0000-0000-0000-000000000001") + "/versions/1.0.0"
    lab(story, config=ArmConfig(images=(known,)))


def test_a_community_image_is_found_by_its_public_name(lab):
    async def story(world):
        image = await world.compute.community_gallery_images.get("eastus", "cocopodvm-d0e4", "podvm_ubuntu")
        assert image.unique_id == "/CommunityGalleries/cocopodvm-d0e4/Images/podvm_ubuntu"
        facts = image.properties  # the model would look for them in its identifier
        assert (facts.hyper_v_generation, facts.architecture) == ("V2", "x64")
        version = await world.compute.community_gallery_image_versions.get(
            "eastus", "cocopodvm-d0e4", "podvm_ubuntu", "0.18.0"
        )
        assert version.unique_id.endswith("/Versions/0.18.0")
        with pytest.raises(ResourceNotFoundError):
            await world.compute.community_gallery_images.get("eastus", "cocopodvm-d0e4", "another")

    lab(story, config=ArmConfig(images=("/communityGalleries/cocopodvm-D0E4/images/podvm_ubuntu/versions/0.18.0",)))


def test_an_image_that_was_shared_is_found_by_its_gallerys_unique_name(lab):
    async def story(world):
        image = await world.compute.shared_gallery_images.get("eastus", "1234-LAB", "podvm")
        assert image.properties.architecture == "x64"
        version = await world.compute.shared_gallery_image_versions.get("eastus", "1234-LAB", "podvm", "1.0.0")
        assert (version.name, version.unique_id) == ("1.0.0", "/SharedGalleries/1234-LAB/Images/podvm/Versions/1.0.0")

    lab(story)


def test_no_confidential_vm_is_made_of_a_managed_image(lab):
    async def story(world):
        image = await world.compute.images.get("images", "old")
        assert (image.hyper_v_generation, image.provisioning_state) == ("V2", "Succeeded")
        storage = world.body("podvm-a")["properties"]["storageProfile"] | {"imageReference": {"id": image.id}}
        refused = await world.put("podvm-a", world.body("podvm-a", storageProfile=storage))
        assert refused.message == "Use of ConfidentialVM setting is not supported for the provided image."

    lab(story)


def test_an_interface_says_its_security_group_which_has_to_be_there_and_ours_to_use(lab):
    async def story(world):
        def body(group):
            made = world.body("podvm-a")
            nic = made["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]
            nic["properties"]["networkSecurityGroup"] = {"id": GROUP.format(group)}
            return made

        refused = await world.put("podvm-a", body("gone"))
        assert (refused.status, refused.code) == (400, "InvalidResourceReference")
        assert (await world.put("podvm-a", body("Closed"))).status == 201
        nic = (await world.nic("podvm-a")).body["properties"]
        assert nic["networkSecurityGroup"]["id"] == GROUP.format("Closed")
        world.server.reconfigure(roles=(Role(not_actions=("Microsoft.Network/networkSecurityGroups/join/action",)),))
        other = body("closed")
        refused = await world.put("podvm-b", other)
        assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed")
        assert "networkSecurityGroups/join/action" in refused.message

    lab(story, config=ArmConfig(security_groups=(GROUP.format("closed"),)))


GROUP = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/networkSecurityGroups/{}"


def test_a_marketplace_image_has_numbered_versions_and_no_latest(lab):
    async def story(world):
        images, where = world.compute.virtual_machine_images, ("eastus", *URN.split(":"))
        rows = await images.list(*where, top=1, orderby="name desc")
        assert [row.name for row in rows] == ["9.6.2025110508"]
        image = await images.get(*where, rows[0].name)
        assert (image.hyper_v_generation, image.architecture) == ("V1", "x64")
        assert not [feature for feature in image.features if feature.name == "SecurityType"]
        with pytest.raises(ResourceNotFoundError, match="VMImage was not found"):
            await images.get(*where, "latest")

    lab(story, config=ArmConfig(image_facts=(Image(id=URN, generation="V1", security_type=""),)))


def test_a_subnet_tells_who_has_its_addresses(lab):
    async def story(world):
        await world.made("podvm-a", "podvm-b")
        url = f"{world.server.url}{world.subnet}"
        subnet = (await world.call("GET", url)).body
        assert subnet["properties"]["addressPrefix"] == "10.0.0.0/28"
        used = [each["id"].split("/")[8] for each in subnet["properties"]["ipConfigurations"]]
        assert used == ["other-0", "podvm-a-net", "podvm-b-net"]
        (usage,) = (await world.call("GET", url.rsplit("/subnets/", 1)[0] + "/usages")).body["value"]
        assert (usage["id"].casefold(), usage["currentValue"], usage["limit"]) == (world.subnet.casefold(), 3, 11)
        await world.delete("podvm-a")
        await world.clock.sleep(100)
        assert len((await world.call("GET", url)).body["properties"]["ipConfigurations"]) == 2

    lab(story, config=ArmConfig(subnet_addresses=10))


def test_a_subnet_that_is_not_there_says_whether_its_network_is(lab):
    async def story(world):
        assert (await world.call("GET", f"{world.server.url}{world.subnet}")).status == 200
        other = await world.call("GET", f"{world.server.url}{world.subnet}-2")
        assert (other.status, other.code) == (404, "NotFound")
        nowhere = await world.call("GET", f"{world.server.url}{world.subnet.replace('/v/', '/w/')}")
        assert (nowhere.status, nowhere.code) == (404, "ResourceNotFound")
        assert "'Microsoft.Network/virtualNetworks/w' under resource group 'net'" in nowhere.message

    lab(story, config=ArmConfig(subnets=(SUBNET,)))


SUBNET = "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/pods"


def test_a_subscription_its_regions_and_its_groups(lab):
    async def story(world):
        subscription = (await world.call("GET", "")).body
        assert (subscription["subscriptionId"], subscription["state"]) == (world.subscription, "Warned")
        regions = (await world.call("GET", "locations")).body["value"]
        assert {"eastus", "westeurope"} <= {region["name"] for region in regions}
        assert "availabilityZoneMappings" not in next(region for region in regions if region["name"] == "westus")
        assert (await world.call("GET", "resourcegroups/RG")).body["location"] == "westeurope"
        missing = await world.call("GET", "resourceGroups/gone")
        assert (missing.status, missing.code, missing.message) == (
            404,
            "ResourceGroupNotFound",
            "Resource group 'gone' could not be found.",
        )
        vm = await world.call("GET", "resourceGroups/gone/providers/Microsoft.Compute/virtualMachines/x")
        assert vm.code == "ResourceGroupNotFound"

    lab(story, config=ArmConfig(groups={"rg": "westeurope"}, subscription_state="Warned"))


def test_an_unknown_subscription_is_told_as_such(lab):
    async def story(world):
        answer = await world.get("podvm-a")
        assert (answer.status, answer.code) == (404, "SubscriptionNotFound")
        assert answer.message == f"The subscription '{world.subscription}' could not be found."

    lab(story, config=ArmConfig(subscriptions=("another",)))


def test_permissions_are_those_given_over_the_scope_and_around_it(lab):
    async def story(world):
        group = await world.call("GET", "resourceGroups/rg/providers/Microsoft.Authorization/permissions")
        assert [row["actions"] for row in group.body["value"]] == [
            ["*/read"],
            ["Microsoft.Compute/virtualMachines/*"],
        ]
        assert group.body["value"][1]["notActions"] == ["Microsoft.Compute/virtualMachines/delete"]
        whole = await world.call("GET", "providers/Microsoft.Authorization/permissions")
        assert [row["actions"] for row in whole.body["value"]] == [["*/read"]]
        subnet = await world.call("GET", f"{world.server.url}{SUBNET}/providers/Microsoft.Authorization/permissions")
        assert subnet.body == {"value": []}

    subscription = "/subscriptions/00000000-0000-0000-0000-000000000001"
    writer = Role(
        scope=f"{subscription}/resourceGroups/RG",
        actions=("Microsoft.Compute/virtualMachines/*",),
        not_actions=("Microsoft.Compute/virtualMachines/delete",),
    )
    lab(story, config=ArmConfig(roles=(Role(scope=subscription, actions=("*/read",)), writer)))
