"""deploy/view.yaml: with it, and what the role "view" has anyway, a namespace's user can ask; the controller's rights are another role."""

import asyncio
import time
from pathlib import Path

import pytest

from burster.cli.cluster import ClusterRecords
from burster.clients.controller import ACCOUNT, PORT_NAME, SERVICE, ControllerClient, NoControllerError
from burster.clients.kube_sync import KubeSync
from burster.lab.apiserver.faults import Fault, RequestInfo
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.model.errors import InputError
from burster.surfaces.answers import HistoryQuery, NotFoundError
from burster.surfaces.spending import SpendQuery
from burster.surfaces.view import StatusView
from tests.docs.rights import documents


NAMESPACE = "bank"
#: Kubernetes' own role "view", as far as it is asked for here
VIEW = {(resource, verb) for resource in ("pods", "events") for verb in ("get", "list", "watch")}


def role(name: str) -> dict:
    (found,) = [
        each for each in documents("view.yaml") if each["metadata"]["name"] == name and each["kind"].endswith("Role")
    ]
    return found


def granted() -> set[tuple[str, str]]:
    return VIEW | {
        (f"{resource}.{group}" if group else resource, verb)
        for rule in role("burster-view")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


class OneNamespace:
    """Allows what the roles allow in one namespace, and nothing elsewhere."""

    def __init__(self) -> None:
        self.used: set[tuple[str, str]] = set()

    def __call__(self, info: RequestInfo) -> Fault | None:
        right = (info.resource, info.verb)
        if info.namespace != NAMESPACE or right not in granted():
            return Fault(status=403)
        self.used.add(right)
        return None


@pytest.fixture
async def asked(tmp_path: Path):
    store = Store(lambda: time.time_ns() // 1_000_000)
    for path in ("burster.dev_bursts", "burster.dev_burstpolicies", "burster.dev_bursttargets"):
        (kind,) = documents(f"crds/{path}.yaml")
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", kind)
    store.create("namespaces", "", {"metadata": {"name": NAMESPACE}})
    rights = OneNamespace()
    async with ApiServer(store, faults=rights) as server:
        config = tmp_path / "kubeconfig"
        config.write_text(server.kubeconfig())
        yield str(config), rights


async def test_a_namespaces_user_needs_no_more_than_view(asked):
    config, rights = asked

    def ask() -> None:
        with KubeSync.connect(kubeconfig=config) as kube, ClusterRecords(kube, NAMESPACE) as records:
            for _ in range(100):  # until the new kinds are served
                try:
                    assert records.status().pending_total == 0
                except InputError:
                    time.sleep(0.1)
                else:
                    break
            with pytest.raises(NotFoundError):
                records.why("task-1")
            assert records.history(HistoryQuery()).events == ()
            assert records.spend(SpendQuery()).rows == ()
            records.follow()
            assert records.status().bursts_by_phase == {}

    await asyncio.to_thread(ask)
    assert {("bursts.burster.dev", "list"), ("burstpolicies.burster.dev", "list")} <= rights.used


async def test_who_may_look_at_one_namespace_is_told_so_when_asking_for_all(asked):
    config, _ = asked

    def ask() -> None:
        with KubeSync.connect(kubeconfig=config) as kube, ClusterRecords(kube, "") as records:
            with pytest.raises(InputError, match=r"you may not look at that in all namespaces .*-n NAMESPACE"):
                records.status()
            with pytest.raises(NoControllerError):
                ControllerClient.through(kube, "burster-system").get("/v1/status", {}, StatusView)

    await asyncio.to_thread(ask)


def test_the_roles_read_only_and_go_where_they_belong():
    view, ask, review = role("burster-view"), role("burster-ask"), role("burster-review")
    assert view["metadata"]["labels"] == {"rbac.authorization.k8s.io/aggregate-to-view": "true"}
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert (ask["kind"], ask["metadata"]["namespace"]) == ("Role", "burster-system")
    by_resource = {rule["resources"][0]: rule for rule in ask["rules"]}
    assert {name: rule["verbs"] for name, rule in by_resource.items()} == {
        "services/proxy": ["get"],
        "pods/proxy": ["get"],
        "serviceaccounts/token": ["create"],
    }
    assert by_resource["services/proxy"]["resourceNames"] == [f"{SERVICE}:{PORT_NAME}"]
    assert by_resource["serviceaccounts/token"]["resourceNames"] == [ACCOUNT]
    # neither of these writes anything: they are questions to the API server
    assert {(rule["resources"][0], *rule["verbs"]) for rule in review["rules"]} == {
        ("tokenreviews", "create"),
        ("subjectaccessreviews", "create"),
    }
    bound = {
        each["roleRef"]["name"]: each["subjects"][0]["name"] for each in documents("view.yaml") if "roleRef" in each
    }
    assert bound == {"burster-view": ACCOUNT, "burster-review": "burster"}
    (service,) = documents("service.yaml")
    assert (service["metadata"]["name"], [port["name"] for port in service["spec"]["ports"]]) == (SERVICE, [PORT_NAME])
