"""CRDs, JSON Schema and the reference page all come from the models, and the files in the tree are what the models make now."""

import json
import re
from pathlib import Path

import pytest
import yaml

from burster.policy import crds, reference
from burster.policy.schema import BurstPolicySpec, BurstTargetSpec


ROOT = Path(__file__).parents[2]


def test_the_crd_files_are_what_the_models_make():
    made = crds.crd_files()
    found = {path.name: path.read_text("utf-8") for path in (ROOT / "deploy" / "crds").glob("*.yaml")}
    assert found == made, "run: python -m burster.policy.crds"


def test_the_reference_page_is_what_the_models_make():
    assert (ROOT / "docs/reference/policy.md").read_text("utf-8") == reference.reference(), (
        "run: python -m burster.policy.reference"
    )


def test_both_are_written_where_asked(tmp_path):
    assert crds.main([str(tmp_path / "crds")]) == 0
    assert sorted(path.name for path in (tmp_path / "crds").iterdir()) == sorted(crds.crds())
    assert reference.main([str(tmp_path / "docs" / "page.md")]) == 0
    assert (tmp_path / "docs" / "page.md").read_text("utf-8").startswith("# Policies")


def nodes(schema, path="$"):
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


ALLOWED = {
    "type", "format", "description", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    "minimum", "maximum", "properties", "required", "items", "additionalProperties", "default", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
}  # fmt: skip


def patterns_of(schema):
    """Return every pattern in a schema."""
    if isinstance(schema, list):
        return [pattern for each in schema for pattern in patterns_of(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
    return own + [pattern for each in schema.values() for pattern in patterns_of(each)]


def test_an_api_server_can_read_every_pattern():
    """It reads them with RE2, which refuses to repeat anything more than a thousand times; the lab's does not."""
    found = [pattern for crd in crds.crds().values() for pattern in patterns_of(crd)]
    assert found
    for pattern in found:
        counts = [int(count) for pair in re.findall(r"\{([0-9]+)(?:,([0-9]*))?\}", pattern) for count in pair if count]
        assert max(counts, default=0) <= 1_000, pattern


@pytest.mark.parametrize("crd", crds.crds().values(), ids=crds.crds())
def test_an_api_server_knows_the_type_of_every_field_that_a_rule_reads(crd):
    """Its CEL has no field that is only preserved: from Kubernetes 1.25 on it refuses the whole CRD."""
    (version,) = crd["spec"]["versions"]
    for path, node in nodes(version["schema"]["openAPIV3Schema"]):
        for rule in node.get("x-kubernetes-validations", ()):
            for chain in re.findall(r"\b(?:self|oldSelf)((?:\.[A-Za-z]+)+)(?!\()\b", rule["rule"]):
                schema = node
                for name in chain.strip(".").split("."):
                    if "properties" not in schema:
                        break  # a function of a list or a text
                    schema = schema["properties"][name]
                    known = "type" in schema or schema.get("x-kubernetes-int-or-string")
                    assert known, f"{path}: {chain} in {rule['rule']}"


@pytest.mark.parametrize("crd", crds.crds().values(), ids=crds.crds())
def test_a_mappings_default_says_what_its_own_fields_default_to(crd):
    """An API server runs rules on defaults before it fills them in: what a rule reads is not there yet."""
    (version,) = crd["spec"]["versions"]
    found = 0
    for path, node in nodes(version["schema"]["openAPIV3Schema"]):
        if node.get("type") != "object" or "properties" not in node or "default" not in node:
            continue
        found += 1
        inner = {name: field["default"] for name, field in node["properties"].items() if "default" in field}
        assert node["default"] == inner, path
    assert found or crd["spec"]["names"]["kind"] == "Burst"


@pytest.mark.parametrize("crd", crds.crds().values(), ids=crds.crds())
def test_every_schema_is_structural(crd):
    (version,) = crd["spec"]["versions"]
    for path, node in nodes(version["schema"]["openAPIV3Schema"]):
        assert set(node) <= ALLOWED, path
        kind = node.get("type")
        untyped = node.get("x-kubernetes-int-or-string") or node.get("x-kubernetes-preserve-unknown-fields")
        assert kind in {"object", "array", "string", "integer", "boolean"} or (kind is None and untyped), path
        assert not ("properties" in node and "additionalProperties" in node), path
        assert set(node.get("required", ())) <= set(node.get("properties", {})), path
        if kind == "array":
            assert "items" in node, path
        if node.get("x-kubernetes-list-type") == "map":
            assert set(node["x-kubernetes-list-map-keys"]) <= set(node["items"]["required"]), path
        if kind == "object" and path not in {"$", "$.metadata"}:
            assert (
                "properties" in node
                or "additionalProperties" in node
                or node.get("x-kubernetes-preserve-unknown-fields")
            ), path


@pytest.mark.parametrize("crd", crds.crds().values(), ids=crds.crds())
def test_every_crd_is_named_as_kubernetes_wants_it_and_survives_yaml(crd):
    names = crd["spec"]["names"]
    assert crd["metadata"]["name"] == f"{names['plural']}.burster.dev"
    assert names["categories"] == ["burster"]
    assert yaml.safe_load(yaml.safe_dump(crd)) == crd
    assert "&id" not in yaml.safe_dump(crd)  # no anchors: kubectl reads them, people do not


def test_bursts_have_readable_columns_and_can_be_counted_by_a_disruption_budget():
    crd = crds.crds()["burster.dev_bursts.yaml"]
    (version,) = crd["spec"]["versions"]
    columns = version["additionalPrinterColumns"]
    assert [column["name"] for column in columns if not column.get("priority")] == [
        "Phase", "Policy", "Pod", "Target", "Size", "Cost", "VM", "Age",
    ]  # fmt: skip
    assert next(column["name"] for column in columns if column.get("priority")) == "Reason"
    assert version["subresources"]["scale"]["labelSelectorPath"] == ".status.selector"
    replicas = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["replicas"]
    assert (replicas["maximum"], replicas["default"]) == (1, 1)


def test_the_scopes_and_short_names():
    assert {
        crd["spec"]["names"]["kind"]: (crd["spec"]["scope"], crd["spec"]["names"]["shortNames"])
        for crd in crds.crds().values()
    } == {"Burst": ("Namespaced", ["bst"]), "BurstPolicy": ("Namespaced", ["bp"]), "BurstTarget": ("Cluster", ["bt"])}


def test_the_crds_state_the_defaults_that_the_models_have():
    def schema_of(name):
        return crds.crds()[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]

    policy, target = schema_of("burster.dev_burstpolicies.yaml"), schema_of("burster.dev_bursttargets.yaml")
    assert policy["cooldownPeriod"]["default"] == 300
    assert policy["placement"]["properties"]["lease"]["default"] == "50m"
    assert policy["confidential"]["default"]["secureBoot"] is True
    assert policy["confidential"]["properties"]["secureBoot"]["default"] is True
    assert target["runtimeClassName"]["default"] == "kata-remote"
    assert set(policy) == {field.alias for field in BurstPolicySpec.model_fields.values()}
    assert set(target) == {field.alias for field in BurstTargetSpec.model_fields.values()}


def test_the_editors_schema_is_closed_and_plain():
    schema = json.loads(crds.json_schema_text())
    for root in schema["oneOf"]:
        for path, node in nodes(root):
            assert not any(key.startswith("x-") or key in {"$ref", "anyOf"} for key in node), path
            if "properties" in node:
                assert node["additionalProperties"] is False, path
    hour = schema["oneOf"][0]["properties"]["spec"]["properties"]["limits"]["properties"]["budget"]["properties"][
        "perHour"
    ]
    assert hour["type"] == ["number", "string"]


def test_every_field_of_the_rules_is_described():
    for name in ("burster.dev_burstpolicies.yaml", "burster.dev_bursttargets.yaml", "burster.dev_bursts.yaml"):
        properties = crds.crds()[name]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            for path, node in nodes(properties[part], part):
                assert path.endswith(("[]", "{}")) or node.get("description"), path
