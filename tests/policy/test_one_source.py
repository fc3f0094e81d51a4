"""Models, CRDs, editors' JSON Schema and reference page say the same: every field, every default, every rule over several fields."""

import re
from copy import deepcopy
from functools import cache
from typing import get_args

import pytest
from cel_expr_python import cel
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from burster.lab.apiserver.schemas import fill, violations
from burster.policy.compile import compile_policy, compile_target
from burster.policy.crds import crds, json_schema
from burster.policy.errors import PolicyErrors
from burster.policy.problems import fields_of, models_in
from burster.policy.reference import reference
from burster.policy.schema import API_VERSION, RULES, BurstPolicySpec, BurstTargetSpec
from burster.policy.schema.trigger_base import TriggerMetadata


KINDS = {"BurstPolicy": BurstPolicySpec, "BurstTarget": BurstTargetSpec}
PLURALS = {"BurstPolicy": "burstpolicies", "BurstTarget": "bursttargets"}


@cache
def spec_schema(kind):
    (version,) = crds()[f"burster.dev_{PLURALS[kind]}.yaml"]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]["properties"]["spec"]


# --- fields ---------------------------------------------------------------------------------------------------------------


def model_paths(model, path="spec"):
    for name, field in fields_of(model).items():
        here = f"{path}.{name}"
        yield here
        inner = list(models_in(field.annotation))
        for each in inner:
            listed = "tuple" in str(field.annotation)
            kinds = get_args(each.model_fields["type"].annotation) if len(inner) > 1 else ()
            yield from model_paths(each, f"{here}[{', '.join(kinds)}]" if listed else here)


def schema_paths(schema, path="spec"):
    for form in schema.get("oneOf", [schema]):
        for name, inner in form.get("properties", {}).items():
            here = f"{path}.{name}"
            yield here
            yield from schema_paths(inner, here)
            items = inner.get("items", {})
            for option in items.get("oneOf", [items] if items else []):
                kinds = option.get("properties", {}).get("type", {}).get("enum", ()) if "oneOf" in items else ()
                yield from schema_paths(option, f"{here}[{', '.join(kinds)}]")


def without_forms(paths):
    return {re.sub(r"\[[^\]]*\]", "[]", path) for path in paths}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_in_the_editors_schema_and_on_the_page_and_nothing_else_is(kind):
    wanted = set(model_paths(KINDS[kind]))
    (editors,) = (
        root["properties"]["spec"] for root in json_schema()["oneOf"] if root["properties"]["kind"]["enum"] == [kind]
    )
    assert set(schema_paths(editors)) == wanted
    page = reference().split(f"### {kind} spec\n")[1].split("\n### ")[0]
    assert set(re.findall(r"^\| `([^`]+)` ", page, re.MULTILINE)) == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_in_the_crd_and_nothing_else_is(kind):
    wanted = without_forms(model_paths(KINDS[kind]))
    # text or a mapping in one list has no structural form: what is inside is kept, and judged by burster
    kept = {path for path in wanted if path.startswith("spec.allowedNamespaces[]")}
    assert len(kept) == (0 if kind == "BurstPolicy" else 11)
    assert set(schema_paths(spec_schema(kind))) == wanted - kept


def test_the_walk_of_the_models_finds_every_depth():
    paths = set(model_paths(BurstPolicySpec))
    assert len(paths) > 200
    assert {
        "spec.triggers[cpu, memory].sourceRef.kind",
        "spec.triggers[external].metadata.scalerAddress",
        "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.policies[].periodSeconds",
        "spec.windows[].from",
        "spec.limits.budget.drainAtPercent",
    } <= paths


# --- defaults -------------------------------------------------------------------------------------------------------------


def model_defaults(model, path="spec"):
    for name, field in fields_of(model).items():
        here = f"{path}.{name}"
        default = field.get_default()
        if (
            default is not PydanticUndefined
            and default not in (None, (), {}, "")
            and not isinstance(default, BaseModel)
        ):
            yield here, list(default) if isinstance(default, tuple) else default
        for each in models_in(field.annotation):
            if here != "spec.triggers":
                yield from model_defaults(each, f"{here}[]" if "tuple" in str(field.annotation) else here)


def schema_defaults(schema, path="spec"):
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        if "default" in inner and inner.get("type") != "object":
            yield here, inner["default"]
        if here != "spec.triggers":
            yield from schema_defaults(inner, here)
            yield from schema_defaults(inner.get("items", {}), f"{here}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_the_crds_default(kind):
    wanted = {path: value for path, value in model_defaults(KINDS[kind]) if "allowedNamespaces[]" not in path}
    stated = dict(schema_defaults(spec_schema(kind)))
    assert stated.pop("spec.triggers", None) == ([{"type": "pending-pods"}] if kind == "BurstPolicy" else None)
    wanted.pop("spec.triggers", None)
    assert stated == wanted
    assert len(wanted) >= {"BurstPolicy": 40, "BurstTarget": 15}[kind]


def test_of_the_triggers_only_what_all_types_share_has_a_default():
    items = spec_schema("BurstPolicy")["properties"]["triggers"]["items"]
    assert dict(schema_defaults(items, "t")) == {
        "t.authenticationRef.kind": "TriggerAuthentication",
        "t.sourceRef.kind": "Deployment",
        "t.sourceRef.apiVersion": "apps/v1",
    }
    assert "Default 30s." in items["properties"]["metadata"]["properties"]["pendingFor"]["description"]
    assert "Default true." in items["properties"]["metadata"]["properties"]["ignoreNullValues"]["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_default_is_valid_for_the_schema_that_states_it(kind):
    def check(schema, path):
        for name, inner in schema.get("properties", {}).items():
            if "default" in inner:
                # as it stands: an API server fills a default in only after it has looked at it
                assert not list(violations(inner, deepcopy(inner["default"]), f"{path}.{name}"))
                assert not broken_rules(inner, inner["default"]), f"{path}.{name}"
            check(inner, f"{path}.{name}")
            check(inner.get("items", {}), f"{path}.{name}[]")

    check(spec_schema(kind), "spec")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_has_an_upper_bound_so_that_the_servers_estimate_of_a_rules_cost_is_finite(kind):
    def check(schema, path):
        if schema.get("type") == "array":
            assert "maxItems" in schema, path
        if schema.get("type") == "string":
            assert {"maxLength", "enum"} & set(schema), path
        if "additionalProperties" in schema:
            assert "maxProperties" in schema, path
        for name, inner in schema.get("properties", {}).items():
            check(inner, f"{path}.{name}")
        for part in ("items", "additionalProperties"):
            if part in schema:
                check(schema[part], f"{path}[]")

    check(spec_schema(kind), "spec")


def test_credentials_are_no_metadata_of_any_trigger():
    items = spec_schema("BurstPolicy")["properties"]["triggers"]["items"]
    keys = items["properties"]["metadata"]["properties"]
    assert not [key for key in keys if TriggerMetadata.hint(key)]


# --- rules over several fields ----------------------------------------------------------------------------------------------

ENV = cel.NewEnv(variables={"self": cel.Type.DYN})


@cache
def compiled(rule):
    return ENV.compile(rule)


def broken_rules(schema, value):
    """Return the messages of the rules that a value breaks, as an API server evaluates them: an error is a broken rule."""
    found = []
    for stated in schema.get(RULES, ()):
        try:
            held = compiled(stated["rule"]).eval(data={"self": value}).plain_value()
        except RuntimeError:
            held = False
        if held is not True:
            found.append(stated["message"])
    if isinstance(value, dict):
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                found += broken_rules(inner, value[name])
    if isinstance(value, list) and "items" in schema:
        for each in value:
            found += broken_rules(schema["items"], each)
    return found


def server_objects_to(kind, spec):
    """Return what an API server's schema has against a spec, its rules apart, and the rules that it breaks."""
    schema = spec_schema(kind)
    stored = fill(schema, deepcopy(spec))
    return [str(violation.field) for violation in violations(schema, stored, "spec")], broken_rules(schema, stored)


def burster_takes(kind, spec):
    metadata = {"name": "x", **({"namespace": "bank"} if kind == "BurstPolicy" else {})}
    obj = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    try:
        (compile_policy if kind == "BurstPolicy" else compile_target)(obj)
    except PolicyErrors:
        return False
    return True


def policy(strategy="Clone", **spec):
    return {"workload": {"kind": "Deployment"}, "placement": {"strategy": strategy, "targets": ["azure"]}, **spec}


PROMETHEUS = {
    "type": "prometheus",
    "metadata": {"serverAddress": "https://thanos:9092", "query": "sum(x)", "threshold": "1"},
}
CRON = {
    "type": "cron",
    "metadata": {"start": "0 8 * * *", "end": "0 20 * * *", "timezone": "Europe/Berlin", "desiredReplicas": "2"},
}
PODS = {"type": "kubernetes-workload", "metadata": {"podSelector": "app=web", "value": "2"}}
API = {"type": "metrics-api", "metadata": {"url": "https://x/y", "valueLocation": "a.b", "targetValue": 3}}
MEMORY = {"type": "memory", "metadata": {"value": "80"}, "sourceRef": {"name": "web"}}
METRIC = {"type": "external", "metadata": {"targetValue": "5", "metricName": "s0-kafka", "metricSelector": "a=b"}}
EXTERNAL = {"type": "external", "metadata": {"targetValue": "5", "own": "key"}}
AUTH = {"name": "credentials"}
SCALED = {"scaleTargetRef": {"name": "cloud-deployment"}}


def changed(trigger, *removed, **metadata):
    left = {key: value for key, value in trigger["metadata"].items() if key not in removed}
    return {**trigger, "metadata": {**left, **metadata}}


def scaled(*triggers, **spec):
    return policy("Scale", triggers=list(triggers), **SCALED, **spec)


A_MACHINE = {"requests": {"cpu": "2", "memory": "8Gi"}, "image": "bank:cvm:rhel:9.6.1"}


def machine(what=A_MACHINE, **spec):
    return policy("Machine", machine=what, **spec)


#: a rule's message (its beginning) -> specs that break it
BAD_POLICIES = {
    "minReplicaCount must not be above": [policy(minReplicaCount=101), policy(minReplicaCount=3, maxReplicaCount=2)],
    "idleReplicaCount must be below": [policy(idleReplicaCount=0), policy(idleReplicaCount=2, minReplicaCount=2)],
    "fallback.replicas must not be above": [
        scaled(PROMETHEUS, fallback={"failureThreshold": 3, "replicas": 5}, maxReplicaCount=4)
    ],
    "fallback.behavior scalingModifiers needs": [
        scaled(PROMETHEUS, fallback={"failureThreshold": 3, "replicas": 5, "behavior": "scalingModifiers"})
    ],
    "strategy Scale sets the number": [policy("Scale")],
    "strategy Move takes pending pods": [policy("Move", triggers=[PROMETHEUS])],
    "strategy Move takes the pending pods themselves": [policy("Move", **SCALED)],
    "cloning by metrics needs one workload": [policy("Auto", triggers=[CRON]), policy("Clone", triggers=[PROMETHEUS])],
    "pods of other namespaces can only be counted": [
        policy(triggers=[{"type": "pending-pods", "metadata": {"namespaces": ["other"]}}])
    ],
    "strategy Machine needs machine": [policy("Machine"), policy("Clone", machine=A_MACHINE)],
    "strategy Machine starts machines of its own": [machine(**SCALED)],
    "BuyOrWait weighs a pod's waiting": [machine(wait={"mode": "BuyOrWait"})],
    "initdata, images and secrets are about pods": [
        machine(confidential={"initdata": {"configMap": "a"}}),
        machine(confidential={"images": {"allowed": ["registry.bank/"]}}),
        machine(confidential={"images": {"digestOnly": True}}),
        machine(confidential={"secrets": {"mode": "Sealed"}}),
    ],
    "machines are spread over the target's machines.zones": [
        policy("Machine", machine=A_MACHINE)
        | {"placement": {"strategy": "Machine", "targets": ["azure"], "spread": {"by": "zone"}}}
    ],
    "encryption DiskWithVMGuestState needs secure boot": [
        machine({**A_MACHINE, "encryption": "DiskWithVMGuestState"}, confidential={"secureBoot": False})
    ],
    "only pending pods wait": [scaled(CRON, wait={"mode": "AtOnce"}), scaled(CRON, wait={"mode": "BuyOrWait"})],
    "fallback is for triggers that are read": [
        scaled(CRON, MEMORY, fallback={"failureThreshold": 3, "replicas": 5}),
        policy(fallback={"failureThreshold": 3, "replicas": 5}),
    ],
    "two triggers have the same name": [scaled({**PROMETHEUS, "name": "a"}, {**CRON, "name": "a"})],
    "metadata is required": [scaled({"type": "cron"})],
    "a prometheus trigger needs": [
        scaled(changed(PROMETHEUS, "query")),
        scaled(changed(PROMETHEUS, "serverAddress")),
        scaled({"type": "prometheus"}),
    ],
    "a cron trigger needs": [scaled(changed(CRON, each)) for each in ("start", "end", "timezone")],
    "a kubernetes-workload trigger needs": [scaled(changed(PODS, "podSelector"))],
    "a metrics-api trigger needs": [scaled(changed(API, each)) for each in ("url", "valueLocation")],
    "sourceRef is for cpu and memory": [
        scaled({"type": "cpu", "metadata": {"value": "80"}}),
        scaled({**CRON, "sourceRef": {"name": "web"}}),
    ],
    "metricType is Utilization or": [
        scaled({**MEMORY, "metricType": "Value"}),
        scaled({**PROMETHEUS, "metricType": "Utilization"}),
    ],
    "useCachedMetrics is for triggers": [scaled({**CRON, "useCachedMetrics": True})],
    "authenticationRef is for prometheus": [scaled({**CRON, "authenticationRef": AUTH})],
    "metricSelector narrows the metric": [scaled(changed(METRIC, "metricName"))],
    "an external metric is read by its name": [
        scaled(changed(METRIC, metricName="a/b")),
        scaled(changed(METRIC, metricName="")),
        scaled({**METRIC, "authenticationRef": AUTH}),
    ],
    "authModes needs credentials": [
        scaled(changed(PROMETHEUS, authModes="bearer")),
        scaled(changed(API, authMode="basic")),
    ],
    "authMode is the older name": [
        scaled({**changed(PROMETHEUS, authModes="bearer", authMode="bearer"), "authenticationRef": AUTH})
    ],
    "start and end of a cron trigger": [scaled(changed(CRON, end="0 8 * * *"))],
    "ownerRef names the workload": [
        policy(workload={"ownerRef": {"kind": "Deployment", "name": "web"}, "kind": "Deployment"}),
        policy(workload={"ownerRef": {"kind": "Deployment", "name": "web"}, "namePattern": "web"}),
    ],
    "selects nothing": [
        policy(workload={"selector": {}}),
        policy(workload={"selector": {"matchLabels": {}, "matchExpressions": []}}),
    ],
    "In and NotIn need values": [
        policy(workload={"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        policy(workload={"selector": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}}),
        policy(workload={"selector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}}),
    ],
    "start and end belong together": [
        policy(windows=[{"timezone": "UTC", "start": "0 8 * * *"}]),
        policy(blackouts=[{"timezone": "UTC", "end": "0 8 * * *"}]),
    ],
    "from and to belong together": [
        policy(windows=[{"timezone": "UTC", "from": "08:00"}]),
        policy(windows=[{"timezone": "UTC", "to": "08:00", "days": ["Mon"]}]),
    ],
    "start and end are cron": [
        policy(windows=[{"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "days": ["Mon"]}]),
        policy(windows=[{"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "from": "08:00", "to": "09:00"}]),
    ],
    "is open for ever": [policy(windows=[{"timezone": "UTC"}])],
    "firstDay must not be after": [
        policy(windows=[{"timezone": "UTC", "firstDay": "2026-12-02", "lastDay": "2026-12-01"}])
    ],
    "start and end of a window must differ": [
        policy(windows=[{"timezone": "UTC", "start": "0 8 * * *", "end": "0 8 * * *"}])
    ],
    "from and to must differ": [policy(windows=[{"timezone": "UTC", "from": "08:00", "to": "08:00"}])],
    "warnAtPercent must not be above": [policy(limits={"budget": {"warnAtPercent": 90, "stopAtPercent": 89}})],
    "drainAtPercent must not be below": [policy(limits={"budget": {"drainAtPercent": 99}})],
    "sealed lists Secrets": [policy(confidential={"secrets": {"sealed": ["a"]}})],
}

GOOD_POLICIES = {
    "the least": policy(),
    "min equal to max": policy(minReplicaCount=100),
    "idle just below min": policy(idleReplicaCount=0, minReplicaCount=1),
    "every type of trigger": scaled(PROMETHEUS, CRON, PODS, API, MEMORY, EXTERNAL, {**MEMORY, "type": "cpu"}),
    "a fallback at the maximum": scaled(PROMETHEUS, fallback={"failureThreshold": 0, "replicas": 4}, maxReplicaCount=4),
    "a fallback by formula": scaled(
        {**PROMETHEUS, "name": "q"},
        fallback={"failureThreshold": 0, "replicas": 4, "behavior": "scalingModifiers"},
        advanced={"scalingModifiers": {"formula": "q * 2", "target": "3"}},
    ),
    "Move by pending pods, with a metric beside them": policy("Move", triggers=[{"type": "pending-pods"}, CRON]),
    "cloning by metrics from an owner": policy(
        "Auto", triggers=[CRON], workload={"ownerRef": {"kind": "Deployment", "name": "web"}}
    ),
    "cloning by metrics from another workload": policy("Clone", triggers=[CRON], **SCALED),
    "Signal without a workload": policy("Signal", triggers=[CRON]),
    "Machine": machine(),
    "Machine by a metric, with everything": machine(
        {
            **A_MACHINE,
            "userData": {"configMap": "init"},
            "service": {"name": "settlement", "port": 8443},
            "encryption": "DiskWithVMGuestState",
            "osDiskGiB": 64,
        },
        triggers=[CRON],
    ),
    "counting other namespaces": scaled({"type": "pending-pods", "metadata": {"namespaces": ["other"]}}),
    "names that differ": scaled({**PROMETHEUS, "name": "a"}, {**PROMETHEUS, "name": "b"}, PROMETHEUS),
    "credentials": scaled({**changed(PROMETHEUS, authModes="bearer,tls"), "authenticationRef": AUTH}),
    "a cached value": scaled({**PROMETHEUS, "useCachedMetrics": True}),
    "an amount of memory": scaled({**changed(MEMORY, value="4Gi"), "metricType": "AverageValue"}),
    "a value for all": scaled({**PROMETHEUS, "metricType": "Value"}),
    "label expressions": policy(
        workload={
            "selector": {
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["x"]},
                    {"key": "b", "operator": "DoesNotExist"},
                ]
            }
        }
    ),
    "windows of every form": policy(
        windows=[
            {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *"},
            {"timezone": "Europe/Berlin", "days": ["Mon-Fri"], "from": "08:00", "to": "20:00"},
            {"timezone": "UTC", "from": "22:00", "to": "06:00"},
            {"timezone": "UTC", "days": ["Sun"]},
            {"timezone": "UTC", "firstDay": "2026-12-01", "lastDay": "2026-12-01"},
        ]
    ),
    "budgets in order": policy(limits={"budget": {"warnAtPercent": 90, "stopAtPercent": 90, "drainAtPercent": 90}}),
    "sealed secrets": policy(confidential={"secrets": {"mode": "Sealed", "sealed": ["a"]}}),
    "waiting for room": policy(wait={"mode": "BuyOrWait", "valuePerHour": "5"}),
}

AZURE = {"subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "burst", "region": "eastus"}
ENTRY = {"size": "node", "cpu": "64", "memory": "256Gi", "tee": "TDX"}
ON_AZURE = {"azure": AZURE, "sizes": ["Standard_DC2es_v6"]}
ELSEWHERE = {"provider": "sovereign", "region": "eu-de-1", "catalogue": [ENTRY]}
ON_PREM = {
    "provider": "onprem",
    "region": "frankfurt",
    "catalogue": [ENTRY],
    "runtimeClassName": "kata-qemu-tdx",
    "nodeSelector": {"tee": "tdx"},
}


def without(spec, name):
    return {key: value for key, value in spec.items() if key != name}


MACHINES = {
    "images": ["bank:cvm:rhel:9.6.1"],
    "subnet": f"/subscriptions/{AZURE['subscriptionId']}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
}

BAD_TARGETS = {
    "machines are made on azure only": [{**ON_PREM, "machines": MACHINES}],
    "azure is required": [without(ON_AZURE, "azure")],
    "azure is for provider azure only": [{**ON_PREM, "azure": AZURE}],
    "region is required": [without(ON_PREM, "region")],
    "azure.region says the region": [{**ON_AZURE, "region": "eastus"}],
    "catalogue is required": [without(ON_PREM, "catalogue"), {**ON_PREM, "catalogue": []}],
    "azure lists its own sizes": [{**ON_AZURE, "catalogue": [ENTRY]}],
    "sizes is required": [without(ON_AZURE, "sizes"), {**ON_AZURE, "sizes": []}],
    "nodeSelector is for provider onprem only": [
        {**ELSEWHERE, "nodeSelector": {"tee": "tdx"}},
        {**ON_AZURE, "nodeSelector": {"tee": "tdx"}},
    ],
    "nodeSelector is required": [without(ON_PREM, "nodeSelector"), {**ON_PREM, "nodeSelector": {}}],
    "runtimeClassName is required": [
        without(ON_PREM, "runtimeClassName"),
        {**ON_PREM, "runtimeClassName": "kata-remote"},
    ],
    "image is for provider azure only": [{**ELSEWHERE, "image": "/an/image"}, {**ON_PREM, "image": "/an/image"}],
    "subnet is for provider azure only": [{**ELSEWHERE, "subnet": "/a/subnet"}],
    "sweep.mode Delete is for provider azure only": [{**ELSEWHERE, "sweep": {"mode": "Delete"}}],
    "warnAtPercent must not be above": [{**ON_AZURE, "limits": {"budget": {"stopAtPercent": 79}}}],
    "drainAtPercent must not be below": [{**ON_AZURE, "limits": {"budget": {"drainAtPercent": 1}}}],
}

GOOD_TARGETS = {
    "azure": ON_AZURE,
    "azure with machines": {**ON_AZURE, "machines": {**MACHINES, "zones": ["1", "2"]}},
    "on-prem": ON_PREM,
    "elsewhere": ELSEWHERE,
    "a sweep that reports": {**ELSEWHERE, "sweep": {"mode": "Report"}},
    "some of the catalogue": {**ON_PREM, "sizes": ["node"]},
    "an empty catalogue on azure": {**ON_AZURE, "catalogue": []},
}

BAD = [
    (kind, message, spec, f"{kind}: {message} ({number})")
    for kind, table in (("BurstPolicy", BAD_POLICIES), ("BurstTarget", BAD_TARGETS))
    for message, specs in table.items()
    for number, spec in enumerate(specs)
]


@pytest.mark.parametrize(("kind", "message", "spec"), [row[:3] for row in BAD], ids=[row[3] for row in BAD])
def test_what_breaks_a_rule_is_refused_by_the_server_and_by_burster(kind, message, spec):
    assert any(broken.startswith(message) for broken in server_objects_to(kind, spec)[1])
    assert not burster_takes(kind, spec)


@pytest.mark.parametrize("name", GOOD_POLICIES)
def test_a_good_policy_is_taken_by_the_server_and_by_burster(name):
    assert server_objects_to("BurstPolicy", GOOD_POLICIES[name]) == ([], [])
    assert burster_takes("BurstPolicy", GOOD_POLICIES[name])


@pytest.mark.parametrize("name", GOOD_TARGETS)
def test_a_good_target_is_taken_by_the_server_and_by_burster(name):
    assert server_objects_to("BurstTarget", GOOD_TARGETS[name]) == ([], [])
    assert burster_takes("BurstTarget", GOOD_TARGETS[name])


def all_rules(schema):
    yield from (stated["message"] for stated in schema.get(RULES, ()))
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        yield from all_rules(inner)


@pytest.mark.parametrize(("kind", "table"), [("BurstPolicy", BAD_POLICIES), ("BurstTarget", BAD_TARGETS)])
def test_every_rule_is_tried(kind, table):
    rules = set(all_rules(spec_schema(kind)))
    assert rules
    assert [message for message in rules if not any(message.startswith(begin) for begin in table)] == []
    assert [begin for begin in table if not any(message.startswith(begin) for message in rules)] == []


@pytest.mark.parametrize("spec", GOOD_POLICIES.values(), ids=GOOD_POLICIES)
def test_what_the_server_fills_in_means_the_same(spec):
    obj = {"apiVersion": API_VERSION, "kind": "BurstPolicy", "metadata": {"name": "x", "namespace": "bank"}}
    filled = fill(spec_schema("BurstPolicy"), deepcopy(spec))
    assert compile_policy({**obj, "spec": filled}) == compile_policy({**obj, "spec": spec})
