import os
import subprocess
import sys
from pathlib import Path

import pytest

from burster.cli import main
from burster.ledger import Ledger
from burster.model import stimuli
from burster.model.decisions import Decision, Reason
from burster.model.offerings import Vm
from burster.model.pods import Pod, Resources


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
