import pytest

from .conftest import INT_OR_STRING_SINCE, WIDGETS, Api, a_widget


async def test_defaults_are_filled_in_and_unknown_fields_left_out(widgets: Api):
    made = await widgets.create(WIDGETS, a_widget("one", unknown=1, free={"any": {"thing": [1]}}))
    assert made["spec"]["mode"] == "auto"
    assert "unknown" not in made["spec"]
    assert made["spec"]["free"] == {"any": {"thing": [1]}}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("spec", "want_path"),
    [
        pytest.param({"size": "huge"}, "spec.size", id="not-in-enum"),
        pytest.param({"replicas": 4}, "spec.replicas", id="above-maximum"),
        pytest.param({"replicas": -1}, "spec.replicas", id="below-minimum"),
        pytest.param({"replicas": "two"}, "spec.replicas", id="wrong-type"),
        pytest.param({"code": "A1"}, "spec.code", id="pattern"),
        pytest.param({"limit": True}, "spec.limit", id="no-int-or-string"),
        pytest.param({"rules": [{"value": 1}]}, "spec.rules[0].name", id="key-missing"),
        pytest.param({"rules": [{"name": "a"}, {"name": "a"}]}, "spec.rules[1]", id="key-twice"),
    ],
)
async def test_what_the_schema_forbids_is_refused_naming_the_field(widgets: Api, spec: dict, want_path: str):
    if "limit" in spec and widgets.endpoint.version < INT_OR_STRING_SINCE:
        pytest.skip("this server can't have such a field")
    status, answer = await widgets.call("POST", widgets.path(WIDGETS), a_widget("one", **spec))
    assert (status, answer["reason"]) == (422, "Invalid")
    if widgets.endpoint.version < (1, 25) and want_path == "spec.rules[0].name":
        want_path = "spec.rules.name"  # an old one does not say which element
    assert want_path in [cause["field"] for cause in answer["details"]["causes"]]
    assert answer["message"].startswith('Widget.contract.example.dev "one" is invalid: ')


async def test_a_required_field_is_required(widgets: Api):
    body = a_widget("one")
    del body["spec"]["size"]
    status, answer = await widgets.call("POST", widgets.path(WIDGETS), body)
    assert status == 422
    assert "spec.size: Required value" in answer["message"]


async def test_a_status_sent_with_create_or_update_is_ignored_and_a_spec_sent_with_status_too(widgets: Api):
    made = await widgets.create(WIDGETS, {**a_widget("one"), "status": {"phase": "Sent"}})
    assert "phase" not in made.get("status", {})
    status, new = await widgets.merge(
        WIDGETS, "one", {"spec": {"size": "large"}, "status": {"phase": "Ready"}}, "status"
    )
    assert (status, new["status"]["phase"], new["spec"]["size"]) == (200, "Ready", "small")
    _, new = await widgets.merge(WIDGETS, "one", {"spec": {"size": "large"}, "status": {"phase": "Other"}})
    assert (new["status"]["phase"], new["spec"]["size"]) == ("Ready", "large")
    assert new["metadata"]["generation"] == 2


async def test_an_update_without_a_version_is_refused(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one"))
    status, answer = await widgets.call("PUT", widgets.path(WIDGETS, "one"), a_widget("one", size="large"))
    assert (status, answer["reason"]) == (422, "Invalid")


async def test_its_scale_is_where_the_definition_says(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one", replicas=1))
    await widgets.merge(WIDGETS, "one", {"status": {"replicas": 1, "selector": "a=b"}}, "status")
    scale = await widgets.ok("GET", widgets.path(WIDGETS, "one", "scale"))
    assert (scale["spec"], scale["status"]) == ({"replicas": 1}, {"replicas": 1, "selector": "a=b"})
    status, _ = await widgets.merge(WIDGETS, "one", {"spec": {"replicas": 3}}, "scale")
    assert status == 200
    status, _ = await widgets.merge(WIDGETS, "one", {"spec": {"replicas": 50}}, "scale")
    assert status == 422
    assert (await widgets.get(WIDGETS, "one"))["spec"]["replicas"] == 3


async def test_its_table_has_the_columns_of_the_definition(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one"))
    await widgets.merge(WIDGETS, "one", {"status": {"phase": "Ready"}}, "status")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = await widgets.ok("GET", widgets.path(WIDGETS), headers=accept)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Phase", "Age"]
    assert table["rows"][0]["cells"][:3] == ["one", "small", "Ready"]


async def test_its_list_items_say_their_kind(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one"))
    found = await widgets.ok("GET", widgets.path(WIDGETS))
    assert (found["kind"], found["items"][0]["kind"]) == ("WidgetList", "Widget")


async def test_it_is_discovered(widgets: Api):
    found = await widgets.ok("GET", "/apis/contract.example.dev/v1")
    resources = {each["name"]: each for each in found["resources"]}
    assert set(resources) == {"widgets", "widgets/status", "widgets/scale"}
    assert resources["widgets"]["shortNames"] == ["wdg"]
    assert resources["widgets"]["namespaced"] is True
    groups = await widgets.ok("GET", "/apis")
    assert "contract.example.dev" in [group["name"] for group in groups["groups"]]


async def test_objects_can_be_selected_by_name_only(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one"))
    found = await widgets.ok("GET", widgets.path(WIDGETS), params={"fieldSelector": "metadata.name=one"})
    assert len(found["items"]) == 1
    status, _ = await widgets.call("GET", widgets.path(WIDGETS), params={"fieldSelector": "spec.size=small"})
    assert status == 400


@pytest.mark.parametrize(
    ("change", "want_status"),
    [
        pytest.param({"names": {"plural": "others", "kind": "Widget"}}, 422, id="name-does-not-fit"),
        pytest.param({"scope": "Galactic"}, 422, id="unknown-scope"),
        pytest.param({"versions": []}, 422, id="no-version"),
    ],
)
async def test_a_definition_that_makes_no_sense_is_refused(api: Api, change: dict, want_status: int):
    from .conftest import widget_definition

    definition = widget_definition()
    definition["metadata"]["name"] = "broken.contract.example.dev"
    definition["spec"] = {**definition["spec"], "names": {"plural": "broken", "kind": "Broken"}, **change}
    status, _ = await api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
    assert status == want_status
