"""`burster lab up` as a real process in ordinary time, with quick VMs, and controllers beside it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.e2e.processes import KUBECTL, World, end_group, kubectl, lines_of, until


RULES = """
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
  cooldownPeriod: 2
  placement: {strategy: Clone, targets: [azure-westeurope-tdx], lease: 30m, drain: 2s}
"""
_IMAGE = "registry.bank.example/work@sha256:" + "1" * 64
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


SERVICE = f"""
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
        rules.write_text(RULES)
        target = Path(__file__).parents[2] / "policies/targets/azure-westeurope-tdx.yaml"
        self.process = world.start(
            *("lab", "up", "--nodes", 1, "--vm-seconds", 3, "--kubeconfig", self.kubeconfig),
            *("--policy", rules, "--policy", target),
        )
        self.started = [self.process]
        record = world.folder / "state/burster/lab/record.json"
        until("the lab is up", lambda: record.exists() or self.process.poll() is not None, timeout_s=30)
        self.arm_url = json.loads(record.read_text())["arm_url"]

    def controller(
        self, *flags: str, listen: str = "127.0.0.1:0", run_dir: Path | None = None, **variables: str
    ) -> "subprocess.Popen[str]":
        process = self.world.start(
            *("controller", "--kubeconfig", self.kubeconfig, "--listen", listen, *flags),
            *("--ledger", (run_dir or self.run_dir) / "ledger.sqlite", "--log-level", "warning"),
            BURSTER_ARM__BASE_URL=self.arm_url,
            BURSTER_ARM__AUTH="none",
            BURSTER_PRICES__URL=self.arm_url,
            BURSTER_METRICS__NETWORKS="127.0.0.0/8",
            # as often as makes sense where a VM lives for seconds
            BURSTER_TICKS__EVALUATE_MS="1000",
            BURSTER_TICKS__GC_MS="5000",
            **variables,
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

    def each(self, what: str, column: str = ".status.phase", namespace: str = "default") -> dict[str, str]:
        columns = f"NAME:.metadata.name,WHAT:{column}"
        told = kubectl(self.kubeconfig, "get", what, "-n", namespace, "-o", f"custom-columns={columns}")
        return dict(lines_of(told))


@contextmanager
def a_lab(folder: Path) -> Iterator[Lab]:
    """Have a lab, and nothing of it afterwards."""
    lab = Lab(World(folder))
    try:
        yield lab
    finally:
        for process in lab.started:
            end_group(process)
            process.communicate()
