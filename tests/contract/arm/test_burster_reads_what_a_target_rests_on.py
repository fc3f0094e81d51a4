"""Subscription, regions, group, rights, subnet, image and clock, as burster's own client reads them before anything is launched."""

import pytest

from burster.clients.arm import Arm, ArmSettings
from burster.clients.arm_facts import ImageFacts, SubnetFacts
from burster.lab.arm import ArmConfig, Fault, Image, Role
from burster.model.errors import RemoteError


S = "00000000-0000-0000-0000-000000000001"
GALLERY = f"/subscriptions/{S}/resourceGroups/images/providers/Microsoft.Compute/galleries/lab/images/podvm"
COMMUNITY = "/CommunityGalleries/cocopodvm-d0e4/Images/podvm_ubuntu"
URN = "RedHat:rhel-cvm:9_6_cvm"


def test_a_subscription_its_regions_and_its_group(lab):
    async def story(world):
        facts = await world.arm.read_subscription(world.target)
        assert (facts.id, facts.state) == (S, "Disabled")
        assert facts.tenant
        assert "eastus" in await world.arm.locations(world.target)
        assert await world.arm.read_resource_group(world.target) == "westeurope"

    lab(story, config=ArmConfig(subscription_state="Disabled", groups={"rg": "westeurope"}))


def test_a_subscription_that_does_not_exist_says_what_to_check(lab):
    async def story(world):
        with pytest.raises(RemoteError, match="check the target's subscription") as raised:
            await world.arm.read_subscription(world.target)
        assert (raised.value.kind, raised.value.code) == ("Invalid", "SubscriptionNotFound")

    lab(story, config=ArmConfig(subscriptions=("another",)))


def test_a_group_that_does_not_exist_is_none(lab):
    async def story(world):
        assert await world.arm.read_resource_group(world.target) is None

    lab(story, config=ArmConfig(groups={"another": "eastus"}))


def test_rights_are_those_of_all_roles_together(lab):
    async def story(world):
        rights = await world.arm.permissions(world.target, f"/subscriptions/{S}/resourceGroups/rg")
        assert rights.allows("Microsoft.Compute/virtualMachines/read")
        assert rights.allows("microsoft.compute/VIRTUALMACHINES/delete")
        assert not rights.allows("Microsoft.Compute/virtualMachines/write")
        assert not rights.allows("Microsoft.Compute/virtualMachinesX/read")
        assert rights.allows("Microsoft.Network/networkInterfaces/read")

    roles = (
        Role(actions=("Microsoft.Compute/virtualMachines/*",), not_actions=("*/delete", "*/write")),
        Role(
            actions=("*/read", "Microsoft.Compute/virtualMachines/delete"),
            not_actions=("Microsoft.Compute/virtualMachinesX/*",),
        ),
    )
    lab(story, config=ArmConfig(roles=roles))


def test_no_role_allows_nothing(lab):
    async def story(world):
        rights = await world.arm.permissions(world.target, f"/subscriptions/{S}")
        assert not rights.allows("Microsoft.Compute/virtualMachines/read")

    lab(story, config=ArmConfig(roles=()))


def test_a_subnet_tells_its_room(lab):
    async def story(world):
        await world.made("podvm-a", "podvm-b")
        found = await world.arm.read_subnet(world.target, world.subnet)
        assert found == SubnetFacts(id=world.subnet, addresses=11, used=3)
        assert found.free == 8

    lab(story, config=ArmConfig(subnet_addresses=10))


def test_a_subnet_whose_networks_count_may_not_be_read_is_counted_by_its_interfaces(lab):
    async def story(world):
        await world.made("podvm-a")
        found = await world.arm.read_subnet(world.target, world.subnet)
        assert (found.addresses, found.used) == (11, 2)

    roles = (Role(actions=("*",), not_actions=("Microsoft.Network/virtualNetworks/usages/read",)),)
    lab(story, config=ArmConfig(subnet_addresses=10, roles=roles))


@pytest.mark.parametrize(
    "subnet", ["", "pods", "//evil.example/x", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/x"]
)
def test_what_is_no_subnet_is_not_asked_for(lab, subnet):
    async def story(world):
        with pytest.raises(RemoteError, match="no subnet's id") as raised:
            await world.arm.read_subnet(world.target, subnet)
        assert raised.value.kind == "Invalid"
        assert not world.server.requests

    lab(story)


def test_a_subnet_that_is_not_there(lab):
    async def story(world):
        with pytest.raises(RemoteError) as raised:
            await world.arm.read_subnet(world.target, world.subnet)
        assert raised.value.kind == "NotFound"

    lab(story, config=ArmConfig(subnets=("/subscriptions/s/another",)))


@pytest.mark.parametrize(
    ("image", "told"),
    [
        pytest.param(f"{GALLERY}/versions/1.0.0", ("V2", ("ConfidentialVmSupported",)), id="a gallery's version"),
        pytest.param(GALLERY, ("V2", ("ConfidentialVmSupported",)), id="a gallery's newest"),
        pytest.param(f"{COMMUNITY}/Versions/0.18.0", ("V2", ("ConfidentialVmSupported",)), id="a community's version"),
        pytest.param(f"{COMMUNITY}/Versions/latest", ("V2", ("ConfidentialVmSupported",)), id="a community's newest"),
        pytest.param(f"{URN}:latest", ("V1", ()), id="the marketplace's newest"),
        pytest.param(f"{URN}:9.6.2025110508", ("V1", ()), id="the marketplace's version"),
    ],
)
def test_an_image_tells_what_it_is_made_for(lab, image, told):
    async def story(world):
        facts = await world.arm.read_image(world.target, image)
        assert (facts.found, facts.architecture) == (True, "x64")
        assert (facts.generation, facts.security_types) == told

    made_for = (
        Image(id=GALLERY, security_type="ConfidentialVmSupported"),
        Image(id=COMMUNITY, security_type="ConfidentialVmSupported"),
        Image(id=URN, generation="V1", security_type=""),
    )
    lab(story, config=ArmConfig(image_facts=made_for))


@pytest.mark.parametrize(
    "image", [f"{GALLERY}/versions/1.0.1", f"{COMMUNITY}/Versions/0.18.1", f"{COMMUNITY}x/Versions/0.18.0"]
)
def test_an_image_that_is_not_there_is_told_so(lab, image):
    async def story(world):
        assert await world.arm.read_image(world.target, image) == ImageFacts(id=image, found=False)

    lab(story, config=ArmConfig(images=(f"{GALLERY}/versions/1.0.0", f"{COMMUNITY}/Versions/0.18.0")))


@pytest.mark.parametrize(
    "image", ["", "podvm", "a:b:c", "/subscriptions/s/x", "//evil.example/CommunityGalleries/x", "a:b:c:d/../../x"]
)
def test_what_names_no_image_is_not_asked_for(lab, image):
    async def story(world):
        with pytest.raises(RemoteError, match="names no image") as raised:
            await world.arm.read_image(world.target, image)
        assert raised.value.kind == "Invalid"
        assert not world.server.requests

    lab(story)


@pytest.mark.parametrize("skew_ms", [0, 600_000, -3_600_000])
def test_clocks_that_differ_are_noticed(lab, skew_ms):
    async def story(world):
        async with Arm(ArmSettings(base_url=world.server.url, auth="none"), now_ms=world.clock.now_ms) as arm:
            assert arm.clock_skew_ms is None
            await world.clock.sleep(0.5)
            await arm.get_vm(world.target, "podvm-a")
            assert abs(arm.clock_skew_ms + skew_ms) < 1_000
            assert skew_ms or arm.clock_skew_ms == 0
        assert world.arm.clock_skew_ms is None

    lab(story, config=ArmConfig(clock_skew_ms=skew_ms))


def test_a_region_without_sizes_or_quota_is_an_error_and_no_empty_shelf(lab):
    async def story(world):
        with pytest.raises(RemoteError, match="no VM size there at all") as raised:
            await world.arm.skus(world.target)
        assert raised.value.kind == "Protocol"

    lab(story, config=ArmConfig(skus_empty=True))


def test_a_region_that_does_not_exist_says_what_to_check(lab):
    async def story(world):
        world.server.faults.add(Fault(operation="ListUsages", status=400, code="NoRegisteredProviderFound", times=None))
        with pytest.raises(RemoteError, match="check the target's region") as raised:
            await world.arm.usages(world.target)
        assert raised.value.kind == "Invalid"

    lab(story)
