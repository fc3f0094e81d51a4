"""deploy/ on a real API server: it takes every manifest, and the account's token gets the controller exactly as far as its roles say."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from burster.clients.kube import Kube, KubeSettings
from burster.lab.arm import ArmConfig, ArmServer
from burster.model.errors import RemoteError
from burster.runtime.clock import SystemClock
from tests.docs.rights import ROOT, Rights, documents
from tests.perf.rig import CONTAINER, TARGET, run_controller
from tests.support.control_plane import ControlPlane


pytestmark = [pytest.mark.plane, pytest.mark.long]
KUBECTL = Path(sys.executable).parent / "kubectl"
ACCOUNT = "system:serviceaccount:burster-system:burster"
RIGHTS = ("rbac.yaml", "lease.yaml", "targets.yaml", "own.yaml")
OPTED_IN = "bank"
POLICY = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstPolicy",
    "metadata": {"name": "all", "namespace": OPTED_IN},
    "spec": {
        "workload": {"podNamePattern": ".*"},
        "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "0s"}}],
        "placement": {"targets": ["azure-westeurope-tdx"]},
        "confidential": {"required": True, "tees": ["TDX"], "attestation": "VmOnly"},
    },
}


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """An API server with RBAC on which deploy/ and one opted-in namespace are applied, with nobody else at work."""
    folder = tmp_path_factory.mktemp("plane")
    with ControlPlane(folder, controllers=(), scheduler=False) as plane:
        for crd in sorted((ROOT / "deploy/crds").glob("*.yaml")):
            kubectl(plane, "apply", plane.validation, "-f", str(crd))
        for name in ("burster-system", OPTED_IN, "other"):
            plane.make("/api/v1/namespaces", {"metadata": {"name": name}})
        for name in RIGHTS:
            kubectl(plane, "apply", "-f", str(ROOT / "deploy" / name))
        binding = documents("opt-in/rolebinding.yaml")[0]
        plane.make(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OPTED_IN}/rolebindings", binding)
        runtime_class = {"metadata": {"name": "kata-remote"}, "handler": "kata-remote"}
        plane.make("/apis/node.k8s.io/v1/runtimeclasses", runtime_class)
        for path in ("bursttargets", "burstpolicies"):
            wait_for(plane, f"/apis/burster.dev/v1alpha1/{path}")
        plane.make("/apis/burster.dev/v1alpha1/bursttargets", TARGET)
        plane.make(f"/apis/burster.dev/v1alpha1/namespaces/{OPTED_IN}/burstpolicies", POLICY)
        for namespace in (OPTED_IN, "other", "burster-system"):
            secret = {"metadata": {"name": "theirs"}, "stringData": {"password": "open sesame"}}
            plane.make(f"/api/v1/namespaces/{namespace}/secrets", secret)
        yield plane


def kubectl(plane: ControlPlane, *arguments: str) -> str:
    done = subprocess.run(
        [KUBECTL, f"--kubeconfig={plane.kubeconfig}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_for(plane: ControlPlane, path: str) -> None:
    for _ in range(100):
        with suppress(AssertionError):
            plane.ask("GET", path)
            return
        time.sleep(0.1)
    raise AssertionError(f"{path} was never served")


def token(plane: ControlPlane) -> str:
    path = "/api/v1/namespaces/burster-system/serviceaccounts/burster/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": [], "expirationSeconds": 3600},
    }
    return plane.make(path, body)["status"]["token"]


@pytest.fixture(scope="module")
def kubeconfig(plane: ControlPlane) -> Path:
    """What the pod has: the account's own token, and nothing else."""
    return plane.write_kubeconfig(plane.folder / "account.kubeconfig", token(plane))


def is_allowed(plane: ControlPlane, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
    """Ask the API server's own authorizer about the account."""
    plural, _, group = resource.partition(".")
    plural, _, subresource = plural.partition("/")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    attributes |= {"namespace": namespace, "name": name}
    groups = ["system:serviceaccounts", "system:serviceaccounts:burster-system", "system:authenticated"]
    review = {"spec": {"user": ACCOUNT, "groups": groups, "resourceAttributes": attributes}}
    return plane.make("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"]


def test_the_api_server_takes_every_manifest(plane: ControlPlane) -> None:
    everything = list(yaml.safe_load_all(kubectl(plane, "kustomize", "deploy")))
    # these are there in earnest
    rendered = [each for each in everything if each["kind"] != "CustomResourceDefinition"]
    (plane.folder / "deploy.yaml").write_text(yaml.safe_dump_all(rendered))
    told = kubectl(plane, "apply", "--dry-run=server", "-f", str(plane.folder / "deploy.yaml"))
    assert len(told.splitlines()) == len(rendered)
    assert all("(server dry run)" in line for line in told.splitlines())


def test_the_roles_mean_the_same_to_kubernetes_as_to_the_labs_test(plane: ControlPlane) -> None:
    """What the lab's day was held to, right by right, asked of the real authorizer: what is granted is, and elsewhere it is not."""
    rights = Rights(OPTED_IN, RIGHTS[1:])
    for role, resource, verb in sorted(rights.granted):
        where = rights.namespace_of((role, resource, verb))
        for name in rights.names_of((role, resource, verb)):
            assert is_allowed(plane, verb, resource, where, name), (role, resource, verb)
        if role == "burster-act" and verb not in {"get", "list", "watch"}:
            assert not is_allowed(plane, verb, resource, "other"), (resource, verb)


def test_secrets_and_what_others_own_are_out_of_reach(plane: ControlPlane) -> None:
    for namespace in (OPTED_IN, "other", "burster-system", "kube-system", ""):
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete"):
            assert not is_allowed(plane, verb, "secrets", namespace, "theirs"), (verb, namespace)
        for resource in ("roles.rbac.authorization.k8s.io", "serviceaccounts/token", "pods/exec", "pods/log"):
            assert not is_allowed(plane, "create", resource, namespace)
    assert not is_allowed(plane, "update", "leases.coordination.k8s.io", "burster-system", "another")
    assert not is_allowed(plane, "impersonate", "users")
    assert not is_allowed(plane, "update", "nodes")


def a_pending_pod(plane: ControlPlane, namespace: str, name: str) -> None:
    pod = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}
    plane.make(f"/api/v1/namespaces/{namespace}/pods", pod)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu.",
        "lastTransitionTime": now,
    }
    plane.ask(
        "PATCH",
        f"/api/v1/namespaces/{namespace}/pods/{name}/status",
        {"status": {"conditions": [condition]}},
        content_type="application/strategic-merge-patch+json",
    )


async def refused(kube: Kube, path: str) -> str:
    with pytest.raises(RemoteError) as told:
        await kube.get(path)
    return told.value.kind


async def run_it(plane: ControlPlane, kubeconfig: Path, folder: Path, pod: str, *, wanted: str) -> Any:
    """Run the controller as the account until a decision of that code is there, and return its state."""
    clock = SystemClock()
    config = ArmConfig(family_quota=1_000_000, cores_quota=1_000_000)
    async with ArmServer(clock, config=config) as arm:
        lab: Any = SimpleNamespace(kubeconfig=kubeconfig, arm=arm)
        async with run_controller(lab, clock, folder) as controller:
            codes: list[str] = []
            controller.listen(lambda _stimuli, result, _now: codes.extend(d.reasons[0].code for d in result.decisions))
            phases: set[str] = set()
            await asyncio.to_thread(a_pending_pod, plane, OPTED_IN, pod)
            async with asyncio.timeout(60):
                while wanted not in codes and wanted not in phases:
                    phases |= {entry.burst.status.phase for entry in controller.loop.state.bursts.values()}
                    await asyncio.sleep(0.05)
            assert all(stats.lists and not stats.failures for stats in controller.source_stats.values()), codes
            return codes


async def test_the_account_s_token_brings_a_pod_to_its_cloud_pod(
    plane: ControlPlane, kubeconfig: Path, tmp_path: Path
) -> None:
    await run_it(plane, kubeconfig, tmp_path, "task-1", wanted="Provisioning")
    pods = plane.ask("GET", f"/api/v1/namespaces/{OPTED_IN}/pods?labelSelector=burster.dev/burst")["items"]
    assert [pod["spec"]["runtimeClassName"] for pod in pods] == ["kata-remote"]
    async with await Kube.connect(KubeSettings(kubeconfig=str(kubeconfig))) as kube:
        for namespace in (OPTED_IN, "other", "burster-system"):
            assert await refused(kube, f"/api/v1/namespaces/{namespace}/secrets/theirs") == "Unauthorized"
            assert await refused(kube, f"/api/v1/namespaces/{namespace}/secrets") == "Unauthorized"
        # a name that leads elsewhere is not even asked for
        assert (
            await refused(kube, f"/apis/apps/v1/namespaces/{OPTED_IN}/deployments/../../../../api/v1/secrets")
            == "Invalid"
        )


@pytest.mark.parametrize(
    ("resource", "verb"), [("bursts", "create"), ("pods", "create"), ("pods", "delete")], ids=lambda value: value
)
async def test_one_right_less_is_felt(
    plane: ControlPlane, kubeconfig: Path, tmp_path: Path, resource: str, verb: str
) -> None:
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/burster-act"
    whole = plane.ask("GET", path)
    less = json.loads(json.dumps(whole))
    for rule in less["rules"]:
        if resource in rule["resources"]:
            rule["verbs"] = [one for one in rule["verbs"] if one != verb] or ["get"]
    plane.ask("PUT", path, less)
    try:
        for _ in range(100):
            if not is_allowed(plane, verb, resource + (".burster.dev" if resource == "bursts" else ""), OPTED_IN):
                break
            await asyncio.sleep(0.1)
        codes = await run_it(plane, kubeconfig, tmp_path, f"less-{resource}-{verb}", wanted="Forbidden")
        assert "Forbidden" in codes
    finally:
        del whole["metadata"]["resourceVersion"]
        plane.ask("PUT", path, whole)
