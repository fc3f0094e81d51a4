"""deploy/ with the real kubectl, and what the controller's Deployment promises."""

import asyncio
import os
import shlex
import shutil
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from burster.cli.app import build_app
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.platform import prepare
from burster.policy.load import load_files
from burster.settings import load_settings
from tests.docs.rights import ROOT, documents


KUBECTL = Path(sys.executable).parent / "kubectl"
DEPLOY = ROOT / "deploy"


@pytest.fixture
async def kubectl(tmp_path):
    """Runs kubectl against an empty lab; returns (exit code, standard output, standard error)."""
    if not KUBECTL.exists():
        pytest.skip("no kubectl beside this python; install the dev dependencies")
    store = Store(lambda: time.time_ns() // 1_000_000)
    async with ApiServer(store) as server:
        config = tmp_path / "kubeconfig"
        config.write_text(server.kubeconfig())

        async def run(*arguments: str) -> tuple[int, str, str]:
            async with asyncio.timeout(60):
                process = await asyncio.create_subprocess_exec(
                    str(KUBECTL),
                    f"--kubeconfig={config}",
                    *arguments,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    cwd=ROOT,
                    env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
                )
                out, errors = await process.communicate()
            return process.returncode or 0, out.decode(), errors.decode()

        run.store = store
        yield run


async def until_served(kubectl) -> None:
    for _ in range(100):
        code, _, _ = await kubectl("get", "burstpolicies,bursttargets,bursts", "-A")
        if code == 0:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the custom kinds were never served")


async def test_the_whole_folder_is_applied_and_applied_again(kubectl):
    code, out, errors = await kubectl("apply", "-k", "deploy")
    assert code == 0, errors
    assert "warning" not in errors.lower()
    kinds = [line.split("/")[0].partition(".")[0] for line in out.splitlines()]
    assert sorted(kinds) == sorted(
        ["customresourcedefinition"] * 3
        + ["namespace", "serviceaccount", "persistentvolumeclaim", "deployment", "networkpolicy"]
        + ["service", "serviceaccount"]
        + ["clusterrole"] * 6
        + ["clusterrolebinding"] * 5
        + ["role"] * 4
        + ["rolebinding"] * 3
    )
    assert all(line.endswith(" created") for line in out.splitlines()), out
    await until_served(kubectl)
    code, out, errors = await kubectl("apply", "-k", "deploy")
    assert code == 0, errors
    assert all(line.endswith(" unchanged") for line in out.splitlines()), out


async def test_a_namespace_opts_in_and_the_policy_library_fits_the_crds(kubectl):
    code, _, errors = await kubectl("apply", "-k", "deploy")
    assert code == 0, errors
    await until_served(kubectl)
    code, out, errors = await kubectl("apply", "-k", "deploy/opt-in")
    assert (code, out) == (0, "rolebinding.rbac.authorization.k8s.io/burster-act created\n"), errors
    policies = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "policies").rglob("*.yaml"))
    rules = [path for path in policies if "kind: Burst" in (ROOT / path).read_text()]
    prepare(kubectl.store, load_files([ROOT / path for path in rules]), ())
    code, out, errors = await kubectl("apply", *(word for path in rules for word in ("-f", path)))
    assert code == 0, errors
    assert len(out.splitlines()) >= len(rules) >= 3


async def test_the_image_is_named_in_one_place(kubectl):
    code, out, errors = await kubectl("kustomize", "deploy")
    assert code == 0, errors
    (deployment,) = [each for each in yaml.safe_load_all(out) if each["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/burster:0.1.0"


def the_deployment() -> dict:
    (found,) = [each for each in documents("controller.yaml") if each["kind"] == "Deployment"]
    return found


def the_container() -> dict:
    (container,) = the_deployment()["spec"]["template"]["spec"]["containers"]
    return container


def test_one_controller_and_never_two():
    spec = the_deployment()["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_it_is_told_how_many_it_is():
    given = {each["name"]: each.get("value") for each in the_container()["env"]}
    assert given["BURSTER_REPLICAS"] == str(the_deployment()["spec"]["replicas"])


async def test_the_folder_for_two_replicas(kubectl, tmp_path, monkeypatch):
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    root = tmp_path / "deploy/kustomization.yaml"
    root.write_text(root.read_text().replace("# components: [ha]", "components: [ha]"))
    code, out, errors = await kubectl("kustomize", str(root.parent))
    assert code == 0, errors
    made = {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out)}
    assert ("PersistentVolumeClaim", "burster-ledger") not in made
    assert made["PodDisruptionBudget", "burster"]["spec"]["maxUnavailable"] == 1
    deployment = made["Deployment", "burster"]["spec"]
    assert (deployment["replicas"], deployment["strategy"]["type"]) == (2, "RollingUpdate")
    pod = deployment["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    # apart from each other in node and zone, as far as there are several
    (spread,) = pod["topologySpreadConstraints"]
    (apart,) = pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    labels = deployment["template"]["metadata"]["labels"]
    for rule, key in ((spread, "topology.kubernetes.io/zone"), (apart["podAffinityTerm"], "kubernetes.io/hostname")):
        assert rule["topologyKey"] == key
        assert rule["labelSelector"]["matchLabels"].items() <= labels.items()
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway", "a roll-out with one zone left must go on"
    kinds = {volume["name"]: set(volume) - {"name"} for volume in pod["volumes"]}
    assert kinds == {"ledger": {"emptyDir"}, "tmp": {"emptyDir"}, "postgres": {"secret"}}
    (container,) = pod["containers"]
    url = "postgresql://burster@db.bank.example:5432/burster?sslmode=verify-full"
    for each in container["env"]:
        monkeypatch.setenv(each["name"], each.get("value") or (url if "POSTGRES" in each["name"] else "burster-system"))
    settings = load_settings()
    assert settings.replicas == deployment["replicas"]
    assert settings.ledger_place.shared
    let_out = [
        port["port"]
        for (kind, _), each in made.items()
        if kind == "NetworkPolicy"
        and each["spec"]["podSelector"]["matchLabels"].items() <= deployment["template"]["metadata"]["labels"].items()
        for rule in each["spec"].get("egress", ())
        for port in rule["ports"]
    ]
    assert urlsplit(url).port in let_out, "the ledger could not be reached"
    code, _, errors = await kubectl("apply", "-k", str(root.parent))
    assert code == 0, errors


def test_the_pod_meets_the_restricted_standard():
    pod, container = the_deployment()["spec"]["template"]["spec"], the_container()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
    assert {name for volume in pod["volumes"] for name in volume} == {"name", "persistentVolumeClaim", "emptyDir"}
    (namespace,) = [each for each in documents("controller.yaml") if each["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_its_settings_are_settings(monkeypatch):
    there = the_deployment()["metadata"]["namespace"]
    given = {each["name"]: each.get("value", there) for each in the_container()["env"]}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.dry_run is True
    assert settings.kube.in_cluster is True
    assert settings.namespace == there
    assert settings.prices.url.startswith("https://")
    mounted = {mount["mountPath"]: mount["name"] for mount in the_container()["volumeMounts"]}
    assert mounted[str(settings.ledger_path.parent)] == "ledger"


def test_its_probes_are_pages_that_exist():
    from burster.surfaces.http import make_app
    from burster.surfaces.metrics import Metrics

    app = make_app(lambda: None, Metrics(lambda: None))
    served = {resource.canonical for resource in app.router.resources()}
    container = the_container()
    (port,) = container["ports"]
    for probe in ("livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        assert get["path"] in served
        assert get["port"] == port["name"]
    assert str(port["containerPort"]) in {each.get("value") for each in container["env"]}


def test_its_command_is_a_command():
    from typer.main import get_command

    name, *rest = the_container()["command"]
    assert name == "burster", shlex.join(the_container()["command"])
    assert rest[0] in get_command(build_app(rest)).commands
