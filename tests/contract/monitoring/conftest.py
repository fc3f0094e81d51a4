"""One page of metrics, two who answer questions about it: the lab's stand-in, and a real Prometheus that scrapes it."""

import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest

from burster.lab.monitoring.exporter import sample
from burster.lab.monitoring.server import MonitoringServer
from burster.runtime.clock import SystemClock
from tests.support.prometheus import real_binaries, scraping


def page() -> str:
    lines = ["# TYPE kube_pod_status_phase gauge"]
    pods = (("default", "on-prem-deployment-a", 1), ("default", "on-prem-deployment-b", 1), ("default", "other", 1))
    for namespace, pod, pending in (*pods, ("shop", "on-prem-deployment-c", 1), ("default", "on-prem-deployment-d", 0)):
        labels = {"namespace": namespace, "pod": pod, "phase": "Pending"}
        lines.append(sample("kube_pod_status_phase", labels, pending))
    lines += ["# TYPE odd gauge", 'odd{kind="nan"} NaN', 'odd{kind="inf"} +Inf', 'odd{kind="negative"} -4.5']
    lines += ['odd{kind="small"} 0.0015', 'odd{kind="huge"} 1e300']
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def real_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip("no prometheus here: `tools/prometheus` fetches Debian's and tells what to set")
    with scraping(page, binaries, tmp_path_factory.mktemp("prometheus")) as real:
        _wait_for_a_scrape(real)
        yield real


def _wait_for_a_scrape(url: str) -> None:
    for _ in range(300):
        with urllib.request.urlopen(f"{url}/api/v1/query?query=odd", timeout=5) as answer:  # noqa: S310 (http on loopback)
            if json.load(answer)["data"]["result"]:
                return
        time.sleep(0.1)
    raise AssertionError("nothing was scraped in 30 s")


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.long)])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "real":
        yield request.getfixturevalue("real_url")
        return
    async with MonitoringServer(page, SystemClock().now_ms) as server:
        yield server.url
