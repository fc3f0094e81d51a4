"""The classic as it is in a cluster: a real Prometheus scrapes the pods' phases, a query counts those that wait, a Deployment follows."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.processes import kubectl, until
from tests.e2e.real_lab import Lab, a_lab
from tests.e2e.test_controller_beside_a_lab import a_free_port, answer
from tests.support.classic import CLOUD_DEPLOYMENT, a_rule, a_target
from tests.support.prometheus import RealPrometheus, real_binaries


pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]
ON_PREM = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: on-prem-deployment, namespace: default}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: on-prem}}}}
  template:
    metadata: {{labels: {{app: on-prem}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: work
        image: registry.bank.example/work@sha256:{"1" * 64}
        resources: {{requests: {{cpu: "2", memory: 1Gi}}}}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with a_lab(tmp_path) as lab:
        yield lab


@pytest.fixture
def prometheus(lab: Lab, tmp_path: Path) -> Iterator[RealPrometheus]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip("no prometheus here: `tools/prometheus` fetches Debian's and tells what to set")
    record = json.loads((lab.world.folder / "state/burster/lab/record.json").read_text())
    server = RealPrometheus(binaries, tmp_path / "prometheus")
    try:
        server.scrape(record["metrics_url"].removeprefix("http://"))
        yield server
    finally:
        signal_to(server, signal.SIGCONT)
        server.close()


def replicas(lab: Lab) -> int:
    return int(lab.each("deployments", ".spec.replicas")["cloud-deployment"])


def pending(lab: Lab) -> int:
    phases = lab.each("pods")
    return sum(name.startswith("on-prem-deployment-") and phase == "Pending" for name, phase in phases.items())


def scale_on_prem(lab: Lab, number: int) -> None:
    kubectl(lab.kubeconfig, "scale", "deployment/on-prem-deployment", f"--replicas={number}")


def metric(port: int, name: str) -> float:
    lines = [line for line in answer(port, "/metrics")[1].splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_the_classic_over_a_real_prometheus(lab: Lab, prometheus: RealPrometheus) -> None:
    rule = a_rule(prometheus.url, pollingInterval=1, cooldownPeriod=4)
    objects = [a_target(prometheus.url), rule, yaml.safe_dump(CLOUD_DEPLOYMENT), ON_PREM]
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin="---\n".join(objects))
    port = a_free_port()
    controller = lab.controller(listen=f"127.0.0.1:{port}")
    until("it is ready", lambda: answer(port, "/readyz")[0] == 200, timeout_s=40)
    until("the query is polled", lambda: metric(port, "burster_metric_reads_total") >= 3, timeout_s=30)
    assert (pending(lab), replicas(lab)) == (0, 0)

    scale_on_prem(lab, 7)  # one node has 8 cpu, each pod asks for 2
    until("pods wait", lambda: pending(lab) >= 3, timeout_s=30)
    began = time.monotonic()
    until("the first replica is there", lambda: replicas(lab) >= 1, timeout_s=30)
    # a scrape and a poll a second each, where KEDA's defaults take up to 30 s
    assert time.monotonic() - began < 15
    until("as many as wait", lambda: replicas(lab) == pending(lab) == 3, timeout_s=60)

    scale_on_prem(lab, 12)
    until("more wait than may go", lambda: pending(lab) > 4, timeout_s=30)
    until("no more than four", lambda: replicas(lab) == 4, timeout_s=60)
    until(
        "they run in the cloud",
        lambda: list(_phases(lab, "cloud-deployment-").values()) == ["Running"] * 4 and len(lab.vms()) == 4,
        timeout_s=90,
    )
    time.sleep(20)
    assert replicas(lab) == 4

    # Prometheus hangs: nothing is given up, although nobody waits any more
    signal_to(prometheus, signal.SIGSTOP)
    scale_on_prem(lab, 1)
    until("nobody waits", lambda: pending(lab) == 0, timeout_s=30)
    until("it is missed", lambda: metric(port, "burster_metric_queries_failing") == 1, timeout_s=30)
    assert 'outcome="timeout"' in answer(port, "/metrics")[1]
    time.sleep(25)
    assert replicas(lab) == 4

    signal_to(prometheus, signal.SIGCONT)
    until("nothing is left in the cloud", lambda: replicas(lab) == 0 and not lab.vms(), timeout_s=150)
    assert controller.poll() is None


def signal_to(prometheus: RealPrometheus, number: signal.Signals) -> None:
    assert prometheus._process is not None
    prometheus._process.send_signal(number)


def _phases(lab: Lab, prefix: str) -> dict[str, str]:
    return {name: phase for name, phase in lab.each("pods").items() if name.startswith(prefix)}
