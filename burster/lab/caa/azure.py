"""CAA's Azure provider: the few ARM calls it makes, over real HTTP, with the Go SDK's patience and the Go SDK's error texts.

Used by ``adaptor`` and ``peerpod_ctrl``. It lists nothing, asks for no quota and knows no prices, as the real one.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final, Self

import aiohttp

from burster.lab.apiserver.objects import is_object, items, section
from burster.lab.caa.config import CaaConfig
from burster.lab.caa.sizes import Size


Json = dict[str, Any]
COMPUTE_VERSION: Final = "2022-08-01"
NETWORK_VERSION: Final = "2022-07-01"
REQUEST_TIMEOUT_S: Final = 60
RETRIES: Final = 3
RETRY_DELAY_S: Final = 0.8
RETRY_DELAY_MAX_S: Final = 60.0
ADDRESS_LOOKS: Final = 5
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_OK, _CREATED, _ACCEPTED, _NO_CONTENT, _NOT_FOUND = 200, 201, 202, 204, 404
_LINE: Final = "-" * 80


class AzureError(Exception):
    """ARM's answer as the Go SDK prints it; ``code`` is ARM's own word."""

    def __init__(self, message: str, *, code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Azure:
    """An async context manager around one HTTP session."""

    def __init__(self, url: str, *, token: str, poll_ms: int = 30_000) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._poll_s = poll_ms / 1000
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            connector=aiohttp.TCPConnector(limit=32),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def sizes(self, config: CaaConfig) -> list[Size]:
        """Return the region's sizes. Their GPUs aren't told, so they are none."""
        path = f"/subscriptions/{config.subscription}/providers/Microsoft.Compute/locations/{config.region}/vmSizes"
        answer = await self._call("GET", f"{path}?api-version={COMPUTE_VERSION}")
        return [
            Size(name=row["name"], vcpus=int(row["numberOfCores"]), memory_mib=int(row["memoryInMB"]))
            for row in answer.body.get("value", [])
        ]

    async def create(self, config: CaaConfig, name: str, body: Json) -> str:
        """Create a VM and wait for it; return its id. A failure at either moment leaves whatever ARM has made."""
        path = _vm_path(config, name)
        try:
            begun = await self._call("PUT", f"{path}?api-version={COMPUTE_VERSION}", body)
        except AzureError as error:
            raise AzureError(
                f"beginning VM creation or update: {error}", code=error.code, status=error.status
            ) from error
        try:
            await self._finish(begun)
            made = await self._call("GET", f"{path}?api-version={COMPUTE_VERSION}")
        except AzureError as error:
            raise AzureError(f"waiting for the VM creation: {error}", code=error.code, status=error.status) from error
        return str(made.body["id"])

    async def address(self, config: CaaConfig, name: str) -> str:
        """Return the private address of the VM's interface, once it has one."""
        group = f"/subscriptions/{config.subscription}/resourceGroups/{config.resource_group}"
        path = f"{group}/providers/Microsoft.Network/networkInterfaces/{name}-net?api-version={NETWORK_VERSION}"
        for look in range(ADDRESS_LOOKS):
            if look:
                await asyncio.sleep(1)
            answer = await self._call("GET", path)
            for configuration in items(answer.body, "properties", "ipConfigurations"):
                address = section(configuration, "properties").get("privateIPAddress")
                if address and address != "0.0.0.0":
                    return str(address)
        raise AzureError("address not ready")

    async def delete(self, config: CaaConfig, instance_id: str) -> None:
        """Delete a VM and wait until it is gone. The name is all that is read from the id."""
        marker = "/virtualMachines/"
        if marker.lower() not in instance_id.lower():
            raise AzureError("VM name not found")
        name = instance_id[instance_id.lower().index(marker.lower()) + len(marker) :]
        try:
            begun = await self._call("DELETE", f"{_vm_path(config, name)}?api-version={COMPUTE_VERSION}")
        except AzureError as error:
            if error.status == _NOT_FOUND:
                return
            raise AzureError(f"beginning VM deletion: {error}", code=error.code, status=error.status) from error
        try:
            await self._finish(begun)
        except AzureError as error:
            raise AzureError(f"waiting for the VM deletion: {error}", code=error.code, status=error.status) from error

    async def _finish(self, begun: "_Answer") -> None:
        """Poll a long-running operation to its end. Raises AzureError when it ends badly."""
        if begun.status in {_OK, _NO_CONTENT} and not begun.operation:
            return
        state = begun
        while True:
            url = begun.operation or begun.location
            if not url:
                return
            await asyncio.sleep(self._poll_s if state.retry_after is None else state.retry_after)
            state = await self._call("GET", url)
            if begun.operation:
                word = str(state.body.get("status", ""))
                if word in {"Succeeded", ""}:
                    return
                if word in {"Failed", "Canceled"}:
                    raise _failed("GET", url, state.status, state.body)
            elif state.status != _ACCEPTED:
                return

    async def _call(self, method: str, path: str, body: Json | None = None) -> "_Answer":
        """Make one request; throttling and server errors are tried again as the SDK does, everything else raises AzureError."""
        if self._session is None:
            raise AzureError("the session is closed")
        url = path if path.startswith("http") else self._url + path
        for attempt in range(RETRIES + 1):
            try:
                async with self._session.request(method, url, json=body) as response:
                    answer = await _Answer.read(response)
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == RETRIES:
                    raise AzureError(f'{method.title()} "{url}": {error}') from error
                await asyncio.sleep(min(RETRY_DELAY_MAX_S, RETRY_DELAY_S * 2**attempt))
                continue
            if answer.status not in _RETRIED or attempt == RETRIES:
                break
            wait = answer.retry_after
            await asyncio.sleep(min(RETRY_DELAY_MAX_S, RETRY_DELAY_S * 2**attempt) if wait is None else wait)
        else:  # pragma: no cover - the last attempt always breaks or raises
            raise AzureError("no attempt was made")
        if answer.status not in {_OK, _CREATED, _ACCEPTED, _NO_CONTENT}:
            raise _failed(method, url, answer.status, answer.body)
        return answer


class _Answer:
    """What is needed of a response."""

    def __init__(self, status: int, headers: Mapping[str, str], body: Json) -> None:
        self.status = status
        self.body = body
        self.operation = headers.get("Azure-AsyncOperation", "")
        self.location = headers.get("Location", "")
        wait = headers.get("Retry-After", "")
        self.retry_after: float | None = float(wait) if wait.isdigit() else None

    @classmethod
    async def read(cls, response: aiohttp.ClientResponse) -> "_Answer":
        """Read a response to its end; a body that isn't an object counts as none."""
        try:
            body: Any = json.loads(await response.read() or b"{}")
        except ValueError:
            body = {}
        return cls(response.status, response.headers, body if is_object(body) else {})


def _failed(method: str, url: str, status: int, body: Json) -> AzureError:
    error: Json = section(body, "error")
    code = str(error.get("code") or "UNAVAILABLE")
    shown = json.dumps(body, indent=2)
    host = url.split("?", 1)[0]
    text = f"{method} {host}\n{_LINE}\nRESPONSE {status}: {status}\nERROR CODE: {code}\n{_LINE}\n{shown}\n{_LINE}\n"
    return AzureError(text, code=code, status=status)


def _vm_path(config: CaaConfig, name: str) -> str:
    return (
        f"/subscriptions/{config.subscription}/resourceGroups/{config.resource_group}"
        f"/providers/Microsoft.Compute/virtualMachines/{name}"
    )
