"""The ARM stand-in on loopback: speaks to the unchanged Azure clients, and to everything else that speaks ARM's REST.

Started by the lab, the demo and tests. It reads requests, asks the faults and the token buckets, and lets the cloud
decide; it keeps no rules of its own. Plain http on 127.0.0.1 only: what it serves is simulated.
"""

import asyncio
import math
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, Self
from urllib.parse import quote

import msgspec
from aiohttp import web

from burster.lab.arm.billing import Billing
from burster.lab.arm.catalogue import REGIONS, sizes_in
from burster.lab.arm.cloud import Cloud
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError, not_found
from burster.lab.arm.faults import Dropped, Fault, Faults, strike
from burster.lab.arm.request import location_of
from burster.lab.arm.resources import VM_KIND, Operation, VmRecord
from burster.lab.arm.retail import price_page
from burster.lab.arm.routes import Call, read_call
from burster.lab.arm.throttle import Throttle
from burster.lab.arm.views import (
    attachment_view,
    disk_sku_view,
    operation_view,
    size_view,
    sku_view,
    usage_view,
    vm_view,
)


_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?")
_LOCATION_FILTER = re.compile(r"\s*location\s+eq\s+'([^']*)'\s*", re.IGNORECASE)
#: Under virtual time an idle connection would look idle for hours; it is never the server that hangs up.
_KEEPALIVE_S: Final = 30 * 86_400
_BODY_MAX_BYTES: Final = 4 * 1024 * 1024


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


class VmSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A VM as tests and the live view want it."""

    name: str
    resource_id: str
    region: str
    size: str
    state: str
    created_at_ms: int
    failure: str = ""


class ArmServer:
    """An async context manager; ``url`` is there once it is entered.

    >>> async with ArmServer(clock, config=ArmConfig(), seed=7) as arm:
    ...     arm.faults.add(known_fault("SkuNotAvailable", size="Standard_DC2es_v6"))
    """

    def __init__(self, clock: NowMs, *, config: ArmConfig | None = None, seed: int = 0, port: int = 0) -> None:
        self._clock = clock
        self._config = config or ArmConfig()
        self._port = port
        self._throttle = Throttle()
        self.faults = Faults(seed, self._config.faults)
        self._cloud = Cloud(now_ms=clock.now_ms, at=self._at, config=self._config, seed=seed, faults=self.faults)
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.requests: deque[Seen] = deque(maxlen=self._config.history)
        self._answers: dict[str, Callable[[Call, web.Request], web.Response]] = {
            "get-vm": self._get_vm,
            "delete-vm": self._delete_vm,
            "list-vms": self._list_vms,
            "get-operation": self._get_operation,
            "get-attachment": self._get_attachment,
            "list-attachments": self._list_attachments,
            "delete-attachment": self._delete_attachment,
        }

    @property
    def billing(self) -> Billing:
        """What every VM has really cost."""
        return self._cloud.billing

    @property
    def vms(self) -> dict[str, VmSummary]:
        """The VMs there are now, by name."""
        return {
            vm.name: VmSummary(
                name=vm.name,
                resource_id=vm.id,
                region=vm.region,
                size=vm.size.name,
                state=vm.state,
                created_at_ms=vm.created_at_ms,
                failure=vm.failure,
            )
            for vm in self._cloud.vms.values()
        }

    def leaks(self) -> tuple[str, ...]:
        """Return the ids of VMs, network interfaces, disks and public addresses that are still there."""
        return self._cloud.leaks()

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
            _check_version(request, call)
            region = await self._region_of(call, request)
            limits = self._spend(call, region)
            if call.operation != "PutVm":
                taken = self.faults.take(call.operation, name=call.name, region=region, size=self._size_of(call))
                fault = strike(taken)
            response, late = await self._answer(call, request)
            fault = fault or late
        except ArmError as refusal:
            response = _refusal(refusal)
        except Dropped:
            response = self._drop(request)
        response.headers.update(limits)
        if fault is not None and fault.effect == "Delay":
            await asyncio.sleep(fault.delay_ms / 1000)
        elif fault is not None:
            response = self._drop(request)
        operation = call.operation if call else "Other"
        self.requests.append(Seen(self._clock.now_ms(), operation, name, response.status))
        return response

    def _drop(self, request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    def _spend(self, call: Call, region: str) -> dict[str, str]:
        if not self._config.throttled:
            return {}
        scope = f"{call.scope.subscription}/{region}".casefold()
        resource = f"{call.scope.subscription}/{call.scope.group}/{call.name}".casefold()
        return self._throttle.spend(call.operation, scope=scope, resource=resource, now_ms=self._clock.now_ms())

    def _vm_of(self, call: Call) -> VmRecord | None:
        return self._cloud.vms.get(call.scope.resource_id(VM_KIND, call.name).casefold())

    async def _region_of(self, call: Call, request: web.Request) -> str:
        """Return where a request goes: from its path, its VM, or its body."""
        if call.action == "put-vm":
            return location_of(await request.read())
        vm = self._vm_of(call) if call.name else None
        return call.region or (vm.region if vm else "")

    def _size_of(self, call: Call) -> str:
        vm = self._vm_of(call) if call.name else None
        return vm.size.name if vm else ""

    async def _answer(self, call: Call, request: web.Request) -> tuple[web.Response, Fault | None]:
        if call.action == "put-vm":
            return await self._put_vm(call, request)
        answer = self._answers.get(call.action, self._list_facts)
        return answer(call, request), None

    def _get_vm(self, call: Call, request: web.Request) -> web.Response:
        vm = self._cloud.get_vm(call.scope, call.name)
        return _json(vm_view(vm, self._config, request.query.get("$expand", "")))

    def _get_attachment(self, call: Call, _request: web.Request) -> web.Response:
        return _json(attachment_view(self._cloud.attachments.find(call.kind, call.scope, call.name)))

    def _list_attachments(self, call: Call, _request: web.Request) -> web.Response:
        found = self._cloud.attachments.listed(call.kind, call.scope)
        return _json({"value": [attachment_view(each) for each in found]})

    def _delete_attachment(self, call: Call, _request: web.Request) -> web.Response:
        done = self._cloud.attachments.delete(call.kind, call.scope, call.name)
        return web.Response(status=200 if done else 204)

    async def _put_vm(self, call: Call, request: web.Request) -> tuple[web.Response, Fault | None]:
        only_new = request.headers.get("If-None-Match") == "*"
        content = await request.read()
        status, vm, fault = self._cloud.put_vm(call.scope, call.name, content, if_none_match=only_new)
        response = _json(vm_view(vm, self._config), status)
        response.headers.update(self._operation_headers(vm.operation))
        return response, fault

    def _delete_vm(self, call: Call, request: web.Request) -> web.Response:
        force = request.query.get("forceDeletion", "").casefold() == "true"
        operation = self._cloud.delete_vm(call.scope, call.name, force=force)
        if operation is None:
            return web.Response(status=204)
        headers = self._operation_headers(operation)
        headers["Location"] = headers["Azure-AsyncOperation"] + "&monitor=true"
        return web.Response(status=202, headers=headers)

    def _operation_headers(self, operation: Operation) -> dict[str, str]:
        path = f"/subscriptions/{operation.subscription}/providers/Microsoft.Compute/locations/{operation.region}/operations"
        return {
            "Azure-AsyncOperation": f"{self.url}{path}/{operation.id}?api-version=2026-04-01",
            "Retry-After": str(self._config.retry_after_s),
        }

    def _get_operation(self, call: Call, request: web.Request) -> web.Response:
        operation = self._cloud.operations.get(call.name.casefold())
        if operation is None:
            raise not_found("operations", call.name, call.scope.group)
        running = operation.ended_at_ms is None
        headers = {"Retry-After": str(self._config.retry_after_s)} if running else {}
        if "monitor" not in request.query:
            return _json(operation_view(operation), headers=headers)
        if running:
            return web.Response(status=202, headers={**headers, "Location": f"{self.url}{request.path_qs}"})
        if operation.code:
            raise ArmError(409, operation.code, operation.message)
        return web.Response(status=204)

    def _list_vms(self, call: Call, request: web.Request) -> web.Response:
        vms = self._cloud.list_vms(call.scope.subscription, call.scope.group or None)
        after = request.query.get("$skiptoken", "")
        rest = [vm for vm in vms if vm.key > after]
        page = rest[: self._config.list_page_size]
        answer: dict[str, Any] = {"value": [vm_view(vm, self._config) for vm in page]}
        if len(rest) > len(page):
            version = request.query["api-version"]
            answer["nextLink"] = (
                f"{self.url}{quote(request.path)}?api-version={version}&$skiptoken={quote(page[-1].key)}"
            )
        return _json(answer)

    def _list_facts(self, call: Call, request: web.Request) -> web.Response:
        if call.action == "list-prices":
            skip = request.query.get("$skip", "0")
            if not skip.isdecimal():
                raise ArmError(400, "BadRequest", "Invalid value for '$skip'.")
            url = f"{self.url}/api/retail/prices"
            return _json(price_page(request.query.get("$filter", ""), int(skip), self._config.price_page_size, url))
        if call.action == "list-skus":
            return _json({"value": self._skus(request.query.get("$filter", ""))})
        if call.region not in REGIONS:
            raise ArmError(400, "NoRegisteredProviderFound", f"The location '{call.region}' is not known.")
        if call.action == "list-sizes":
            return _json({"value": [size_view(size) for size in sizes_in(call.region)]})
        rows = self._cloud.usages(call.scope.subscription, call.region)
        return _json({"value": [usage_view(row) for row in rows]})

    def _skus(self, filter_text: str) -> list[dict[str, Any]]:
        match = _LOCATION_FILTER.fullmatch(filter_text)
        if filter_text and match is None:
            raise ArmError(400, "InvalidFilter", "The only supported filter is \"location eq '<region>'\".")
        wanted = match[1].casefold() if match else ""
        regions = [region for region in REGIONS if wanted in {"", region}]
        return [
            view
            for region in regions
            for view in (disk_sku_view(region), *(sku_view(size, region, self._config) for size in sizes_in(region)))
        ]


def _check_version(request: web.Request, call: Call) -> None:
    version = request.query.get("api-version", "")
    if call.action != "list-prices" and not _API_VERSION.fullmatch(version):
        raise ArmError(
            400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
        )


def _json(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)


def _refusal(refusal: ArmError) -> web.Response:
    response = web.Response(status=refusal.status, body=refusal.body(), content_type="application/json")
    response.headers["x-ms-error-code"] = refusal.code
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
    return response
