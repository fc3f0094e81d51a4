"""Two real controllers, a lab and a real PostgreSQL: who leads is killed, stopped, frozen, cut off; the other goes on in time."""

import json
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from burster.clients.kube_sync import KubeSync
from burster.engine import snapshot
from burster.ledger import Ledger, PostgresAddress
from burster.runtime.service import GRACE_S
from tests.e2e.processes import kubectl, until
from tests.e2e.real_lab import Lab, a_lab, a_task
from tests.e2e.replicas import AFTER_A_KILL_S, Replica, a_free_port, followed, followed_after_sigterm
from tests.support.postgres import MISSING, Postgres, find_server


pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    programs = find_server()
    if programs is None:
        pytest.skip(MISSING)
    server = Postgres(programs)
    yield server
    server.remove()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """The lab with a full node: every further task must burst."""
    with a_lab(tmp_path) as lab:
        kubectl(lab.kubeconfig, "apply", "-f", "-", stdin=a_task(901, 3_600) + a_task(902, 3_600))
        until("the node is full", lambda: set(lab.each("pods").values()) == {"Running"}, timeout_s=30)
        yield lab


class Pair:
    """Two replicas over one database."""

    def __init__(self, lab: Lab, server: Postgres, name: str) -> None:
        self.lab = lab
        self.address = PostgresAddress(url=server.url, schema=name)
        self.replicas = [self.another(), self.another()]
        until("one leads and one stands by", lambda: self.leader() and self.other().stands_by, timeout_s=40)

    def another(self) -> Replica:
        port = a_free_port()
        process = self.lab.controller(
            listen=f"127.0.0.1:{port}",
            BURSTER_REPLICAS="2",
            BURSTER_LEDGER__POSTGRES=self.address.url,
            BURSTER_LEDGER__POSTGRES_SCHEMA=self.address.schema,
            BURSTER_LOG__LEVEL="info",
        )
        return Replica(process, port)

    def leader(self) -> Replica | None:
        leading = [replica for replica in self.replicas if replica.leads]
        assert len(leading) < 2, "two lead"
        return leading[0] if leading else None

    def other(self) -> Replica:
        return next(replica for replica in self.replicas if not replica.leads)

    def epochs(self, what: str = "bursts") -> dict[str, str]:
        return self.lab.each(what, ".metadata.annotations.burster\\.dev/epoch")

    def ledger(self) -> Ledger:
        return Ledger.read_from(self.address)


@pytest.fixture
def pair(lab: Lab, server: Postgres, request: pytest.FixtureRequest) -> Pair:
    return Pair(lab, server, f"t{abs(hash(request.node.name)) % 10**9}")


def burst_for(lab: Lab, number: int, *, seconds: int = 600, timeout_s: float = 30) -> None:
    """Have a task come that finds no room, and wait until its Burst is on record."""
    before = len(lab.each("bursts"))
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin=a_task(number, seconds))
    until("another Burst is written", lambda: len(lab.each("bursts")) > before, timeout_s=timeout_s)


def a_token(lab: Lab) -> str:
    """A token for burster, as `burster spend` has one made."""
    home = "/api/v1/namespaces/default/serviceaccounts"
    with KubeSync.connect(kubeconfig=str(lab.kubeconfig)) as kube:
        kube.create(home, {"metadata": {"name": "burster-ask"}})
        return kube.create(f"{home}/burster-ask/token", {"spec": {"audiences": ["burster"]}})["status"]["token"]


def spend_told(replica: Replica, token: str) -> tuple[int, Any]:
    status, text = replica.ask("/v1/spend", Authorization=f"Bearer {token}")
    return status, json.loads(text)


def test_after_a_kill_and_after_a_clean_exit(pair: Pair) -> None:
    lab = pair.lab
    burst_for(lab, 1, seconds=3)
    until("its cost is settled", lambda: "Released" in lab.each("bursts").values(), timeout_s=90)
    burst_for(lab, 4)
    first = set(lab.each("bursts"))
    leader, other = pair.leader(), pair.other()
    spent = json.loads(leader.ask("/status")[1])["spent_micro_usd"]
    token = a_token(lab)
    status, before = spend_told(leader, token)
    assert (status, before["total"]["settled_micro_usd"], before["total"]["open"]) == (200, spent, 1)
    status, refusal = spend_told(other, token)
    assert (status, refusal["reason"]) == (503, "StandingBy"), "it tells nothing of its own"
    assert refusal["details"]["name"].startswith(socket.gethostname() + "_")
    assert leader.ask("/v1/spend")[0] == other.ask("/v1/spend")[0] == 401
    leader.process.kill()
    killed_s = followed(other, time.monotonic(), within_s=AFTER_A_KILL_S)
    assert spent > 0
    status, after = spend_told(other, token)
    assert (status, after["total"]["settled_micro_usd"]) == (200, before["total"]["settled_micro_usd"])
    assert (after["total"]["open"], after["total"]["reserved_micro_usd"] > 0) == (1, True), "it knows what runs"
    assert json.loads(other.ask("/status")[1])["spent_micro_usd"] == spent, "what was spent is known to the next"
    leader.process.communicate(timeout=10)
    burst_for(lab, 2)
    assert first < set(lab.each("bursts")), "what the first had begun is gone on with"

    pair.replicas = [other, pair.another()]
    until("another stands by", lambda: pair.other().stands_by, timeout_s=30)
    third = pair.other()
    clean_s = followed_after_sigterm(other, third)
    # shown by `pytest -s`
    sys.stderr.write(f"\nfail-over: {killed_s:.2f}s after a kill, {clean_s:.2f}s after SIGTERM\n")
    burst_for(lab, 3)
    assert sorted(set(pair.epochs().values()), key=int) == ["1", "2", "3"]
    third.ends()
    with pair.ledger() as ledger:
        assert ledger.integrity() == ()
        assert {step.run for step in ledger.steps()} == {1, 2, 3}
        assert ledger.meta()["epoch"] == "3"


def test_a_process_that_was_frozen_past_its_lease_writes_nothing_when_it_goes_on(pair: Pair) -> None:
    lab = pair.lab
    burst_for(lab, 1)
    frozen, other = pair.leader(), pair.other()
    frozen.process.send_signal(signal.SIGSTOP)
    followed(other, time.monotonic(), within_s=AFTER_A_KILL_S)
    # what it would do first: pods that came while it was frozen
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin="".join(a_task(number, 600) for number in (2, 3, 4)))
    frozen.process.send_signal(signal.SIGCONT)
    until("it stands by", lambda: frozen.stands_by, timeout_s=20)
    burst_for(lab, 5)
    time.sleep(3)
    assert other.leads
    written = pair.epochs()
    mine = {name for name, epoch in written.items() if epoch == "1"}
    assert len(mine) <= 2, "only what it had written before"
    assert set(written.values()) == {"1", "2"}
    said = frozen.ends()
    assert "leadership.lost" in said
    with pair.ledger() as ledger:
        assert ledger.integrity() == ()
        runs = [step.run for step in ledger.steps()]
        assert runs == sorted(runs), "no step of the old run after the new one has begun"
    other.ends()


def test_an_api_server_that_does_not_answer_ends_the_lead_and_one_leads_again(pair: Pair) -> None:
    lab = pair.lab
    burst_for(lab, 1)
    os.kill(lab.process.pid, signal.SIGSTOP)
    try:
        until("nobody leads", lambda: not any(one.leads for one in pair.replicas), timeout_s=20)
        for replica in pair.replicas:
            status, text = replica.ask("/readyz")
            assert (status, "no answer in time" in text) == (503, True), text
            assert replica.ask("/livez")[0] == 200, "a restart would not help"
    finally:
        os.kill(lab.process.pid, signal.SIGCONT)
    until("one leads again", pair.leader, timeout_s=45)
    burst_for(lab, 2)
    assert all(replica.process.poll() is None for replica in pair.replicas)
    with pair.ledger() as ledger:
        assert ledger.integrity() == ()


def test_a_restart_of_postgres_holds_new_bursts_back_and_keeps_those_that_run(pair: Pair, server: Postgres) -> None:
    lab = pair.lab
    burst_for(lab, 1)
    until("it serves", lambda: "Serving" in lab.each("bursts").values(), timeout_s=40)
    there, leader = lab.each("pods", ".metadata.uid"), pair.leader()
    server.stop()
    try:
        kubectl(lab.kubeconfig, "apply", "-f", "-", stdin=a_task(2, 600))
        until("it says so", lambda: "the ledger can't be written" in leader.ask("/readyz")[1], timeout_s=20)
        bursts = len(lab.each("bursts"))
        time.sleep(4)
        assert len(lab.each("bursts")) == bursts
        assert there.items() <= lab.each("pods", ".metadata.uid").items()
        assert leader.ask("/livez")[0] == 200
    finally:
        server.start()
    until("it begins again", lambda: len(lab.each("bursts")) > bursts, timeout_s=30)
    assert leader.leads
    with pair.ledger() as ledger:
        assert ledger.integrity() == ()
        assert sum(bool(step.after) for step in ledger.steps()) == 1, "what is missing is bridged by a snapshot"


def test_a_disk_that_is_full_holds_new_bursts_back_and_keeps_those_that_run(lab: Lab) -> None:
    port = a_free_port()
    only = Replica(lab.controller(listen=f"127.0.0.1:{port}"), port)
    until("it leads", lambda: only.leads, timeout_s=30)
    burst_for(lab, 1)
    until("it serves", lambda: "Serving" in lab.each("bursts").values(), timeout_s=40)
    there = lab.each("pods", ".metadata.uid")
    full = (lab.run_dir / "ledger.sqlite-wal").stat().st_size
    resource.prlimit(only.process.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin="".join(a_task(number, 600) for number in (2, 3, 4)))
    until("it says so", lambda: "the ledger can't be written" in only.ask("/readyz")[1], timeout_s=20)
    bursts = len(lab.each("bursts"))
    time.sleep(4)
    assert len(lab.each("bursts")) == bursts
    assert there.items() <= lab.each("pods", ".metadata.uid").items()
    resource.prlimit(only.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    until("it begins again", lambda: len(lab.each("bursts")) > bursts, timeout_s=30)

    only.process.send_signal(signal.SIGUSR2)
    until("the state is dumped", lambda: list((lab.run_dir / "dumps").glob("state-*.json")), timeout_s=10)
    (dumped,) = (lab.run_dir / "dumps").glob("state-*.json")
    assert dumped.stat().st_mode & 0o777 == 0o600
    assert len(snapshot.restore(dumped.read_bytes()).bursts) > bursts
    only.ends()
    verified = lab.world.run("history", "--verify", "--run", lab.run_dir)
    assert verified.code == 0, verified.err
    assert "could not be compared" in verified.out


def test_a_stop_ends_in_time_also_where_the_api_server_is_silent_and_something_is_under_way(lab: Lab) -> None:
    port = a_free_port()
    only = Replica(lab.controller(listen=f"127.0.0.1:{port}", BURSTER_LOG__LEVEL="info"), port)
    until("it leads", lambda: only.leads, timeout_s=30)
    burst_for(lab, 1)
    kubectl(lab.kubeconfig, "apply", "-f", "-", stdin="".join(a_task(number, 600) for number in range(2, 30)))
    os.kill(lab.process.pid, signal.SIGSTOP)  # watches hang, and so does what is being written
    try:
        began = time.monotonic()
        said = only.ends()
        took_s = time.monotonic() - began
    finally:
        os.kill(lab.process.pid, signal.SIGCONT)
    assert took_s < GRACE_S, f"{took_s:.1f}s, of the 30 s that Kubernetes gives"
    # by then its lead has ended, or it could not let the Lease go
    assert "no answer in time" in said
    with Ledger.read(lab.run_dir / "ledger.sqlite") as ledger:
        assert ledger.integrity() == ()
    # and the next goes on with what it left
    after = Replica(lab.controller(listen=f"127.0.0.1:{port}"), port)
    until("it leads", lambda: after.leads, timeout_s=40)
    after.ends()


def test_two_by_mistake_on_one_file_do_not_both_act(lab: Lab) -> None:
    ports = a_free_port(), a_free_port()
    pair = [Replica(lab.controller(listen=f"127.0.0.1:{port}"), port) for port in ports]
    until(
        "one leads, one stands by",
        lambda: sum(r.leads for r in pair) == 1 == sum(r.stands_by for r in pair),
        timeout_s=40,
    )
    burst_for(lab, 1)
    once = lab.controller("--once")
    _, said = once.communicate(timeout=60)
    assert once.returncode != 0
    assert "leads here: two must not act at once" in said
    for replica in pair:
        replica.ends()
    with Ledger.read(lab.run_dir / "ledger.sqlite") as ledger:
        assert ledger.integrity() == ()


def test_more_than_one_replica_on_a_file_is_refused(lab: Lab) -> None:
    process = lab.controller(BURSTER_REPLICAS="2")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "set BURSTER_LEDGER__POSTGRES" in said
