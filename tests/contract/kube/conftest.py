"""What a Kubernetes API server must do for burster, asked over the wire, of the lab's and of a real one (1.20 to 1.36).

Both must answer alike. Where an old one differs, what the modern ones do counts, and the test says by the version what is not asked of it.
"""

import asyncio
import dataclasses
import itertools
import os
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from burster.lab.apiserver.server import TOKEN, ApiServer
from burster.lab.apiserver.store import Store
from tests.support.control_plane import ADMIN, too_old
from tests.support.shared_plane import SharedPlane


Json = dict[str, Any]
KUBECTL = Path(sys.executable).parent / "kubectl"
NEWEST = (1, 36)
_numbers = itertools.count(1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One API server to ask, and a namespace of one's own there."""

    url: str
    token: str
    kubeconfig: Path
    namespace: str
    has_controllers: bool  # garbage collection and namespace deletion happen
    version: tuple[int, int]  # what it does: the lab does as the newest
    forget: Callable[[], object]  # lets it lose its history
    certificate: Path | None = None  # who vouches for it

    @property
    def connector(self) -> aiohttp.TCPConnector:
        trust = True if self.certificate is None else ssl.create_default_context(cafile=self.certificate)
        return aiohttp.TCPConnector(ssl=trust)


@pytest.fixture(params=["lab", pytest.param("real", marks=pytest.mark.plane)])
async def kube_endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Endpoint]:
    if request.param == "lab":
        async with lab_endpoint(tmp_path) as endpoint:
            yield endpoint
    else:
        async with real_endpoint(request.getfixturevalue("shared_plane")) as endpoint:
            yield endpoint


@asynccontextmanager
async def lab_endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    store = Store(lambda: time.time_ns() // 1_000_000)
    async with ApiServer(store) as server:
        path = tmp_path / "kubeconfig"
        path.write_text(server.kubeconfig())
        namespace = f"contract-{next(_numbers)}"
        store.create("namespaces", "", {"metadata": {"name": namespace}})
        yield Endpoint(
            url=server.url,
            token=TOKEN,
            kubeconfig=path,
            namespace=namespace,
            has_controllers=True,
            version=NEWEST,
            forget=store.compact,
        )


@asynccontextmanager
async def real_endpoint(shared_plane: SharedPlane) -> AsyncIterator[Endpoint]:
    # workers share the server: the process makes the name its own
    namespace = f"contract-{os.getpid()}-{next(_numbers)}"
    endpoint = Endpoint(
        url=shared_plane.url,
        token=ADMIN,
        kubeconfig=Path(shared_plane.kubeconfig),
        namespace=namespace,
        has_controllers=shared_plane.has_controllers,
        version=shared_plane.version,
        forget=shared_plane.forget,
        certificate=Path(shared_plane.certificate),
    )
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with aiohttp.ClientSession(endpoint.url, headers=headers, connector=endpoint.connector) as session:
        api = Api(endpoint, session)
        await api.create("/namespaces", {"metadata": {"name": namespace}})
        yield endpoint
        await api.ok("DELETE", api.path("/namespaces", namespace))


class Api:
    """Speaks plain HTTP to the endpoint."""

    def __init__(self, endpoint: Endpoint, session: aiohttp.ClientSession) -> None:
        self.endpoint = endpoint
        self.session = session
        self.namespace = endpoint.namespace

    def need(self, since: tuple[int, int]) -> None:
        """Leave out a test that an older server can't pass; the summary says so in one line."""
        if self.endpoint.version < since:
            pytest.skip(f"not run: {too_old(self.endpoint.version, since)}")

    def path(self, resource: str, name: str = "", sub: str = "") -> str:
        """`resource` is plural, plural.group/version, either with a leading "/" where it is cluster-scoped."""
        cluster, resource = resource.startswith("/"), resource.lstrip("/")
        plural, _, group = resource.partition(".")
        base = f"/apis/{group}" if group else "/api/v1"
        home = "" if cluster else f"/namespaces/{self.namespace}"
        return "/".join(part for part in (f"{base}{home}/{plural}", name, sub) if part)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        data = options.pop("data", None if body is None else orjson.dumps(body))
        headers = {"Content-Type": options.pop("content_type", "application/json"), **options.pop("headers", {})}
        async with (
            asyncio.timeout(20),
            self.session.request(method, path, data=data, headers=headers, **options) as response,
        ):
            text = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, orjson.loads(text) if is_json else text.decode()

    async def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        status, answer = await self.call(method, path, body, **options)
        assert 200 <= status < 300, (status, answer)
        return answer

    async def create(self, resource: str, body: Any, **options: Any) -> Any:
        return await self.ok("POST", self.path(resource), body, **options)

    async def get(self, resource: str, name: str) -> Any:
        return await self.ok("GET", self.path(resource, name))

    async def merge(self, resource: str, name: str, patch: Any, sub: str = "", **options: Any) -> tuple[int, Any]:
        path = self.path(resource, name, sub)
        return await self.call("PATCH", path, patch, content_type="application/merge-patch+json", **options)

    async def apply(self, resource: str, name: str, body: Any, manager: str, **options: Any) -> tuple[int, Any]:
        params = {"fieldManager": manager, **options.pop("params", {})}
        path = self.path(resource, name, options.pop("sub", ""))
        kind = "application/apply-patch+yaml"
        return await self.call("PATCH", path, body, content_type=kind, params=params, **options)


@pytest.fixture
async def api(kube_endpoint: Endpoint) -> AsyncIterator[Api]:
    headers = {"Authorization": f"Bearer {kube_endpoint.token}"}
    async with aiohttp.ClientSession(kube_endpoint.url, headers=headers, connector=kube_endpoint.connector) as session:
        yield Api(kube_endpoint, session)


class Watching:
    """One open watch, read event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self, timeout_s: float = 10) -> Json | None:
        async with asyncio.timeout(timeout_s):
            line = await self._response.content.readline()
        return orjson.loads(line) if line else None

    async def types(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events if event]


@pytest.fixture
async def watch(api: Api):
    """Opens watches: `await watch("pods", resourceVersion=...)`."""
    responses = []

    async def begin(resource: str, **params: str) -> Watching:
        query = {"watch": "true", **params}
        response = await api.session.get(api.path(resource), params=query)
        responses.append(response)
        assert response.status == 200, await response.text()
        return Watching(response)

    yield begin
    for response in responses:
        response.close()


def a_pod(name: str = "", **changes: Any) -> Json:
    metadata = {"name": name, **changes.pop("metadata", {})}
    if not name:
        metadata = {**metadata, "generateName": "pod-"}
        metadata.pop("name")
    container = {"name": "main", "image": "registry.example/app:1", "resources": {"requests": {"cpu": "500m"}}}
    spec = {"containers": [container], **changes.pop("spec", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, **changes}


def a_config(name: str, data: Json | None = None, **metadata: Any) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}


WIDGETS = "widgets.contract.example.dev/v1"
_STATUS = {
    "type": "object",
    "properties": {
        "phase": {"type": "string"},
        "replicas": {"type": "integer"},
        "selector": {"type": "string"},
        "conditions": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
            },
        },
    },
}
_SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "string", "enum": ["small", "large"]},
        "replicas": {"type": "integer", "minimum": 0, "maximum": 3},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "mode": {"type": "string", "default": "auto"},
        "limit": {"x-kubernetes-int-or-string": True},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "rules": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "value": {"type": "integer"}},
            },
        },
    },
}


#: Before, a field that is int or string makes a server forget what the lists of its kind are merged by.
INT_OR_STRING_SINCE = (1, 22)


def widget_definition(version: tuple[int, int] = NEWEST) -> Json:
    fields = {
        key: each for key, each in _SPEC["properties"].items() if key != "limit" or version >= INT_OR_STRING_SINCE
    }
    spec = {**_SPEC, "properties": fields}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.contract.example.dev"},
        "spec": {
            "group": "contract.example.dev",
            "scope": "Namespaced",
            "names": {
                "plural": "widgets",
                "singular": "widget",
                "kind": "Widget",
                "listKind": "WidgetList",
                "shortNames": ["wdg"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": _STATUS}}},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "string", "jsonPath": ".spec.size"},
                        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                }
            ],
        },
    }


def a_widget(name: str, **spec: Any) -> Json:
    return {
        "apiVersion": "contract.example.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": "small", **spec},
    }


@pytest.fixture
async def widgets(api: Api) -> Api:
    """The API with a custom kind Widget, established."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    status, _ = await api.call("POST", path, widget_definition(api.endpoint.version))
    assert status in (201, 409)
    for _ in range(100):
        found = await api.ok("GET", f"{path}/widgets.contract.example.dev")
        conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions") or ()}
        listed, _ = await api.call("GET", api.path(WIDGETS))
        if conditions.get("Established") == "True" and listed == 200:
            return api
        await asyncio.sleep(0.1)
    raise AssertionError("the definition was never established")


class Kubectl:
    """Runs the real kubectl."""

    def __init__(self, endpoint: Endpoint, home: Path) -> None:
        self._endpoint = endpoint
        self._environment = {"HOME": str(home), "PATH": os.environ["PATH"]}

    async def start(self, *arguments: str, stdin: str = "") -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            str(KUBECTL),
            f"--kubeconfig={self._endpoint.kubeconfig}",
            f"--namespace={self._endpoint.namespace}",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        assert process.stdin is not None
        process.stdin.write(stdin.encode())
        await process.stdin.drain()
        process.stdin.close()
        return process

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        async with asyncio.timeout(30):
            process = await self.start(*arguments, stdin=stdin)
            out, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), errors.decode()

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        code, out, errors = await self.run(*arguments, stdin=stdin)
        assert code == 0, (arguments, out, errors)
        return out


@pytest.fixture
def kubectl(kube_endpoint: Endpoint, tmp_path: Path) -> Kubectl:
    if not KUBECTL.exists():
        pytest.skip("no kubectl beside this python; install the dev dependencies")
    return Kubectl(kube_endpoint, tmp_path)
