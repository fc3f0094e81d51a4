"""Azure Resource Manager through azure-mgmt-compute: the one place that imports Azure's clients.

Called by sources (what can be had) and adaptors (what is there, and deleting it). Takes targets, returns model
values, raises RemoteError and nothing else. It never retries: who asks knows whether it is still worth it. It must
never know a policy, and it sends a token over TLS only: plain http is for a stand-in on this machine's loopback,
without any token.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar, cast

import aiohttp
import msgspec
from azure.core.async_paging import AsyncItemPaged
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import (
    AsyncHTTPPolicy,
    CustomHookPolicy,
    RequestIdPolicy,
    SansIOHTTPPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import AioHttpTransport
from azure.core.rest import HttpRequest
from azure.mgmt.compute.aio import ComputeManagementClient
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

from burster.clients.arm_errors import classify
from burster.clients.arm_facts import (
    ImageFacts,
    OperationState,
    Permissions,
    Sku,
    SubnetFacts,
    SubscriptionFacts,
    VmOperation,
    VmSize,
)
from burster.clients.arm_settings import ArmSettings, Auth, check_way
from burster.clients.arm_wire import (
    read_next_link,
    read_nic,
    read_rows,
    read_size,
    read_sku,
    read_usage,
    read_vm,
    with_network,
)
from burster.model.errors import RemoteError
from burster.model.offerings import CloudResource, Quota, Vm
from burster.model.targets import Target


T = TypeVar("T")
#: what a caller needs besides the class
__all__ = ["Arm", "ArmSettings"]

#: told of every answer as it comes
Hook = Callable[[PipelineResponse[Any, Any]], None]

_NETWORK_API_VERSION: Final = "2024-05-01"
_SUBSCRIPTIONS_MAX: Final = 16
_PAGES_MAX: Final = 1_000
_DELETE_DEADLINE_MS: Final = 900_000
_MESSAGE_MAX: Final = 600


class Arm:
    """One session for all subscriptions. Close it with ``aclose`` or use it as an async context manager."""

    def __init__(self, settings: ArmSettings) -> None:
        """Raise InputError where the settings would send a token in the clear, or none where one is needed."""
        self._settings = settings
        self._local = check_way(settings)
        self._session: aiohttp.ClientSession | None = None
        self._credential: AsyncTokenCredential | None = None
        self._policy: AsyncHTTPPolicy[Any, Any] | SansIOHTTPPolicy[Any, Any] | None = None
        self._clients: dict[str, ComputeManagementClient] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. The object can't be used any more in a useful way, but it does no harm."""
        session, credential = self._session, self._credential
        self._session = self._credential = self._policy = None
        self._clients.clear()
        if credential is not None:
            await credential.close()
        if session is not None:
            await session.close()

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        """Return a VM, None where ARM says there is none."""
        operations = self._client(target).virtual_machines
        what = f"read VM {name}"
        async with self._translated(what):
            try:
                answer = await operations.get(target.resource_group, name, cls=_bytes)
            except HttpResponseError as error:
                if _translate(error, what).kind == "NotFound":
                    return None
                raise
            vm, nic = read_vm(cast("bytes", answer))
        if nic and self._settings.read_network and vm.provisioning_state == "Succeeded":
            return await self._with_network(target, vm, nic)
        return vm

    async def list_vms(self, target: Target) -> list[Vm]:
        """Return every VM of the target's resource group, all pages. Subnet and public address are not in this list."""
        operations = self._client(target).virtual_machines
        what = f"list the VMs of {target.resource_group}"
        rows = await self._all(lambda hook: operations.list(target.resource_group, raw_response_hook=hook), what)
        return [vm for vm, _ in _read_each(rows, read_vm, what)]

    async def delete_vm(self, target: Target, name: str, *, deadline_ms: int = _DELETE_DEADLINE_MS) -> None:
        """Delete a VM and come back once ARM says that it is not there. What is not there already counts as deleted."""
        what = f"delete VM {name}"
        try:
            async with asyncio.timeout(deadline_ms / 1000):
                await self._delete(target, name, what)
                while await self._exists(target, name):  # noqa: ASYNC110 - the cloud tells nobody, it has to be asked
                    await asyncio.sleep(self._settings.poll_interval_ms / 1000)
        except TimeoutError:
            message = f"{what}: it was still there after {deadline_ms} ms"
            raise RemoteError("Timeout", message) from None

    async def begin_vm(
        self, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True
    ) -> VmOperation:
        """Ask for a VM and come back as soon as ARM has taken it. Raises AlreadyExists where ``only_new`` and there is one of that name."""
        raise NotImplementedError

    async def follow_operation(self, target: Target, token: str) -> OperationState:
        """Look once at what ``begin_vm`` began, in whatever process."""
        raise NotImplementedError

    async def list_resources(self, target: Target) -> list[CloudResource]:
        """Return the VMs, network interfaces, disks and public addresses of the target's resource group, all pages."""
        raise NotImplementedError

    async def delete_resource(
        self, target: Target, resource: CloudResource, *, deadline_ms: int = _DELETE_DEADLINE_MS
    ) -> None:
        """Delete it and come back once ARM says that it is not there. What is not there already counts as deleted."""
        raise NotImplementedError

    async def read_subnet(self, target: Target, subnet_id: str) -> SubnetFacts:
        """Return how many addresses a subnet has, and how many are taken. Raises NotFound where there is no such subnet."""
        raise NotImplementedError

    async def read_image(self, target: Target, image: str) -> ImageFacts:
        """Return what an image is made for: a gallery's version or definition, ``/CommunityGalleries/…`` or publisher:offer:sku:version."""
        raise NotImplementedError

    async def permissions(self, target: Target, scope: str) -> Permissions:
        """Return what we may do at a scope such as ``/subscriptions/…/resourceGroups/…``."""
        raise NotImplementedError

    async def read_subscription(self, target: Target) -> SubscriptionFacts:
        """Return the target's subscription. Raises Invalid where it does not exist, or not for us."""
        raise NotImplementedError

    async def locations(self, target: Target) -> tuple[str, ...]:
        """Return the names of the regions that the target's subscription may use."""
        raise NotImplementedError

    async def read_resource_group(self, target: Target) -> str | None:
        """Return where the target's resource group is, None where there is none."""
        raise NotImplementedError

    @property
    def clock_skew_ms(self) -> int | None:
        """How far this machine's clock is ahead of ARM's, from the last answer; None before the first."""
        return None

    async def list_sizes(self, target: Target) -> list[VmSize]:
        """Return the VM sizes that exist in the target's region."""
        operations, region = self._client(target).virtual_machine_sizes, target.region
        what = f"list the VM sizes of {region}"
        rows = await self._all(lambda hook: operations.list(region, raw_response_hook=hook), what)
        return _read_each(rows, read_size, what)

    async def skus(self, target: Target) -> list[Sku]:
        """Return the VM sizes of the target's region with what this subscription may do with them."""
        operations, region = self._client(target).resource_skus, target.region
        what, wanted = f"list the SKUs of {region}", f"location eq '{region}'"
        rows = await self._all(lambda hook: operations.list(filter=wanted, raw_response_hook=hook), what)
        return [sku for sku in _read_each(rows, lambda row: read_sku(row, region), what) if sku is not None]

    async def usages(self, target: Target) -> list[Quota]:
        """Return how many vCPUs of each family, and of ``cores`` in all, are used and allowed in the target's region."""
        operations, region = self._client(target).usage, target.region
        what = f"list the usages of {region}"
        rows = await self._all(lambda hook: operations.list(region, raw_response_hook=hook), what)
        return [row for row in _read_each(rows, lambda each: read_usage(each, region), what) if row is not None]

    async def _delete(self, target: Target, name: str, what: str) -> None:
        try:
            # no deadline of its own: every single request in there has the transport's, and the whole the caller's
            poller = await self._client(target).virtual_machines.begin_delete(target.resource_group, name)
            await poller.wait()
        except (AzureError, ValueError, TypeError, KeyError, AttributeError) as error:
            translated = _translate(error, what)
            if translated.kind != "NotFound":  # a finished operation may be forgotten sooner than it is asked for
                raise translated from error

    async def _exists(self, target: Target, name: str) -> bool:
        what = f"confirm that VM {name} is gone"
        async with self._translated(what):
            try:
                await self._client(target).virtual_machines.get(target.resource_group, name)
            except HttpResponseError as error:
                if _translate(error, what).kind == "NotFound":
                    return False
                raise
        return True

    async def _with_network(self, target: Target, vm: Vm, nic_id: str) -> Vm:
        """Add subnet and public address; they stay unknown where we may not read them, and who demands them will refuse the VM."""
        what = f"read the network interface of VM {vm.name}"
        request = HttpRequest("GET", f"{nic_id}?api-version={_NETWORK_API_VERSION}")
        async with self._translated(what):
            response = await self._client(target).send_request(request)
            try:
                response.raise_for_status()
            except HttpResponseError as error:
                if _translate(error, what).kind in {"NotFound", "Unauthorized"}:
                    return vm
                raise
            return with_network(vm, read_nic(await response.read()))

    async def _all(self, begin: Callable[[Hook], AsyncItemPaged[Any]], what: str) -> list[msgspec.Raw]:
        """Return the rows of all pages; each page has the deadline of a request, and there are only so many of them."""
        rows: list[msgspec.Raw] = []
        bodies: deque[bytes] = deque(maxlen=1)

        def keep(response: PipelineResponse[Any, Any]) -> None:
            answer = response.http_response
            body: bytes = answer.content
            bodies.append(body)
            if answer.status_code == HTTPStatus.OK:
                # The SDK would make a model of every row, which nobody wants and which costs a hundred times as much as reading them:
                # it is shown no more of a page than where the next one is.
                shown: dict[str, Any] = {"value": [], "nextLink": read_next_link(body)}
                answer.json = lambda: shown

        iterator = begin(keep).by_page()
        for _ in range(_PAGES_MAX):
            async with self._translated(what):
                try:
                    await anext(iterator)
                except StopAsyncIteration:
                    return rows
                rows.extend(read_rows(bodies.pop()))
        raise RemoteError("Protocol", f"{what}: there are more than {_PAGES_MAX} pages")

    @asynccontextmanager
    async def _translated(self, what: str) -> AsyncGenerator[None]:
        """Give what happens inside a request's deadline, and turn what it raises into RemoteError."""
        try:
            async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
                yield
        except TimeoutError:
            raise RemoteError("Timeout", f"{what}: no answer within {self._settings.request_timeout_ms} ms") from None
        except (AzureError, msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _translate(error, what) from error

    def _client(self, target: Target) -> ComputeManagementClient:
        client = self._clients.get(target.subscription)
        if client is None:
            if len(self._clients) >= _SUBSCRIPTIONS_MAX:
                raise RemoteError("Invalid", f"there are more than {_SUBSCRIPTIONS_MAX} subscriptions in use")
            client = self._clients[target.subscription] = self._new_client(target.subscription)
        return client

    def _new_client(self, subscription: str) -> ComputeManagementClient:
        settings = self._settings
        if self._session is None:
            # with trust_env aiohttp looks for a netrc file in a thread before every single request; loopback needs neither
            self._session = aiohttp.ClientSession(
                auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=not self._local
            )
        if self._policy is None:
            self._policy = self._authentication()
        timeout_s = settings.request_timeout_ms / 1000
        transport = AioHttpTransport(
            session=self._session, session_owner=False, connection_timeout=timeout_s, read_timeout=timeout_s
        )
        # The default chain would retry, log, follow redirects and register resource providers on our behalf: all of
        # that is somebody else's decision here, and half of a call's cost.
        policies: list[Any] = [
            RequestIdPolicy(),
            UserAgentPolicy(base_user_agent="burster"),
            self._policy,
            CustomHookPolicy(),
        ]
        return ComputeManagementClient(
            cast("AsyncTokenCredential", self._credential or _NoCredential()),
            subscription,
            base_url=settings.base_url.rstrip("/"),
            polling_interval=max(1, settings.poll_interval_ms) / 1000,
            transport=transport,
            policies=policies,
        )

    def _authentication(self) -> AsyncHTTPPolicy[Any, Any] | SansIOHTTPPolicy[Any, Any]:
        if self._settings.auth == "none":
            return SansIOHTTPPolicy()
        self._credential = _new_credential(self._settings.auth)
        return AsyncARMChallengeAuthenticationPolicy(
            self._credential, f"{self._settings.base_url.rstrip('/')}/.default"
        )


class _NoCredential:
    """Stands where the client insists on a credential; nobody ever asks it for a token."""


def _bytes(response: PipelineResponse[Any, Any], *_: object) -> bytes:
    """Return an answer as it came, in place of Azure's model of it."""
    return response.http_response.content


def _read_each(rows: list[msgspec.Raw], read: Callable[[msgspec.Raw], T], what: str) -> list[T]:
    try:
        return [read(row) for row in rows]
    except (msgspec.DecodeError, ValueError) as error:
        raise _translate(error, what) from error


def _new_credential(auth: Auth) -> AsyncTokenCredential:
    """Return the credential that was asked for by name; a chain that tries everything only where that was the wish."""
    from azure.identity import aio

    try:
        match auth:
            case "workload-identity":
                return aio.WorkloadIdentityCredential()
            case "managed-identity":
                return aio.ManagedIdentityCredential()
            case _:
                return aio.DefaultAzureCredential()
    except ValueError as error:
        raise RemoteError("Unauthorized", f"no login by {auth}: {_short(str(error))}") from error


def _translate(error: Exception, what: str) -> RemoteError:
    """Return the RemoteError for whatever Azure's client raised."""
    if isinstance(error, ClientAuthenticationError) and error.status_code is None:
        return RemoteError("Unauthorized", f"{what}: no token: {_short(error.message)}", code="AuthenticationFailed")
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _translate_answer(error, what)
    if isinstance(error, ServiceRequestError) and isinstance(
        error.inner_exception, aiohttp.ClientConnectorError
    ):  # nothing was sent
        return RemoteError("Unreachable", f"{what}: ARM can't be reached: {_short(str(error))}", code="Unreachable")
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return RemoteError("Timeout", f"{what}: the connection broke: {_short(str(error))}", code="ConnectionLost")
    return RemoteError("Protocol", f"{what}: the answer makes no sense: {_short(str(error))}", code="Protocol")


def _translate_answer(error: HttpResponseError, what: str) -> RemoteError:
    status = error.status_code or 0
    code = (error.error.code if error.error else None) or ""
    message = (error.error.message if error.error else None) or error.message
    found = classify(status, code, message)
    return RemoteError(
        found.kind,
        f"{what}: {_short(message)}",
        code=found.code,
        status=status,
        retry_after_ms=_retry_after_ms(error),
    )


def _retry_after_ms(error: HttpResponseError) -> int | None:
    headers = cast("Mapping[str, str]", getattr(error.response, "headers", {}))
    for name, scale in (("retry-after-ms", 1), ("x-ms-retry-after-ms", 1), ("Retry-After", 1000)):
        text = headers.get(name, "")
        if text.isdecimal():
            return int(text) * scale
    return None


def _short(text: str) -> str:
    """Return one line of bearable length."""
    return " ".join(text.split())[:_MESSAGE_MAX]
