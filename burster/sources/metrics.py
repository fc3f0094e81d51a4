"""What a trigger is worth right now: one read of whatever it names.

Called by the runtime's poller, once for all policies that ask the same. It never judges what a value means, and never asks twice.
"""

import asyncio
from typing import Final

import msgspec

from burster.clients.credentials import NOBODY, Credentials
from burster.clients.metric_bodies import number_in
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import Answer, Get, MetricHttp, checked
from burster.clients.prometheus import instant_query, number
from burster.engine.autoscale.arithmetic import milli_of
from burster.model.triggers import (
    ExternalTrigger,
    KubernetesWorkloadTrigger,
    MetricsApiTrigger,
    PrometheusTrigger,
    ResourceTrigger,
)
from burster.policy.endpoints import endpoint_of
from burster.sources.pod_use import Kube, Use, count_pods, external_value_milli, use_of
from burster.sources.trigger_auth import TriggerAuth


ReadTrigger = PrometheusTrigger | MetricsApiTrigger | KubernetesWorkloadTrigger | ExternalTrigger | ResourceTrigger
#: A larger answer is taken apart in a thread of its own: the loop must go on.
_ASIDE_BYTES: Final = 16 * 1024
_MILLI: Final = 1_000


class Number(msgspec.Struct, frozen=True):
    """A value in milli-units; None where the question was answered and there is none, ``why`` says so."""

    value_milli: int | None
    why: str = ""


Value = Number | Use


class MetricReader:
    """Reads triggers; its connections belong to whoever made it."""

    def __init__(self, http: MetricHttp, kube: Kube, auth: TriggerAuth) -> None:
        self._http = http
        self._kube = kube
        self._auth = auth

    async def read(self, namespace: str, trigger: ReadTrigger, now_s: float) -> Value:
        """Return what a trigger of a policy in a namespace reads. Raises MetricError, which holds no secret."""
        match trigger:
            case PrometheusTrigger():
                return await self._over_http(namespace, trigger, instant_query(trigger), now_s)
            case MetricsApiTrigger():
                return await self._over_http(namespace, trigger, _page_of(trigger), now_s)
            case KubernetesWorkloadTrigger():
                return Number(await count_pods(self._kube, namespace, trigger) * _MILLI)
            case ExternalTrigger():
                return Number(await external_value_milli(self._kube, namespace, trigger))
            case ResourceTrigger():
                return await use_of(self._kube, namespace, trigger)

    async def _over_http(
        self, namespace: str, trigger: PrometheusTrigger | MetricsApiTrigger, request: Get, now_s: float
    ) -> Number:
        ref = trigger.access.auth
        credentials: Credentials = NOBODY
        try:
            credentials = await self._auth.resolve(namespace, ref, now_s, request.url)
            return await _understood(trigger, await self._http.get(request, credentials))
        except MetricError as error:
            if error.fault in {"auth", "tls"}:
                # a credential that was renewed meanwhile is read before the next try
                self._auth.forget(namespace, ref, request.url)
            # whoever was shown a secret may say it back
            message = credentials.scrub(error.message)
            raise MetricError(error.fault, message, retry_after_ms=error.retry_after_ms) from None


def _page_of(trigger: MetricsApiTrigger) -> Get:
    if trigger.aggregate_from_kube_service_endpoints:
        raise MetricError(
            "unsupported",
            "burster reads no endpoints behind a Service, as no allow-list names them: aggregate in a Prometheus instead",
        )
    return Get(
        url=trigger.url,
        modes=trigger.access.auth_modes,
        key_name=trigger.key_param_name,
        key_in=trigger.method,
        unsafe_ssl=trigger.access.unsafe_ssl,
        timeout_ms=trigger.access.timeout_ms,
    )


async def _understood(trigger: PrometheusTrigger | MetricsApiTrigger, answer: Answer) -> Number:
    if isinstance(trigger, PrometheusTrigger):
        found = number(trigger, answer)
        return Number(milli_of(found.value), found.why)
    body = checked(answer, endpoint_of(trigger.url))
    if len(body) > _ASIDE_BYTES:
        value = await asyncio.to_thread(number_in, body, trigger.format, trigger.value_location)
    else:
        value = number_in(body, trigger.format, trigger.value_location)
    return Number(milli_of(value))
