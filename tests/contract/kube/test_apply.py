from .conftest import WIDGETS, Api, a_config, a_widget


def _config(data: dict) -> dict:
    return a_config("one", data)


async def test_apply_creates_what_is_not_there(api: Api):
    status, made = await api.apply("configmaps", "one", _config({"a": "1"}), "first")
    assert status == 201
    owners = [(each["manager"], each["operation"]) for each in made["metadata"]["managedFields"]]
    assert owners == [("first", "Apply")]
    assert made["metadata"]["managedFields"][0]["fieldsV1"]["f:data"]["f:a"] == {}


async def test_applying_the_same_again_changes_nothing(api: Api):
    _, old = await api.apply("configmaps", "one", _config({"a": "1"}), "first")
    status, new = await api.apply("configmaps", "one", _config({"a": "1"}), "first")
    assert status == 200
    assert new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]


async def test_what_a_manager_applies_no_more_is_removed(api: Api):
    await api.apply("configmaps", "one", _config({"a": "1", "b": "2"}), "first")
    _, new = await api.apply("configmaps", "one", _config({"a": "1"}), "first")
    assert new["data"] == {"a": "1"}


async def test_managers_with_different_fields_leave_each_other_alone(api: Api):
    await api.apply("configmaps", "one", _config({"a": "1"}), "first")
    status, new = await api.apply("configmaps", "one", _config({"b": "2"}), "second")
    assert (status, new["data"]) == (200, {"a": "1", "b": "2"})
    _, new = await api.apply("configmaps", "one", _config({"c": "3"}), "first")
    assert new["data"] == {"b": "2", "c": "3"}


async def test_another_managers_field_is_a_conflict_unless_forced(api: Api):
    await api.apply("configmaps", "one", _config({"a": "1"}), "first")
    status, answer = await api.apply("configmaps", "one", _config({"a": "2"}), "second")
    assert (status, answer["reason"]) == (409, "Conflict")
    cause = answer["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".data.a")
    assert 'conflict with "first"' in answer["message"]
    status, new = await api.apply("configmaps", "one", _config({"a": "2"}), "second", params={"force": "true"})
    assert (status, new["data"]) == (200, {"a": "2"})
    _, new = await api.apply("configmaps", "one", _config({"b": "1"}), "first")
    assert new["data"] == {"a": "2", "b": "1"}, "the first manager lost the field, so giving it up removes nothing"


async def test_a_field_two_managers_agree_on_stays_until_both_give_it_up(api: Api):
    await api.apply("configmaps", "one", _config({"a": "1", "b": "1"}), "first")
    status, _ = await api.apply("configmaps", "one", _config({"a": "1"}), "second")
    assert status == 200
    _, new = await api.apply("configmaps", "one", _config({"b": "1"}), "first")
    assert new["data"] == {"a": "1", "b": "1"}
    _, new = await api.apply("configmaps", "one", _config({"c": "1"}), "second")
    assert new["data"] == {"b": "1", "c": "1"}


async def test_an_ordinary_write_takes_fields_over(api: Api):
    await api.apply("configmaps", "one", _config({"a": "1", "b": "1"}), "first")
    await api.merge("configmaps", "one", {"data": {"a": "2"}}, params={"fieldManager": "writer"})
    status, answer = await api.apply("configmaps", "one", _config({"a": "1", "b": "1"}), "first")
    assert status == 409
    assert 'conflict with "writer"' in answer["message"]


async def test_without_a_manager_nothing_is_applied(api: Api):
    path, kind = api.path("configmaps", "one"), "application/apply-patch+yaml"
    status, _ = await api.call("PATCH", path, _config({}), content_type=kind)
    assert status in (400, 422)


async def test_yaml_can_be_applied(api: Api):
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: one\ndata:\n  a: one\n"
    status, new = await api.apply("configmaps", "one", None, "first", data=text)
    assert (status, new["data"]) == (201, {"a": "one"})


async def test_a_dry_run_of_apply_keeps_nothing(api: Api):
    status, _ = await api.apply("configmaps", "one", _config({"a": "1"}), "first", params={"dryRun": "All"})
    assert status in (200, 201)
    assert (await api.call("GET", api.path("configmaps", "one")))[0] == 404


async def test_lists_of_custom_kinds_merge_by_their_keys(widgets: Api):
    await widgets.apply(
        WIDGETS, "one", a_widget("one", rules=[{"name": "a", "value": 1}, {"name": "b", "value": 2}]), "first"
    )
    status, new = await widgets.apply(WIDGETS, "one", _rules({"name": "c", "value": 3}, {"name": "b"}), "second")
    assert status == 200
    assert {each["name"]: each["value"] for each in new["spec"]["rules"]} == {"a": 1, "b": 2, "c": 3}
    _, new = await widgets.apply(WIDGETS, "one", a_widget("one", rules=[{"name": "a", "value": 1}]), "first")
    assert {each["name"] for each in new["spec"]["rules"]} == {"a", "b", "c"}, "b still has an owner"
    status, answer = await widgets.apply(WIDGETS, "one", _rules({"name": "a", "value": 9}), "second")
    assert status == 409
    assert answer["details"]["causes"][0]["field"] == '.spec.rules[name="a"].value'


def _rules(*rules: dict) -> dict:
    widget = a_widget("one", rules=list(rules))
    widget["spec"].pop("size")
    return widget


async def test_a_status_is_applied_apart_from_the_spec(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one"))
    wanted = {
        **a_widget("one", size="large"),
        "status": {"phase": "Ready", "conditions": [{"type": "Ok", "status": "True"}]},
    }
    if widgets.endpoint.version < (1, 22):
        del wanted["spec"]  # an old one sees a conflict in a field that it would not write
    status, new = await widgets.apply(WIDGETS, "one", wanted, "first", sub="status")
    assert (status, new["status"]["phase"], new["spec"]["size"]) == (200, "Ready", "small")
    assert new["metadata"]["generation"] == 1
    wanted = {**wanted, "status": {"conditions": [{"type": "Ok", "status": "False"}]}}
    _, new = await widgets.apply(WIDGETS, "one", wanted, "first", sub="status")
    assert new["status"] == {"conditions": [{"type": "Ok", "status": "False"}]}
    wanted = {**wanted, "status": {"conditions": [{"type": "Other", "status": "True"}]}}
    _, new = await widgets.apply(WIDGETS, "one", wanted, "second", sub="status")
    assert [each["type"] for each in new["status"]["conditions"]] == ["Ok", "Other"]


async def test_a_status_of_what_is_not_there_cannot_be_applied(widgets: Api):
    wanted = {**a_widget("none"), "status": {"phase": "Ready"}}
    status, _ = await widgets.apply(WIDGETS, "none", wanted, "first", sub="status")
    assert status == 404
