"""What tests of metrics share: triggers, an API that holds a few objects, readers with real connections."""

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from burster.clients.kube import Page
from burster.clients.metric_addresses import Addresses
from burster.clients.metric_http import MetricHttp
from burster.model.addresses import LOOPBACK
from burster.model.errors import RemoteError
from burster.model.triggers import AuthMode, AuthRef, HttpAccess, MetricsApiTrigger, PrometheusTrigger
from burster.sources.metrics import MetricReader
from burster.sources.trigger_auth import TriggerAuth


AUTH = AuthRef(name="thanos")
CLASSIC = 'sum(kube_pod_status_phase{phase="Pending", namespace="default",pod=~"on-prem-deployment.*"})'


class FakeKube:
    """Objects by path, and what was asked for."""

    def __init__(self, objects: Mapping[str, Any] | None = None) -> None:
        self.objects: dict[str, Any] = dict(objects or {})
        self.asked: list[str] = []
        self.params: list[Mapping[str, str | int]] = []

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> bytes:
        self.asked.append(path)
        self.params.append(params or {})
        found = self.objects.get(path)
        if found is None:
            raise RemoteError("NotFound", f"GET {path}: not found", status=404)
        if isinstance(found, RemoteError):
            raise found
        return found if isinstance(found, bytes) else msgspec.json.encode(found)

    async def pages(self, path: str, params: Mapping[str, str | int] | None = None) -> AsyncGenerator[Page]:
        yield Page(body=await self.get(path, params))


def a_secret(**values: str) -> dict[str, Any]:
    return {"data": {key: b64encode(value.encode()).decode() for key, value in values.items()}}


def an_auth(namespace: str = "bank", holder: str = "thanos-token", **keys: str) -> dict[str, Any]:
    """A TriggerAuthentication (parameter=key of one Secret), by its path."""
    references = [{"parameter": parameter, "name": holder, "key": key} for parameter, key in keys.items()]
    path = f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/triggerauthentications/thanos"
    return {path: {"spec": {"secretTargetRef": references}}}


def credentials(**parameters: str) -> FakeKube:
    """An API that has these for AUTH in namespace bank."""
    return FakeKube(
        {
            **an_auth(**{name: name for name in parameters}),
            "/api/v1/namespaces/bank/secrets/thanos-token": a_secret(**parameters),
        }
    )


def access(*modes: AuthMode, **changes: Any) -> HttpAccess:
    return HttpAccess(auth_modes=modes, auth=AUTH if modes else None, **changes)


def a_query(url: str, query: str = CLASSIC, **changes: Any) -> PrometheusTrigger:
    return PrometheusTrigger(**({"name": "queue", "server_address": url, "query": query} | changes))


def a_page(url: str, location: str, **changes: Any) -> MetricsApiTrigger:
    return MetricsApiTrigger(**({"name": "queue", "url": url, "value_location": location} | changes))


@asynccontextmanager
async def a_reader(kube: FakeKube | None = None) -> AsyncIterator[MetricReader]:
    kube = kube or FakeKube()
    async with MetricHttp(Addresses(networks=LOOPBACK)) as http:
        yield MetricReader(http, kube, TriggerAuth(kube, "burster-system"))
