"""Nobody is left to look after what runs: the reaper ends it by lease and grace, from the records or from the cloud alone."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from burster.engine.reaping import ReapRules
from burster.model.errors import InputError
from burster.model.offerings import CloudResource
from burster.model.targets import Machines
from burster.policy.load import load_files
from burster.runtime.reaper import Reaper, ReaperOptions, Round
from burster.runtime.reaper_cluster import ClusterReader
from tests.support.abandoned import (
    CLUSTER,
    HOUR,
    MINUTE,
    LeftCloud,
    LeftCluster,
    Wound,
    a_burst,
    a_machine,
    a_pod_vm,
    a_vm,
    our_target,
    vm_name,
)
from tests.support.builders import T0


GRACE = 10 * MINUTE
SOVEREIGN = Path(__file__).parents[2] / "policies/targets/sovereign-frankfurt.yaml"


def a_reaper(clock: Wound, cloud: LeftCloud, cluster: LeftCluster | None, **changes: Any) -> Reaper:
    rules = ReapRules(grace_ms=GRACE, max_age_ms=changes.pop("max_age_ms", None))
    skew = changes.pop("skew_ms", 0)
    values = {"cluster": CLUSTER, "mode": "Delete", "rules": rules, "targets": (our_target(),)}
    reader = None if cluster is None else ClusterReader(cluster, clock.now_ms, home="burster-system")
    return Reaper(cloud, reader, clock, ReaperOptions(**(values | changes)), skew_ms=lambda: skew)  # type: ignore[arg-type]


async def until(reaper: Reaper, clock: Wound, at_ms: int) -> list[Round]:
    """Go round every minute."""
    rounds: list[Round] = []
    while clock.at_ms <= at_ms:
        rounds.append(await reaper.round())
        clock.at_ms += MINUTE
    return rounds


async def test_a_controller_is_gone_for_ever_and_all_is_gone_by_lease_drain_and_grace() -> None:
    clock = Wound()
    bursts = [a_burst(f"web-{n}", lease_until_ms=T0 + HOUR + n * MINUTE) for n in range(20)]
    machines = [a_machine(f"db-{n}", T0 + HOUR) for n in range(5)]
    cloud = LeftCloud(*(a_pod_vm(burst.name) for burst in bursts), *machines)
    reaper = a_reaper(clock, cloud, LeftCluster(*bursts, clock=clock))
    await until(reaper, clock, T0 + HOUR + GRACE - MINUTE)
    assert not cloud.deleted, "every lease, drain and grace is waited for"
    await until(reaper, clock, T0 + HOUR + 10 * MINUTE + GRACE - MINUTE)
    assert sorted(cloud.deleted) == sorted(machine.name for machine in machines), "a machine's tags know no drain"
    await until(reaper, clock, T0 + HOUR + 20 * MINUTE + 10 * MINUTE + GRACE)
    assert not cloud.vms
    assert len(cloud.deleted) == 25
    (last,) = await until(reaper, clock, clock.at_ms)
    assert not last.findings


async def test_the_api_server_is_gone_too_and_the_cloud_alone_is_enough() -> None:
    clock = Wound()
    bursts = [a_burst(f"web-{n}") for n in range(20)]
    machines = [a_machine(f"db-{n}", T0 + HOUR) for n in range(5)]
    cloud = LeftCloud(*(a_pod_vm(burst.name) for burst in bursts), *machines)
    cluster = LeftCluster(*bursts, clock=clock)
    cluster.gone = True
    reaper = a_reaper(clock, cloud, cluster, max_age_ms=6 * HOUR)
    await until(reaper, clock, T0 + HOUR + GRACE)
    assert sorted(cloud.deleted) == sorted(machine.name for machine in machines)
    await until(reaper, clock, T0 + 6 * HOUR - MINUTE)
    assert len(cloud.vms) == 20
    rounds = await until(reaper, clock, T0 + 6 * HOUR + 2 * MINUTE)
    assert not cloud.vms
    assert [sum(one.outcome == "Ended" for one in each.reaped) for each in rounds] == [10, 10, 0]
    assert sum(one.outcome == "Later" for one in rounds[0].reaped) == 10, "ten a round"


async def test_without_an_age_a_pods_vm_is_not_ended_by_the_cloud_alone() -> None:
    clock = Wound()
    cloud = LeftCloud(a_pod_vm("web-1"))
    (last,) = (await until(a_reaper(clock, cloud, None), clock, T0 + 100 * HOUR))[-1:]
    assert cloud.vms
    assert [one.code for one in last.findings] == ["NoMaxAge"]


async def test_an_api_server_that_is_away_for_a_moment_changes_nothing() -> None:
    clock = Wound()
    clock.at_ms += 10 * HOUR
    cloud = LeftCloud(a_pod_vm("web-1"), a_machine("db", T0))
    cluster = LeftCluster(a_burst("web-1", lease_until_ms=clock.at_ms + HOUR), clock=clock)
    reaper = a_reaper(clock, cloud, cluster, max_age_ms=HOUR)
    cluster.gone = True
    await until(reaper, clock, clock.at_ms + GRACE - 2 * MINUTE)
    assert not cloud.deleted
    cluster.gone = False
    await until(reaper, clock, clock.at_ms)
    cluster.gone = True
    await until(reaper, clock, clock.at_ms + GRACE - 2 * MINUTE)
    assert cloud.deleted == ["burstvm-db"], "by the records that it once could read, its lease was over"


async def test_what_a_controller_that_leads_renews_is_never_touched() -> None:
    clock = Wound()
    bursts = [a_burst(f"web-{n}") for n in range(3)]
    machine = a_machine("db", T0 + HOUR)
    cloud = LeftCloud(*(a_pod_vm(burst.name) for burst in bursts), machine)
    cluster = LeftCluster(*bursts, leads=True, clock=clock)
    reaper = a_reaper(clock, cloud, cluster, max_age_ms=HOUR)
    for _ in range(40):
        await until(reaper, clock, clock.at_ms + 20 * MINUTE)
        for burst in bursts:
            cluster.renew(burst.key, clock.at_ms + HOUR)
        cloud.vms[machine.name] = a_machine("db", clock.at_ms + HOUR)
    assert not cloud.deleted


async def test_a_lease_that_is_renewed_at_the_last_moment_counts() -> None:
    clock = Wound()
    burst = a_burst("web-1")
    cloud = LeftCloud(a_pod_vm("web-1"))
    cluster = LeftCluster(burst, clock=clock)
    reaper = a_reaper(clock, cloud, cluster)
    clock.at_ms = T0 + 3 * HOUR
    list_vms = cloud.list_vms

    async def renewed_meanwhile(target: Any) -> Any:
        listed = await list_vms(target)
        original = cluster.get

        async def late(path: str, params: dict[str, str] | None = None) -> bytes:
            answer = await original(path, params)
            if path.endswith("/bursts"):
                cluster.renew(burst.key, clock.at_ms + HOUR)
            return answer

        cluster.get = late  # type: ignore[method-assign]
        return listed

    cloud.list_vms = renewed_meanwhile  # type: ignore[method-assign]
    done = await reaper.round()
    assert [(one.outcome, one.finding.code) for one in done.reaped] == [("Spared", "LeaseValid")]
    assert not cloud.deleted


async def test_a_listing_that_shows_an_older_lease_on_a_machine_is_not_believed() -> None:
    clock = Wound()
    clock.at_ms = T0 + 3 * HOUR
    cloud = LeftCloud(a_machine("db", clock.at_ms + HOUR))
    cloud.stale = {"burstvm-db": a_machine("db", T0 + HOUR)}
    done = await a_reaper(clock, cloud, None).round()
    assert [one.outcome for one in done.reaped] == ["Spared"]
    assert not cloud.deleted


async def test_it_reports_only_unless_it_was_told_to_delete() -> None:
    clock = Wound()
    clock.at_ms = T0 + 10 * HOUR
    cloud = LeftCloud(a_machine("db", T0))
    done = await a_reaper(clock, cloud, None, mode="Report").round()
    assert [one.outcome for one in done.reaped] == ["Reported"]
    assert not cloud.deleted


async def test_what_can_not_be_deleted_is_told_and_tried_again() -> None:
    clock = Wound()
    clock.at_ms = T0 + 10 * HOUR
    cloud = LeftCloud(a_machine("db", T0))
    cloud.refuses.add("burstvm-db")
    reaper = a_reaper(clock, cloud, None)
    assert [one.outcome for one in (await reaper.round()).reaped] == ["Failed"]
    cloud.refuses.clear()
    assert [one.outcome for one in (await reaper.round()).reaped] == ["Ended"]


async def test_clocks_that_differ_stop_everything() -> None:
    clock = Wound()
    clock.at_ms = T0 + 10 * HOUR
    cloud = LeftCloud(a_machine("db", T0))
    done = await a_reaper(clock, cloud, None, skew_ms=-600_000).round()
    assert [one.code for one in done.findings] == ["ClockSkew"]
    assert not cloud.deleted


async def test_two_clusters_in_one_group_never_touch_each_others() -> None:
    clock = Wound()
    theirs = (
        a_machine("db", T0, cluster="prod-2"),
        a_pod_vm("web-1", tags={"burster-cluster": "prod-2"}),
        a_vm("podvm-web-2-0123abcd"),
    )
    cloud = LeftCloud(*theirs)
    target = our_target(sweep_exclusive=False, sweep_tags={"burster-cluster": CLUSTER})
    cluster = LeftCluster(a_burst("web-1", lease_until_ms=T0), clock=clock)
    for of in (cluster, None):
        reaper = a_reaper(clock, cloud, of, max_age_ms=HOUR, targets=(target,))
        await until(reaper, clock, clock.at_ms + 5 * HOUR)
    assert not cloud.deleted


async def test_the_pod_of_somebody_else_by_the_same_name_is_not_touched() -> None:
    clock = Wound()
    cloud = LeftCloud(a_pod_vm("web-1"))
    cluster = LeftCluster(a_burst("web-1", lease_until_ms=T0), clock=clock)
    cluster.peer_pods = {vm_name("web-1"): "another-pod"}
    await until(a_reaper(clock, cloud, cluster), clock, T0 + 5 * HOUR)
    assert not cloud.deleted


async def test_what_is_left_of_a_vm_goes_after_it() -> None:
    clock = Wound()
    nic = CloudResource(kind="Nic", name=f"{vm_name('web-1')}-net", resource_id="/n", region="r")
    held = CloudResource(kind="Nic", name="podvm-x-0123abcd-net", resource_id="/h", region="r", attached_to="/y")
    csi = CloudResource(kind="Disk", name="pvc-1", resource_id="/d", region="r", created_at_ms=T0)
    cloud = LeftCloud(a_pod_vm("web-1"), nic, held, csi)
    cluster = LeftCluster(a_burst("web-1"), clock=clock)
    cluster.peer_pods = {}
    reaper = a_reaper(clock, cloud, cluster)
    await until(reaper, clock, T0 + 90 * MINUTE)
    assert cloud.deleted == [vm_name("web-1")]
    cluster.bursts.clear()
    await until(reaper, clock, clock.at_ms + GRACE)
    assert cloud.deleted == [vm_name("web-1"), nic.name]
    assert set(cloud.parts) == {held.name, csi.name}


async def test_it_refuses_to_guess_whose_things_are() -> None:
    with pytest.raises(InputError, match="must not guess"):
        a_reaper(Wound(), LeftCloud(), None, targets=(our_target(sweep_exclusive=False),))


async def test_where_a_target_takes_machines_their_own_tag_says_whose_they_are_and_pods_vms_stay() -> None:
    clock = Wound()
    clock.at_ms = T0 + 10 * HOUR
    cloud = LeftCloud(a_machine("db", T0), a_machine("theirs", T0, cluster="prod-2"), a_pod_vm("web-1"))
    target = our_target(sweep_exclusive=False, machines=Machines(images=("i",), subnet="s"))
    done = await a_reaper(clock, cloud, None, targets=(target,), max_age_ms=HOUR).round()
    assert cloud.deleted == ["burstvm-db"]
    assert {one.resource.name: one.fate for one in done.findings} == {
        "burstvm-db": "Goes",
        "burstvm-theirs": "Unproven",
        vm_name("web-1"): "Unproven",
    }


async def test_a_burst_that_can_not_be_read_counts_as_no_answer_at_all() -> None:
    clock = Wound()
    clock.at_ms = T0 + 10 * HOUR
    cloud = LeftCloud(a_pod_vm("web-1"))
    cluster = LeftCluster(clock=clock)
    original = cluster.get

    async def broken(path: str, params: dict[str, str] | None = None) -> bytes:
        return b'{"items": [{"metadata": {}}]}' if path.endswith("/bursts") else await original(path, params)

    cluster.get = broken  # type: ignore[method-assign]
    done = await a_reaper(clock, cloud, cluster).round()
    assert done.blind
    assert not cloud.deleted


async def test_targets_elsewhere_than_in_azure_are_nothing_to_look_into() -> None:
    clock = Wound()
    cluster = LeftCluster(clock=clock)
    elsewhere = orjson.dumps({"items": [each.object for each in load_files([str(SOVEREIGN)])]})
    original = cluster.get

    async def get(path: str, params: dict[str, str] | None = None) -> bytes:
        return elsewhere if path.endswith("/bursttargets") else await original(path, params)

    cluster.get = get  # type: ignore[method-assign]
    done = await a_reaper(clock, LeftCloud(), cluster, targets=()).round()
    assert (done.listed, done.unlisted, done.troubles) == ((), (), ())
