"""The same API server for commands that ask once and print: synchronous, decoded JSON, the official ``kubernetes`` package.

Called by the command line only; the controller and the lab never block a loop with it. It must never retry a write.
"""

from collections.abc import Generator, Mapping
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode, urlsplit

import kubernetes.client
import kubernetes.config
import orjson
import urllib3
import urllib3.exceptions
import yaml

from burster import __version__
from burster.clients.kube_errors import check_kubeconfig, check_server, credentials_error, remote_error
from burster.clients.kube_lines import LineSplitter
from burster.model.errors import RemoteError


Params = Mapping[str, str | int]

_PATCH_TYPES: Final = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
_PAGE: Final = 500
_PAGES_MAX: Final = 1_000
_REFUSED: Final = 300
_CHUNK: Final = 65_536
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class KubeSync:
    """One API server, asked synchronously. Use it as a context manager, or close it."""

    def __init__(self, api: Any, timeout_ms: int) -> None:
        """For KubeSync.connect only."""
        self._api = api
        self._timeout_s: Final = timeout_ms / 1000
        api.set_default_header("User-Agent", f"burster/{__version__}")

    @classmethod
    def connect(
        cls, *, kubeconfig: str = "", context: str = "", in_cluster: bool = False, request_timeout_ms: int = 10_000
    ) -> Self:
        """Load credentials; no request is made. Raises InputError where there are none."""
        configuration: Any = kubernetes.client.Configuration()
        where = "the pod's service account" if in_cluster else kubeconfig
        loaders: Any = kubernetes.config
        if not in_cluster:
            check_kubeconfig(kubeconfig)
        try:
            if in_cluster:
                loaders.load_incluster_config(client_configuration=configuration)
            else:
                loaders.load_kube_config(
                    config_file=kubeconfig or None,
                    context=context or None,
                    client_configuration=configuration,
                    persist_config=False,
                )
        except (loaders.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError, ValueError) as error:
            raise credentials_error(where, error) from error
        check_server(str(configuration.host), where)
        configuration.retries = False
        if urlsplit(str(configuration.host)).hostname in _LOOPBACK:
            configuration.proxy = None  # a proxy of the environment is not for this machine
        return cls(kubernetes.client.ApiClient(configuration), request_timeout_ms)

    def close(self) -> None:
        """Close all connections."""
        self._api.rest_client.pool_manager.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def get(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """Return an object, or whatever else lives at the path."""
        return self._send("GET", path, params)

    def list(self, path: str, params: Params | None = None) -> list[dict[str, Any]]:
        """Return all items of a list, read in pages."""
        return self.listing(path, params)[0]

    def listing(self, path: str, params: Params | None = None) -> "tuple[list[dict[str, Any]], str]":
        """Return all items of a list, read in pages, and the resourceVersion to watch from."""
        query: dict[str, str | int] = {**(params or {}), "limit": _PAGE}
        items: list[dict[str, Any]] = []
        for _ in range(_PAGES_MAX):
            page = self._send("GET", path, query)
            items += page.get("items") or []
            metadata: dict[str, Any] = page.get("metadata") or {}
            token = metadata.get("continue")
            if not token:
                return items, str(metadata.get("resourceVersion") or "")
            query["continue"] = token
        raise RemoteError("Protocol", f"GET {path}: more than {_PAGES_MAX * _PAGE} items")

    def patch(
        self,
        path: str,
        body: Any,
        *,
        kind: Literal["merge", "strategic", "apply"] = "merge",
        params: Params | None = None,
    ) -> dict[str, Any]:
        """Change an object and return it."""
        return self._send("PATCH", path, params, body, _PATCH_TYPES[kind])

    def create(self, path: str, body: Any, params: Params | None = None) -> dict[str, Any]:
        """Create an object and return it."""
        return self._send("POST", path, params, body)

    def ask(
        self, path: str, params: Params | None = None, *, timeout_ms: int, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and body of whatever answers a GET, also where it refuses: somebody behind the API server may say why."""
        answer = self._open("GET", path, params, timeout_s=timeout_ms / 1000, more=headers)
        return answer.status, answer.data

    def watch(self, path: str, params: Params | None = None, *, inactivity_ms: int) -> Generator[dict[str, Any]]:
        """Yield the events of a watch until the server ends it.

        Raises RemoteError, Timeout too where nothing came for ``inactivity_ms``. Close the iterator to hang up.
        """
        what = f"WATCH {path}"
        splitter = LineSplitter()
        query = {**(params or {}), "watch": "true"}
        answer = self._open("GET", path, query, timeout_s=inactivity_ms / 1000, stream=True)
        try:
            if answer.status >= _REFUSED:
                raise remote_error(what, answer.status, answer.data, answer.headers)
            while chunk := answer.read1(_CHUNK):
                for line in splitter.feed(chunk):
                    yield _decoded(what, line)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise RemoteError("Timeout", f"{what}: nothing came in time", code=type(error).__name__) from error
        except urllib3.exceptions.HTTPError as error:
            raise RemoteError("Unreachable", f"{what}: {error}", code=type(error).__name__) from error
        finally:
            # closed, not given back: what else comes on it is nobody's
            answer.close()
            answer.release_conn()

    def _send(
        self, method: str, path: str, params: Params | None, body: Any = None, content: str = "application/json"
    ) -> dict[str, Any]:
        what = f"{method} {path}"
        answer = self._open(method, path, params, body, content)
        if answer.status >= _REFUSED:
            raise remote_error(what, answer.status, answer.data, answer.headers)
        return _decoded(what, answer.data)

    def _open(  # noqa: PLR0913 - a request's parts
        self,
        method: str,
        path: str,
        params: Params | None,
        body: Any = None,
        content: str = "application/json",
        *,
        timeout_s: float | None = None,
        stream: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request and return the answer, whatever it says. Raises RemoteError where there is none."""
        what = f"{method} {path}"
        headers: dict[str, str] = {"Accept": "application/json", **self._api.default_headers, **(more or {})}
        if body is not None:
            headers["Content-Type"] = content
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        query = f"?{urlencode(params)}" if params else ""
        try:
            return self._api.rest_client.pool_manager.request(
                method,
                f"{self._api.configuration.host}{path}{query}",
                body=None if body is None else orjson.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=self._timeout_s, read=timeout_s or self._timeout_s),
                retries=False,
                redirect=False,
                preload_content=not stream,
            )
        except (
            urllib3.exceptions.NewConnectionError
        ) as error:  # refused, or no such name: a kind of time-out for urllib3
            raise RemoteError("Unreachable", f"{what}: {error}", code=type(error).__name__) from error
        except urllib3.exceptions.TimeoutError as error:
            kind = "Unreachable" if isinstance(error, urllib3.exceptions.ConnectTimeoutError) else "Timeout"
            raise RemoteError(kind, f"{what}: no answer in time", code=type(error).__name__) from error
        except urllib3.exceptions.HTTPError as error:
            kind = "Unreachable" if method == "GET" else "Timeout"
            raise RemoteError(kind, f"{what}: {error}", code=type(error).__name__) from error


def _decoded(what: str, data: bytes) -> dict[str, Any]:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RemoteError("Protocol", f"{what}: the answer is no JSON: {error}") from error
