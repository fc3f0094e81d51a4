"""SECURITY.md names the Azure actions that burster's client needs: all of them, and no other."""

import re

from burster.clients.arm import Arm, ArmSettings
from burster.lab.arm import ArmServer
from burster.lab.lockstep import run_lockstep
from burster.sources.offerings import observe_offerings
from burster.sources.quota import observe_quota
from tests.contract.arm.conftest import SUBSCRIPTION, TARGET, VERSION, vm_body
from tests.docs.rights import ROOT


#: what the stand-in calls a request -> the action that Azure asks for
ACTIONS = {
    "GetVm": "Microsoft.Compute/virtualMachines/read",
    "ListVms": "Microsoft.Compute/virtualMachines/read",
    "DeleteVm": "Microsoft.Compute/virtualMachines/delete",
    "GetNic": "Microsoft.Network/networkInterfaces/read",
    "ListSkus": "Microsoft.Compute/skus/read",
    "ListUsages": "Microsoft.Compute/locations/usages/read",
    "GetOperation": "Microsoft.Compute/locations/operations/read",
}


class NoPrices:
    async def region_prices(self, region):
        from burster.clients.prices import RegionPrices

        return RegionPrices(region=region, micro_usd_per_hour={}, origin="snapshot")


def test_the_role_is_what_is_used():
    async def main(clock):
        async with (
            ArmServer(clock) as server,
            Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
        ):
            import aiohttp

            group = f"{server.url}/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
            url = f"{group}/providers/Microsoft.Compute/virtualMachines/podvm-a?{VERSION}"
            async with aiohttp.ClientSession() as http, http.put(url, json=vm_body("podvm-a")) as response:
                assert response.status == 201
            await clock.sleep(700)
            server.requests.clear()
            await observe_offerings(TARGET, arm, NoPrices())
            await observe_quota(TARGET, arm)
            await arm.list_vms(TARGET)
            await arm.get_vm(TARGET, "podvm-a")
            await arm.delete_vm(TARGET, "podvm-a")
            return {seen.operation for seen in server.requests}

    used = {ACTIONS[operation] for operation in run_lockstep(main)}
    listed = re.findall(r"^\| `(Microsoft\.[\w./]+)`", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(used)
