"""Policies that contradict a target beside them, or each other, are told; what is merely narrower is not."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from burster.model.policies import LabelRule, WorkloadSelector
from burster.policy.compile import compile_documents
from burster.policy.compile.ambiguity import overlap, starts
from burster.policy.errors import PolicyErrors
from burster.policy.fields.patterns import check_pattern
from burster.policy.load import load_text
from burster.policy.schema import API_VERSION


def policy(name="p", namespace="bank", targets=("azure",), strategy="Clone", **spec):
    placement = {"strategy": strategy, "targets": list(targets), **spec.pop("placement", {})}
    return {
        "apiVersion": API_VERSION,
        "kind": "BurstPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"workload": {"kind": "Deployment"}, "placement": placement, **spec},
    }


def target(name="azure", **spec):
    azure = {"subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "burst", "region": "eastus"}
    whole = {
        "azure": azure,
        "sizes": ["Standard_DC2es_v6", "Standard_DC4es_v6"],
        "allowedNamespaces": ["bank"],
        "trustee": {"url": "https://trustee.bank.example"},
        **spec,
    }
    left = {key: value for key, value in whole.items() if value is not None}
    return {"apiVersion": API_VERSION, "kind": "BurstTarget", "metadata": {"name": name}, "spec": left}


def onprem(catalogue, name="onprem", **spec):
    nodes = {"runtimeClassName": "kata-qemu-tdx", "nodeSelector": {"tee": "tdx"}}
    place = {"azure": None, "sizes": None, "provider": "onprem", "region": "here", "catalogue": catalogue, **nodes}
    return target(name, **{**place, **spec})


def problems_of(*objects):
    text = "\n---\n".join(json.dumps(obj, indent=1) for obj in objects)
    try:
        compile_documents(load_text(text, "rules.yaml"))
    except PolicyErrors as errors:
        return [(problem.path, problem.message) for problem in errors.problems]
    return []


PROMETHEUS = {
    "type": "prometheus",
    "metadata": {"serverAddress": "https://thanos:9092/prom", "query": "sum(x)", "threshold": "1"},
}
API = {"type": "metrics-api", "metadata": {"url": "https://api:8443/v1", "valueLocation": "a", "targetValue": "1"}}
SCALER = {"type": "external", "metadata": {"scalerAddress": "scaler.svc:9090", "targetValue": "1"}}
PUSHED = {"type": "external", "metadata": {"targetValue": "1"}}
NODE = {"size": "node", "cpu": "64", "memory": "256Gi", "tee": "TDX"}
GPU = {"type": "pending-pods", "metadata": {"resources": ["nvidia.com/gpu"]}}

#: what is written, and what is told: field and words
AGAINST_A_TARGET = {
    "a namespace": (
        [policy(namespace="shop"), target()],
        (
            "spec.placement.targets[0]",
            "target azure does not allow namespace shop: add it to the target's allowedNamespaces",
        ),
    ),
    "no namespace at all": (
        [policy(), target(allowedNamespaces=[])],
        ("spec.placement.targets[0]", "does not allow namespace bank"),
    ),
    "sizes": (
        [policy(placement={"sizes": ["Standard_EC2es_v6"]}), target()],
        (
            "spec.placement.sizes",
            "target azure allows none of these sizes; it has Standard_DC2es_v6, Standard_DC4es_v6",
        ),
    ),
    "TEEs": (
        [policy(confidential={"tees": ["SNP"]}), target()],
        ("spec.confidential.tees", "target azure allows none of these; it has TDX"),
    ),
    "no Trustee": (
        [policy(), target(trustee=None)],
        ("spec.placement.targets[0]", "target azure names no Trustee, and the policy requires attestation"),
    ),
    "a class of data": (
        [policy(confidential={"dataClass": "secret"}), target(dataClasses=["public", "internal"])],
        (
            "spec.confidential.dataClass",
            "data of class secret may not be worked on at target azure, which lists public, internal",
        ),
    ),
    "a class of data where there is none": (
        [policy(confidential={"dataClass": "secret"}), target()],
        ("spec.confidential.dataClass", "which lists none"),
    ),
    "a jurisdiction": (
        [policy(confidential={"jurisdictions": ["DE", "FR"]}), target(jurisdiction="US")],
        ("spec.confidential.jurisdictions", "target azure is in US"),
    ),
    "no jurisdiction": (
        [policy(confidential={"jurisdictions": ["DE"]}), target()],
        ("spec.confidential.jurisdictions", "target azure declares no jurisdiction"),
    ),
    "a metrics server": (
        [policy("p", strategy="Signal", triggers=[PROMETHEUS]), target(allowedMetricEndpoints=["https://thanos"])],
        (
            "spec.triggers[0].metadata.serverAddress",
            "https://thanos:9092/prom is not among the allowedMetricEndpoints of target azure (https://thanos)",
        ),
    ),
    "no metrics server": (
        [policy("p", strategy="Signal", triggers=[PUSHED, API]), target()],
        ("spec.triggers[1].metadata.url", "(it has none)"),
    ),
    "a scaler": (
        [policy("p", strategy="Signal", triggers=[SCALER]), target(allowedMetricEndpoints=["https://scaler.svc:9090"])],
        ("spec.triggers[0].metadata.scalerAddress", "grpc://scaler.svc:9090 is not among"),
    ),
    "a count": (
        [policy(limits={"maxBursts": 5}), target(limits={"maxBursts": 4})],
        ("spec.limits.maxBursts", "is above what azure allows (4): lower it, or leave it out"),
    ),
    "vCPUs": (
        [policy(limits={"maxVcpus": 5}), target(limits={"maxVcpus": 4})],
        ("spec.limits.maxVcpus", "is above what azure allows (4)"),
    ),
    "money per hour": (
        [policy(limits={"budget": {"perHour": "2.01"}}), target(limits={"budget": {"perHour": "2"}})],
        ("spec.limits.budget.perHour", "is above what azure allows ($2.0000)"),
    ),
    "money per day": (
        [policy(limits={"budget": {"perDay": 3}}), target(limits={"budget": {"perDay": 2}})],
        ("spec.limits.budget.perDay", "is above what azure allows ($2.0000)"),
    ),
    "money per month": (
        [policy(limits={"budget": {"perMonth": 3}}), target(limits={"budget": {"perMonth": 2}})],
        ("spec.limits.budget.perMonth", "is above what azure allows ($2.0000)"),
    ),
    "the namespace's own limit": (
        [
            policy(limits={"maxBursts": 3}),
            target(limits={"maxBursts": 9}, allowedNamespaces=[{"name": "bank", "maxBursts": 2}]),
        ],
        ("spec.limits.maxBursts", "is above what azure allows (2)"),
    ),
    "the limits of two targets together": (
        [
            policy(targets=["azure", "b"], limits={"maxBursts": 8}),
            target(limits={"maxBursts": 4}),
            target("b", limits={"maxBursts": 3}),
        ],
        ("spec.limits.maxBursts", "is above what azure and b allow together (7)"),
    ),
    "a TEE that no size of the catalogue has": (
        [policy(targets=["onprem"], confidential={"tees": ["SNP"]}), onprem([NODE], tees=["TDX", "SNP"])],
        ("spec.confidential.tees", "target onprem has no allowed size with SNP; it has node (TDX)"),
    ),
    "a TEE that only another size has": (
        [
            policy(targets=["onprem"], confidential={"tees": ["SNP"]}, placement={"sizes": ["node"]}),
            onprem([NODE, {**NODE, "size": "amd", "tee": "SNP"}], tees=["TDX", "SNP"]),
        ],
        ("spec.confidential.tees", "it has node (TDX)"),
    ),
    "a TEE that only a size has that isn't allowed": (
        [
            policy(targets=["onprem"], confidential={"tees": ["SNP"]}),
            onprem([NODE, {**NODE, "size": "amd", "tee": "SNP"}], tees=["TDX", "SNP"], sizes=["node"]),
        ],
        ("spec.confidential.tees", "it has node (TDX)"),
    ),
    "spot where there is none": (
        [policy(targets=["onprem"], placement={"spot": "Only"}), onprem([NODE])],
        ("spec.placement.spot", "target onprem has no spot sizes"),
    ),
    "nothing but spot": (
        [policy(targets=["onprem"]), onprem([{**NODE, "spot": True}])],
        ("spec.placement.spot", "target onprem has nothing but spot sizes"),
    ),
    "a device": (
        [policy(targets=["onprem"], triggers=[GPU]), onprem([{**NODE, "devices": {"habana.ai/gaudi": 8}}])],
        (
            "spec.triggers[0].metadata.resources",
            "target onprem has none of these in a size with TDX; its devices are habana.ai/gaudi",
        ),
    ),
    "a device without the TEE": (
        [
            policy(targets=["onprem"], triggers=[GPU]),
            onprem([NODE, {**NODE, "size": "gpu", "gpus": 1, "tee": "SNP"}], tees=["TDX", "SNP"]),
        ],
        ("spec.triggers[0].metadata.resources", "in a size with TDX; its devices are nvidia.com/gpu"),
    ),
    "no devices at all": (
        [policy(targets=["onprem"], triggers=[GPU]), onprem([NODE])],
        ("spec.triggers[0].metadata.resources", "its devices are none"),
    ),
}


@pytest.mark.parametrize(("objects", "told"), AGAINST_A_TARGET.values(), ids=AGAINST_A_TARGET)
def test_what_contradicts_a_target_is_told(objects, told):
    ((path, message),) = problems_of(*objects)
    assert path == told[0]
    assert told[1] in message


NO_CONTRADICTION = {
    "a target that is elsewhere": [policy(targets=["elsewhere"], limits={"maxBursts": 10_000})],
    "every namespace": [policy(), target(allowedNamespaces=["*"])],
    "a namespace with limits": [
        policy(limits={"maxBursts": 2}),
        target(allowedNamespaces=[{"name": "bank", "maxBursts": 2}]),
    ],
    "some of the sizes": [policy(placement={"sizes": ["Standard_DC4es_v6", "Standard_EC2es_v6"]}), target()],
    "one of the TEEs": [policy(confidential={"tees": ["SNP", "TDX"]}), target()],
    "attestation of the VM only": [policy(confidential={"attestation": "VmOnly"}), target(trustee=None)],
    "the class of data": [policy(confidential={"dataClass": "a"}), target(dataClasses=["b", "a"])],
    "no class of data": [policy(), target(dataClasses=["a"])],
    "the jurisdiction": [policy(confidential={"jurisdictions": ["FR", "DE"]}), target(jurisdiction="DE")],
    "the metrics server": [
        policy("p", strategy="Signal", triggers=[PROMETHEUS, API, SCALER, PUSHED]),
        target(allowedMetricEndpoints=["https://thanos:9092", "https://api:8443", "grpc://scaler.svc:9090"]),
    ],
    "limits that are the target's": [
        policy(limits={"maxBursts": 4, "maxVcpus": 8, "budget": {"perHour": 1, "perDay": 2, "perMonth": 3}}),
        target(limits={"maxBursts": 4, "maxVcpus": 8, "budget": {"perHour": 1, "perDay": 2, "perMonth": 3}}),
    ],
    "limits of two targets together": [
        policy(targets=["azure", "b"], limits={"maxBursts": 7}),
        target(limits={"maxBursts": 4}),
        target("b", limits={"maxBursts": 3}),
    ],
    "a target without a limit beside one with": [
        policy(targets=["azure", "b"], limits={"maxBursts": 100}),
        target(limits={"maxBursts": 4}),
        target("b"),
    ],
    "a second target that is elsewhere": [
        policy(targets=["azure", "b"], limits={"maxBursts": 100}),
        target(limits={"maxBursts": 4}),
    ],
    "a limit that only the target has": [policy(), target(limits={"maxBursts": 4})],
    "the device": [policy(targets=["onprem"], triggers=[GPU]), onprem([NODE, {**NODE, "size": "gpu", "gpus": 1}])],
    "a device on azure, which is not known here": [policy(triggers=[GPU]), target()],
    "cpu is no device": [
        policy(targets=["onprem"], triggers=[{"type": "pending-pods", "metadata": {"resources": ["cpu"]}}]),
        onprem([NODE]),
    ],
    "spot where there is some": [
        policy(targets=["onprem"], placement={"spot": "Only"}),
        onprem([NODE, {**NODE, "size": "s", "spot": True}]),
    ],
    "no spot where there is some": [policy(targets=["onprem"]), onprem([NODE, {**NODE, "size": "s", "spot": True}])],
    "spot preferred where all is": [
        policy(targets=["onprem"], placement={"spot": "Prefer"}),
        onprem([{**NODE, "spot": True}]),
    ],
}


@pytest.mark.parametrize("objects", NO_CONTRADICTION.values(), ids=NO_CONTRADICTION)
def test_what_is_merely_narrower_is_no_contradiction(objects):
    assert problems_of(*objects) == []


def test_each_target_is_told_for_itself():
    told = problems_of(policy(targets=["azure", "b"]), target(allowedNamespaces=[]), target("b", allowedNamespaces=[]))
    assert [path for path, _ in told] == ["spec.placement.targets[0]", "spec.placement.targets[1]"]


# --- two policies -------------------------------------------------------------------------------------------------------------


def test_two_policies_that_could_take_the_same_pods_are_ambiguous():
    ((path, message),) = problems_of(policy("a"), policy("b"))
    assert path == "spec.priority"
    assert message == (
        "policy a (rules.yaml:1) could take the same pods with the same priority 0, and selects them just as exactly: give one of the two"
        " a higher priority, or select different workloads"
    )


def test_every_pair_is_told_at_the_later_one():
    told = problems_of(policy("a"), policy("b"), policy("c"))
    assert [re.findall(r"policy (\w)", message)[0] for _, message in told] == ["a", "a", "b"]


CRON = {
    "type": "cron",
    "metadata": {"start": "0 8 * * *", "end": "0 9 * * *", "timezone": "UTC", "desiredReplicas": 1},
}
NOT_AMBIGUOUS = {
    "another namespace": [policy("a"), policy("b", namespace="shop")],
    "another priority": [policy("a"), policy("b", priority=1)],
    "more exact": [policy("a"), policy("b", workload={"kind": "Deployment", "namePattern": "web.*"})],
    "another kind": [policy("a"), policy("b", workload={"kind": "StatefulSet"})],
    "one that takes no pods": [policy("a"), policy("b", strategy="Signal", triggers=[CRON])],
    "two that take no pods": [
        policy("a", strategy="Signal", triggers=[CRON]),
        policy("b", strategy="Signal", triggers=[CRON]),
    ],
}


@pytest.mark.parametrize("objects", NOT_AMBIGUOUS.values(), ids=NOT_AMBIGUOUS)
def test_where_it_is_certain_who_takes_a_pod_nothing_is_told(objects):
    assert problems_of(*objects) == []


def test_two_policies_may_not_set_one_number():
    scaled = {"strategy": "Scale", "triggers": [CRON], "scaleTargetRef": {"name": "cloud"}}
    ((path, message),) = problems_of(policy("a", **scaled), policy("b", **{**scaled, "strategy": "Signal"}))
    assert (path, message) == (
        "spec.scaleTargetRef",
        "policy a (rules.yaml:1) sets the number of the same workload: give each its own, or make one policy of the two",
    )
    other = {**scaled, "scaleTargetRef": {"name": "other"}}
    assert problems_of(policy("a", **scaled), policy("b", **other)) == []
    clones = {**scaled, "strategy": "Clone"}
    assert problems_of(policy("a", **scaled), policy("b", **clones)) == []


def by(**parts):
    return WorkloadSelector(**parts)


def rule(key, operator, *values):
    return LabelRule(key=key, operator=operator, values=values)


DISJOINT = {
    "kinds": (by(kind="Job"), by(kind="Pod")),
    "owners": (by(kind="Job", name="a"), by(kind="Job", name="b")),
    "apiVersions": (by(name="a", api_version="apps/v1"), by(name="a", api_version="x/v1")),
    "an owner and a pattern": (by(name="web"), by(name_pattern="shop.*")),
    "an owner with a dot and a pattern": (by(name="a.b"), by(name_pattern="acb")),
    "patterns that begin differently": (by(name_pattern="web-.*"), by(name_pattern="shop-.*")),
    "patterns that differ after choices": (
        by(name_pattern="fraud-(scoring|features)"),
        by(name_pattern="fraud-batch.*"),
    ),
    "alternatives": (by(name_pattern="a.*|b.*"), by(name_pattern="c.*|d.*")),
    "whole names": (by(name_pattern="web"), by(name_pattern="web-1")),
    "a whole name that a pattern does not match": (by(name_pattern="web-x"), by(name_pattern="web-[0-9]+")),
    "an escaped dot": (by(name_pattern=r"a\.b"), by(name_pattern="acb")),
    "pods' names": (by(pod_name_pattern="a-.*"), by(pod_name_pattern="b-.*")),
    "a bare pod has one name": (by(kind="Pod", name_pattern="a.*"), by(pod_name_pattern="b.*")),
    "labels": (by(match_labels={"a": "x"}), by(match_labels={"a": "y"})),
    "a label and its absence": (by(match_labels={"a": "x"}), by(match_expressions=(rule("a", "DoesNotExist"),))),
    "In and NotIn": (
        by(match_expressions=(rule("a", "In", "x", "y"),)),
        by(match_expressions=(rule("a", "NotIn", "y", "x"),)),
    ),
    "In and In": (by(match_expressions=(rule("a", "In", "x", "y"),)), by(match_expressions=(rule("a", "In", "z"),))),
    "Exists and DoesNotExist": (
        by(match_expressions=(rule("a", "Exists"),)),
        by(match_expressions=(rule("a", "DoesNotExist"),)),
    ),
}
POSSIBLE = {
    "everything": (by(), by()),
    "a kind and any": (by(kind="Job"), by()),
    "the same owner": (by(kind="Job", name="a"), by(kind="Job", name="a")),
    "an owner that a pattern matches": (by(name="web"), by(name_pattern="we.")),
    "an apiVersion and any": (by(name="a", api_version="apps/v1"), by(name="a")),
    "a beginning of the other": (by(name_pattern="web-.*"), by(name_pattern="web-shop-.*")),
    "an open beginning": (by(name_pattern=".*-web"), by(name_pattern="shop-.*")),
    "a repeated last letter": (by(name_pattern="webb*"), by(name_pattern="web")),
    "an optional letter": (by(name_pattern="web?s.*"), by(name_pattern="wes.*")),
    "an optional group": (by(name_pattern="web(-blue)?-x"), by(name_pattern="web-x")),
    "a repeated group": (by(name_pattern="(ab)+"), by(name_pattern="abab")),
    "a class": (by(name_pattern="[ab|]c"), by(name_pattern="ac")),
    "a class that is turned round": (by(name_pattern="[^]a]c"), by(name_pattern="bc")),
    "an escaped bracket in a class": (by(name_pattern=r"[\]|x]b"), by(name_pattern="xb")),
    "a bracket and a bar in a class that is turned round": (by(name_pattern="[^]|x]b"), by(name_pattern="cb")),
    "an escape with a meaning": (by(name_pattern=r"\w-x"), by(name_pattern="a-x")),
    "one of the alternatives": (by(name_pattern="a.*|b.*"), by(name_pattern="b-x|c")),
    "groups within groups": (by(name_pattern="a(b(c|d)|e)f"), by(name_pattern="abdf")),
    "a group that captures nothing": (by(name_pattern="a(?:b|c)"), by(name_pattern="ac")),
    "an escaped bracket in a group": (by(name_pattern=r"a(\)|[)])b"), by(name_pattern=r"a\)b")),
    "workload's and pod's names": (by(kind="Deployment", name_pattern="a.*"), by(pod_name_pattern="b.*")),
    "different labels": (by(match_labels={"a": "x"}), by(match_labels={"b": "y"})),
    "the same label": (by(match_labels={"a": "x"}), by(match_labels={"a": "x"})),
    "NotIn and NotIn": (
        by(match_expressions=(rule("a", "NotIn", "v0"),)),
        by(match_expressions=(rule("a", "NotIn", "v1"),)),
    ),
    "Exists and NotIn": (
        by(match_expressions=(rule("a", "Exists"),)),
        by(match_expressions=(rule("a", "NotIn", "v0"),)),
    ),
    "In and NotIn of another": (
        by(match_expressions=(rule("a", "In", "x", "y"),)),
        by(match_expressions=(rule("a", "NotIn", "y"),)),
    ),
    "NotIn and absence": (
        by(match_expressions=(rule("a", "NotIn", "x"),)),
        by(match_expressions=(rule("a", "DoesNotExist"),)),
    ),
}


@pytest.mark.parametrize(("one", "other"), DISJOINT.values(), ids=DISJOINT)
def test_selectors_that_no_pod_matches_both_of(one, other):
    assert not overlap(one, other)
    assert not overlap(other, one)


@pytest.mark.parametrize(("one", "other"), POSSIBLE.values(), ids=POSSIBLE)
def test_selectors_that_a_pod_might_match_both_of(one, other):
    assert overlap(one, other)
    assert overlap(other, one)


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        ("web", (("web", True),)),
        ("web-.*", (("web-", False),)),
        (".*", (("", False),)),
        ("a|b.", (("a", True), ("b", False))),
        ("x(a|b)y", (("xay", True), ("xby", True))),
        ("x(a.|b)y", (("xa", False), ("xby", True))),
        ("ab*", (("a", False),)),
        ("ab{2}", (("a", False),)),
        (r"a\.b\-c", (("a.b-c", True),)),
        ("(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)", (("", False),)),
    ],
)
def test_the_beginnings_of_what_a_pattern_matches(pattern, want):
    assert starts(pattern) == want


pieces = st.lists(
    st.sampled_from(["a", "b", ".", "[ab]", "(", ")", "|", "*", "+", "?", "{2}", "(?:", "-", r"\.", "[^b]"]), max_size=9
).map("".join)


def usable(pattern):
    try:
        check_pattern(pattern)
    except ValueError:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(pieces.filter(usable), st.text("ab-.", min_size=1, max_size=5))
def test_whatever_a_pattern_matches_begins_as_was_said(pattern, name):
    if re.fullmatch(pattern, name):
        assert any(name == text if whole else name.startswith(text) for text, whole in starts(pattern))
        assert overlap(by(name_pattern=pattern), by(name=name))
