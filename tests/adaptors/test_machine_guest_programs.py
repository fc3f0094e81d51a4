"""The programs that run in a machine, run: against a metadata service on loopback, with a systemctl that only notes what it is told."""

import ast
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from burster.adaptors import guest
from burster.adaptors.guest_units import Guest, guest_config


FOLDER = Path(guest.__file__).parent
HOUR_MS = 3_600_000
TOLD = Guest(machine="burstvm-x", lease_end_ms=1, drain_ms=0, trustee_url="https://kbs:8080")


class Imds:
    """A metadata service that says what a test wants: tags, events; None is an answer of 500."""

    def __init__(self) -> None:
        self.tags: list[dict[str, str]] | None = []
        self.events: list[dict[str, Any]] = []
        self.approved: list[str] = []
        self.without_header = 0


@pytest.fixture
def imds() -> Iterator[tuple[Imds, str]]:
    state = Imds()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.without_header += self.headers.get("Metadata") != "true"
            answer: Any = state.tags if "tagsList" in self.path else {"Events": state.events}
            self._say(json.dumps(answer).encode() if answer is not None else None)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.approved += [each["EventId"] for each in body["StartRequests"]]
            self._say(b"")

        def _say(self, body: bytes | None) -> None:
            self.send_response(500 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def systemctl(tmp_path: Path) -> Path:
    """Put a systemctl on the path; return the file in which it notes what it was told."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    program.chmod(0o755)
    return tmp_path / "told"


def run(program: str, address: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "BURSTER_IMDS": address,
        "BURSTER_RUN": str(folder / "run"),
        "BURSTER_MACHINE": "burstvm-x",
        "BURSTER_LEASE_END_MS": str(now_ms() + HOUR_MS),
        "BURSTER_DRAIN_S": "5",
        "BURSTER_SPOT_EVERY_S": "0.02",
        "http_proxy": "http://127.0.0.1:9",  # the metadata service is never asked through a proxy
    }
    return subprocess.run(
        [sys.executable, str(FOLDER / program)], env=environment | changes, capture_output=True, text=True, timeout=20, check=False
    )  # fmt: skip


def now_ms() -> int:
    return int(time.time() * 1000)


def lease(end_ms: int) -> list[dict[str, str]]:
    return [{"name": "team", "value": "risk"}, {"name": "Burster-Lease-End", "value": str(end_ms)}]


@pytest.mark.parametrize("program", ["lease.py", "spot.py"])
def test_an_old_python_can_read_them(program: str) -> None:
    ast.parse((FOLDER / program).read_text(), feature_version=(3, 9))


def test_a_machine_within_its_lease_is_left_alone(imds: tuple[Imds, str], systemctl: Path, tmp_path: Path) -> None:
    imds[0].tags = lease(now_ms() + HOUR_MS)
    done = run("lease.py", imds[1], tmp_path)
    assert done.returncode == 0, done.stderr
    assert not systemctl.exists()
    assert imds[0].without_header == 0


def test_a_machine_whose_lease_is_over_stops_its_workload_and_powers_off(
    imds: tuple[Imds, str], systemctl: Path, tmp_path: Path
) -> None:
    imds[0].tags = lease(now_ms() - 1_000)
    assert run("lease.py", imds[1], tmp_path).returncode == 0
    assert systemctl.read_text().splitlines() == ["stop burster-workload.target", "poweroff"]


def test_a_renewed_lease_counts_and_is_remembered_when_the_service_is_silent(
    imds: tuple[Imds, str], systemctl: Path, tmp_path: Path
) -> None:
    imds[0].tags = lease(now_ms() + HOUR_MS)
    made_with = str(now_ms() - 1_000)  # long over, and renewed since
    run("lease.py", imds[1], tmp_path, BURSTER_LEASE_END_MS=made_with)
    imds[0].tags = None
    run("lease.py", imds[1], tmp_path, BURSTER_LEASE_END_MS=made_with)
    assert not systemctl.exists()


@pytest.mark.parametrize("tags", [None, [], [{"name": "burster-lease-end", "value": "soon"}], [{"odd": 1}], "x"])
def test_a_machine_that_hears_nothing_ends_when_it_was_to(
    imds: tuple[Imds, str], systemctl: Path, tmp_path: Path, tags: Any
) -> None:
    imds[0].tags = tags
    run("lease.py", imds[1], tmp_path, BURSTER_LEASE_END_MS=str(now_ms() - 1))
    assert systemctl.read_text().splitlines()[-1] == "poweroff"


def test_a_workload_that_does_not_stop_does_not_keep_the_machine(
    imds: tuple[Imds, str], systemctl: Path, tmp_path: Path
) -> None:
    program = tmp_path / "bin/systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {systemctl}\n[ "$1" = stop ] && exec sleep 60\nexit 0\n')
    run("lease.py", "http://127.0.0.1:9", tmp_path, BURSTER_LEASE_END_MS="1", BURSTER_DRAIN_S="1")
    assert systemctl.read_text().splitlines()[-1] == "poweroff"


def test_a_spot_machine_stops_its_workload_at_the_notice_and_lets_go(
    imds: tuple[Imds, str], systemctl: Path, tmp_path: Path
) -> None:
    state, address = imds
    state.events = [{"EventId": "e-1", "EventType": "Reboot", "Resources": ["burstvm-x"]}]
    thread = threading.Thread(target=run, args=("spot.py", address, tmp_path))
    thread.start()
    time.sleep(0.3)
    assert not systemctl.exists()
    state.events = [
        {"EventId": "e-2", "EventType": "Preempt", "Resources": ["burstvm-another"]},
        {"EventId": "e-3", "EventType": "Preempt", "Resources": ["burstvm-x"]},
    ]
    thread.join(timeout=20)
    assert systemctl.read_text().splitlines() == ["stop burster-workload.target"]
    assert state.approved == ["e-3"]


def test_the_proof_is_asked_for_until_it_is_given(tmp_path: Path) -> None:
    files = {one["path"]: one["content"] for one in guest_config(TOLD)["write_files"]}
    script = tmp_path / "attest"
    script.write_text(files["/usr/local/libexec/burster/attest"])
    (tmp_path / "bin").mkdir()
    attester = tmp_path / "bin/trustee-attester"
    attester.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho secret\n[ $(wc -l < {tmp_path}/asked) -ge 3 ]\n'
    )
    pause = tmp_path / "bin/sleep"
    pause.write_text("#!/bin/sh\n")
    for program in (attester, pause):
        program.chmod(0o755)
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "BURSTER_TRUSTEE_URL": "https://kbs:8080"}
    done = subprocess.run(["sh", str(script)], env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, ""), "what the resource says is thrown away"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["--url https://kbs:8080 get-resource --path burster/machine/proof"] * 3
