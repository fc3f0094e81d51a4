"""A workload's number of replicas: set, left alone where it is right, and never set against somebody else."""

import pytest

from burster.adaptors.scales import set_scale
from burster.adaptors.signals import SignalBoard
from burster.clients.workloads import number_owner, path_of, version_of
from burster.model.errors import RemoteError
from burster.model.instructions import PublishSignal, SetScale
from burster.model.stimuli import ScaleSet, SignalPublished
from burster.model.triggers import WorkloadRef
from tests.support.fake_cluster import FakeCluster, FakeKube, Json


def wanted(replicas: int, kind: str = "Deployment", name: str = "cloud") -> SetScale:
    return SetScale(key="k", policy="bank/scale", workload=WorkloadRef(kind=kind, name=name), replicas=replicas)


def scaler(kind: str = "Deployment", name: str = "cloud", version: str = "apps/v1") -> Json:
    aim = {"kind": kind, "name": name, "apiVersion": version}
    return {"metadata": {"namespace": "bank", "name": "x"}, "spec": {"scaleTargetRef": aim}}


@pytest.fixture(autouse=True)
def _workloads(cluster: FakeCluster) -> None:
    for plural in ("deployments", "statefulsets", "replicasets"):
        cluster.add(plural, {"metadata": {"namespace": "bank", "name": "cloud"}, "spec": {"replicas": 2}})


def replicas(cluster: FakeCluster, plural: str = "deployments") -> int:
    found = cluster.find(plural, "bank", "cloud")
    assert found is not None
    return found["spec"]["replicas"]


def version(cluster: FakeCluster, plural: str = "deployments") -> int:
    found = cluster.find(plural, "bank", "cloud")
    assert found is not None
    return int(found["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("kind", "plural"),
    [("Deployment", "deployments"), ("StatefulSet", "statefulsets"), ("ReplicaSet", "replicasets")],
)
async def test_the_number_is_set_through_the_scale_subresource(
    api: FakeKube, cluster: FakeCluster, kind: str, plural: str
) -> None:
    done = await set_scale(api, wanted(4, kind))
    assert done == ScaleSet(policy="bank/scale", replicas=4, version=version(cluster, plural))
    assert replicas(cluster, plural) == 4
    assert cluster.calls[-1] == ("patch", f"/apis/apps/v1/namespaces/bank/{plural}/cloud/scale")


async def test_what_is_right_already_is_not_written(api: FakeKube, cluster: FakeCluster) -> None:
    assert await set_scale(api, wanted(2)) == ScaleSet(policy="bank/scale", replicas=2, version=version(cluster))
    assert await set_scale(api, wanted(0)) == ScaleSet(policy="bank/scale", replicas=0, version=version(cluster))
    assert await set_scale(api, wanted(0)) == ScaleSet(policy="bank/scale", replicas=0, version=version(cluster))
    assert [verb for verb, _ in cluster.calls].count("patch") == 1


@pytest.mark.parametrize(("text", "version"), [("12", 12), ("", 0), ("abc", 0), ("-1", 0), ("²", 0), (None, 0)])
def test_a_version_is_a_number_or_not_known(text: str | None, version: int) -> None:
    assert version_of({"resourceVersion": text}) == version


@pytest.mark.parametrize(
    ("plural", "who"),
    [("horizontalpodautoscalers", "HorizontalPodAutoscaler x"), ("scaledobjects", "ScaledObject x")],
)
async def test_a_number_that_somebody_else_sets_is_left_to_them(
    api: FakeKube, cluster: FakeCluster, plural: str, who: str
) -> None:
    cluster.add(plural, scaler())
    with pytest.raises(RemoteError) as caught:
        await set_scale(api, wanted(4))
    assert (caught.value.kind, caught.value.code) == ("Conflict", "ScaleOwnedByOther")
    assert caught.value.message == (
        f"{who} sets the number of Deployment bank/cloud: remove it, or let the policy's strategy be Signal"
    )
    assert replicas(cluster) == 2


async def test_a_deployments_own_replica_set_is_the_deployments(api: FakeKube, cluster: FakeCluster) -> None:
    owner = {"kind": "Deployment", "name": "web", "uid": "u", "controller": True}
    cluster.change("replicasets", "bank", "cloud", lambda obj: obj["metadata"].update(ownerReferences=[owner]))
    with pytest.raises(RemoteError, match="Deployment web sets the number of ReplicaSet bank/cloud"):
        await set_scale(api, wanted(4, "ReplicaSet"))


async def test_a_workload_that_is_not_there_is_said_to_be_missing(api: FakeKube) -> None:
    with pytest.raises(RemoteError, match="there is no Deployment bank/gone to scale") as caught:
        await set_scale(api, wanted(4, name="gone"))
    assert caught.value.kind == "NotFound"


async def test_a_kind_without_a_number_is_refused_before_anything_is_asked(api: FakeKube, cluster: FakeCluster) -> None:
    with pytest.raises(RemoteError, match="Deployment, ReplicaSet, StatefulSet, and no DaemonSet") as caught:
        await set_scale(api, wanted(4, "DaemonSet"))
    assert caught.value.kind == "Invalid"
    assert cluster.calls == []


async def test_who_may_not_ask_who_owns_a_number_does_not_set_it(api: FakeKube, cluster: FakeCluster) -> None:
    api.fail("get", "horizontalpodautoscalers", "Unauthorized")
    with pytest.raises(RemoteError):
        await set_scale(api, wanted(4))
    assert replicas(cluster) == 2


@pytest.mark.parametrize(
    ("other", "want"),
    [
        pytest.param(scaler(), "ScaledObject x", id="the same"),
        pytest.param(scaler(version=""), "ScaledObject x", id="without a version: apps/v1, as KEDA has it"),
        pytest.param(scaler(kind=""), "ScaledObject x", id="without a kind: Deployment"),
        pytest.param(scaler(version="apps/v1beta1"), "ScaledObject x", id="another version of the same"),
        pytest.param(scaler(kind="StatefulSet"), "", id="another kind"),
        pytest.param(scaler(name="other"), "", id="another name"),
        pytest.param(scaler(version="argoproj.io/v1alpha1"), "", id="another group"),
        pytest.param({"metadata": {"name": "x"}}, "", id="none at all"),
    ],
)
def test_whose_number_it_is(other: Json, want: str) -> None:
    workload = {"metadata": {"name": "cloud"}}
    assert number_owner("Deployment", workload, [], [other]) == want
    assert number_owner("Deployment", workload, [other], []) == want.replace("ScaledObject", "HorizontalPodAutoscaler")


def test_paths_are_those_of_the_kinds_that_can_be_scaled() -> None:
    assert path_of("bank", "StatefulSet", "db") == "/apis/apps/v1/namespaces/bank/statefulsets/db"
    assert path_of("bank", "Job", "db") is None


def test_a_signal_is_the_latest_of_its_policy_until_it_is_withdrawn() -> None:
    board = SignalBoard()
    for policy, number in (("bank/b", 3), ("bank/a", 1), ("bank/b", 4)):
        told = board.publish(PublishSignal(key="k", policy=policy, replicas=number, active=number > 1))
        assert told == SignalPublished(policy=policy, replicas=number)
    assert list(board) == [("bank/a", 1, False), ("bank/b", 4, True)]
    board.publish(PublishSignal(key="k", policy="bank/b", replicas=0, active=False, withdrawn=True))
    board.policy_gone("bank/never")
    assert list(board) == [("bank/a", 1, False)]
