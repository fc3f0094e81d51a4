"""What each request is answered, once it was found to be allowed: from the cloud's records to HTTP.

Called by the server with requests it has understood and let through. It keeps no rules: the cloud decides, the views
say how it looks on the wire.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import web

from burster.lab.arm import sales
from burster.lab.arm.catalogue import REGIONS
from burster.lab.arm.cloud import Cloud
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.directory import group_view, location_view, permission_views, subscription_view
from burster.lab.arm.errors import ArmError, not_found
from burster.lab.arm.faults import Fault
from burster.lab.arm.images import gallery_view, managed_view, market_versions, market_view, shared_view
from burster.lab.arm.resources import Operation
from burster.lab.arm.retail import HTML
from burster.lab.arm.rights import check_join, roles_over
from burster.lab.arm.routes import Call
from burster.lab.arm.updates import read_tags
from burster.lab.arm.views import attachment_view, instance_view, operation_view, vm_view


T = TypeVar("T")
_OPERATION_VERSION: Final = "2026-04-01"


class Answers:
    """All of them, by what a request asks for."""

    def __init__(self, cloud: Cloud, *, config: Callable[[], ArmConfig], url: Callable[[], str]) -> None:
        self._cloud = cloud
        self._read_config = config
        self._url = url
        self._by_action: dict[str, Callable[[Call, web.Request], web.Response]] = {
            "get-vm": self._get_vm,
            "get-instance-view": self._get_instance_view,
            "delete-vm": self._delete_vm,
            "list-vms": self._list_vms,
            "get-operation": self._get_operation,
            "get-attachment": self._get_attachment,
            "list-attachments": self._list_attachments,
            "delete-attachment": self._delete_attachment,
            "get-subnet": self._get_subnet,
            "list-subnet-usages": self._list_subnet_usages,
            "get-image": lambda call, _: json_answer(gallery_view(self._config, call)),
            "get-community-image": lambda call, _: json_answer(shared_view(self._config, call, "Community")),
            "get-shared-image": lambda call, _: json_answer(shared_view(self._config, call, "Shared")),
            "get-managed-image": lambda call, _: json_answer(managed_view(self._config, call)),
            "get-market-image": lambda call, _: json_answer(market_view(self._config, call)),
            "list-market-versions": self._list_market_versions,
            "get-subscription": lambda call, _: json_answer(subscription_view(self._config, call.scope.subscription)),
            "get-group": lambda call, _: json_answer(group_view(self._config, call.scope)),
            "list-locations": self._list_locations,
            "list-permissions": self._list_permissions,
            "list-prices": self._list_prices,
            "list-skus": self._list_skus,
            "list-sizes": self._list_sizes,
            "list-usages": self._list_usages,
        }

    async def answer(self, call: Call, request: web.Request) -> tuple[web.Response, Fault | None]:
        """Do what a request asks for; return the answer and the fault that still has to happen to it."""
        if call.action == "put-vm":
            return await self._put_vm(call, request)
        if call.action == "tag-vm":
            return await self._tag_vm(call, request), None
        return self._by_action[call.action](call, request), None

    @property
    def _config(self) -> ArmConfig:
        return self._read_config()

    async def _put_vm(self, call: Call, request: web.Request) -> tuple[web.Response, Fault | None]:
        only_new = request.headers.get("If-None-Match") == "*"
        status, vm, fault = self._cloud.put_vm(
            call.scope,
            call.name,
            await request.read(),
            if_none_match=only_new,
            may_join=lambda wanted: check_join(self._config, call.path, wanted),
        )
        response = json_answer(vm_view(vm, self._config), status)
        response.headers.update(self._operation_headers(vm.operation))
        return response, fault

    async def _tag_vm(self, call: Call, request: web.Request) -> web.Response:
        vm = self._cloud.tag_vm(call.scope, call.name, read_tags(await request.read()))
        return json_answer(vm_view(vm, self._config))

    def _get_vm(self, call: Call, request: web.Request) -> web.Response:
        vm = self._cloud.get_vm(call.scope, call.name)
        return json_answer(vm_view(vm, self._config, request.query.get("$expand", "")))

    def _get_instance_view(self, call: Call, _request: web.Request) -> web.Response:
        return json_answer(instance_view(self._cloud.get_vm(call.scope, call.name)))

    def _delete_vm(self, call: Call, request: web.Request) -> web.Response:
        force = request.query.get("forceDeletion", "").casefold() == "true"
        operation = self._cloud.delete_vm(call.scope, call.name, force=force)
        if operation is None:
            return web.Response(status=204)
        return web.Response(status=202, headers=self._operation_headers(operation))

    def _operation_headers(self, operation: Operation) -> dict[str, str]:
        path = f"/subscriptions/{operation.subscription}/providers/{operation.provider}/locations/{operation.region}/operations"
        link = f"{self._url()}{path}/{operation.id}?api-version={_OPERATION_VERSION}"
        return {
            "Azure-AsyncOperation": link,
            "Location": f"{link}&monitor=true",
            "Retry-After": str(self._config.retry_after_s),
        }

    def _get_operation(self, call: Call, request: web.Request) -> web.Response:
        operation = self._cloud.operations.find(call.name)
        if operation is None:
            raise not_found("operations", call.name, call.scope.group)
        running = operation.ended_at_ms is None
        headers = {"Retry-After": str(self._config.retry_after_s)} if running else {}
        if "monitor" not in request.query:
            return json_answer(operation_view(operation), headers=headers)
        if running:
            return web.Response(status=202, headers={**headers, "Location": f"{self._url()}{request.path_qs}"})
        if operation.code:
            raise ArmError(409, operation.code, operation.message)
        return web.Response(status=204)

    def _list_vms(self, call: Call, request: web.Request) -> web.Response:
        vms, size = self._cloud.page_of_vms, self._config.list_page_size
        rows = vms(call.scope, after=request.query.get("$skiptoken", ""), size=size + 1)
        status = request.query.get("statusOnly", "").casefold() == "true"
        expand = "instanceview" if status else request.query.get("$expand", "")
        return self._page(request, rows, size, lambda vm: vm_view(vm, self._config, expand), lambda vm: vm.key)

    def _get_attachment(self, call: Call, _request: web.Request) -> web.Response:
        return json_answer(attachment_view(self._cloud.attachments.find(call.kind, call.scope, call.name)))

    def _list_attachments(self, call: Call, request: web.Request) -> web.Response:
        after, size = request.query.get("$skiptoken", ""), self._config.list_page_size
        rows = self._cloud.attachments.page(call.kind, call.scope, after=after, size=size + 1)
        return self._page(request, rows, size, attachment_view, lambda found: found.key)

    def _delete_attachment(self, call: Call, _request: web.Request) -> web.Response:
        operation = self._cloud.delete_part(call.kind, call.scope, call.name)
        if operation is None:
            return web.Response(status=204)
        if operation.ended_at_ms is not None:
            return web.Response(status=200)
        return web.Response(status=202, headers=self._operation_headers(operation))

    def _page(
        self,
        request: web.Request,
        rows: Sequence[T],
        size: int,
        view: Callable[[T], dict[str, Any]],
        key: Callable[[T], str],
    ) -> web.Response:
        """Return a page; ``rows`` has one more than fits where there is another."""
        answer: dict[str, Any] = {"value": [view(row) for row in rows[:size]]}
        if len(rows) > size:
            kept = {name: value for name, value in request.query.items() if name != "$skiptoken"}
            kept["$skiptoken"] = key(rows[size - 1])
            query = "&".join(f"{name}={quote(value)}" for name, value in kept.items())
            answer["nextLink"] = f"{self._url()}{quote(request.path)}?{query}"
        return json_answer(answer)

    def _get_subnet(self, call: Call, _request: web.Request) -> web.Response:
        return json_answer(self._cloud.attachments.subnets.view(call.path))

    def _list_subnet_usages(self, call: Call, _request: web.Request) -> web.Response:
        network = call.path.rsplit("/", 1)[0]
        return json_answer({"value": self._cloud.attachments.subnets.usages(network)})

    def _list_market_versions(self, call: Call, request: web.Request) -> web.Response:
        order, top = request.query.get("$orderby", ""), request.query.get("$top", "")
        return json_answer(market_versions(self._config, call, order, top))

    def _list_locations(self, call: Call, _request: web.Request) -> web.Response:
        return json_answer({"value": [location_view(call.scope.subscription, region) for region in REGIONS]})

    def _list_permissions(self, call: Call, _request: web.Request) -> web.Response:
        return json_answer({"value": permission_views(roles_over(self._config, call.path))})

    def _list_prices(self, _call: Call, request: web.Request) -> web.Response:
        if self._config.price_fault == "Html":
            return web.Response(body=HTML, content_type="text/html")
        return json_answer(sales.prices(self._config, request.query, self._url()))

    def _list_skus(self, _call: Call, request: web.Request) -> web.Response:
        return json_answer(sales.skus(self._config, request.query, f"{self._url()}{quote(request.path)}"))

    def _list_sizes(self, call: Call, _request: web.Request) -> web.Response:
        return json_answer(sales.sizes(call.region))

    def _list_usages(self, call: Call, _request: web.Request) -> web.Response:
        sales.check_region(call.region)
        return json_answer(sales.usages(self._cloud.quotas.rows(call.scope.subscription, call.region)))


def json_answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return an answer with a body."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers)
