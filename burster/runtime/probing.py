"""The network checks of `burster doctor --probe-network`: which workers probe what, and what their answers mean.

Called by ``runtime.doctor``. Writes one namespace with short-lived pods in it (``adaptors.probe_pods``), and a canary, which costs a VM for
some minutes, only where somebody has agreed to its price.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

import msgspec

from burster.adaptors.manifests import MACHINE_TYPE
from burster.adaptors.probe_pods import ProbePods, open_probes
from burster.clients.kube import Kube
from burster.clients.network_probe import ProbeReport
from burster.model.errors import InputError, RemoteError
from burster.model.offerings import Vm
from burster.model.quantities import format_micro_usd
from burster.model.stimuli import OfferingsSeen
from burster.model.targets import Target
from burster.sources.preflight import Finding, Places, network
from burster.sources.preflight.objects import Node, read, read_all


_AT_ONCE: Final = 8
_NODES_MAX: Final = 50
_FORWARDER: Final = "15150"
_VXLAN: Final = "4789"
_HTTPS: Final = 443
_NO_ADDRESS: Final = "No pod VM runs that could be probed: name an address in the subnet with --probe-address."
_NO_CANARY: Final = "Not asked for: --canary starts a peer pod for it, which costs a VM for some minutes."


class ProbeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """``address``: what stands for a pod VM; ``image``: what probes run, empty: as burster's own Deployment; ``canary``: start one too."""

    address: str = ""
    image: str = ""
    canary: bool = False


class VmReader(Protocol):
    """Who knows VMs: burster.clients.arm.Arm."""

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return the VMs of the resource group."""
        ...

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        """Return a VM with its address."""
        ...


class Prober:
    """Probes for every target, in one namespace that is made for the first and deleted at the end."""

    def __init__(
        self, kube: Kube, cloud: VmReader | None, places: Places, options: ProbeOptions, agree: Callable[[str], bool]
    ) -> None:
        """``agree`` is asked before anything that costs money."""
        self._kube = kube
        self._cloud = cloud
        self._places = places
        self._options = options
        self._agree = agree
        self._stack = AsyncExitStack()
        self._pods: ProbePods | None = None
        self._image = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def probe(
        self, target: Target, config: Mapping[str, str], offerings: OfferingsSeen | None
    ) -> tuple[Finding, ...]:
        """Return the network's findings for a target. Raises InputError where it is not known what probes shall run."""
        if target.proof == "Node":
            return ()
        try:
            return await self._probe(target, config, offerings)
        except RemoteError as error:
            return network.judge_workers({"": str(error)})

    async def _probe(
        self, target: Target, config: Mapping[str, str], offerings: OfferingsSeen | None
    ) -> tuple[Finding, ...]:
        host = self._options.address or await self._address_of_a_vm(target)
        workers: tuple[Finding, ...] = network.skipped(_NO_ADDRESS, canary=_NO_CANARY)
        if host:
            tcp = f"{host}:{config.get('FORWARDER_PORT') or _FORWARDER}"
            udp = f"{host}:{config.get('VXLAN_PORT') or _VXLAN}"
            workers = await self._on_workers(("--tcp", tcp, "--udp", udp, "--mtu", udp))
        canary = await self._canary(target, offerings) if self._options.canary else ()
        kept = [one for one in workers if not canary or one.check != canary[0].check]
        rest = () if canary or not host else network.skipped("", canary=_NO_CANARY)[-1:]
        return (*kept, *rest, *canary)

    async def _on_workers(self, words: tuple[str, ...]) -> tuple[Finding, ...]:
        pods = await self._opened()
        nodes = [node for node in await read_all(self._kube, "/api/v1/nodes", Node) if node.usable and node.slots]
        slots = asyncio.Semaphore(_AT_ONCE)
        reports: dict[str, ProbeReport | str] = {}

        async def one(name: str) -> None:
            async with slots:
                ended = await pods.on_node(name, words)
            reports[name] = ended.report or ended.trouble or f"it ended with exit code {ended.exit_code}, and no report"

        async with asyncio.TaskGroup() as group:
            for node in nodes[:_NODES_MAX]:
                group.create_task(one(node.metadata.name))
        return network.judge_workers(reports)

    async def _canary(self, target: Target, offerings: OfferingsSeen | None) -> tuple[Finding, ...]:
        usable = [
            one
            for one in (offerings.offerings if offerings else ())
            if not one.restricted
            and not one.spot
            and one.tee in target.tees
            and one.price_micro_usd_per_hour is not None
        ]
        if not usable:
            return network.skipped("", canary="No size of the target has a price, so that nobody can agree to it.")[-1:]
        size = min(usable, key=lambda one: (one.price_micro_usd_per_hour or 0, one.size))
        price = format_micro_usd(size.price_micro_usd_per_hour or 0)
        if not self._agree(f"a canary at {target.name}: one {size.size} for up to 15 minutes, at {price} an hour"):
            return network.skipped("", canary="Nobody has agreed to its price.")[-1:]
        pods = await self._opened()
        addresses = _from_inside(self._image, target)
        words = [word for address in addresses for word in ("--tcp", address)]
        ended = await pods.in_canary(target.runtime_class, {MACHINE_TYPE: size.size}, words)
        return network.judge_canary(ended.exit_code, addresses, ended.trouble)

    async def _address_of_a_vm(self, target: Target) -> str:
        """Return the private address of a pod VM that runs; empty where there is none, or nobody to ask."""
        if self._cloud is None or target.proof != "Arm":
            return ""
        for vm in await self._cloud.list_vms(target):
            if vm.name.startswith("podvm-") and vm.provisioning_state == "Succeeded":
                whole = await self._cloud.get_vm(target, vm.name)
                if whole is not None and whole.private_address:
                    return whole.private_address
        return ""

    async def _opened(self) -> ProbePods:
        if self._pods is None:
            self._image = self._options.image or await self._own_image()
            name = f"burster-probe-{secrets.token_hex(4)}"
            self._pods = await self._stack.enter_async_context(open_probes(self._kube, name, self._image))
        return self._pods

    async def _own_image(self) -> str:
        """Return the image that burster's own Deployment runs."""
        path = f"/apis/apps/v1/namespaces/{self._places.home}/deployments/burster"
        try:
            deployment: Any = await read(self._kube, path, dict)
            return str(_first_container(deployment)["image"])
        except (RemoteError, KeyError, IndexError, TypeError):
            raise InputError(
                f"what probes shall run is not known: there is no Deployment burster in {self._places.home}; name burster's image with"
                " --probe-image"
            ) from None


def _first_container(deployment: Any) -> dict[str, Any]:
    return deployment["spec"]["template"]["spec"]["containers"][0]


def _from_inside(image: str, target: Target) -> tuple[str, ...]:
    """Return what a VM must reach: the registry that its image is from, and the target's Trustee."""
    first = image.partition("/")[0]
    registry = first if "/" in image and ("." in first or ":" in first) else "registry-1.docker.io"
    found = [registry if ":" in registry else f"{registry}:{_HTTPS}"]
    trustee = urlsplit(target.trustee_url)
    if trustee.hostname:
        found.append(f"{trustee.hostname}:{trustee.port or (_HTTPS if trustee.scheme == 'https' else 80)}")
    return tuple(found)
