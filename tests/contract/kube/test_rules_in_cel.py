"""The rules over several fields in deploy/crds: the API server itself refuses what breaks one, before burster looks, and takes the rest.

API servers before 1.25 leave such rules out of a definition without a word.
"""

import asyncio
from typing import Any

import pytest

from tests.policy.test_one_source import BAD, GOOD_POLICIES, GOOD_TARGETS

from .conftest import Api
from .test_burster_kinds import GROUP, RULES_SINCE, kinds  # noqa: F401 - a fixture


PLURALS = {"BurstPolicy": "burstpolicies", "BurstTarget": "/bursttargets"}
#: An update that leaves a broken value as it was is taken since.
RATCHETING_SINCE = (1, 30)
DRY_RUN = {"dryRun": "All"}
UNSORTED = {"minReplicaCount": 3, "maxReplicaCount": 2}


@pytest.fixture
def rules(kinds: Api) -> Api:  # noqa: F811 - the fixture
    kinds.need(RULES_SINCE)
    return kinds


def a_body(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec}


async def attempt(api: Api, kind: str, spec: dict[str, Any]) -> tuple[int, Any]:
    body = a_body(kind, f"{api.namespace}-x", spec)
    return await api.call("POST", api.path(f"{PLURALS[kind]}.{GROUP}"), body, params=DRY_RUN)


async def test_what_breaks_a_rule_is_refused_in_the_rules_own_words(rules: Api):
    for kind, message, spec, name in BAD:
        status, told = await attempt(rules, kind, spec)
        assert (status, told.get("reason")) == (422, "Invalid"), (name, told)
        assert message in told["message"], name
        causes = [each for each in told["details"]["causes"] if message in each["message"]]
        assert {each["reason"] for each in causes} == {"FieldValueInvalid"}, name
        assert all(each["field"].startswith("spec") for each in causes), name


async def test_what_breaks_none_is_taken(rules: Api):
    for kind, table in (("BurstPolicy", GOOD_POLICIES), ("BurstTarget", GOOD_TARGETS)):
        for name, spec in table.items():
            status, told = await attempt(rules, kind, spec)
            assert status == 201, (name, told)


async def test_rules_are_not_looked_at_where_the_schema_itself_says_no(rules: Api):
    spec = {**GOOD_POLICIES["the least"], **UNSORTED, "placement": {"strategy": "Nonsense", "targets": ["azure"]}}
    status, told = await attempt(rules, "BurstPolicy", spec)
    assert status == 422
    assert "some validation rules were not checked" in told["message"]
    assert "minReplicaCount must not be above" not in told["message"]


async def test_an_update_breaks_a_rule_and_a_status_does_not(rules: Api):
    policies = f"{PLURALS['BurstPolicy']}.{GROUP}"
    await rules.create(policies, a_body("BurstPolicy", "p", GOOD_POLICIES["the least"]))
    status, told = await rules.merge(policies, "p", {"spec": UNSORTED})
    assert (status, "minReplicaCount must not be above" in told["message"]) == (422, True)
    status, new = await rules.merge(policies, "p", {"status": {"pending": 3}}, "status")
    assert (status, new["spec"]["minReplicaCount"]) == (200, 0)


def gauges(group: str, *rules: dict[str, str]) -> dict[str, Any]:
    number = {"type": "integer"}
    span = {"type": "object", "properties": {"low": number, "high": number}, "x-kubernetes-validations": [*rules]}
    spec = {"type": "object", "properties": {"span": span, "note": {"type": "string"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"gauges.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "gauges", "singular": "gauge", "kind": "Gauge", "listKind": "GaugeList"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


async def test_an_update_that_leaves_what_is_broken_as_it_was_is_taken(rules: Api):
    """A rule that comes with a newer version must not lock people out of what they have written before."""
    rules.need(RATCHETING_SINCE)
    group, definitions = f"{rules.namespace}.example.dev", "/customresourcedefinitions.apiextensions.k8s.io/v1"
    resource = f"gauges.{group}/v1"
    gauge = {"apiVersion": f"{group}/v1", "kind": "Gauge", "spec": {"span": {"low": 3, "high": 2}}}
    await rules.create(definitions, gauges(group))
    await answers(rules, 201, "POST", rules.path(resource), {**gauge, "metadata": {"name": "g"}})
    stated = gauges(group, {"rule": "self.low <= self.high", "message": "low above high"})
    assert (await rules.merge(definitions, f"gauges.{group}", {"spec": stated["spec"]}))[0] == 200
    other = {**gauge, "metadata": {"name": "another"}}
    told = await answers(rules, 422, "POST", rules.path(resource), other, params=DRY_RUN)
    assert "low above high" in told["message"]

    assert (await rules.merge(resource, "g", {"spec": {"note": "seen"}}))[0] == 200
    status, told = await rules.merge(resource, "g", {"spec": {"span": {"low": 4}}})
    assert (status, "low above high" in told["message"]) == (422, True)
    assert (await rules.merge(resource, "g", {"spec": {"span": {"low": 1}}}))[0] == 200
    await rules.ok("DELETE", rules.path(definitions, f"gauges.{group}"))


async def answers(api: Api, wanted: int, *request: Any, **options: Any) -> Any:
    """Ask until the answer is as wanted: a definition counts a moment after it was written."""
    for _ in range(100):
        status, told = await api.call(*request, **options)
        if status == wanted:
            return told
        await asyncio.sleep(0.1)
    raise AssertionError(f"still {status}: {told}")
