"""`burster controller` as a real process in ordinary time, killed by SIGKILL three times: nothing leaks, is lost or runs twice."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.processes import KUBECTL, World, end_group, kubectl, lines_of, until


pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

_RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: tasks, namespace: default}
spec:
  workload: {kind: Pod, namePattern: task-.*}
  triggers: [{type: pending-pods, metadata: {pendingFor: 1s}}]
  limits: {maxBursts: 6}
  placement: {strategy: Move, targets: [azure-westeurope-tdx], lease: 30m, drain: 2s}
---
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: service, namespace: default}
spec:
  workload: {kind: Deployment, namePattern: web}
  triggers: [{type: pending-pods, metadata: {pendingFor: 1s}}]
  limits: {maxBursts: 3}
  placement: {strategy: Clone, targets: [azure-westeurope-tdx], lease: 30m, cooldownPeriod: 2, drain: 2s}
"""
_IMAGE = "registry.bank.example/work@sha256:" + "1" * 64
_TASKS = 8
_VMS = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Compute/virtualMachines"
    "?api-version=2026-04-01"
)


def a_task(number: int, seconds: int) -> str:
    return f"""
---
apiVersion: v1
kind: Pod
metadata:
  name: task-{number}
  namespace: default
  annotations: {{lab.burster.dev/run-seconds: "{seconds}"}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  containers: [{{name: work, image: "{_IMAGE}", resources: {{requests: {{cpu: "3", memory: 2Gi}}}}}}]
"""


_SERVICE = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: default}}
spec:
  replicas: 6
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers: [{{name: work, image: "{_IMAGE}", resources: {{requests: {{cpu: "2", memory: 2Gi}}}}}}]
"""


class Lab:
    """`burster lab up`, and what is started against it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kubeconfig = world.folder / "kubeconfig"
        self.run_dir = world.folder / "run"
        rules = world.folder / "rules.yaml"
        rules.write_text(_RULES)
        target = Path(__file__).parents[2] / "policies/targets/azure-westeurope-tdx.yaml"
        self.process = world.start(
            *("lab", "up", "--nodes", 1, "--vm-seconds", 3, "--kubeconfig", self.kubeconfig),
            *("--policy", rules, "--policy", target),
        )
        self.started = [self.process]
        record = world.folder / "state/burster/lab/record.json"
        until("the lab is up", lambda: record.exists() or self.process.poll() is not None, timeout_s=30)
        self.arm_url = json.loads(record.read_text())["arm_url"]

    def controller(self) -> "subprocess.Popen[str]":
        process = self.world.start(
            *("controller", "--kubeconfig", self.kubeconfig, "--listen", "127.0.0.1:0"),
            *("--ledger", self.run_dir / "ledger.sqlite", "--log-level", "warning"),
            BURSTER_ARM__BASE_URL=self.arm_url,
            BURSTER_ARM__AUTH="none",
            BURSTER_PRICES__URL=self.arm_url,
            # as often as makes sense where a VM lives for seconds
            BURSTER_TICKS__EVALUATE_MS="1000",
            BURSTER_TICKS__GC_MS="5000",
        )
        self.started.append(process)
        return process

    def watch_pods(self, into: Path) -> "subprocess.Popen[str]":
        """Note every state that any pod is ever in, by a kubectl of its own."""
        columns = "N:.metadata.name,U:.metadata.uid,P:.status.phase"
        with into.open("w") as file:
            process = subprocess.Popen(
                [KUBECTL, "--kubeconfig", self.kubeconfig, "get", "pods", "-w", "-o", f"custom-columns={columns}"],
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def vms(self) -> list[str]:
        """Ask the cloud itself."""
        connection = HTTPConnection(self.arm_url.removeprefix("http://"), timeout=10)
        try:
            connection.request("GET", _VMS, headers={"Authorization": "Bearer lab"})
            return [vm["name"] for vm in json.load(connection.getresponse())["value"]]
        finally:
            connection.close()

    def each(self, what: str, column: str = ".status.phase") -> dict[str, str]:
        columns = f"NAME:.metadata.name,WHAT:{column}"
        return dict(lines_of(kubectl(self.kubeconfig, "get", what, "-o", f"custom-columns={columns}")))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(World(tmp_path))
    try:
        yield lab
    finally:
        for process in lab.started:
            end_group(process)
            process.communicate()


def kill_three_times(lab: Lab, rng: random.Random) -> "subprocess.Popen[str]":
    """Return the fourth controller, after three deaths at random moments."""
    controller = lab.controller()
    for _ in range(3):
        time.sleep(rng.uniform(2.5, 7.0))
        assert controller.poll() is None, controller.communicate()
        controller.send_signal(signal.SIGKILL)
        controller.communicate(timeout=10)
        time.sleep(rng.uniform(0.0, 1.5))
        controller = lab.controller()
    return controller


def stops_gracefully(process: "subprocess.Popen[str]") -> None:
    before = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert time.monotonic() - before < 10
    assert "Traceback" not in said


def test_three_kills_in_ordinary_time(lab: Lab, tmp_path: Path) -> None:
    rng = random.Random("three kills")
    watching = lab.watch_pods(tmp_path / "watched")
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin=_SERVICE)
    tasks = {f"task-{number}": a_task(number, rng.randint(6, 14)) for number in range(_TASKS)}
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin="".join(tasks.values()))
    controller = kill_three_times(lab, rng)

    def all_done() -> bool:
        pods = lab.each("pods")
        return all(pods.get(name) == "Succeeded" for name in tasks)

    until("every task is done", all_done, timeout_s=90)
    kubectl(lab.kubeconfig, "scale", "deployment", "web", "--replicas=1")
    until("every burst is released", lambda: set(lab.each("bursts").values()) == {"Released"}, timeout_s=60)
    until("the cloud is empty", lambda: not lab.vms(), timeout_s=30)
    assert set(lab.each("bursts", ".spec.strategy").values()) == {"Move", "Clone"}
    assert lab.each("deployments", ".status.readyReplicas") == {"web": "1"}
    assert set(lab.each("pods", ".status.containerStatuses[0].restartCount").values()) == {"0"}
    stops_gracefully(controller)

    watching.terminate()
    watching.wait(timeout=10)
    seen = lines_of((tmp_path / "watched").read_text())
    ran = {(name, uid) for name, uid, phase in seen if phase != "Pending"}
    assert {name: sum(one == name for one, _ in ran) for name in tasks} == dict.fromkeys(tasks, 1)

    verified = lab.world.run("history", "--verify", "--run", lab.run_dir)
    assert (verified.code, verified.err) == (0, "")
    # one that was killed while it started may have written nothing
    assert int(verified.out.split(" runs,")[0].rsplit(" ", 1)[1]) in {3, 4}
    stops_gracefully(lab.process)
    assert lab.world.left == []
