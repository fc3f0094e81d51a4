"""A lab in which a number of machines is asked for by a metric: scores waiting, one machine for each, an endpoint of Service scorer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import yaml

from burster.lab.arm import ArmConfig
from burster.lab.lockstep import LabClock
from burster.lab.machines import GuestOptions
from burster.lab.site import Site, open_site
from burster.ledger import Ledger
from burster.model.addresses import LOOPBACK
from burster.model.decisions import Decision
from burster.model.quantities import cost_micro_usd
from burster.policy.load import load_text
from burster.runtime.executor import Adaptor
from burster.runtime.wiring import Controller, ControllerOptions
from tests.support.classic import Page, a_prometheus
from tests.support.classic import a_target as a_shipped_target
from tests.support.metrics import CLASSIC
from tests.support.small_site import one_node


GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/burst-westeurope"
IMAGE = "redhat:rhel-cvm:9_6_cvm:9.6.2026011512"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/machines"
PORT = 8443
USER_DATA = """\
#cloud-config
write_files:
- path: /etc/systemd/system/scorer.service
  content: |
    [Unit]
    PartOf=burster-workload.target
    After=burster-attested.target
    [Service]
    ExecStart=/opt/scorer --listen 8443
    [Install]
    WantedBy=burster-workload.target
runcmd:
- [systemctl, enable, scorer.service]
"""


SIZES = [f"Standard_{family}{vcpus}es_v6" for family in ("DC", "EC") for vcpus in (2, 4, 8)]


def a_target(url: str, region: str, **machines: Any) -> str:
    """The shipped target, which takes machines; by itself where both families of TDX sizes have a price."""
    azure = {"subscriptionId": GROUP.split("/")[2], "resourceGroup": GROUP.split("/")[4], "region": region}
    lent = {"images": [IMAGE], "subnet": SUBNET, **machines}
    return a_shipped_target(url, azure=azure, sizes=SIZES, machines=lent, jurisdiction="US")


def a_policy(url: str, **placement: Any) -> str:
    """One machine for each score that waits."""
    metadata = {"serverAddress": url, "query": CLASSIC, "threshold": "1"}
    spec: dict[str, Any] = {
        "workload": {"kind": "Deployment", "namePattern": "on-prem-deployment"},
        "triggers": [{"type": "prometheus", "name": "waiting", "metadata": metadata}],
        "minReplicaCount": 0,
        "maxReplicaCount": 10,
        "cooldownPeriod": 60,
        "machine": {
            "requests": {"cpu": "2", "memory": "4Gi"},
            "image": IMAGE,
            "userData": {"configMap": "scorer", "key": "user-data"},
            "service": {"name": "scorer", "port": PORT},
        },
        "placement": {
            "strategy": "Machine",
            "targets": ["azure-westeurope-tdx"],
            "lease": "20m",
            "drain": "1m",
            **placement,
        },
    }
    metadata_of = {"name": "scoring", "namespace": "default"}
    return yaml.safe_dump(
        {"apiVersion": "burster.dev/v1alpha1", "kind": "BurstPolicy", "metadata": metadata_of, "spec": spec}
    )


class MachineSite:
    """A site, a metric, and controllers one after another on one ledger."""

    def __init__(self, clock: LabClock, site: Site, folder: Path, page: Page) -> None:
        self.clock = clock
        self.site = site
        self.controller: Controller | None = None
        self.seen_phases: set[str] = set()
        self.ever_published: set[str] = set()
        self.first_zone: tuple[str, ...] = ()
        self._path = folder / "ledger.sqlite"
        self._page = page
        self._running: asyncio.Task[None] | None = None
        self._open = AsyncExitStack()
        self._ledger: Ledger | None = None

    # -- what a test does

    async def want(self, number: int) -> None:
        """Have so many scores wait from now on."""
        self._page.pending = number

    async def begin(self, around: Callable[[Adaptor], Adaptor] = lambda adaptor: adaptor) -> None:
        """Start a controller, with connections and a ledger run of its own."""
        connections = await self._open.enter_async_context(self.site.connections())
        self._ledger = self._open.enter_context(Ledger.open(self._path))
        self.controller = Controller(
            kube=connections.kube,
            cloud=connections.arm,
            facts=connections,
            ledger=self._ledger,
            clock=self.clock,
            options=ControllerOptions(metric_networks=LOOPBACK, cluster="lab"),
            around=around,
            reach=self.site.guests.reach,
        )
        self._running = asyncio.create_task(self.controller.run(), name="controller")

    async def kill(self) -> None:
        """End the controller at once, whatever it is doing."""
        running, self._running, self._ledger = self._running, None, None
        if running is not None:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        await self._open.aclose()
        self._open = AsyncExitStack()

    @property
    def decisions(self) -> list[Decision]:
        """All of them, of all controllers."""
        if self._ledger is not None:
            return list(self._ledger.decisions())
        with Ledger.read(self._path) as ledger:
            return list(ledger.decisions())

    async def until(self, what: Callable[[], bool], *, within_s: int = 1_800, why: str = "") -> None:
        """Let time go by until something is so."""
        for _ in range(within_s):
            if self._running is not None and self._running.done():
                await self._running
            self._note()
            if what():
                return
            await self.clock.sleep(1)
        raise AssertionError(f"not so after {within_s} s: {why}\n{self.told()}")

    def _note(self) -> None:
        self.seen_phases |= set(self.phases())
        self.ever_published |= self.endpoints()
        if not self.first_zone:
            zones = [record["spec"].get("zone", "") for record in self.bursts]
            self.first_zone = (zones[0],) if zones else ()

    def told(self) -> str:
        """What is going on, for a failed assertion."""
        bursts = [(b["metadata"]["name"], b.get("status", {})) for b in self.bursts]
        guests = [(g.vm.name, g.vm.state, g.vm.power, g.failure, g.port) for g in self.site.guests.all]
        told = "\n".join(f"{r.code}: {r.sentence}" for d in self.decisions for r in d.reasons[-2:])
        return f"bursts {bursts}\nguests {guests}\n{told[-4_000:]}"

    # -- what there is

    @property
    def bursts(self) -> list[dict[str, Any]]:
        return self.site.store.list("bursts.burster.dev", "default")

    def phases(self) -> list[str]:
        return sorted(burst.get("status", {}).get("phase", "") for burst in self.bursts)

    def serving(self) -> int:
        return self.phases().count("Serving")

    def active(self) -> int:
        return sum(phase not in {"Released", ""} for phase in self.phases())

    def slices(self) -> list[dict[str, Any]]:
        return self.site.store.list("endpointslices.discovery.k8s.io", "default")

    def endpoints(self) -> set[str]:
        return {address for one in self.slices() for each in one["endpoints"] for address in each["addresses"]}

    def machines(self) -> list[str]:
        return sorted(name for name in self.site.arm.vms if name.startswith("burstvm-"))

    def settled(self) -> int:
        if self._ledger is not None:
            return sum(spend.micro_usd for spend in self._ledger.spend())
        with Ledger.read(self._path) as ledger:
            return sum(spend.micro_usd for spend in ledger.spend())

    def bill(self) -> int:
        return self.site.arm.billing.cost_micro_usd(self.clock.now_ms())

    def unallocated(self) -> int:
        """What machines without room would have cost until they were deleted; it takes some minutes."""
        free = [vm for vm in self.site.arm.billing.vms if vm.ended_at_ms == vm.began_at_ms]
        return sum(cost_micro_usd(vm.price_micro_usd_per_hour or 0, 300_000) for vm in free)

    def codes(self) -> set[str]:
        return {reason.code for decision in self.decisions for reason in decision.reasons}


@asynccontextmanager
async def a_machine_site(
    clock: LabClock,
    folder: Path,
    *,
    arm: ArmConfig | None = None,
    guests: GuestOptions | None = None,
    machines: dict[str, Any] | None = None,
    region: str = "eastus",
    **placement: Any,
) -> AsyncIterator[MachineSite]:
    """Have a site, without a controller yet."""
    page = Page()
    async with a_prometheus(clock, page) as prometheus:
        rules = f"{a_target(prometheus.url, region, **(machines or {}))}---\n{a_policy(prometheus.url, **placement)}"
        options = one_node(folder, load_text(rules.encode()), ("default", "burster-system"))
        options = msgspec.structs.replace(
            options, arm=arm or ArmConfig(subnets=(SUBNET,)), guests=guests or GuestOptions()
        )
        async with open_site(clock, options) as site:
            ports = [{"name": "https", "port": 443, "targetPort": PORT}]
            data = {"user-data": USER_DATA}
            site.store.create("services", "default", {"metadata": {"name": "scorer"}, "spec": {"ports": ports}})
            site.store.create("configmaps", "default", {"metadata": {"name": "scorer"}, "data": data})
            one = MachineSite(clock, site, folder, page)
            try:
                yield one
            finally:
                await one.kill()
