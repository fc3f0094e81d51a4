"""`status`, `why`, `history` and `spend` against an API server over the wire: by the controller behind its proxy, or by records."""

import asyncio
import csv
import os
import signal
import sys
from pathlib import Path

import orjson
import pytest
import yaml

from burster.ledger import Ledger
from tests.cli import scenes
from tests.cli.conftest import tell_a_story
from tests.cli.proxying import forwarded
from tests.cli.scenes import T0, Scene, a_burst, a_state, put_burst, put_event, put_waiting_pod


#: dozens of processes, each of which imports everything: a machine that is busy takes its time
pytestmark = pytest.mark.timeout(300)


KUBECTL = Path(sys.executable).parent / "kubectl"
BY_RECORDS = "told from Burst records, conditions and events"


@pytest.fixture(autouse=True)
def home():
    """Commands are processes with an environment of their own here; the control plane's binaries are in the developer's real home."""


@pytest.fixture(params=["lab", pytest.param("real", marks=pytest.mark.plane)])
async def scene(request, tmp_path):
    if request.param == "lab":
        async with scenes.lab_scene(tmp_path) as found:
            yield found
    else:
        async with scenes.real_scene(request.getfixturevalue("shared_plane")) as found:
            yield found


@pytest.fixture
async def bursts(scene: Scene):
    """Three records: one serves, one is settled, one has just been decided; a pod that waits; a word of burster's, and a forged one."""
    here = scene.namespace
    await put_burst(scene, a_burst(here, 1, phase="Serving", placed_at_ms=T0, vm_started_at_ms=T0, vms=("podvm-1",)))
    await put_burst(scene, a_burst(here, 2, phase="Released", settled_micro_usd=123_456, released_at_ms=T0 + 5))
    await put_burst(scene, a_burst(here, 3))
    await put_waiting_pod(scene, "task-9", "0/3 nodes \x1b[31mare available.")
    await put_event(scene, "Burst", "burst-1", "VmVerified", "It is what was decided.", "burster.dev/controller")
    await put_event(scene, "Burst", "burst-1", "Nonsense", "I am burster, honestly.", "somebody")
    return scene


async def test_without_a_controller_the_records_are_told_and_that_is_said(bursts):
    here = bursts.namespace
    code, out, err = await bursts.burster("status", "-n", here)
    assert (code, err) == (0, "")
    assert f"the records of namespace {here}" in out
    assert "1 pending" in out
    assert "1 Reserved, 1 Serving, 1 Released" in out
    status = (await bursts.json("status", "-n", here))["status"]
    assert status["bursts_by_phase"] == {"Serving": 1, "Released": 1, "Reserved": 1}
    assert status["spent_micro_usd"] == 123_456

    code, out, err = await bursts.burster("why", "task-1", "-n", here)
    assert code == 0, err
    assert err.count("\n") == 1
    assert f"no controller answers (the service burster in {bursts.home}: " in err
    assert BY_RECORDS in err
    assert f"The burst {here}/burst-1 at azure/westeurope/Standard_DC2es_v6, now Serving, not settled" in out
    assert "VmVerified: It is what was decided." in out
    assert "honestly" not in out
    code, out, err = await bursts.burster("why", f"{here}/task-9")
    assert code == 0, err
    assert "Unschedulable" in out
    assert "nodes \\x1b[31mare" in out

    events = await bursts.json("history", "-n", here)
    assert [(one["about"], one["reason"]) for one in events] == [(f"Burst {here}/burst-1", "VmVerified")]


async def test_spend_by_records_adds_up_whatever_it_is_grouped_by(bursts):
    here = bursts.namespace
    for by in ("policy,target", "day", "namespace,day", "target"):
        report = await bursts.json("spend", "-n", here, "--by", by)
        assert report["source"] == f"the records of namespace {here}"
        assert (report["total_micro_usd"], report["unsettled"]) == (123_456, 2)
        assert sum(row["settled_micro_usd"] for row in report["rows"]) == 123_456
        assert sum(row["reserved_micro_usd"] for row in report["rows"]) == 250_001 + 250_003
    code, out, err = await bursts.burster("spend", "-n", here, "-o", "csv", "--by", "day,policy")
    assert code == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["settled_usd"] for row in rows if row["settled_usd"] != "0.000000"] == ["0.123456"]


async def test_names_that_nobody_or_more_than_one_has(bursts):
    code, out, err = await bursts.burster("why", "tosk-1", "-n", bursts.namespace)
    assert (code, out) == (1, "")
    assert f"did you mean {bursts.namespace}/task-1" in err
    code, _, err = await bursts.burster("why", "other/task-1", "-n", bursts.namespace)
    assert code == 2
    assert "leave -n out" in err
    code, _, err = await bursts.burster("spend", "--policy", "nothing", "-n", bursts.namespace)
    assert code == 1
    assert "nothing was spent by policy 'nothing'" in err


async def test_the_controller_is_asked_through_the_api_server(scene, tmp_path):
    ledger = tmp_path / "ledger.sqlite"
    tell_a_story(ledger)
    with Ledger.read(ledger) as read:
        settled = sum(spend.micro_usd for spend in read.spend())
    async with scenes.controller(ledger, a_state("bank"), host=scene.host) as url:
        await scene.controller_at(url)
        code, out, err = await scene.burster("status")
        assert (code, err) == (0, "")
        assert "burster-7" in out
        code, out, err = await scene.burster("why", "batch-7")
        assert (code, err) == (0, "")
        assert "Release by bank/classic" in out
        answer = await scene.json("why", "tasks")
        assert [link["check"] for link in answer["chain"]][:3] == ["Ledger", "Drain", "InForce"]
        assert [one["verdict"] for one in await scene.json("history")] == ["Wait", "Burst", "Deny", "Release"]
        report = await scene.json("spend", "--by", "namespace,day", "--timezone", "budget")
        assert (report["total_micro_usd"], report["source"]) == (settled, "the controller")
        for words, code, says in (
            (("why", "bach-7"), 1, "did you mean bank/batch-7"),
            (("spend", "--policy", "x"), 1, "nothing was spent by policy"),
            (("spend", "--timezone", "Mars"), 2, "is no time zone"),
        ):
            got, out, err = await scene.burster(*words)
            assert (got, out) == (code, "")
            assert says in err
            assert err.count("\n") == 1


async def test_a_replica_that_stands_by_leads_to_the_one_that_leads(scene, tmp_path):
    """Two replicas have one port, each at its own address; the service leads to the one that stands by."""
    tell_a_story(tmp_path / "ledger.sqlite")
    async with scenes.controller(tmp_path / "none", None, led_by="burster-a_0123456789ab") as idle:
        port = int(idle.rpartition(":")[2])
        leading = scenes.controller(
            tmp_path / "ledger.sqlite", a_state(), host=scene.host, port=port if scene.real else 0
        )
        async with leading as leader, forwarded(scene.host, port) as stands_by:
            await scene.controller_at(stands_by)
            if scene.real:
                await scene.controller_at(leader, pod="burster-a")
            else:
                scene.proxied[f"/api/v1/namespaces/{scene.home}/pods/burster-a:{port}/proxy"] = leader
            code, out, err = await scene.burster("why", "batch-7")
            assert (code, err) == (0, "")
            assert "Release by bank/classic" in out
            for words in (("status",), ("history",), ("spend",)):
                code, out, err = await scene.burster(*words)
                assert (code, err) == (0, ""), words
            if scene.real:
                await scene.kube.delete(f"/api/v1/namespaces/{scene.home}/pods/burster-a", {"gracePeriodSeconds": 0})
            else:
                scene.proxied.popitem()
            code, out, err = await scene.burster("spend")
            assert code == 0
            # the leader's pod is gone: nothing is told from the replica that stands by, and who tells is said
            assert f"no controller answers (the service burster in {scene.home}: " in err
            assert BY_RECORDS in err


async def test_the_controller_is_asked_at_an_address(tmp_path):
    tell_a_story(tmp_path / "ledger.sqlite")

    async def ask(*words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "burster", *words, stdout=-1, stderr=-1, env=scenes.environment(), cwd=scenes.ROOT
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    async with scenes.controller(tmp_path / "ledger.sqlite", a_state("bank")) as url:
        code, out, err = await ask("spend", "--server", url, "-o", "yaml")
        assert (code, err) == (0, "")
        assert yaml.safe_load(out)["total_micro_usd"] == 123_400
    code, out, err = await ask("spend", "--server", url)
    assert (code, out) == (1, "")
    assert f"burster: {url}: nobody answers there (" in err


async def test_a_cluster_without_burster_says_what_to_apply(tmp_path):
    async with scenes.lab_scene(tmp_path, kinds=False) as bare:
        for words in (("status",), ("why", "x"), ("history", "--policy", "x"), ("spend",)):
            code, out, err = await bare.burster(*words)
            assert (code, out) == (2, "")
            assert "this cluster has no Bursts: apply deploy/crds first" in err.splitlines()[-1]


async def test_kubectl_finds_the_plugin(bursts):
    if not KUBECTL.exists():
        pytest.skip("no kubectl beside this python; install the dev dependencies")
    path = f"{KUBECTL.parent}{os.pathsep}{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        *(str(KUBECTL), "burst", "status", "-n", bursts.namespace, "--kubeconfig", str(bursts.kubeconfig)),
        stdout=-1,
        stderr=-1,
        env=scenes.environment(PATH=path),
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    assert b"1 Reserved, 1 Serving, 1 Released" in out
    listed = await asyncio.create_subprocess_exec(
        str(KUBECTL), "plugin", "list", stdout=-1, stderr=-1, env=scenes.environment(PATH=path)
    )
    assert b"kubectl-burst" in (await listed.communicate())[0]


async def lines_until(process, wanted: str) -> str:
    """Read lines until one of them holds what is wanted."""
    async with asyncio.timeout(30):
        while True:
            line = (await process.stdout.readline()).decode()
            assert line, f"it ended before it said {wanted}: {(await process.stderr.read()).decode()}"
            if wanted in line:
                return line


async def test_watch_shows_changes_as_they_come_and_ends_by_ctrl_c(bursts):
    here = bursts.namespace
    process = await bursts.start(sys.executable, "-m", "burster", "status", "-n", here, "--watch", "-o", "json")
    first = orjson.loads(await lines_until(process, "bursts_by_phase"))
    assert first["status"]["bursts_by_phase"] == {"Serving": 1, "Released": 1, "Reserved": 1}
    await put_burst(bursts, a_burst(here, 4, phase="Failed"))
    await lines_until(process, '"Failed":1')
    path = f"/apis/burster.dev/v1alpha1/namespaces/{here}/bursts/burst-4"
    await bursts.kube.delete(path)
    gone = orjson.loads(await lines_until(process, '"source"'))
    while "Failed" in gone["status"]["bursts_by_phase"]:
        gone = orjson.loads(await lines_until(process, '"source"'))
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")


async def test_watching_a_controllers_history_tells_each_decision_once(tmp_path):
    from tests.cli.conftest import START_MS, a_decision

    path = tmp_path / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        ledger.append_step(START_MS, [], [a_decision("Deny", "bank/a", "NoSizeFits", "No size.", at_ms=0)], [])
        async with scenes.controller(path, a_state("bank")) as url:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "burster", "history", "--server", url, "--watch", "-o", "json"),
                stdout=-1,
                stderr=-1,
                env=scenes.environment(),
                cwd=scenes.ROOT,
            )
            await lines_until(process, "bank/a")
            # at the same moment as one that was told, and later
            more = [
                a_decision("Deny", f"bank/{name}", "NoSizeFits", "No size.", at_ms=at)
                for name, at in (("b", 0), ("c", 5))
            ]
            ledger.append_step(START_MS + 5, [], more, [])
            assert "bank/b" in (await process.stdout.readline()).decode()
            assert "bank/c" in (await process.stdout.readline()).decode()
            process.send_signal(signal.SIGTERM)
            out, _ = await process.communicate()
    assert (process.returncode, out) == (143, b"")
