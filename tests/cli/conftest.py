import os
import subprocess
import sys
import types
from pathlib import Path

import msgspec
import pytest

from burster.cli import main
from burster.lab.demo_result import BurstCounts, DemoResult, Invariant, PodCounts, ReactionMs
from burster.ledger import Ledger
from burster.model import stimuli
from burster.model.decisions import Decision, Reason
from burster.model.offerings import Vm
from burster.model.pods import Pod, Resources
from burster.surfaces.view import BudgetView, BurstView, NodeView, OnPremView, PendingView, StatusView


START_MS = 1_800_000_000_000
POD, POLICY, BURST = "bank/batch-7", "bank/classic", "bank/burst-batch-7"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """No test reads the developer's settings or leaves anything in their home."""
    for name in list(os.environ):
        if name.startswith("BURSTER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def burster(capsys):
    """Run a command as the console script would: (exit code, standard output, standard error)."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stopped.value.code, out, err

    return run


@pytest.fixture
def process():
    """Run a command as a process of its own."""

    def run(*arguments, **options):
        command = [sys.executable, "-m", "burster", *map(str, arguments)]
        root = Path(__file__).parents[2]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=root, **options)

    return run


def a_decision(verdict, subject, code, sentence, *, at_ms, burst="", offering="", numbers=None):
    reason = Reason(code=code, sentence=sentence, numbers=numbers or {})
    reasons = (
        (reason,)
        if verdict != "Burst"
        else (
            reason,
            Reason(code="Reserved", sentence="$0.5000 are set aside.", numbers={"reserved_micro_usd": 500_000}),
        )
    )
    return Decision(
        at_ms=START_MS + at_ms,
        verdict=verdict,
        policy=POLICY,
        subject=subject,
        burst=burst,
        offering=offering,
        reasons=reasons,
    )


def a_pending_pod(key, requests=None):
    namespace, name = key.split("/")
    return stimuli.PodSeen(
        pod=Pod(
            namespace=namespace,
            name=name,
            uid=f"u-{name}",
            unschedulable_since_ms=START_MS,
            message="0/3 nodes are available: 3 Insufficient cpu.",
            requests=requests or Resources(cpu_millicores=2_000, memory_bytes=2**31),
        )
    )


def tell_a_story(path):
    """A pod that a budget refuses first, then bursts, serves and comes home; another one that is left waiting."""
    vm = Vm(
        name="podvm-1", resource_id="/x", region="westeurope", size="Standard_DC2es_v6", provisioning_state="Succeeded"
    )
    short = {"wanted_micro_usd": 500_000, "used_micro_usd": 900_000, "limit_micro_usd": 1_000_000}
    budget = "$0.5000 would have to be reserved, $0.9000 of $1.0000 per hour are spent or reserved for policy classic."
    offering = "azure/westeurope/Standard_DC2es_v6"
    capacity = stimuli.CapacitySeen(
        nodes=3,
        allocatable=Resources(cpu_millicores=12_000, memory_bytes=2**34),
        requested=Resources(cpu_millicores=11_000, memory_bytes=2**33),
    )
    steps = [
        (
            0,
            [capacity, a_pending_pod(POD), a_pending_pod("bank/batch-8")],
            [a_decision("Wait", POD, "PolicyBudget", budget, at_ms=0, numbers=short)],
        ),
        (
            60_000,
            [stimuli.Tick(kind="evaluate")],
            [
                a_decision(
                    "Burst",
                    POD,
                    "Pending",
                    "No on-prem node has taken it for 1m.",
                    at_ms=60_000,
                    burst=BURST,
                    offering=offering,
                    numbers={"pending_ms": 60_000},
                ),
                a_decision("Deny", "bank/batch-8", "NoSizeFits", "No allowed size has 200 cpu [really].", at_ms=60_000),
            ],
        ),
        (60_010, [stimuli.BurstRecorded(key=BURST, uid="u-b")], []),
        (60_020, [stimuli.PodPlaced(key=BURST, pod_uid="u-p")], []),
        (61_000, [stimuli.CloudPodSeen(burst_uid="u-b", burst_key=BURST, pod_uid="u-p", phase="Pending")], []),
        (90_000, [stimuli.VmsObserved(key=BURST, vms=(vm,)), stimuli.StatusWritten(key=BURST, phase="Serving")], []),
        (91_000, [stimuli.VmsObserved(key=BURST, vms=(vm,))], []),
        (
            400_000,
            [stimuli.PodLeft(namespace="bank", name="batch-7", uid="u-batch-7", why="Bound")],
            [
                a_decision(
                    "Release", BURST, "DemandGone", "Its demand has been gone for 5m.", at_ms=400_000, burst=BURST
                ),
            ],
        ),
        (410_000, [stimuli.VmsObserved(key=BURST, vms=())], []),
        (410_005, [stimuli.StatusWritten(key=BURST, phase="Released")], []),
    ]
    with Ledger.open(path, seed=7, policy_hash="p") as ledger:
        for at_ms, facts, decisions in steps:
            spends = (
                [
                    stimuli.Spend(
                        burst=BURST, uid="u-b", policy=POLICY, target="azure", at_ms=START_MS + at_ms, micro_usd=123_400
                    )
                ]
                if at_ms == 410_000
                else []
            )
            ledger.append_step(START_MS + at_ms, facts, decisions, spends)


@pytest.fixture
def run_dir(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    tell_a_story(directory / "ledger.sqlite")
    return directory


def views(ledger_path):
    """Return a run's views: on-prem fills, a burst comes and goes."""
    with Ledger.read(ledger_path) as ledger:
        decisions = ledger.decisions()
    there = Resources(cpu_millicores=4_000, memory_bytes=2**33)
    burst = BurstView(
        burst="bank/burst-batch-7",
        policy="bank/classic",
        pod="bank/burst-batch-7",
        phase="Serving",
        vm="podvm-1",
        size="Standard_DC2es_v6",
        cost_micro_usd=4_200,
    )
    for minute in range(8):
        used = Resources(cpu_millicores=min(4_000, 700 * minute), memory_bytes=2**30)
        out = 2 <= minute < 6
        yield StatusView(
            at_ms=START_MS + minute * 60_000,
            title="demo",
            onprem=OnPremView(
                node_count=2,
                used=used + used,
                allocatable=there + there,
                nodes=tuple(NodeView(name=f"node-{n}", used=used, allocatable=there) for n in (1, 2)),
            ),
            pending_total=int(out),
            pending=(PendingView(pod="bank/batch-8", since_ms=START_MS, why="No size [fits]."),) if out else (),
            bursts_by_phase={"Serving": 1} if out else {"Released": 1},
            bursts=(burst,) if out else (msgspec.structs.replace(burst, phase="Released"),),
            budgets=(
                BudgetView(
                    owner="bank/classic",
                    window="hour",
                    spent_micro_usd=1,
                    reserved_micro_usd=950_000,
                    limit_micro_usd=1_000_000,
                ),
            ),
            spent_micro_usd=123_400,
            decisions_total=min(minute, len(decisions)),
            decisions=decisions[: min(minute, len(decisions))],
        )


class FakeWorld:
    """A stand-in for burster.lab.world: tells a short story, leaves a real ledger, and knows nothing of clusters."""

    def __init__(self):
        self.asked = []
        self.changes = {}
        self.error = None

    def run_demo(self, options, on_view, on_beat):
        self.asked.append(options)
        if self.error:
            raise self.error
        ledger_path = Path(options.run_dir) / "ledger.sqlite"
        tell_a_story(ledger_path)
        on_beat("On-prem fills.")
        for view in views(ledger_path):
            on_view(view)
        on_beat("0 leaks [really].")
        with Ledger.read(ledger_path) as ledger:
            sha256 = ledger.decisions_sha256()
        result = DemoResult(
            seed=options.seed,
            pods=PodCounts(total=2, ran_on_prem=0, ran_in_cloud=1, unserved=1),
            bursts=BurstCounts(created=1, released=1, failed=0),
            reaction_ms=ReactionMs(p50=3.2, p99=9.7, max=11.0),
            cost_micro_usd=123_400,
            leaks=0,
            invariants=(Invariant(name="nothing ran twice", ok=True, detail="2 pods looked at"),),
            decisions_sha256=sha256,
            run_dir=options.run_dir,
            virtual_ms=420_000,
            wall_ms=1_500,
        )
        return msgspec.structs.replace(result, **self.changes)

    def as_module(self):
        """Return it as a module to be imported."""
        module = types.ModuleType("burster.lab.world")
        module.run_demo = self.run_demo
        return module


@pytest.fixture
def world(monkeypatch):
    """Put a stand-in where `burster demo` looks for the lab."""
    world = FakeWorld()
    monkeypatch.setitem(sys.modules, "burster.lab.world", world.as_module())
    return world


@pytest.fixture
def demo_views(tmp_path):
    """A run's views."""
    tell_a_story(tmp_path / "told.sqlite")
    return tuple(views(tmp_path / "told.sqlite"))
