"""A Burst record survives the way to the API and back, whatever is in it."""

import re
import timeit
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.model.bursts import Burst, BurstSpec, BurstStatus, InitdataSource, Phase, PodRef
from burster.model.errors import InputError
from burster.model.triggers import WorkloadRef
from burster.policy.records import (
    burst_conditions,
    burst_from_object,
    burst_to_object,
    format_time,
    parse_time,
    status_to_object,
    wire_names,
)
from burster.policy.statuses import BurstRecordSpec, BurstRecordStatus


YEAR_9999_MS = 253_402_300_799_999
words = st.text(max_size=40)
moments = st.integers(0, YEAR_9999_MS)
amounts = st.integers(0, 2**63 - 1)
names = st.text(min_size=1, max_size=40)
refs = st.builds(PodRef, name=names, uid=names, resource_version=words)
initdata = st.builds(InitdataSource, config_map=words, key=words, by=st.sampled_from(["Policy", "Target"]))
workloads = st.builds(WorkloadRef, api_version=words, kind=words, name=words)
for_one = {"strategy": st.sampled_from(["Clone", "Move"]), "for_pod": refs}
for_nobody = {"strategy": st.just("Clone"), "for_pod": st.just(PodRef())}
fields = {
    "policy": words,
    "target": words,
    "pod_name": words,
    "workload": st.none() | workloads,
    "initdata": st.none() | initdata,
    "provider": words,
    "region": words,
    "size": words,
    "runtime_class": words,
    "cpu_millicores": amounts,
    "memory_bytes": amounts,
    "vcpus": amounts,
    "price_micro_usd_per_hour": amounts,
    "reserved_micro_usd": amounts,
    "decided_at_ms": moments,
    "lease_ms": amounts,
    "drain_ms": amounts,
    "launch_deadline_ms": amounts,
    "ready_deadline_ms": amounts,
}
specs = st.builds(BurstSpec, **fields, **for_one) | st.builds(BurstSpec, **fields, **for_nobody)
statuses = st.builds(
    BurstStatus,
    phase=st.sampled_from(get_args(Phase)),
    reason=words,
    message=words,
    reserved_micro_usd=amounts,
    settled_micro_usd=st.none() | amounts,
    lease_until_ms=moments,
    placed_at_ms=st.none() | moments,
    serving_at_ms=st.none() | moments,
    draining_at_ms=st.none() | moments,
    released_at_ms=st.none() | moments,
    pod_uid=words,
    vms=st.lists(words, max_size=4).map(tuple),
    vm_started_at_ms=st.none() | moments,
    outcome=words,
)
bursts = st.builds(Burst, namespace=words, name=words, uid=words, spec=specs, status=statuses)


def a_burst(**status) -> Burst:
    return Burst(
        namespace="bank",
        name="burst-fraud-7x2k",
        uid="u-1",
        spec=BurstSpec(
            policy="fraud",
            target="azure-westeurope-tdx",
            strategy="Clone",
            pod_name="burst-fraud-7x2k",
            for_pod=PodRef(name="fraud-0", uid="p-1", resource_version="17"),
            workload=WorkloadRef(api_version="apps/v1", kind="Deployment", name="fraud"),
            region="westeurope",
            size="Standard_DC4es_v6",
            runtime_class="kata-remote",
            cpu_millicores=2000,
            memory_bytes=2**32,
            vcpus=4,
            price_micro_usd_per_hour=242_000,
            reserved_micro_usd=12_345,
            decided_at_ms=1_795_651_200_123,
            lease_ms=3_000_000,
            drain_ms=600_000,
            launch_deadline_ms=300_000,
            ready_deadline_ms=900_000,
        ),
        status=BurstStatus(**status),
    )


@settings(max_examples=200)
@given(bursts)
def test_any_record_comes_back_as_it_went(burst):
    wire = burst_to_object(burst)
    assert burst_from_object(wire) == burst
    # and through real JSON, as the API stores it
    assert burst_from_object(msgspec.json.decode(msgspec.json.encode(wire))) == burst


@settings(max_examples=100)
@given(bursts)
def test_the_status_body_carries_the_whole_status_and_the_same_conditions_every_time(burst):
    body = status_to_object(burst, observed_generation=3)
    assert burst_from_object({**burst_to_object(burst), "status": body["status"]}) == burst
    assert body == status_to_object(burst, observed_generation=3)
    assert body["metadata"] == {"namespace": burst.namespace, "name": burst.name}
    for condition in body["status"]["conditions"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", condition["lastTransitionTime"])
        assert re.fullmatch(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?", condition["reason"])
        assert condition["observedGeneration"] == 3
        assert len(condition["message"]) <= 1024


@given(moments)
def test_times_keep_their_milliseconds(at_ms):
    assert parse_time(format_time(at_ms)) == at_ms


def test_a_record_reads_well_on_the_wire():
    wire = burst_to_object(
        a_burst(placed_at_ms=1_795_651_201_000), finalizers=["burster.dev/release"], pod_manifest={"kind": "Pod"}
    )
    assert wire["spec"]["decidedAt"] == "2026-11-26T00:00:00.123Z"
    assert wire["spec"]["priceMicroUsdPerHour"] == 242_000
    assert wire["spec"]["leaseMs"] == 3_000_000
    assert wire["spec"]["forPod"] == {"name": "fraud-0", "uid": "p-1", "resourceVersion": "17"}
    assert wire["spec"]["workload"]["apiVersion"] == "apps/v1"
    assert wire["spec"]["provider"] == "azure"  # a default is written too: it may change one day
    assert wire["spec"]["podManifest"] == {"kind": "Pod"}
    assert wire["status"] == {"phase": "Reserved", "reservedMicroUsd": 0, "placedAt": "2026-11-26T00:00:01.000Z"}
    assert wire["metadata"]["finalizers"] == ["burster.dev/release"]
    assert wire["metadata"]["labels"] == {"burster.dev/policy": "fraud"}
    assert "annotations" not in wire["metadata"]
    more = burst_to_object(a_burst(), annotations={"a": "b"}, labels={"c": "d"}, owner_references=[{"uid": "o"}])
    assert more["metadata"]["annotations"] == {"a": "b"}
    assert more["metadata"]["labels"] == {"burster.dev/policy": "fraud", "c": "d"}
    assert more["metadata"]["ownerReferences"] == [{"uid": "o"}]


def test_extra_fields_of_a_newer_writer_are_ignored_and_a_missing_status_is_the_first_one():
    wire = burst_to_object(a_burst())
    wire["spec"]["fromTheFuture"] = 1
    del wire["status"]
    assert burst_from_object(wire) == a_burst()


def _drop(*path):
    def change(wire):
        for part in path[:-1]:
            wire = wire[part]
        del wire[path[-1]]

    return change


def _put(value, *path):
    def change(wire):
        for part in path[:-1]:
            wire = wire[part]
        wire[path[-1]] = value

    return change


def _move_of_nobody(wire):
    wire["spec"] |= {"strategy": "Move", "forPod": {}}


CHANGES = {
    "without metadata": (_drop("metadata"), "metadata"),
    "without spec": (_drop("spec"), "spec"),
    "without a required time": (_drop("spec", "decidedAt"), "decided_at_ms"),
    "a time in words": (_put("yesterday", "spec", "decidedAt"), "yesterday"),
    "a time without zone": (_put("2026-11-26T00:00:00", "spec", "decidedAt"), "time zone"),
    "a number for a time": (_put(5, "spec", "decidedAt"), "bank/burst-fraud-7x2k"),
    "text for a number": (_put("4", "spec", "vcpus"), "vcpus"),
    "an unknown phase": (_put("Dancing", "status", "phase"), "Dancing"),
    "a list for a pod": (_put([], "spec", "forPod"), "bank/burst-fraud-7x2k"),
    "a pod without uid": (_drop("spec", "forPod", "uid"), "both name and uid"),
    "a pod without name": (_drop("spec", "forPod", "name"), "both name and uid"),
    "a move of no pod": (_move_of_nobody, "a Move is of one pod"),
    "a list for the spec": (_put([], "spec"), "bank/burst-fraud-7x2k"),
    "text for the status": (_put("x", "status"), "bank/burst-fraud-7x2k"),
    "a number for the metadata": (_put(5, "metadata"), "without metadata"),
}


@pytest.mark.parametrize(("change", "want"), CHANGES.values(), ids=CHANGES)
def test_a_record_that_somebody_else_changed_is_refused_in_a_sentence(change, want):
    wire = burst_to_object(a_burst())
    change(wire)
    with pytest.raises(InputError, match=re.escape(want)):
        burst_from_object(wire)


def test_a_clone_may_stand_for_no_pod_in_particular():
    wire = burst_to_object(a_burst())
    wire["spec"]["forPod"] = {}
    assert wire["spec"]["strategy"] == "Clone"
    assert burst_from_object(wire).spec.for_pod == PodRef()
    del wire["spec"]["forPod"]
    assert burst_from_object(wire).spec.for_pod == PodRef()


def test_the_schema_names_exactly_the_fields_of_the_record():
    def aliases(model):
        return {field.alias for field in model.model_fields.values()}

    assert aliases(BurstRecordSpec) == {*wire_names(BurstSpec), "replicas", "podManifest"}
    extra = {"costUsd", "conditions", "observedGeneration", "replicas", "selector", "vm"}
    assert aliases(BurstRecordStatus) == {*wire_names(BurstStatus)} | extra


@pytest.mark.parametrize(
    ("status", "want_true", "want_cost", "want_replicas"),
    [
        ({}, set(), "$0.0123", 0),
        ({"phase": "Placing"}, set(), "$0.0123", 0),
        ({"phase": "Provisioning", "placed_at_ms": 1}, {"Placed"}, "$0.0123", 1),
        (
            {"phase": "Serving", "placed_at_ms": 1, "serving_at_ms": 2, "reserved_micro_usd": 20_000},
            {"Ready", "Placed", "Verified", "Serving"},
            "$0.0200",
            1,
        ),
        (
            {"phase": "Draining", "placed_at_ms": 1, "serving_at_ms": 2, "draining_at_ms": 3},
            {"Placed", "Verified"},
            "$0.0123",
            1,
        ),
        ({"phase": "Failed", "reason": "Quota", "message": "no cores"}, set(), "$0.0123", 0),
        (
            {
                "phase": "Released",
                "placed_at_ms": 1,
                "serving_at_ms": 2,
                "draining_at_ms": 3,
                "released_at_ms": 4,
                "settled_micro_usd": 0,
            },
            {"Placed", "Verified", "Released"},
            "$0.0000",
            0,
        ),
    ],
)
def test_status_says_what_holds_what_it_costs_and_whether_the_pod_exists(status, want_true, want_cost, want_replicas):
    body = status_to_object(a_burst(**status))["status"]
    assert {condition["type"] for condition in body["conditions"] if condition["status"] == "True"} == want_true
    assert body["costUsd"] == want_cost
    assert body["replicas"] == want_replicas
    assert body["selector"] == "burster.dev/burst=burst-fraud-7x2k"


def test_a_condition_that_fails_says_why_and_since_when():
    serving = {
        condition["type"]: condition
        for condition in burst_conditions(
            a_burst(
                phase="Draining",
                reason="LeaseEnded",
                message="the lease was not renewed",
                serving_at_ms=1_000,
                draining_at_ms=5_500,
            )
        )
    }["Serving"]
    assert serving == {
        "type": "Serving",
        "status": "False",
        "reason": "LeaseEnded",
        "message": "the lease was not renewed",
        "lastTransitionTime": "1970-01-01T00:00:05Z",
    }


def test_each_condition_that_holds_has_its_own_reason():
    told = {
        condition["type"]: (condition["status"], condition["reason"], condition["message"])
        for condition in burst_conditions(
            a_burst(phase="Serving", reason="", message="late", placed_at_ms=500, serving_at_ms=1_000)
        )
    }
    assert told == {
        "Ready": ("True", "PodServing", ""),
        "Placed": ("True", "PodPlaced", ""),
        "Verified": ("True", "VmVerified", ""),
        "Serving": ("True", "PodServing", ""),
        "Released": ("False", "Serving", "late"),
    }


def test_own_conditions_are_taken_as_they_are():
    mine = [{"type": "Placed", "status": "True"}]
    assert status_to_object(a_burst(), conditions=mine)["status"]["conditions"] == mine


def test_the_last_vm_is_shown():
    assert status_to_object(a_burst(vms=("vm-a", "vm-b")))["status"]["vm"] == "vm-b"


@pytest.mark.perf
def test_records_are_quick_to_make_and_read():
    burst = a_burst(phase="Serving", lease_until_ms=9, placed_at_ms=1, serving_at_ms=2, vm_started_at_ms=3, vms=("vm",))
    wire = burst_to_object(burst)
    for job in (lambda: burst_to_object(burst), lambda: burst_from_object(wire)):
        assert min(timeit.repeat(job, number=500, repeat=5)) / 500 < 60e-6


@given(st.builds(Burst, namespace=words, name=words, uid=words, spec=specs, status=statuses))
@settings(max_examples=20)
def test_a_record_that_somebody_deleted_says_so_until_its_finalizer_goes(burst: Burst) -> None:
    obj = burst_to_object(burst, finalizers=("burster.dev/release",))
    assert not burst_from_object(obj).deleting
    obj["metadata"]["deletionTimestamp"] = "2026-01-05T08:00:00Z"
    assert burst_from_object(obj).deleting
