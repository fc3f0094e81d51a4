"""From a dry run to nothing left, on a real control plane: the switch to live, the stop, and docs/uninstalling.md by its own commands."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from burster.ledger import Ledger
from burster.model.errors import InputError
from tests.e2e.plane_evidence import account_for, phase_of
from tests.e2e.real_lab import RULES, SERVICE, a_task
from tests.e2e.real_plane import ROOT, Place, a_place
from tests.support.audit_log import creations, read_audit


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True), pytest.mark.timeout(900)]
PAGE = (ROOT / "docs/uninstalling.md").read_text()
_WRITES = {"create", "update", "patch", "delete", "deletecollection"}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with a_place(tmp_path, rules=RULES, node_cpu="500m") as place:
        yield place


def commands_of(step: int) -> list[str]:
    """Return the commands of a numbered step of the page, but for what it says of a hurry."""
    text = re.split(r"^\d+\. ", PAGE.partition("\n## ")[0], flags=re.MULTILINE)[step].partition("In a hurry")[0]
    found = re.findall(r"^ +(kubectl .*)$", text, flags=re.MULTILINE)
    assert found, f"step {step} has no commands"
    return [command.replace("NAMESPACE", "default") for command in found]


async def follow(place: Place, command: str, *, for_s: float = 120) -> str:
    """Do what the page says, as somebody in a clone of the repository does; a watch ends after a while."""
    env = {
        **os.environ,
        "KUBECONFIG": str(place.plane.kubeconfig),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    wrapped = ["timeout", "--signal=INT", "3" if "--watch" in command else str(for_s), "sh", "-c", f"exec {command}"]
    done = await asyncio.to_thread(
        lambda: subprocess.run(wrapped, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    )
    assert done.returncode == 0 or "--watch" in command, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def decided(place: Place, verdict: str) -> dict[str, set[str]]:
    """Return by subject the reasons that the ledger has for a verdict."""
    found: dict[str, set[str]] = {}
    # a controller that is only starting has no ledger yet, or is about to make it
    with suppress(InputError), Ledger.read(place.ledger) as ledger:
        for each in ledger.decisions(verdict=verdict, limit=100_000):
            found.setdefault(each.subject, set()).update(reason.code for reason in each.reasons)
    return found


async def test_from_a_dry_run_to_nothing_left(place: Place) -> None:
    began_s = asyncio.get_running_loop().time()
    tasks = [f"default/task-{number}" for number in range(3)]
    await place.apply(SERVICE.replace("replicas: 6", "replicas: 2") + a_task(0, 8) + a_task(1, 8))
    await it_decides_and_does_nothing(place)
    controller = place.controller()
    await it_goes_on_from_there(place)
    await it_stops_at_once_and_goes_on(place)
    await place.kubectl("scale", "deployment/web", "--replicas=2")
    for step in (1, 2):
        for command in commands_of(step):
            await follow(place, command)

    async def empty() -> bool:
        return not await place.all_of("bursts") and not await place.all_of("policies")

    await place.until("both lists are empty", empty)
    assert place.arm.leaks() == ()
    trouble_s = asyncio.get_running_loop().time() - began_s
    await account_for(place, RULES, tasks, blind_ms=int(trouble_s * 1000))
    first, *others = commands_of(4)
    await follow(place, first)
    await place.ends_well(controller)
    for command in others:
        await follow(place, command)
    await nothing_is_left(place)


async def it_decides_and_does_nothing(place: Place) -> None:
    controller = place.controller("--dry-run")

    async def decides() -> bool:
        return len(decided(place, "Burst")) >= 4

    await place.until("four would burst", decides)
    await asyncio.sleep(2)
    await place.ends_well(controller)
    assert [each for each in read_audit(place.plane.folder) if each.verb in _WRITES] == []
    assert place.arm.billing.vms == ()


async def it_goes_on_from_there(place: Place) -> None:
    async def both_serve() -> bool:
        phases = [(each["spec"]["strategy"], phase_of(each)) for each in await place.all_of("bursts")]
        return phases.count(("Clone", "Serving")) == 2

    await place.until("the clones serve", both_serve)
    created = creations(read_audit(place.plane.folder), "bursts")
    assert sorted(each.body["spec"]["strategy"] for each in created) == ["Clone", "Clone", "Move", "Move"]


async def it_stops_at_once_and_goes_on(place: Place) -> None:
    [stop] = commands_of(1)
    await follow(place, stop)
    before = len(creations(read_audit(place.plane.folder), "bursts"))
    await place.apply(a_task(2, 4))

    async def told() -> bool:
        return "ClusterStopped" in decided(place, "Deny").get("default/task-2", set())

    await place.until("the ledger tells why not", told)
    await asyncio.sleep(4)
    assert len(creations(read_audit(place.plane.folder), "bursts")) == before
    assert "uninstalling" in await place.kubectl("get", "events", "-o", "custom-columns=M:.message")
    await place.kubectl("-n", "burster-system", "delete", "configmap", "burster-stop")

    async def done() -> bool:
        return {pod["metadata"]["name"]: pod["status"]["phase"] for pod in await place.all_of("pods")}[
            "task-2"
        ] == "Succeeded"

    await place.until("what waited runs", done)


async def nothing_is_left(place: Place) -> None:
    listed = "crd,clusterroles,clusterrolebindings,namespaces,runtimeclasses,validatingwebhookconfigurations"
    left = await place.kubectl("get", listed, "-o", "name")
    assert [each for each in left.splitlines() if "burster" in each] == []
    inside = await place.kubectl(
        "get", "roles,rolebindings,configmaps,leases,secrets,serviceaccounts", "-A", "-o", "name"
    )
    assert [each for each in inside.splitlines() if "burster" in each] == []
    assert "burster" not in await place.kubectl("api-resources", "-o", "name")
    for pod in await place.all_of("pods"):
        kept = [one for one in pod["metadata"].get("finalizers", []) if one.startswith("burster.dev/")]
        assert not kept, pod["metadata"]["name"]
        assert "burster.dev/burst" not in pod["metadata"].get("labels", {}) or pod["status"]["phase"] == "Succeeded"
    assert place.arm.leaks() == ()
