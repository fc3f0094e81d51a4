"""burster's own definitions and records, as they are in deploy/crds, on an API server that must take them as they are.

Before 1.25 rules in CEL are left out of a definition without a word: what a schema itself says counts there.
"""

import asyncio
from pathlib import Path

import pytest
import yaml

from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.instructions import Condition, WriteTargetStatus
from burster.policy.records import burst_to_object, status_to_object
from burster.policy.status_objects import target_status_to_object, told_by
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering

from .conftest import Api, Kubectl


ROOT = Path(__file__).parents[3]
GROUP = "burster.dev/v1alpha1"
BURSTS = f"bursts.{GROUP}"
DEFINITIONS = "/customresourcedefinitions.apiextensions.k8s.io/v1"
RULES_SINCE = (1, 25)
CRDS = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "deploy/crds").glob("*.yaml"))]


@pytest.fixture
async def kinds(api: Api) -> Api:
    """The API with burster's kinds, established; workers share the server, so that they may be there already."""
    for definition in CRDS:
        status, told = await api.call("POST", api.path(DEFINITIONS), definition)
        assert status in (201, 409), told
    for definition in CRDS:
        await _served(api, f"/apis/{GROUP}/{definition['spec']['names']['plural']}")
    return api


async def _served(api: Api, path: str) -> None:
    for _ in range(100):
        if (await api.call("GET", path))[0] == 200:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{path} was never served")


def a_burst(namespace: str, name: str = "task-1") -> Burst:
    """A record as a decision makes it."""
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target(allowed_namespaces=("*",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        s.PolicySeen(policy=a_policy(namespace=namespace)),
        s.PodSeen(pod=a_pod(name, namespace=namespace)),
    )
    engine.wait(after_ms=10)
    burst = engine.burst()
    assert burst.namespace == namespace
    return burst


def record(namespace: str) -> dict:
    body = burst_to_object(a_burst(namespace))
    body.pop("status")
    return body


@pytest.mark.parametrize("definition", CRDS, ids=lambda each: each["spec"]["names"]["plural"])
async def test_the_server_takes_the_definition_as_it_is(kinds: Api, definition: dict):
    found = await kinds.get(DEFINITIONS, definition["metadata"]["name"])
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    assert conditions.get("NonStructuralSchema", "False") == "False"
    wanted, kept = definition["spec"]["versions"][0], found["spec"]["versions"][0]
    assert kept["subresources"] == wanted["subresources"]
    assert kept["additionalPrinterColumns"] == wanted["additionalPrinterColumns"]
    schema, taken = wanted["schema"]["openAPIV3Schema"], kept["schema"]["openAPIV3Schema"]
    assert taken == (schema if kinds.endpoint.version >= RULES_SINCE else _without_rules(schema))


def _without_rules(schema):
    if isinstance(schema, list):
        return [_without_rules(each) for each in schema]
    if isinstance(schema, dict):
        return {key: _without_rules(value) for key, value in schema.items() if key != "x-kubernetes-validations"}
    return schema


async def test_a_record_comes_back_as_it_was_written(kinds: Api):
    body = record(kinds.namespace)
    made = await kinds.create(BURSTS, body, params={"fieldManager": "burster"})
    assert made["spec"] == {**made["spec"], **body["spec"]}
    assert made["metadata"]["generation"] == 1


async def test_what_was_decided_is_not_edited_afterwards(kinds: Api):
    made = await kinds.create(BURSTS, record(kinds.namespace), params={"fieldManager": "burster"})
    path = kinds.path(BURSTS, made["metadata"]["name"])
    kind = "application/merge-patch+json"
    for edit in ({"target": "elsewhere"}, {"priceMicroUsdPerHour": 10**9}, {"decidedAt": "2020-01-01T00:00:00.000Z"}):
        status, told = await kinds.call("PATCH", path, {"spec": edit}, content_type=kind)
        if kinds.endpoint.version >= RULES_SINCE:
            assert status == 422, told
            assert "what was decided does not change" in told["message"]
    marked = {"metadata": {"annotations": {"burster.dev/taken": "true"}}}
    assert (await kinds.call("PATCH", path, marked, content_type=kind))[0] == 200


async def test_a_status_is_applied_by_burster_and_shown_in_columns(kinds: Api, kubectl: Kubectl):
    burst = a_burst(kinds.namespace)
    made = await kinds.create(BURSTS, record(kinds.namespace), params={"fieldManager": "burster"})
    body = status_to_object(burst, observed_generation=1)
    status, new = await kinds.apply(BURSTS, burst.name, body, "burster", sub="status", params={"force": "true"})
    assert status == 200, new.get("message", new)
    assert new["status"] == {**new["status"], **body["status"]}, "nothing of a status is pruned"
    assert new["metadata"]["generation"] == made["metadata"]["generation"]
    header, row = (await kubectl("get", "bursts")).splitlines()
    assert header.split() == ["NAME", "PHASE", "POLICY", "POD", "TARGET", "SIZE", "COST", "VM", "AGE"]
    words = row.split()
    assert words[:6] == [
        burst.name,
        burst.status.phase,
        burst.spec.policy,
        burst.spec.for_pod.name,
        burst.spec.target,
        burst.spec.size,
    ]
    wide = await kubectl("get", "bst", "-o", "wide")
    assert {"REASON", "STRATEGY", "LEASE", "MESSAGE"} <= set(wide.splitlines()[0].split())


async def test_what_burster_applied_is_nobody_elses_without_force(kinds: Api):
    burst = a_burst(kinds.namespace)
    await kinds.create(BURSTS, record(kinds.namespace), params={"fieldManager": "burster"})
    body = status_to_object(burst, observed_generation=1)
    await kinds.apply(BURSTS, burst.name, body, "burster", sub="status")
    other = {**body, "status": {"phase": "Released"}}
    status, told = await kinds.apply(BURSTS, burst.name, other, "somebody", sub="status")
    assert (status, told["reason"]) == (409, "Conflict")
    assert [cause["field"] for cause in told["details"]["causes"]] == [".status.phase"]
    assert 'conflict with "burster"' in told["message"]
    status, _ = await kinds.apply(BURSTS, burst.name, other, "somebody", sub="status", params={"force": "true"})
    assert status == 200
    status, told = await kinds.apply(BURSTS, burst.name, body, "burster", sub="status")
    assert status == 409
    status, new = await kinds.apply(BURSTS, burst.name, body, "burster", sub="status", params={"force": "true"})
    assert (status, new["status"]["phase"]) == (200, burst.status.phase)


async def test_a_status_leaves_the_spec_alone_and_the_spec_the_status(kinds: Api):
    burst = a_burst(kinds.namespace)
    made = await kinds.create(BURSTS, {**record(kinds.namespace), "status": {"phase": "Serving"}})
    assert "phase" not in made.get("status", {})
    patch = {"spec": {"size": "Standard_DC64es_v6"}, "status": {"message": "seen"}}
    _, new = await kinds.merge(BURSTS, burst.name, patch, "status")
    assert (new["spec"]["size"], new["status"]["message"]) == (burst.spec.size, "seen")
    _, new = await kinds.merge(BURSTS, burst.name, {"metadata": {"labels": {"a": "b"}}, "status": {"message": "no"}})
    assert new["status"]["message"] == "seen"


async def test_a_record_scales_to_one_at_most(kinds: Api):
    burst = a_burst(kinds.namespace)
    await kinds.create(BURSTS, record(kinds.namespace))
    await kinds.apply(BURSTS, burst.name, status_to_object(burst), "burster", sub="status")
    scale = await kinds.ok("GET", kinds.path(BURSTS, burst.name, "scale"))
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    assert scale["status"]["selector"] == f"burster.dev/burst={burst.name}"
    status, _ = await kinds.merge(BURSTS, burst.name, {"spec": {"replicas": 2}}, "scale")
    assert status == 422
    assert (await kinds.get(BURSTS, burst.name))["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param("BurstPolicy", {"limits": {"maxBursts": -1}}, id="below-the-minimum"),
        pytest.param("BurstPolicy", {"triggers": "none"}, id="wrong-type"),
        pytest.param("BurstTarget", {"sizes": "Standard_DC2es_v6"}, id="no-list"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_the_schema_alone(kinds: Api, kind: str, change: dict):
    documents = list(yaml.safe_load_all((ROOT / "policies/targets/azure-westeurope-tdx.yaml").read_text()))
    documents += yaml.safe_load_all((ROOT / "policies/batch-tasks/policy.yaml").read_text())
    body = next(each for each in documents if each["kind"] == kind)
    plural = f"{kind.lower()}s".replace("policys", "policies")
    resource = f"{'/' if kind == 'BurstTarget' else ''}{plural}.{GROUP}"
    body = {**body, "metadata": {"name": f"{kinds.namespace}-x"}}
    status, told = await kinds.call("POST", kinds.path(resource), body, params={"dryRun": "All"})
    assert status == 201, told
    wrong = {**body, "spec": {**body["spec"], **change}}
    status, told = await kinds.call("POST", kinds.path(resource), wrong, params={"dryRun": "All"})
    assert (status, told["reason"]) == (422, "Invalid")


LIBRARY = {path.parent.name: path.read_text() for path in sorted(ROOT.glob("policies/*/policy.yaml"))}


@pytest.mark.parametrize("text", LIBRARY.values(), ids=LIBRARY)
async def test_every_policy_of_the_library_is_taken_whole(kinds: Api, text: str):
    policies = [each for each in yaml.safe_load_all(text) if each and each.get("kind") == "BurstPolicy"]
    assert policies
    for document in policies:
        body = {**document, "metadata": {**document["metadata"], "namespace": kinds.namespace}}
        made = await kinds.create(f"burstpolicies.{GROUP}", body, params={"dryRun": "All"})
        assert _contains(made["spec"], body["spec"]), "something was pruned"


def _contains(whole, part) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and _contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(_contains, whole, part))
    return whole == part


async def test_a_target_s_status_is_applied_and_told_in_columns(kinds: Api, kubectl: Kubectl):
    name = f"place-{kinds.namespace}"
    shipped = yaml.safe_load((ROOT / "policies/targets/azure-westeurope-tdx.yaml").read_text())
    target = {**shipped, "metadata": {"name": name}}
    await kinds.create(f"/bursttargets.{GROUP}", target)
    ready = Condition(type="Ready", status="False", since_ms=T0, reason="BreakerOpen", message="A VM was none of ours.")
    told = WriteTargetStatus(key="k", target=name, generation=1, conditions=(ready,), offerings=2, bursts=3, vcpus=6)
    path = f"{kinds.path(f'/bursttargets.{GROUP}', name)}/status?fieldManager=burster&force=true"
    for _ in range(2):
        found = await kinds.ok(
            "PATCH", path, target_status_to_object(told), content_type="application/apply-patch+yaml"
        )
    assert told_by(found) == {"Ready": ("False", T0)}
    assert found["status"]["conditions"][0]["observedGeneration"] == 1
    mine = [one for one in found["metadata"]["managedFields"] if one["manager"] == "burster"]
    assert [(one["operation"], one.get("subresource", "status")) for one in mine] == [("Apply", "status")]
    again = await kinds.ok("PATCH", path, target_status_to_object(told), content_type="application/apply-patch+yaml")
    assert again["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"], "the same again is no change"
    out = await kubectl("get", "bursttargets", name, "-o", "wide")
    assert out.split("\n")[1].split()[:7] == [name, "False", "azure", "westeurope", "2", "3", "40"]
    assert "A VM was none of ours." in out


async def test_an_event_about_what_is_in_no_namespace_is_in_the_default_one(kinds: Api):
    """That is where burster-target-events lets burster write: anywhere else the API server refuses it."""
    name = f"about-{kinds.namespace}"
    event = {
        "metadata": {"name": name},
        "involvedObject": {"apiVersion": GROUP, "kind": "BurstTarget", "name": "azure"},
        "reason": "TargetRefused",
        "message": "It can't be used.",
        "type": "Warning",
    }
    status, answer = await kinds.call("POST", kinds.path("events"), event)
    assert (status, answer["reason"]) == (422, "Invalid")
    status, answer = await kinds.call("POST", "/api/v1/namespaces/default/events", event)
    assert status == 201, answer
    elsewhere = {**event, "involvedObject": {**event["involvedObject"], "namespace": "another"}}
    status, answer = await kinds.call("POST", kinds.path("events"), elsewhere)
    assert (status, answer["reason"]) == (422, "Invalid")
