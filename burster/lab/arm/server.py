"""The ARM stand-in on loopback: speaks to the unchanged Azure clients, and to everything else that speaks ARM's REST.

Started by the lab, the demo and tests. It reads requests, asks for token and roles, then the faults and the token
buckets, and lets the answers do the rest; it keeps no rules of its own. Plain http on 127.0.0.1 only: what it serves
is simulated.
"""

import asyncio
import math
import re
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final, Protocol, Self

import msgspec
from aiohttp import web

from burster.lab.arm.answers import Answers
from burster.lab.arm.billing import Billing
from burster.lab.arm.cloud import Cloud
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.directory import check_scope
from burster.lab.arm.errors import ArmError
from burster.lab.arm.faults import Dropped, Fault, Faults, strike
from burster.lab.arm.request import location_of
from burster.lab.arm.resources import VmRecord
from burster.lab.arm.rights import check_right, check_token
from burster.lab.arm.routes import Call, read_call
from burster.lab.arm.throttle import Throttle


_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
#: Under virtual time an idle connection would look idle for hours; it is never the server that hangs up.
_KEEPALIVE_S: Final = 30 * 86_400
_BODY_MAX_BYTES: Final = 4 * 1024 * 1024
_NAMESPACE: Final = uuid.UUID("6f0b1d2e-8a35-4c53-9a5e-2f6d6f1a7c12")


class NowMs(Protocol):
    """What is needed of a clock."""

    def now_ms(self) -> int:
        """Return epoch milliseconds."""
        ...


class Seen(msgspec.Struct, frozen=True):
    """A request that was answered."""

    at_ms: int
    operation: str
    name: str
    status: int
    right: str = ""  #: the action that Azure's roles had to allow


class VmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A VM as tests and the live view want it."""

    name: str
    resource_id: str
    region: str
    size: str
    state: str
    created_at_ms: int
    failure: str = ""
    vm_id: str = ""
    address: str = ""  #: the private one, once it is allocated
    power: str = ""  #: running, deallocating, deallocated; empty before there is a machine
    zone: str = ""
    spot: bool = False
    tags: dict[str, str] = {}
    user_data: str = ""  #: as it was sent: base64


class ArmServer:
    """An async context manager; ``url`` is there once it is entered.

    >>> async with ArmServer(clock, config=ArmConfig(), seed=7) as arm:
    ...     arm.faults.add(known_fault("SkuNotAvailable", size="Standard_DC2es_v6"))
    """

    def __init__(self, clock: NowMs, *, config: ArmConfig | None = None, seed: int = 0, port: int = 0) -> None:
        self._clock = clock
        self._config = config or ArmConfig()
        self._port = port
        self._seed = seed
        self._throttle = Throttle()
        self.faults = Faults(seed, self._config.faults)
        self._cloud = Cloud(
            now_ms=clock.now_ms, at=self._at, config=lambda: self._config, seed=seed, faults=self.faults
        )
        self._answers = Answers(self._cloud, config=lambda: self._config, url=lambda: self.url)
        self._runner: web.AppRunner | None = None
        self._served = 0
        self.url = ""
        self.requests: deque[Seen] = deque(maxlen=self._config.history)

    @property
    def config(self) -> ArmConfig:
        """How it behaves now."""
        return self._config

    def reconfigure(self, **changes: Any) -> None:
        """Let it behave otherwise from now on: fields of ArmConfig, for example ``roles=()`` or ``cores_quota=0``.

        ``faults`` and ``history`` are read once, at the start.
        """
        self._config = msgspec.structs.replace(self._config, **changes)

    @property
    def billing(self) -> Billing:
        """What every VM has really cost."""
        return self._cloud.billing

    @property
    def vms(self) -> dict[str, VmSummary]:
        """The VMs there are now, by name."""
        return {vm.name: _summary(vm) for vm in self._cloud.vms.values()}

    def leaks(self) -> tuple[str, ...]:
        """Return the ids of VMs, network interfaces, disks and public addresses that are still there."""
        return self._cloud.leaks()

    def inside(self, play: Callable[[VmRecord], None]) -> None:
        """Have somebody play what is inside VMs: told of each that begins to run."""
        self._cloud.started = play

    def power_off(self, name: str) -> None:
        """Have a VM's own system power off: it is stopped, stays allocated, and costs what it did. Nothing where it does not run."""
        for vm in self._cloud.named(name):
            if vm.power == "running":
                vm.power = "stopped"

    def runs(self, vm: VmRecord) -> bool:
        """Say whether a VM is still there and runs."""
        return self._cloud.vms.get(vm.key) is vm and vm.power == "running"

    @property
    def strays(self) -> tuple[str, ...]:
        """The ids of disks, network interfaces and public addresses that no VM has."""
        return tuple(sorted(part.id for part in self._cloud.attachments.all if not part.vm_id))

    def evict(self, name: str, notice_s: int = 30) -> dict[str, Any]:
        """Take a spot machine back: deallocated or deleted after the notice, as its policy says; LookupError where none runs.

        Returned, and until it is over in ``scheduled_events``, is what the guest reads of it from its metadata service.
        """
        return self._cloud.evict(name, notice_s)

    def scheduled_events(self, name: str) -> dict[str, Any]:
        """Return what a VM's guest reads of coming evictions from its metadata service."""
        events = [vm.notice for vm in self._cloud.named(name) if vm.notice is not None and vm.power == "running"]
        return {"DocumentIncarnation": len(events) + 1, "Events": events}

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_BODY_MAX_BYTES)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, keepalive_timeout=_KEEPALIVE_S, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._cloud.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _at(self, due_ms: int, what: Any) -> asyncio.TimerHandle:
        wait_s = max(0, due_ms - self._clock.now_ms()) / 1000
        return asyncio.get_running_loop().call_later(wait_s, what)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = read_call(request.method, request.path)
        name = call.name if call else request.path
        limits: dict[str, str] = {}
        fault: Fault | None = None
        try:
            if call is None:
                raise ArmError(404, "InvalidResourceType", f"The resource type of '{request.path}' could not be found.")  # noqa: TRY301
            self._admit(call, request)
            region = await self._region_of(call, request)
            limits = self._spend(call, request.method, region)
            if call.operation != "PutVm":
                taken = self.faults.take(call.operation, name=call.name, region=region, size=self._size_of(call))
                fault = strike(taken)
            response, late = await self._answers.answer(call, request)
            fault = fault or late
        except ArmError as refusal:
            response = _refusal(refusal)
        except Dropped:
            response = self._drop(request)
        response.headers.update(limits)
        self._sign(response)
        if fault is not None and fault.effect == "Delay":
            await asyncio.sleep(fault.delay_ms / 1000)
        elif fault is not None:
            response = self._drop(request)
        operation, right = (call.operation, call.right) if call else ("Other", "")
        self.requests.append(Seen(self._clock.now_ms(), operation, name, response.status, right))
        return response

    def _admit(self, call: Call, request: web.Request) -> None:
        """Raise ArmError where ARM itself refuses, before any provider is asked; prices are public."""
        if call.action == "list-prices":
            return
        check_token(self._config, request.headers.get("Authorization", ""))
        if not _API_VERSION.fullmatch(request.query.get("api-version", "")):
            raise ArmError(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        check_scope(self._config, msgspec.structs.replace(call.scope, group=""))
        check_right(self._config, call.right, call.path)
        if call.operation != "GetSubnet":  # networks are often in another group, which nobody has to list
            check_scope(self._config, call.scope)

    def _sign(self, response: web.Response) -> None:
        """Add what every answer of ARM's has; the date is the lab's, and as wrong as the lab says."""
        self._served += 1
        request_id = str(uuid.uuid5(_NAMESPACE, f"{self._seed}/{self._served}"))
        at_s = (self._clock.now_ms() + self._config.clock_skew_ms) / 1000
        response.headers["Date"] = format_datetime(datetime.fromtimestamp(at_s, UTC), usegmt=True)
        response.headers["x-ms-request-id"] = request_id
        response.headers["x-ms-correlation-request-id"] = request_id

    def _drop(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _spend(self, call: Call, method: str, region: str) -> dict[str, str]:
        if not self._config.throttled or not call.scope.subscription:
            return {}
        now_ms, by_arm = self._clock.now_ms(), self._config.throttled_by_arm
        left = self._throttle.spend_at_arm(method, call.scope.subscription, now_ms, enforced=by_arm)
        scope = f"{call.scope.subscription}/{region}".casefold()
        resource = f"{call.scope.subscription}/{call.scope.group}/{call.name}".casefold()
        return left | self._throttle.spend(call.operation, scope=scope, resource=resource, now_ms=now_ms)

    def _vm_of(self, call: Call) -> VmRecord | None:
        return self._cloud.find_vm(call.scope, call.name) if call.name else None

    async def _region_of(self, call: Call, request: web.Request) -> str:
        """Return where a request goes: from its path, its VM, or its body."""
        if call.action == "put-vm":
            return location_of(await request.read())
        vm = self._vm_of(call)
        return call.region or (vm.region if vm else "")

    def _size_of(self, call: Call) -> str:
        vm = self._vm_of(call)
        return vm.size.name if vm else ""


def _summary(vm: VmRecord) -> VmSummary:
    return VmSummary(
        name=vm.name,
        resource_id=vm.id,
        region=vm.region,
        size=vm.size.name,
        state=vm.state,
        created_at_ms=vm.created_at_ms,
        failure=vm.failure,
        vm_id=vm.uid,
        address=next((nic.address for nic in vm.nics if nic.address), ""),
        power=vm.power,
        zone=next(iter(vm.zones), ""),
        spot=vm.spot,
        tags=dict(vm.tags),
        user_data=vm.user_data,
    )


def _refusal(refusal: ArmError) -> web.Response:
    response = web.Response(status=refusal.status, body=refusal.body(), content_type="application/json")
    response.headers["x-ms-error-code"] = refusal.code
    response.headers.update(refusal.headers)
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
    return response
