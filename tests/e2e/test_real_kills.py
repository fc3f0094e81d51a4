"""`burster controller` as a real process in ordinary time, killed by SIGKILL three times: nothing leaks, is lost or runs twice."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from burster.adaptors.cluster_api import HOME
from burster.runtime.elector import LEASE
from tests.e2e.processes import kubectl, lines_of, until
from tests.e2e.real_lab import SERVICE, Lab, a_lab, a_task


pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]
_TASKS = 8
#: after a kill the next has to wait until the lease has ended; the order of its times is that of the default
QUICK_LEASE = {
    "BURSTER_ELECTION__LEASE_MS": "3000",
    "BURSTER_ELECTION__RENEW_MS": "2000",
    "BURSTER_ELECTION__RETRY_MS": "500",
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with a_lab(tmp_path) as lab:
        yield lab


def kill_three_times(lab: Lab, rng: random.Random) -> "subprocess.Popen[str]":
    """Return the fourth controller, after three deaths at random moments, each while it led."""
    controller = lab.controller(**QUICK_LEASE)
    for lead in range(1, 4):
        until(
            "it leads",
            lambda lead=lead: lab.each("leases", ".spec.leaseTransitions", HOME) == {LEASE: str(lead)},
            timeout_s=30,
        )
        time.sleep(rng.uniform(0.5, 5.0))
        assert controller.poll() is None, controller.communicate()
        controller.send_signal(signal.SIGKILL)
        controller.communicate(timeout=10)
        time.sleep(rng.uniform(0.0, 1.5))
        controller = lab.controller(**QUICK_LEASE)
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
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin=SERVICE)
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
    # one that was killed while it began may have written nothing
    assert int(verified.out.split(" runs,")[0].rsplit(" ", 1)[1]) in {3, 4}
    stops_gracefully(lab.process)
    assert lab.world.left == []
