"""A workload that a policy names is followed by its name, on both servers: its number, its going, and another one in its place."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from burster.clients.kube import Kube, KubeSettings
from burster.model.scaling import Scaling
from burster.model.stimuli import WorkloadGone, WorkloadSeen
from burster.model.triggers import WorkloadRef
from burster.runtime.clock import SystemClock
from burster.runtime.workload_facts import WorkloadPoller
from burster.sources.feed import Feed
from burster.sources.reflector import Stats
from tests.support.builders import a_policy

from .conftest import Api, a_pod


KINDS = {
    "Deployment": "deployments.apps/v1",
    "StatefulSet": "statefulsets.apps/v1",
    "ReplicaSet": "replicasets.apps/v1",
}


def a_workload(kind: str, name: str, replicas: int) -> dict[str, Any]:
    labels = {"app": name}
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": a_pod("x")["spec"]},
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@asynccontextmanager
async def following(api: Api, workload: WorkloadRef, stats: Stats) -> AsyncIterator[list[Any]]:
    """What is told of a workload, where no tick ever comes after the first read."""
    posted: list[Any] = []
    async with await Kube.connect(KubeSettings(kubeconfig=str(api.endpoint.kubeconfig))) as kube:
        clock = SystemClock()
        poller = WorkloadPoller(
            kube, posted.append, lambda name: Feed(kube, posted.append, clock, random.Random(name), stats)
        )
        task = asyncio.create_task(poller.run())
        policy = a_policy("scale", namespace=api.namespace, strategy="Scale", scaling=Scaling(target=workload))
        poller.policy(policy)
        try:
            yield posted
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(posted: list[Any], wanted: int | None) -> Any:
    """Return the latest fact once it is that number of replicas; None: that there is no such workload."""
    async with asyncio.timeout(20):
        while True:
            latest = posted[-1] if posted else None
            if wanted is None and isinstance(latest, WorkloadGone):
                return latest
            if isinstance(latest, WorkloadSeen) and latest.replicas == wanted:
                return latest
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_told_as_it_is_without_being_asked_for(api: Api, kind: str):
    resource, stats = KINDS[kind], Stats()
    async with following(api, WorkloadRef(kind=kind, name="cloud"), stats) as posted:
        await until(posted, None)
        await api.create(resource, a_workload(kind, "other", 7))
        await api.create(resource, a_workload(kind, "cloud", 0))
        made = await until(posted, 0)
        await api.merge(resource, "cloud", {"spec": {"replicas": 2}})
        changed = await until(posted, 2)
        assert changed.version > made.version > 0
        await api.ok("DELETE", api.path(resource, "cloud"))
        await until(posted, None)
        await api.create(resource, a_workload(kind, "cloud", 1))
        await until(posted, 1)
        assert {one.name for one in posted} == {"cloud"}
    assert (stats.lists, stats.failures) == (1, 0)
