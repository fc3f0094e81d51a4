"""`burster controller` beside `burster lab up`: one decision, a dry run, its HTTP face, a stop that leaves bursts running."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.e2e.processes import kubectl, until
from tests.e2e.real_lab import Lab, a_lab, a_task


pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with a_lab(tmp_path) as lab:
        kubectl(lab.kubeconfig, "apply", "-f", "-", stdin="".join(a_task(number, 120) for number in range(4)))
        until("pods wait", lambda: "Pending" in lab.each("pods").values(), timeout_s=20)
        time.sleep(1.5)
        yield lab


def decided(lab: Lab, run_dir: Path) -> dict[str, str]:
    """Return the last verdict about each pod."""
    ended = lab.world.run("history", "--run", run_dir, "-o", "json")
    assert ended.code == 0, ended.err
    return {decision["subject"]: decision["verdict"] for decision in json.loads(ended.out)}


def test_a_dry_run_decides_and_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    before = lab.each("pods", ".metadata.uid")
    controller = lab.controller("--once", "--dry-run", run_dir=tmp_path / "dry")
    _, err = controller.communicate(timeout=60)
    assert controller.returncode == 0, err
    assert "Traceback" not in err
    assert set(decided(lab, tmp_path / "dry").values()) == {"Burst"}
    assert lab.each("pods", ".metadata.uid") == before
    assert lab.each("bursts") == {}
    assert lab.vms() == []


def test_once_decides_acts_and_ends(lab: Lab) -> None:
    waiting = {name for name, phase in lab.each("pods").items() if phase == "Pending"}
    controller = lab.controller("--once")
    _, err = controller.communicate(timeout=60)
    assert controller.returncode == 0, err
    assert decided(lab, lab.run_dir) == {f"default/{name}": "Burst" for name in waiting}
    assert len(lab.each("bursts")) == len(waiting)


def a_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answer(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except ConnectionError:
        return 0, ""
    finally:
        connection.close()


def test_its_face_and_a_stop_that_leaves_bursts_running(lab: Lab) -> None:
    port = a_free_port()
    controller = lab.controller(listen=f"127.0.0.1:{port}")
    until("it is ready", lambda: answer(port, "/readyz")[0] == 200, timeout_s=30)
    assert answer(port, "/healthz")[0] == 200
    until("bursts serve", lambda: set(lab.each("bursts").values()) == {"Serving"}, timeout_s=40)
    assert "burster_decisions_total" in answer(port, "/metrics")[1]
    page = answer(port, "/")[1]
    assert "Serving" in page
    token = lab.kubeconfig.read_text().split("/as/")[1].split()[0].strip("\"'")
    status = json.loads(answer(port, "/status")[1])
    assert status["bursts_by_phase"] == {"Serving": 2}
    assert token not in page + json.dumps(status)

    before = time.monotonic()
    controller.send_signal(signal.SIGTERM)
    _, err = controller.communicate(timeout=20)
    assert (controller.returncode, time.monotonic() - before < 10) == (0, True), err
    assert "Traceback" not in err
    assert set(lab.each("bursts").values()) == {"Serving"}
    assert len(lab.vms()) == 2
