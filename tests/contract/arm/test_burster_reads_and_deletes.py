"""The same cloud through burster's own client: values out, RemoteError for everything that goes wrong."""

import asyncio

import msgspec
import pytest
from aiohttp import web

from burster.clients.arm import Arm, ArmSettings
from burster.clients.prices import Prices, PriceSettings, snapshot_prices
from burster.lab.arm import ArmConfig, Fault, known_fault
from burster.lab.lockstep import LAB_EPOCH_MS
from burster.model.errors import RemoteError
from burster.sources.offerings import observe_offerings
from burster.sources.quota import observe_quota


def test_a_finished_vm_is_told_with_every_fact_that_verification_needs(lab):
    async def story(world):
        await world.made("podvm-a")
        vm = await world.arm.get_vm(world.target, "PODVM-A")
        assert msgspec.to_builtins(vm) == {
            "name": "podvm-a",
            "resource_id": f"/subscriptions/{world.subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/podvm-a",
            "region": "eastus",
            "size": "Standard_DC2es_v6",
            "provisioning_state": "Succeeded",
            "created_at_ms": LAB_EPOCH_MS,
            "security_type": "ConfidentialVM",
            "secure_boot": True,
            "vtpm": True,
            "encryption_type": "VMGuestStateOnly",
            "image": "/images/podvm",
            "subnet": world.subnet,
            "public_ip": False,
            "tags": {"team": "risk"},
            "private_address": vm.private_address,
            "vm_id": vm.vm_id,
        }
        assert vm.private_address.count(".") == 3
        assert len(vm.vm_id) == 36
        assert {type(vm.security_type), type(vm.encryption_type), type(vm.size)} == {str}

    lab(story)


def test_what_is_still_being_made_is_told_without_its_network(lab):
    async def story(world):
        await world.put("podvm-a")
        vm = await world.arm.get_vm(world.target, "podvm-a")
        assert (vm.provisioning_state, vm.subnet, vm.public_ip) == ("Creating", "", None)

    lab(story)


def test_a_body_that_states_its_network_is_believed(lab):
    async def story(world):
        await world.put("podvm-a")
        vm = await world.arm.get_vm(world.target, "podvm-a")
        assert (vm.subnet, vm.public_ip) == (world.subnet, False)

    lab(story, config=ArmConfig(show_network_configurations=True))


@pytest.mark.parametrize(("status", "code"), [(403, "AuthorizationFailed"), (404, "ResourceNotFound")])
def test_an_interface_we_may_not_read_leaves_its_facts_unknown(lab, status, code):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(Fault(operation="GetNic", status=status, code=code))
        vm = await world.arm.get_vm(world.target, "podvm-a")
        assert (vm.provisioning_state, vm.subnet, vm.public_ip) == ("Succeeded", "", None)

    lab(story)


def test_a_public_address_is_seen(lab):
    async def story(world):
        body = world.body("podvm-a")
        nic = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]
        nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = {"name": "ip"}
        await world.put("podvm-a", body)
        await world.clock.sleep(700)
        return (await world.arm.get_vm(world.target, "podvm-a")).public_ip

    assert lab(story) is True


def test_what_is_not_there_is_none(lab):
    async def story(world):
        return await world.arm.get_vm(world.target, "podvm-a")

    assert lab(story) is None


def test_every_page_is_listed(lab):
    async def story(world):
        await world.made(*(f"podvm-{number}" for number in range(9)))
        return [vm.name for vm in await world.arm.list_vms(world.target)]

    assert lab(story, config=ArmConfig(list_page_size=2)) == [f"podvm-{number}" for number in range(9)]


def test_a_deletion_comes_back_when_the_vm_is_gone(lab):
    async def story(world):
        await world.made("podvm-a")
        start_ms = world.clock.now_ms()
        await world.arm.delete_vm(world.target, "podvm-a")
        assert world.server.vms == {}
        assert 30_000 <= world.clock.now_ms() - start_ms <= 98_000
        await world.arm.delete_vm(world.target, "podvm-a")

    lab(story)


def test_a_deletion_that_takes_too_long_is_unknown_not_failed(lab):
    async def story(world):
        await world.made("podvm-a")
        with pytest.raises(RemoteError, match="still there") as raised:
            await world.arm.delete_vm(world.target, "podvm-a", deadline_ms=10_000)
        assert raised.value.kind == "Timeout"

    lab(story)


def test_a_deletion_that_fails_says_why(lab):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(
            Fault(operation="Deprovision", code="InternalExecutionError", message="An internal error.")
        )
        with pytest.raises(RemoteError, match="delete VM podvm-a: An internal error") as raised:
            await world.arm.delete_vm(world.target, "podvm-a")
        assert (raised.value.kind, raised.value.code) == ("Unavailable", "InternalExecutionError")

    lab(story)


@pytest.mark.parametrize(
    ("fault", "want_kind", "want_code"),
    [
        pytest.param(known_fault("AuthorizationFailed"), "Unauthorized", "AuthorizationFailed", id="not allowed"),
        pytest.param(Fault(operation="GetVm", status=503, code="ServerBusy", times=None), "Unavailable", "ServerBusy", id="busy"),
        pytest.param(Fault(operation="GetVm", status=418, code="Teapot"), "Unavailable", "Teapot", id="unheard of"),
        pytest.param(Fault(operation="GetVm", effect="DropBefore", times=None), "Timeout", "ConnectionLost", id="dropped"),
        pytest.param(Fault(operation="GetVm", effect="Delay", delay_ms=60_000), "Timeout", "", id="too slow"),
    ],
)  # fmt: skip
def test_a_read_that_fails_says_which_way(lab, fault, want_kind, want_code):
    async def story(world):
        await world.made("podvm-a")
        world.server.faults.add(fault)
        start_ms = world.clock.now_ms()
        with pytest.raises(RemoteError, match="read VM podvm-a") as raised:
            await world.arm.get_vm(world.target, "podvm-a")
        assert (raised.value.kind, raised.value.code) == (want_kind, want_code)
        assert world.clock.now_ms() - start_ms <= 20_000

    lab(story)


def test_throttling_is_waited_for_and_then_says_how_long_to_wait_yet(lab):
    async def story(world):
        fault = Fault(operation="GetVm", status=429, code="OperationNotAllowed", retry_after_s=17, times=None)
        world.server.faults.add(fault)
        with pytest.raises(RemoteError) as raised:
            await world.arm.get_vm(world.target, "podvm-a")
        error = raised.value
        assert (error.kind, error.code, error.retry_after_ms) == ("Throttled", "TooManyRequests", 17_000)
        assert [seen.at_ms - LAB_EPOCH_MS for seen in world.server.requests] == [0, 17_000]
        assert world.arm.throttled_ms == 17_000

    lab(story)


def test_nobody_at_the_address_is_unreachable(lab):
    async def story(world):
        async with Arm(ArmSettings(base_url="http://127.0.0.1:9", auth="none")) as arm:
            with pytest.raises(RemoteError) as raised:
                await arm.get_vm(world.target, "podvm-a")
        assert (raised.value.kind, raised.value.code) == ("Unreachable", "Unreachable")

    lab(story)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"<html>a proxy's page</html>", id="no json"),
        pytest.param(b'{"value": 7}', id="no vm"),
        pytest.param(b'{"id": "x", "name": "x", "location": "x", "properties": "none"}', id="wrong type"),
        pytest.param(
            b'{"id":"x","name":"x","location":"x","properties":{"securityProfile":{"uefiSettings":{"vTpmEnabled":"false"}}}}',
            id="neither true nor false",
        ),
        pytest.param(b'{"id": "x", "name": 5, "location": "x", "properties": {}}', id="a number for a name"),
        pytest.param(b'["x"]', id="a list"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_protocol_error(answer, target):
    def senseless(_: web.Request) -> web.Response:
        return web.Response(body=answer, content_type="application/json")

    async with _serving(senseless) as url, Arm(ArmSettings(base_url=url, auth="none")) as arm:
        with pytest.raises(RemoteError) as raised:
            await arm.get_vm(target, "podvm-a")
    assert raised.value.kind == "Protocol"


async def test_a_list_without_an_end_is_given_up(target):
    def endless(request: web.Request) -> web.Response:
        return web.json_response({"value": [], "nextLink": str(request.url)})

    async with _serving(endless) as url, Arm(ArmSettings(base_url=url, auth="none")) as arm:
        with pytest.raises(RemoteError, match="pages") as raised:
            await asyncio.wait_for(arm.list_vms(target), 30)
    assert raised.value.kind == "Protocol"


def test_offerings_and_quota_come_out_of_the_lab(lab):
    async def story(world):
        names = ("Standard_DC2es_v6", "standard_dc4ES_v6", "Standard_DC2as_v5", "Standard_DC2es_v5")
        target = msgspec.structs.replace(world.target, sizes=names)
        async with Prices(PriceSettings(base_url=world.server.url), now_ms=world.clock.now_ms) as prices:
            seen = await observe_offerings(target, world.arm, prices)
        told = {o.size: (o.tee, o.price_micro_usd_per_hour, o.restricted) for o in seen.offerings if not o.spot}
        assert told == {
            "Standard_DC2es_v6": ("TDX", 101_000, ""),
            "Standard_DC4es_v6": ("TDX", 202_000, "NotAvailableForSubscription"),
            "Standard_DC2as_v5": ("SNP", None, ""),
            "Standard_DC2es_v5": ("None", None, "not offered in eastus"),
        }
        spot = {o.size: o.price_micro_usd_per_hour for o in seen.offerings if o.spot}
        assert spot["Standard_DC2es_v6"] == 20_200
        await world.made("podvm-a")
        rows = {row.family: row for row in (await observe_quota(target, world.arm)).rows}
        assert (rows["cores"].used_vcpus, rows["cores"].limit_vcpus) == (2, 1_000)
        assert rows["standardDCEV6Family"].used_vcpus == 2
        assert "virtualMachines" not in rows

    lab(story, config=ArmConfig(restricted={"eastus/Standard_DC4es_v6": "NotAvailableForSubscription"}))


def test_a_source_that_can_not_ask_raises(lab):
    async def story(world):
        for operation in ("ListSkus", "ListUsages"):
            world.server.faults.add(Fault(operation=operation, status=500, times=None))
        with pytest.raises(RemoteError, match="list the SKUs of eastus"):
            await observe_offerings(
                world.target, world.arm, Prices(PriceSettings(base_url=""), now_ms=world.clock.now_ms)
            )
        with pytest.raises(RemoteError, match="list the usages of eastus"):
            await observe_quota(world.target, world.arm)

    lab(story)


def test_sizes_are_listed(lab):
    async def story(world):
        sizes = {size.name: size.resources for size in await world.arm.list_sizes(world.target)}
        assert sizes["Standard_DC2es_v6"].cpu_millicores == 2_000
        assert sizes["Standard_DC2es_v6"].memory_bytes == 8 * 1024**3
        assert sizes["Standard_DC2es_v6"].gpus == 0

    lab(story)


def test_the_shipped_prices_are_the_labs_prices(lab):
    async def story(world):
        async with Prices(PriceSettings(base_url=world.server.url), now_ms=world.clock.now_ms) as prices:
            for region in ("eastus", "eastus2", "westeurope", "westus3", "westus"):
                live, shipped = await prices.region_prices(region), snapshot_prices(region)
                assert live.micro_usd_per_hour == shipped.micro_usd_per_hour
                assert (live.origin, shipped.origin, shipped.as_of) == ("retail", "snapshot", "2026-06-18")

    lab(story)


def test_prices_that_can_not_be_had_are_the_last_ones_seen_or_the_shipped_ones(lab):
    async def story(world):
        async with Prices(PriceSettings(base_url=world.server.url), now_ms=world.clock.now_ms) as prices:
            world.server.faults.add(Fault(operation="ListPrices", status=503))
            assert (await prices.region_prices("eastus")).origin == "snapshot"
            assert (await prices.region_prices("eastus")).origin == "retail"
            world.server.faults.add(Fault(operation="ListPrices", effect="DropBefore", times=None))
            assert (await prices.region_prices("eastus")).origin == "retail"
            assert (await prices.region_prices("westus3")).origin == "snapshot"

    lab(story)


class _serving:  # noqa: N801 - reads as a verb
    """A server that answers everything with one function."""

    def __init__(self, answer):
        async def handle(request: web.Request) -> web.Response:
            return answer(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        self.runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> str:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        host, port = self.runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(self, *_):
        await self.runner.cleanup()
