"""Two real controllers under exactly the rights of deploy/, a real API server, a real PostgreSQL: who leads, for how long nobody."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from burster.ledger import Ledger, PostgresAddress
from tests.e2e.processes import World, end_group, kubectl, until
from tests.e2e.replicas import AFTER_A_KILL_S, Replica, a_free_port, followed, followed_after_sigterm
from tests.support.control_plane import ControlPlane
from tests.support.postgres import MISSING, Postgres, find_server


pytestmark = [pytest.mark.long, pytest.mark.plane, pytest.mark.timeout(300)]
DEPLOY = Path(__file__).parents[2] / "deploy"
NOBODY = "http://127.0.0.1:9"  # the cloud is not what this is about


class Stand:
    """A plane with burster's kinds and rights on it, and replicas that are started beside it."""

    def __init__(self, plane: ControlPlane, server: Postgres, folder: Path) -> None:
        self.plane = plane
        self.world = World(folder)
        self.address = PostgresAddress(url=server.url, schema="plane")
        self.started: list[subprocess.Popen[str]] = []
        made = subprocess.run(
            [Path(sys.executable).with_name("kubectl"), "kustomize", DEPLOY],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        kubectl(plane.kubeconfig, "apply", plane.validation, "-f", "-", stdin=made)
        paths = (f"/apis/burster.dev/v1alpha1/{plural}" for plural in ("bursts", "burstpolicies", "bursttargets"))
        for path in paths:
            until(f"{path} is served", lambda path=path: self._served(path), timeout_s=30)

    def _served(self, path: str) -> bool:
        try:
            self.plane.ask("GET", path)
        except AssertionError:
            return False
        return True

    def replica(self) -> Replica:
        port = a_free_port()
        process = self.world.start(
            *("controller", "--kubeconfig", self.plane.folder / "burster.kubeconfig"),
            *("--listen", f"127.0.0.1:{port}"),
            BURSTER_REPLICAS="2",
            BURSTER_LEDGER__POSTGRES=self.address.url,
            BURSTER_LEDGER__POSTGRES_SCHEMA=self.address.schema,
            BURSTER_ARM__BASE_URL=NOBODY,
            BURSTER_ARM__AUTH="none",
        )
        self.started.append(process)
        return Replica(process, port)

    def lease(self) -> dict:
        return self.plane.ask("GET", "/apis/coordination.k8s.io/v1/namespaces/burster-system/leases/burster")["spec"]


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    programs = find_server()
    if programs is None:
        pytest.skip(MISSING)
    server = Postgres(programs)
    try:
        with ControlPlane(tmp_path / "plane", controllers=(), scheduler=False) as plane:
            stand = Stand(plane, server, tmp_path)
            try:
                yield stand
            finally:
                for process in stand.started:
                    end_group(process)
                    process.communicate()
    finally:
        server.remove()


def test_kills_exits_and_a_frozen_leader(stand: Stand) -> None:
    first = stand.replica()
    until("one leads", lambda: first.leads, timeout_s=40)
    second = stand.replica()
    until("one stands by", lambda: second.stands_by, timeout_s=40)

    first.process.kill()
    killed_s = followed(second, time.monotonic(), within_s=AFTER_A_KILL_S)
    assert stand.lease()["leaseTransitions"] == 2

    third = stand.replica()
    until("another stands by", lambda: third.stands_by, timeout_s=40)
    clean_s = followed_after_sigterm(second, third)
    sys.stderr.write(f"\nfail-over on a real API server: {killed_s:.2f}s after a kill, {clean_s:.2f}s after SIGTERM\n")

    fourth = stand.replica()
    until("another stands by", lambda: fourth.stands_by, timeout_s=40)
    third.process.send_signal(signal.SIGSTOP)
    followed(fourth, time.monotonic(), within_s=AFTER_A_KILL_S)
    before = stand.lease()
    third.process.send_signal(signal.SIGCONT)
    until("it stands by", lambda: third.stands_by, timeout_s=20)
    assert fourth.leads
    after = stand.lease()
    assert (after["holderIdentity"], after["leaseTransitions"]) == (before["holderIdentity"], 4)
    for replica in (third, fourth):
        replica.ends()
    assert not stand.lease().get("holderIdentity")
    with Ledger.read_from(stand.address) as ledger:
        assert ledger.integrity() == ()
        assert json.loads(ledger.meta()["epoch"]) == 4


def test_etcd_away_for_half_a_minute_and_an_api_server_that_starts_anew(stand: Stand) -> None:
    pair = [stand.replica(), stand.replica()]
    until("one leads", lambda: sum(one.leads for one in pair) == 1, timeout_s=40)
    stand.plane.pause("etcd")
    time.sleep(30)
    assert not any(one.leads for one in pair), "a leader that can't renew stops"
    assert all(one.ask("/livez")[0] == 200 for one in pair)
    stand.plane.resume("etcd")
    until("one leads again", lambda: sum(one.leads for one in pair) == 1, timeout_s=60)
    stand.plane.stop("kube-apiserver")
    stand.plane.start("kube-apiserver")
    stand.plane.await_ready()
    until("one leads again", lambda: sum(one.leads for one in pair) == 1, timeout_s=60)
    assert all(one.process.poll() is None for one in pair), "nobody had to be restarted"
    for replica in pair:
        replica.ends()
    with Ledger.read_from(stand.address) as ledger:
        assert ledger.integrity() == ()
