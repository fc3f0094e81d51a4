"""What a person wrote becomes what the engine evaluates, from files and from the API alike."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.model.errors import InputError
from burster.model.limits import Budget, Limits
from burster.model.policies import Confidential, Placement, Policy, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.targets import Target
from burster.model.triggers import PendingPodsTrigger
from burster.policy.compile import compile_documents, compile_policy, compile_target
from burster.policy.errors import PolicyErrors
from burster.policy.load import load_text
from burster.policy.schema import API_VERSION


def a_policy(**spec):
    return {
        "apiVersion": API_VERSION,
        "kind": "BurstPolicy",
        "metadata": {"name": "fraud", "namespace": "bank"},
        "spec": {"workload": {"kind": "Job"}, "placement": {"targets": ["azure"]}, **spec},
    }


def a_target(**spec):
    azure = {"subscriptionId": "00000000-0000-0000-0000-00000000000a", "resourceGroup": "burst", "region": "eastus"}
    return {
        "apiVersion": API_VERSION,
        "kind": "BurstTarget",
        "metadata": {"name": "azure"},
        "spec": {"azure": azure, "sizes": ["Standard_DC2es_v6"], **spec},
    }


OPEN = {"allowedNamespaces": ["*"], "trustee": {"url": "https://trustee.bank.example"}}


def test_what_is_left_out_gets_the_engines_own_defaults():
    selector = WorkloadSelector(kind="Job")
    want = Policy(namespace="bank", name="fraud", workload=selector, placement=Placement(targets=("azure",)))
    assert compile_policy(a_policy()) == want
    assert compile_target(a_target()) == Target(
        name="azure",
        subscription="00000000-0000-0000-0000-00000000000a",
        resource_group="burst",
        region="eastus",
        sizes=("Standard_DC2es_v6",),
    )


def test_every_field_arrives_in_the_engines_units():
    obj = a_policy(
        workload={
            "kind": "Deployment",
            "namePattern": "fraud-.*",
            "podNamePattern": "fraud-.*-[a-z0-9]+",
            "selector": {"matchLabels": {"app": "fraud", "example.com/tier": ""}},
        },
        triggers=[{"type": "pending-pods", "name": "no-room", "metadata": {"pendingFor": "1m30s", "minCount": "3"}}],
        limits={"maxBursts": 4, "maxVcpus": 16, "budget": {"perHour": 2.5, "perDay": "12.000001", "perMonth": 100}},
        placement={
            "strategy": "Clone",
            "targets": ["azure", "other"],
            "sizes": ["Standard_DC2es_v6"],
            "lease": "1h",
            "drain": "0",
        },
        confidential={"tees": ["SNP", "TDX"], "secureBoot": False},
        priority=-5,
        cooldownPeriod=0,
    )
    obj["metadata"] |= {"uid": "u-1", "generation": 7, "annotations": {"burster.dev/paused": "true"}}
    assert compile_policy(obj) == Policy(
        namespace="bank",
        name="fraud",
        uid="u-1",
        generation=7,
        priority=-5,
        paused=True,
        workload=WorkloadSelector(
            kind="Deployment",
            name_pattern="fraud-.*",
            pod_name_pattern="fraud-.*-[a-z0-9]+",
            match_labels={"app": "fraud", "example.com/tier": ""},
        ),
        triggers=(PendingPodsTrigger(name="no-room", pending_for_ms=90_000, min_count=3),),
        scaling=Scaling(cooldown_ms=0),
        limits=Limits(
            max_bursts=4,
            max_vcpus=16,
            budget=Budget(per_hour_micro_usd=2_500_000, per_day_micro_usd=12_000_001, per_month_micro_usd=100_000_000),
        ),
        placement=Placement(
            strategy="Clone",
            targets=("azure", "other"),
            sizes=("Standard_DC2es_v6",),
            lease_ms=3_600_000,
            drain_ms=0,
        ),
        confidential=Confidential(tees=("SNP", "TDX"), secure_boot=False),
    )


def test_every_field_of_a_target_arrives():
    obj = a_target(
        provider="azure",
        runtimeClassName="kata-remote-tdx",
        image="/CommunityGalleries/x/Images/y/Versions/1",
        subnet="/subscriptions/s/subnets/peers",
        tees=["TDX", "SNP"],
        allowedNamespaces=["bank"],
        limits={"maxBursts": 0},
        assumedPricePerHour="1.5",
        launchDeadline="10s",
        readyDeadline="10s",
        sweep={"mode": "Delete", "grace": "1m"},
    )
    target = compile_target(obj)
    assert (target.runtime_class, target.image, target.subnet) == (
        "kata-remote-tdx",
        "/CommunityGalleries/x/Images/y/Versions/1",
        "/subscriptions/s/subnets/peers",
    )
    assert (target.tees, target.allowed_namespaces, target.limits) == (("TDX", "SNP"), ("bank",), Limits(max_bursts=0))
    assert (target.assumed_price_micro_usd_per_hour, target.launch_deadline_ms, target.ready_deadline_ms) == (
        1_500_000,
        10_000,
        10_000,
    )
    assert (target.sweep, target.sweep_grace_ms) == ("Delete", 60_000)


def test_what_an_api_server_adds_is_taken_as_it_is_and_status_is_no_input():
    obj = a_policy()
    obj["metadata"] |= {
        "uid": "u",
        "generation": 2,
        "resourceVersion": "17",
        "creationTimestamp": "2026-11-22T00:00:00Z",
        "deletionTimestamp": None,
        "labels": {"a": "b"},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        "ownerReferences": [],
        "finalizers": ["burster.dev/x"],
        "selfLink": "",
    }
    obj["status"] = {"anything": [None]}
    assert compile_policy(obj).generation == 2


@pytest.mark.parametrize(
    ("value", "want"),
    [("true", True), ("True", True), ("yes", True), ("", True), ("false", False), ("False", False), ("0", False)],
)
def test_pausing_is_the_safe_side_of_a_doubtful_annotation(value, want):
    obj = a_policy()
    obj["metadata"]["annotations"] = {"burster.dev/paused": value}
    assert compile_policy(obj).paused is want


def test_a_bad_object_of_the_api_is_told_by_its_name():
    with pytest.raises(InputError, match=r"^BurstPolicy bank/fraud: spec.priority: expected a whole number"):
        compile_policy(a_policy(priority="high"))


@pytest.mark.parametrize("compile_it", [compile_policy, compile_target])
@pytest.mark.parametrize(
    "obj", [{}, {"kind": None}, {"metadata": []}, {"kind": ["x"]}, {"apiVersion": 1, "kind": "BurstPolicy"}], ids=repr
)
def test_an_object_of_no_kind_is_refused(compile_it, obj):
    with pytest.raises(InputError):
        compile_it(obj)


def test_a_policy_is_no_target():
    with pytest.raises(InputError, match="expected BurstTarget"):
        compile_target(a_policy())
    with pytest.raises(InputError, match="expected BurstPolicy"):
        compile_policy(a_target())


def test_nulls_are_refused_from_the_api_too():
    with pytest.raises(InputError, match=r"spec.limits: has no value"):
        compile_policy(a_policy(limits=None))


def test_files_become_policies_and_targets_in_their_order():
    text = "\n---\n".join(json.dumps(obj) for obj in (a_policy(), a_target(**OPEN)))
    compiled = compile_documents(load_text(text))
    assert [policy.key for policy in compiled.policies] == ["bank/fraud"]
    assert [target.name for target in compiled.targets] == ["azure"]


def refusals(job):
    """Do it; any other error than a refusal in sentences fails the test."""
    try:
        job()
    except PolicyErrors as errors:
        return errors.problems
    return ()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["", "30s", "Move", "TDX", "12 cores", "1e400", "azure", "(a+)+", "NaN", "\x00", "-1", "Standard_DC2es_v6"]
    )
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "kind",
                    "type",
                    "metadata",
                    "selector",
                    "matchLabels",
                    "targets",
                    "sizes",
                    "budget",
                    "perHour",
                    "lease",
                    "x",
                ]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
fields = st.sampled_from(
    ["workload", "triggers", "limits", "placement", "confidential", "priority", "sizes", "azure", "sweep", "extra"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(fields, anything, max_size=4), st.sampled_from([a_policy, a_target]))
def test_whatever_is_written_it_compiles_or_is_refused_in_sentences(spec, make):
    obj = make(**spec)
    problems = refusals(lambda: (compile_policy if make is a_policy else compile_target)(obj))
    assert all(problem.message and "\n" not in problem.message for problem in problems)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_is_in_a_file_it_is_read_or_refused_in_sentences(data):
    assert all(problem.message for problem in refusals(lambda: load_text(data)))


@pytest.mark.parametrize(
    ("annotation", "value", "want"),
    [
        ("paused-scale-in", "true", (True, False, False)),
        ("paused-scale-in", "on", (True, False, False)),
        ("paused-scale-in", "false", (False, False, False)),
        ("paused-scale-out", "1", (False, True, False)),
        ("paused-scale-out", "0", (False, False, False)),
        ("force-activation", "true", (False, False, True)),
        ("force-activation", "F", (False, False, False)),
        ("force-activation", "sure", (False, False, False)),
    ],
)
def test_a_slip_pauses_and_never_forces(annotation, value, want):
    obj = a_policy()
    obj["metadata"]["annotations"] = {f"burster.dev/{annotation}": value}
    policy = compile_policy(obj)
    assert (policy.paused_scale_in, policy.paused_scale_out, policy.force_activation) == want
