"""The one query that adds up what pods ask of nodes, answered by a real Prometheus over a page as kube-state-metrics writes it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from burster.clients.metric_addresses import Addresses
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import MetricHttp
from burster.lab.monitoring.exporter import sample
from burster.model.addresses import LOOPBACK
from burster.sources.metered_requests import Amount, RequestMeter, RequestsPlace
from tests.support.prometheus import real_binaries, scraping


pytestmark = pytest.mark.long

#: pod, node, phase, then requests by container
PODS = (
    ("a", "n1", "Running", {"main": ("0.5", "1000000000"), "side": ("0.25", "1000000")}),
    ("b", "n1", "Pending", {"main": ("1", "2000000000")}),
    ("c", "n2", "Running", {"main": ("4", "1024")}),
    ("ended", "n2", "Succeeded", {"main": ("8", "8000000000")}),
    ("waits", "", "Pending", {"main": ("16", "8000000000")}),
)


def page() -> str:
    lines = ["# TYPE kube_pod_status_phase gauge"]
    for pod, _, now, _ in PODS:
        for phase in ("Pending", "Running", "Succeeded", "Failed", "Unknown"):
            labels = {"namespace": "shop", "pod": pod, "uid": f"uid-{pod}", "phase": phase}
            lines.append(sample("kube_pod_status_phase", labels, int(phase == now)))
    lines.append("# TYPE kube_pod_container_resource_requests gauge")
    for pod, node, _, containers in PODS:
        for container, (cpu, memory) in containers.items():
            labels = {"namespace": "shop", "pod": pod, "uid": f"uid-{pod}", "container": container, "node": node}
            for resource, unit, value in (("cpu", "core", cpu), ("memory", "byte", memory)):
                found = {**labels, "resource": resource, "unit": unit}
                lines.append(sample("kube_pod_container_resource_requests", found, float(value)))
    gpu = {"namespace": "shop", "pod": "c", "uid": "uid-c", "container": "main", "node": "n2"}
    gpu |= {"resource": "nvidia_com_gpu", "unit": "integer"}
    lines.append(sample("kube_pod_container_resource_requests", gpu, 2))
    return "\n".join(lines) + "\n"


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip("no prometheus here: `tools/prometheus` fetches Debian's and tells what to set")
    with scraping(page, binaries, tmp_path / "prometheus") as real:
        yield real


async def test_requests_of_pods_on_nodes_that_have_not_ended_are_added_up_by_node(url: str):
    async with MetricHttp(Addresses(networks=LOOPBACK)) as http:
        found = await _first(RequestMeter(http, RequestsPlace(url=url)))
    assert found == {"n1": (1_750, 3_001_000_000, 0), "n2": (4_000, 1_024, 2)}


async def _first(meter: RequestMeter) -> dict[str, Amount]:
    """Return the first answer after a scrape."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await meter.read()
            except MetricError as error:
                if error.fault != "no_value":
                    raise
                await asyncio.sleep(0.2)
