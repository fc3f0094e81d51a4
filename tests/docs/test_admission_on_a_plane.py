"""deploy/admission on a real API server, which evaluates it itself: what it refuses to people who have every right, and what it doesn't.

tests/docs/test_hardening.py evaluates the same policies without one, by burster's own CEL library.
"""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from burster.adaptors.manifests import BURST_LABEL, UID_ANNOTATION
from burster.clients.kube import Kube, KubeSettings
from burster.model.errors import RemoteError
from tests.contract.kube.test_burster_kinds import record
from tests.docs.rights import ROOT, documents
from tests.docs.test_hardening import ACCOUNT, ADMISSION
from tests.support.control_plane import ControlPlane


pytestmark = [pytest.mark.long, pytest.mark.plane(whole=True, since=(1, 30)), pytest.mark.timeout(300)]
#: the controllers that delete namespaces, and the one that looks through admission policies for mistakes
CONTROLLERS = ("namespace-controller", "validatingadmissionpolicy-status-controller")
KUBECTL = Path(sys.executable).with_name("kubectl")
HOME = "bank"
BURSTS = f"/apis/burster.dev/v1alpha1/namespaces/{HOME}/bursts"
PODS = f"/api/v1/namespaces/{HOME}/pods"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
#: Whoever plays them has every right: what is refused then, is refused by admission.
EVERYTHING = "system:masters"
PEOPLE = {
    "burster": (ACCOUNT, (EVERYTHING,)),
    "mallory": ("mallory", (EVERYTHING,)),
    "collector": ("system:serviceaccount:kube-system:generic-garbage-collector", (EVERYTHING,)),
    "kubelet": ("system:node:a", ("system:nodes", EVERYTHING)),
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("plane")
    with ControlPlane(folder, controllers=CONTROLLERS, scheduler=False, people=PEOPLE) as plane:
        for what in (("-f", "deploy/crds"), ("-k", "deploy/admission")):
            kubectl(plane, "apply", plane.validation, *what)
        plane.make("/api/v1/namespaces", {"metadata": {"name": HOME}})
        until_refused(plane)
        yield plane


def kubectl(plane: ControlPlane, *arguments: str) -> None:
    command = [KUBECTL, f"--kubeconfig={plane.kubeconfig}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def until_refused(plane: ControlPlane) -> None:
    """Wait until policies count: the API server reads them a moment after they are written."""
    for _ in range(200):
        with suppress(AssertionError):
            plane.ask("GET", BURSTS)
            pod = a_pod("early", labels={BURST_LABEL: "b"})
            try:
                plane.make(f"{PODS}?dryRun=All", pod)
            except AssertionError as told:
                if "burster's own" in str(told):
                    return
        time.sleep(0.1)
    raise AssertionError("deploy/admission never came to count")


def a_pod(name: str, **metadata: Any) -> dict[str, Any]:
    containers = [{"name": "a", "image": "registry.example/app:1"}]
    return {"metadata": {"name": name, **metadata}, "spec": {"containers": containers}}


@pytest.fixture
async def people(plane: ControlPlane) -> AsyncIterator[dict[str, Kube]]:
    async with AsyncExitStack() as stack:
        found: dict[str, Kube] = {}
        for who in PEOPLE:
            path = str(plane.folder / f"{who}.kubeconfig")
            found[who] = await stack.enter_async_context(await Kube.connect(KubeSettings(kubeconfig=path)))
        yield found


async def refused(action: Any) -> str:
    with pytest.raises(RemoteError) as told:
        await action
    assert told.value.status == 403, told.value
    return told.value.message


def test_the_server_finds_nothing_to_warn_of(plane: ControlPlane) -> None:
    """Its own check of types: a field that an expression reads and that no such object has would be told."""
    names = [
        each["metadata"]["name"]
        for file in ADMISSION
        for each in documents(f"admission/{file}")
        if each["kind"] == "ValidatingAdmissionPolicy"
    ]
    assert names
    for name in names:
        for _ in range(100):
            status = plane.ask("GET", f"{POLICIES}/{name}").get("status", {})
            if "observedGeneration" in status:
                break
            time.sleep(0.1)
        assert status["observedGeneration"] == 1
        assert not status.get("typeChecking", {}).get("expressionWarnings"), (name, status)


async def test_bursts_are_written_by_burster_alone(people: dict[str, Kube]) -> None:
    body = record(HOME)
    name = body["metadata"]["name"]
    mallory, burster = people["mallory"], people["burster"]
    assert "Bursts are written by burster alone" in await refused(mallory.create(BURSTS, body))
    await burster.create(BURSTS, {**body, "metadata": {**body["metadata"], "finalizers": ["burster.dev/release"]}})
    await burster.patch(f"{BURSTS}/{name}/status", {"status": {"phase": "Serving"}})
    for path, change in (
        (name, {"metadata": {"labels": {"a": "b"}}}),
        (name, {"metadata": {"finalizers": None}}),
        (f"{name}/status", {"status": {"phase": "Released"}}),
        (f"{name}/scale", {"spec": {"replicas": 0}}),
    ):
        assert "Bursts are written by burster alone" in await refused(mallory.patch(f"{BURSTS}/{path}", change))
    # to bring a burst home is anybody's who has the right to
    await mallory.delete(f"{BURSTS}/{name}")
    # and Kubernetes' own controllers end what is deleted
    await people["collector"].patch(f"{BURSTS}/{name}", {"metadata": {"finalizers": None}})
    with pytest.raises(RemoteError) as told:
        await burster.get(f"{BURSTS}/{name}")
    assert told.value.kind == "NotFound"


async def test_bursters_marks_are_on_its_own_pods_alone(people: dict[str, Kube]) -> None:
    marks = ({"labels": {BURST_LABEL: "b"}}, {"annotations": {UID_ANNOTATION: "u"}})
    for number, mark in enumerate(marks):
        pod = a_pod(f"marked-{number}", **mark)
        assert "burster's own" in await refused(people["mallory"].create(PODS, pod))
        await people["burster"].create(PODS, pod)
    await people["mallory"].create(PODS, a_pod("bare"))
    await people["mallory"].create(PODS, a_pod("plain", labels={"app": "web"}, annotations={"burster.dev/epoch": "1"}))


async def test_only_kubelets_complain_about_sandboxes(people: dict[str, Kube]) -> None:
    def core(name: str, reason: str) -> tuple[str, dict[str, Any]]:
        about = {"kind": "Pod", "namespace": HOME, "name": "a"}
        body = {"metadata": {"name": name}, "involvedObject": about, "reason": reason, "type": "Warning"}
        return f"/api/v1/namespaces/{HOME}/events", body

    def newer(name: str, reason: str) -> tuple[str, dict[str, Any]]:
        body = {
            "metadata": {"name": name},
            "regarding": {"kind": "Pod", "namespace": HOME, "name": "a"},
            "reason": reason,
            "type": "Warning",
            "action": "Create",
            "eventTime": "2026-11-22T10:00:00.000000Z",
            "reportingController": "contract.example.dev/c",
            "reportingInstance": "i",
        }
        return f"/apis/events.k8s.io/v1/namespaces/{HOME}/events", body

    for number, make in enumerate((core, newer)):
        complaint = make(f"complaint-{number}", "FailedCreatePodSandBox")
        assert "Only a kubelet" in await refused(people["mallory"].create(*complaint))
        await people["kubelet"].create(*complaint)
        await people["mallory"].create(*make(f"other-{number}", "Started"))
