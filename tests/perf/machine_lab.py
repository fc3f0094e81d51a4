"""A lab for machines in a process of its own: API server and ARM with all of Azure's limits on; a line in, a line of JSON out.

Run as ``python -m tests.perf.machine_lab FOLDER COUNT``. ``begin`` writes the policy, ``look`` tells what there is.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.arm import ArmConfig, ArmServer
from burster.policy.crds import crds
from burster.runtime.clock import SystemClock
from tests.perf.rig import NAMESPACE, TARGET
from tests.support.machine_site import IMAGE, PORT, SUBNET, USER_DATA


Json = dict[str, Any]


def a_policy(count: int) -> Json:
    """So many machines, whatever the time is."""
    cron = {"timezone": "UTC", "start": "0 0 1 1 *", "end": "59 23 31 12 *", "desiredReplicas": str(count)}
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": {"name": "scoring", "namespace": NAMESPACE},
        "spec": {
            "workload": {"podNamePattern": "nobody"},
            "triggers": [{"type": "cron", "metadata": cron}],
            "pollingInterval": 5,
            "minReplicaCount": count,
            "maxReplicaCount": count,
            "machine": {
                "requests": {"cpu": "2", "memory": "4Gi"},
                "image": IMAGE,
                "userData": {"configMap": "scorer"},
                "service": {"name": "scorer", "port": PORT},
            },
            "placement": {"strategy": "Machine", "targets": ["azure-westeurope-tdx"]},
            "confidential": {"required": True, "tees": ["TDX"], "attestation": "VmOnly"},
        },
    }


def look(store: Store, arm: ArmServer) -> Json:
    """Return what there is, and what was asked of ARM."""
    bursts = store.list("bursts.burster.dev", NAMESPACE)
    by_name = {burst["spec"]["podName"]: burst for burst in bursts}
    vms = {name: vm for name, vm in arm.vms.items() if name.startswith("burstvm-")}
    asked = Counter(f"{seen.operation} {seen.status}" for seen in arm.requests)
    uids = {vm.name: vm.tags.get("burster-uid", "") for vm in arm._cloud.vms.values()}
    return {
        "phases": Counter(burst.get("status", {}).get("phase", "") for burst in bursts),
        "records": len(by_name),
        "machines": len(vms),
        "claimed": sum(by_name.get(name, {}).get("metadata", {}).get("uid") == uid for name, uid in uids.items()),
        "recorded": sum(by_name.get(name, {}).get("status", {}).get("vms") == [name] for name in vms),
        "slices": len(store.list("endpointslices.discovery.k8s.io", NAMESPACE)),
        "refused": sum(number for what, number in asked.items() if what.endswith(" 429")),
        "asked": asked,
    }


async def main(folder: Path, count: int) -> None:
    clock = SystemClock()
    store = Store(clock.now_ms)
    for definition in crds().values():
        store.create("customresourcedefinitions.apiextensions.k8s.io", "", definition)
    for name in (NAMESPACE, "burster-system"):
        store.create("namespaces", "", {"metadata": {"name": name}})
    machines = {"images": [IMAGE], "subnet": SUBNET}
    store.create("bursttargets.burster.dev", "", {**TARGET, "spec": {**TARGET["spec"], "machines": machines}})
    ports = [{"name": "https", "port": 443, "targetPort": PORT}]
    store.create("services", NAMESPACE, {"metadata": {"name": "scorer"}, "spec": {"ports": ports}})
    store.create("configmaps", NAMESPACE, {"metadata": {"name": "scorer"}, "data": {"user-data": USER_DATA}})
    config = ArmConfig(
        family_quota=1_000_000,
        cores_quota=1_000_000,
        subnet_addresses=10_000,
        create_median_ms=15_000,
        create_p95_ms=20_000,
        throttled=True,
        throttled_by_arm=True,
        history=200_000,
    )
    async with ApiServer(store) as api, ArmServer(clock, config=config) as arm:
        (folder / "kubeconfig").write_text(api.kubeconfig(), encoding="utf-8")
        say({"arm": arm.url})
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            if line == "begin":
                store.create("burstpolicies.burster.dev", NAMESPACE, a_policy(count))
                say({"begun": time.time()})
            else:
                say(look(store, arm))


def say(answer: Json) -> None:
    """Answer in a line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
