"""A resource group with very many VMs in it, served by a process of its own: ARM's stand-in, and the PeerPod records of most of them.

Run as a program it prints its two addresses and serves until its standard input ends.
"""

import asyncio
import sys

import orjson
from aiohttp import web

from burster.lab.arm import ArmConfig, ArmServer
from burster.lab.arm.resources import Scope
from burster.lab.caa.body import vm_body
from burster.lab.caa.config import LAB_CONFIG
from burster.runtime.clock import SystemClock


SUBSCRIPTION, GROUP = LAB_CONFIG["AZURE_SUBSCRIPTION_ID"], LAB_CONFIG["AZURE_RESOURCE_GROUP"]
CONFIG = {"disable_cvm": False, "data": "", "image": LAB_CONFIG["AZURE_IMAGE_ID"], "size": "Standard_DC2es_v6"}
LEAKED = 100


def vm_name(number: int) -> str:
    return f"podvm-web-6c9d8f7b5d-{number:05d}-{number:08x}"


async def _main(vms: int, page_size: int) -> None:
    from burster.lab.caa.config import read_config

    config = ArmConfig(
        list_page_size=page_size,
        family_quota=10**6,
        cores_quota=10**6,
        subnet_addresses=10**6,
        throttled=False,
        create_median_ms=1,
        create_p95_ms=2,
        create_max_ms=2,
    )
    caa = read_config(LAB_CONFIG)
    records = [
        {
            "metadata": {
                "namespace": "bank",
                "name": f"r-{n}",
                "ownerReferences": [{"kind": "Pod", "name": "p", "uid": f"u-{n}"}],
            },
            "spec": {"cloudProvider": "azure", "instanceID": f"/subscriptions/x/vms/{vm_name(n)}"},
        }
        for n in range(LEAKED, vms)
    ]
    body = orjson.dumps({"items": records})

    async def peer_pods(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/{path:.*}", peer_pods)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ArmServer(SystemClock(), config=config) as arm:
        scope = Scope(subscription=SUBSCRIPTION, group=GROUP)
        cloud = arm._cloud
        for n in range(vms):
            name = vm_name(n)
            content = orjson.dumps(vm_body(caa, name=name, **CONFIG))  # type: ignore[arg-type]
            cloud.put_vm(scope, name, content, if_none_match=False)
            if n % 200 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(1)
        port = runner.addresses[0][1]
        sys.stdout.write(f"{arm.url} http://127.0.0.1:{port}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
