"""What pods ask of nodes, added up by Prometheus over kube-state-metrics: one small query instead of every pod of a large cluster.

Used by ``burster.sources.node_requests`` where there are too many pods to follow. It counts what the scheduler counts of containers: the
requests of pods that have a node and have not ended. Init containers, overhead and pod-level requests, which only whole pods tell, are not
in it; for a share of a cluster of that size they do not matter. It must never know a policy.
"""

from pathlib import Path
from typing import Final

import msgspec

from burster.clients.credentials import NOBODY, Credentials
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import Get, MetricHttp, checked
from burster.model.errors import QuantityError
from burster.model.quantities import QUANTITY_MAX
from burster.policy.endpoints import endpoint_of


QUERY: Final = (
    'sum by (node, resource) (kube_pod_container_resource_requests{resource=~"cpu|memory|nvidia_com_gpu", node!=""}'
    " * on (namespace, pod) group_left () max by (namespace, pod)"
    ' (kube_pod_status_phase{phase=~"Pending|Running|Unknown"} == 1))'
)
_PLACES: Final = {"cpu": (0, 1_000), "memory": (1, 1), "nvidia_com_gpu": (2, 1)}
_TIMEOUT_MS: Final = 10_000
_FILE_MAX: Final = 256 * 1024

Amount = tuple[int, int, int]  #: millicores, bytes, GPUs


class RequestsPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where Prometheus is; ``token_file`` and ``ca_file`` are read each time, since both are renewed in place."""

    url: str
    token_file: str = ""
    ca_file: str = ""


class _Labels(msgspec.Struct):
    node: str = ""
    resource: str = ""


class _Series(msgspec.Struct):
    metric: _Labels
    value: tuple[float, str]


class _Data(msgspec.Struct, rename="camel"):
    result_type: str = ""
    result: list[_Series] = []


class _Answer(msgspec.Struct):
    status: str
    data: _Data
    warnings: list[str] | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


class RequestMeter:
    """Asks one Prometheus."""

    def __init__(self, http: MetricHttp, place: RequestsPlace) -> None:
        self._http = http
        self._place = place

    async def read(self) -> dict[str, Amount]:
        """Return what is asked of each node. Raises MetricError, also where nothing is: who asks here knows of many pods."""
        place = self._place
        endpoint = endpoint_of(place.url)
        credentials = self._credentials()
        query = Get(
            url=f"{place.url.rstrip('/')}/api/v1/query",
            params=(("query", QUERY),),
            modes=("bearer",) if place.token_file else (),
            timeout_ms=_TIMEOUT_MS,
        )
        body = checked(await self._http.get(query, credentials), endpoint)
        try:
            told = _answer.decode(body)
            found = _amounts(told.data.result)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, QuantityError):
            raise MetricError("protocol", f"{endpoint}: the answer is none of Prometheus' API") from None
        if told.warnings and any("PromQL" not in each for each in told.warnings):
            raise MetricError("partial", f"{endpoint}: the answer is not whole")
        if told.status != "success" or not found:
            raise MetricError("no_value", f"{endpoint} knows of no requests: is kube-state-metrics scraped there?")
        return found

    def _credentials(self) -> Credentials:
        values = {"bearerToken": self._place.token_file, "ca": self._place.ca_file}
        return (
            Credentials({name: _read(path) for name, path in values.items() if path})
            if any(values.values())
            else NOBODY
        )


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_FILE_MAX).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise MetricError("auth", f"{path} can't be read: {type(error).__name__}") from None


def _amounts(series: list[_Series]) -> dict[str, Amount]:
    """Return millicores, bytes and GPUs by node. Raises QuantityError for what is no amount."""
    found: dict[str, list[int]] = {}
    for one in series:
        place = _PLACES.get(one.metric.resource)
        if place is None or not one.metric.node:
            continue
        position, factor = place
        found.setdefault(one.metric.node, [0, 0, 0])[position] = _amount(one.value[1], factor)
    return {node: (cpu, memory, gpus) for node, (cpu, memory, gpus) in found.items()}


def _amount(text: str, factor: int) -> int:
    try:
        value = float(text) * factor
    except ValueError:
        raise QuantityError("no number") from None
    if not 0 <= value <= QUANTITY_MAX:
        raise QuantityError("no amount")
    return round(value)
