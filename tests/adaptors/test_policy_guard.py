"""The finalizer on a policy: on before anything is made by it, once; off when nothing is left; never against somebody else's edit."""

import asyncio

import pytest

from burster.adaptors.policy_guard import PolicyGuard
from burster.model.errors import RemoteError
from burster.model.instructions import ReleasePolicy
from burster.policy.records import DRAIN_FINALIZER
from tests.support.fake_cluster import FakeCluster, FakeKube


@pytest.fixture
def policy(cluster: FakeCluster):
    cluster.add("burstpolicies", {"metadata": {"namespace": "bank", "name": "tasks", "finalizers": ["team/audit"]}})
    return cluster.find("burstpolicies", "bank", "tasks")


def finalizers(cluster):
    return cluster.find("burstpolicies", "bank", "tasks")["metadata"].get("finalizers")


def release(uid=""):
    return ReleasePolicy(key="release-policy/bank/tasks", policy="bank/tasks", uid=uid)


async def test_it_is_put_on_once_and_keeps_those_of_others(cluster, api: FakeKube, policy):
    asked: list[str] = []
    request = cluster.request
    cluster.request = lambda verb, *rest, **more: asked.append(verb) or request(verb, *rest, **more)
    guard = PolicyGuard(api)
    await asyncio.gather(*(guard.keep("bank/tasks") for _ in range(16)))
    assert finalizers(cluster) == ["team/audit", DRAIN_FINALIZER]
    assert [verb.upper() for verb in asked] == ["GET", "PATCH"]


async def test_a_successor_finds_it_on(cluster, api: FakeKube, policy):
    await PolicyGuard(api).keep("bank/tasks")
    await PolicyGuard(api).keep("bank/tasks")
    assert finalizers(cluster) == ["team/audit", DRAIN_FINALIZER]


async def test_it_is_looked_for_again_when_told(cluster, api: FakeKube, policy):
    guard = PolicyGuard(api)
    await guard.keep("bank/tasks")
    cluster.find("burstpolicies", "bank", "tasks")["metadata"]["finalizers"] = []
    guard.forget("bank/tasks")
    await guard.keep("bank/tasks")
    assert finalizers(cluster) == [DRAIN_FINALIZER]


async def test_nothing_is_made_by_a_policy_that_is_gone(api: FakeKube):
    with pytest.raises(RemoteError) as raised:
        await PolicyGuard(api).keep("bank/tasks")
    assert (raised.value.kind, raised.value.code) == ("NotFound", "PolicyGone")


async def test_nothing_is_made_by_a_policy_that_is_being_deleted(cluster, api: FakeKube, policy):
    policy["metadata"]["deletionTimestamp"] = "2026-11-22T00:00:00Z"
    with pytest.raises(RemoteError) as raised:
        await PolicyGuard(api).keep("bank/tasks")
    assert (raised.value.kind, raised.value.code) == ("Conflict", "PolicyLeaving")
    assert finalizers(cluster) == ["team/audit"]


async def test_it_is_taken_off_and_no_other_is(cluster, api: FakeKube, policy):
    guard = PolicyGuard(api)
    await guard.keep("bank/tasks")
    outcome = await guard.release(release(policy["metadata"]["uid"]))
    assert outcome.policy == "bank/tasks"
    assert finalizers(cluster) == ["team/audit"]


async def test_taking_it_off_twice_or_too_late_is_fine(cluster, api: FakeKube, policy):
    guard = PolicyGuard(api)
    await guard.release(release())
    cluster.remove("burstpolicies", "bank", "tasks")
    await guard.release(release())


async def test_another_policy_of_the_same_name_keeps_its_own(cluster, api: FakeKube, policy):
    guard = PolicyGuard(api)
    await guard.keep("bank/tasks")
    await guard.release(release("uid-of-the-former"))
    assert DRAIN_FINALIZER in finalizers(cluster)
