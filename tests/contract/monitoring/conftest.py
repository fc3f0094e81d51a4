"""One page of metrics, two who answer questions about it: the lab's stand-in, and a real Prometheus that scrapes it."""

import json
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from burster.lab.monitoring.exporter import sample
from burster.lab.monitoring.server import MonitoringServer
from burster.runtime.clock import SystemClock
from tests.support.prometheus import RealPrometheus, real_binaries


def page() -> str:
    lines = ["# TYPE kube_pod_status_phase gauge"]
    pods = (("default", "on-prem-deployment-a", 1), ("default", "on-prem-deployment-b", 1), ("default", "other", 1))
    for namespace, pod, pending in (*pods, ("shop", "on-prem-deployment-c", 1), ("default", "on-prem-deployment-d", 0)):
        labels = {"namespace": namespace, "pod": pod, "phase": "Pending"}
        lines.append(sample("kube_pod_status_phase", labels, pending))
    lines += ["# TYPE odd gauge", 'odd{kind="nan"} NaN', 'odd{kind="inf"} +Inf', 'odd{kind="negative"} -4.5']
    lines += ['odd{kind="small"} 0.0015', 'odd{kind="huge"} 1e300']
    return "\n".join(lines) + "\n"


class _Exporter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = page().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def real_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip("no prometheus here: `tools/prometheus` fetches Debian's and tells what to set")
    with ThreadingHTTPServer(("127.0.0.1", 0), _Exporter) as exporter:
        thread = Thread(target=exporter.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        real = RealPrometheus(Path(binaries), tmp_path_factory.mktemp("prometheus"))
        try:
            real.scrape(f"127.0.0.1:{exporter.server_address[1]}")
            _wait_for_a_scrape(real.url)
            yield real.url
        finally:
            real.close()
            exporter.shutdown()
            thread.join()


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
