"""Two providers in one policy, and nodes of one's own before any cloud: who takes over, when it comes back, that nothing is left."""

from pathlib import Path
from typing import Any

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import Outage
from burster.lab.cluster.node_vms import TeeNodes
from burster.lab.elsewhere.adaptor import ElsewhereOptions
from burster.lab.elsewhere.cloud import Outage as SmallOutage
from burster.lab.elsewhere.cloud import SmallCloudOptions
from burster.lab.site import SiteOptions
from burster.model.pods import Resources
from tests.support.places import AZURE, NAMESPACE, NODES, SOVEREIGN, Stage, a_policy, documents, play


GIB = 1024**3
PRICES = {"tdx.large": 190_000, "tdx.xlarge": 380_000}
ELSEWHERE = ElsewhereOptions(cloud=SmallCloudOptions(prices=PRICES))
MINUTE = 60_000


def a_site(*rules: str, **changes: Any) -> SiteOptions:
    values: dict[str, Any] = {
        "nodes": (Resources(cpu_millicores=500, memory_bytes=GIB),),
        "documents": documents(*rules),
        "namespaces": (NAMESPACE,),
        "elsewhere": ELSEWHERE,
    }
    return SiteOptions(**(values | changes))


def released(stage: Stage, name: str) -> bool:
    return stage.bursts()[name].get("status", {}).get("phase") == "Released"


def settled_micro_usd(stage: Stage) -> int:
    return sum(one["status"].get("settledMicroUsd", 0) for one in stage.site.store.list("bursts.burster.dev"))


async def nothing_left(stage: Stage) -> None:
    await stage.until(lambda: not _held(stage), within_s=120, what="CAA lets go of its records")
    assert stage.site.cluster.elsewhere is None or stage.site.cluster.elsewhere.cloud.there == []
    assert stage.site.arm.leaks() == ()
    assert "VmUnclaimed" not in stage.codes("Sweep"), "whatever was there was claimed"
    stage.no_doubles()


def _held(stage: Stage) -> list[str]:
    records = stage.site.store.list("peerpods.confidentialcontainers.org")
    return [one["metadata"]["name"] for one in records if one["metadata"].get("finalizers")]


def all_released(stage: Stage) -> bool:
    found = stage.site.store.list("bursts.burster.dev")
    return all(one.get("status", {}).get("phase") == "Released" for one in found)


def serving_at(stage: Stage, name: str, target: str) -> bool:
    return name in stage.bursts() and stage.at(name) == f"{target} Serving"


def test_a_pod_runs_at_a_second_provider_and_is_paid_for_by_its_catalogue(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.submit("task-1", seconds=600)
        await stage.until(lambda: serving_at(stage, "task-1", "sovereign"), within_s=200)
        (run,) = stage.runs("task-1")
        assert run.where == "cloud"
        burst = stage.bursts()["task-1"]
        assert (burst["spec"]["provider"], burst["spec"]["size"]) == ("sovereign", "tdx.large")
        await stage.until(lambda: released(stage, "task-1"), within_s=1_200)
        assert stage.site.cluster.elsewhere is not None
        bill, settled = stage.site.cluster.elsewhere.cloud.bill_micro_usd(), settled_micro_usd(stage)
        # from the pod's placing to the last word on the record: never less than the bill, and little more
        assert bill <= settled <= bill + PRICES["tdx.large"] * 20 // 3_600
        await nothing_left(stage)

    play(tmp_path, a_site(SOVEREIGN, a_policy("sovereign")), scene)


def test_the_second_provider_takes_over_in_an_outage_of_the_first_and_gives_way_when_it_is_over(tmp_path: Path) -> None:
    outage = Outage(region="westeurope", from_ms=0, until_ms=30 * MINUTE)

    async def scene(stage: Stage) -> None:
        stage.submit("task-1", seconds=300)
        await stage.until(lambda: serving_at(stage, "task-1", "sovereign"), within_s=600)
        assert "AllocationFailed" in stage.codes("Fail")
        stage.submit("task-2", seconds=300)
        await stage.until(lambda: serving_at(stage, "task-2", "sovereign"), within_s=120, what="Azure is remembered")
        # the outage is over, and then so is the memory of it
        await stage.clock.sleep(75 * 60)
        stage.submit("task-3", seconds=300)
        await stage.until(lambda: serving_at(stage, "task-3", "azure"), within_s=600)
        await stage.until(lambda: all_released(stage))
        await nothing_left(stage)

    play(tmp_path, a_site(AZURE, SOVEREIGN, a_policy("azure", "sovereign"), arm=ArmConfig(outages=(outage,))), scene)


def test_the_first_provider_takes_what_the_second_one_refuses(tmp_path: Path) -> None:
    refusing = SmallCloudOptions(prices=PRICES, outages=(SmallOutage(from_ms=0, until_ms=600 * MINUTE),))

    async def scene(stage: Stage) -> None:
        stage.submit("task-1", seconds=300)
        await stage.until(lambda: serving_at(stage, "task-1", "azure"), within_s=1_800)
        await stage.until(lambda: all_released(stage))
        assert stage.site.cluster.elsewhere is not None
        assert stage.site.cluster.elsewhere.cloud.refused > 0
        await nothing_left(stage)

    options = a_site(AZURE, SOVEREIGN, a_policy("sovereign", "azure"), elsewhere=ElsewhereOptions(cloud=refusing))
    play(tmp_path, options, scene)


def test_a_record_of_another_provider_ends_the_pod_and_opens_the_breaker(tmp_path: Path) -> None:
    mistaken = ElsewhereOptions(cloud=SmallCloudOptions(prices=PRICES), provider="aws")

    async def scene(stage: Stage) -> None:
        stage.submit("task-1", seconds=300)
        await stage.until(lambda: "VmMismatch" in stage.codes("Fail"), within_s=300)
        (told,) = (one for one in stage.decisions if one.reasons[0].code == "VmMismatch")
        assert told.reasons[0].sentence.endswith("was to have a record at provider sovereign and has aws.")
        assert stage.controller.state.targets["sovereign"].tripped is not None
        await stage.until(lambda: all_released(stage), within_s=900)
        assert "task-1" not in {run.name for run in stage.site.cluster.in_cloud}
        await nothing_left(stage)

    play(tmp_path, a_site(SOVEREIGN, a_policy("sovereign"), elsewhere=mistaken), scene)


def test_without_attestation_nothing_goes_where_only_records_are_read(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        stage.submit("task-1")
        await stage.until(lambda: "ProofMissing" in stage.codes(), within_s=120)
        assert stage.bursts() == {}

    rules = a_policy("sovereign", confidential={"attestation": "VmOnly"})
    play(tmp_path, a_site(SOVEREIGN, rules), scene)


TWO_TEE_NODES = TeeNodes(nodes=(Resources(cpu_millicores=5_000, memory_bytes=16 * GIB),) * 2)


def test_confidential_nodes_of_ones_own_come_first_and_the_cloud_when_they_are_full(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        for number in range(6):
            stage.submit(f"task-{number}", seconds=900)
        await stage.until(lambda: len(stage.bursts()) == 6 and all(
            one.get("status", {}).get("phase") == "Serving" for one in stage.bursts().values()
        ), within_s=600)  # fmt: skip
        where = sorted(stage.at(f"task-{number}").split()[0] for number in range(6))
        assert where == ["azure", "azure", "nodes", "nodes", "nodes", "nodes"]
        assert "NodesFull" in stage.codes("Fail")
        here = [run for run in stage.site.cluster.runs if run.node.startswith("tee-")]
        assert len(here) == 4
        assert {run.where for run in here} == {"on-prem"}
        await stage.until(lambda: all_released(stage), within_s=2_400)
        # what ran on the bank's own nodes cost nothing, and waited for no VM to go
        costs = {
            one["spec"]["target"]: one["status"]["settledMicroUsd"]
            for one in stage.site.store.list("bursts.burster.dev")
            if one["status"].get("outcome") == "Succeeded"
        }
        assert costs["nodes"] == 0 < costs["azure"]
        assert {run.outcome for run in stage.site.cluster.runs} == {"Succeeded"}
        # there is room again, and the memory of none is over
        stage.submit("task-9", seconds=60)
        await stage.until(lambda: serving_at(stage, "task-9", "nodes"), within_s=120)
        await stage.until(lambda: all_released(stage), within_s=600)
        await nothing_left(stage)

    play(tmp_path, a_site(NODES, AZURE, a_policy("nodes", "azure"), tee_nodes=TWO_TEE_NODES), scene)


def test_a_node_that_loses_its_label_is_no_place_for_the_pod_that_it_took(tmp_path: Path) -> None:
    label = "feature.node.kubernetes.io/cpu-security.tdx.enabled"

    async def scene(stage: Stage) -> None:
        stage.submit("task-1", seconds=900)
        await stage.until(lambda: bool(stage.site.store.list("pods")) and any(
            pod["spec"].get("nodeName") == "tee-1" for pod in stage.site.store.list("pods")
        ), within_s=60)  # fmt: skip
        await stage.clock.sleep(8)  # its VM boots
        stage.site.store.patch("nodes", "", "tee-1", {"metadata": {"labels": {label: "false"}}})
        await stage.until(lambda: "VmMismatch" in stage.codes("Fail"), within_s=120)
        (told,) = (one for one in stage.decisions if one.reasons[0].code == "VmMismatch")
        assert told.reasons[0].sentence.endswith(f"was to have node label {label}=true and has {label}=false.")
        assert stage.controller.state.targets["nodes"].tripped is not None
        await stage.until(lambda: all_released(stage), within_s=300)
        await nothing_left(stage)

    one_node = TeeNodes(nodes=(Resources(cpu_millicores=5_000, memory_bytes=16 * GIB),))
    play(tmp_path, a_site(NODES, a_policy("nodes"), tee_nodes=one_node), scene)


def test_clones_serve_on_nodes_and_elsewhere_and_come_home(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        template = {
            "metadata": {"labels": {"app": "app"}},
            "spec": {
                "containers": [
                    {"name": "main", "image": "bank/app:1", "resources": {"requests": {"cpu": "4", "memory": "4Gi"}}}
                ]
            },
        }
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": "app"}}, "template": template}
        deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": spec}
        stage.site.store.create("deployments.apps", NAMESPACE, deployment)
        await stage.until(lambda: _serving(stage) == ["nodes", "nodes", "sovereign"], within_s=600)
        for run in stage.site.cluster.runs:
            pod = stage.site.store.get("pods", NAMESPACE, run.name)
            asked = pod["metadata"]["annotations"].get("io.katacontainers.config.hypervisor.machine_type")
            assert (asked is None) == run.node.startswith("tee-")
            gates = {one["type"]: one for one in pod["status"]["conditions"]}
            assert gates["Ready"]["status"] == "True"
        stage.site.store.patch("deployments.apps", NAMESPACE, "app", {"spec": {"replicas": 0}})
        await stage.until(lambda: all_released(stage), within_s=3_600)
        await nothing_left(stage)

    rules = a_policy("nodes", "sovereign", strategy="Clone")
    play(tmp_path, a_site(NODES, SOVEREIGN, rules, tee_nodes=TWO_TEE_NODES), scene)


def _serving(stage: Stage) -> list[str]:
    found = stage.site.store.list("bursts.burster.dev")
    return sorted(one["spec"]["target"] for one in found if one.get("status", {}).get("phase") == "Serving")
