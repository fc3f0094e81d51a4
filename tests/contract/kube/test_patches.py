import pytest

from .conftest import WIDGETS, Api, a_config, a_pod, a_widget


def _deployment(**changes) -> dict:
    container = {
        "name": "main",
        "image": "registry.example/app:1",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "ports": [{"containerPort": 80}],
    }
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}},
        **changes,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


DEPLOYMENTS = "deployments.apps/v1"


async def _strategic(api: Api, patch: dict, name: str = "web", resource: str = DEPLOYMENTS) -> tuple[int, dict]:
    kind = "application/strategic-merge-patch+json"
    return await api.call("PATCH", api.path(resource, name), patch, content_type=kind)


async def test_a_merge_patch_merges_objects_and_null_removes(api: Api):
    await api.create("configmaps", a_config("one", {"a": "1", "b": "2"}))
    status, new = await api.merge("configmaps", "one", {"data": {"a": None, "c": "3"}})
    assert (status, new["data"]) == (200, {"b": "2", "c": "3"})


async def test_a_merge_patch_with_an_old_version_is_a_conflict(api: Api):
    old = await api.create("configmaps", a_config("one", {"a": "1"}))
    await api.merge("configmaps", "one", {"data": {"a": "2"}})
    version = old["metadata"]["resourceVersion"]
    status, answer = await api.merge(
        "configmaps", "one", {"metadata": {"resourceVersion": version}, "data": {"a": "3"}}
    )
    assert (status, answer["reason"]) == (409, "Conflict")


@pytest.mark.parametrize(
    ("operations", "want_status", "want_data"),
    [
        ([{"op": "add", "path": "/data/c", "value": "3"}], 200, {"a": "1", "b/x": "2", "c": "3"}),
        ([{"op": "remove", "path": "/data/a"}], 200, {"b/x": "2"}),
        ([{"op": "replace", "path": "/data/a", "value": "9"}], 200, {"a": "9", "b/x": "2"}),
        ([{"op": "remove", "path": "/data/b~1x"}], 200, {"a": "1"}),
        (
            [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "move", "from": "/data/a", "path": "/data/z"}],
            200,
            {"b/x": "2", "z": "1"},
        ),
        ([{"op": "copy", "from": "/data/a", "path": "/data/z"}], 200, {"a": "1", "b/x": "2", "z": "1"}),
        ([{"op": "test", "path": "/data/a", "value": "no"}, {"op": "remove", "path": "/data/a"}], 422, {"a": "1", "b/x": "2"}),
        ([{"op": "remove", "path": "/data/none"}], 422, {"a": "1", "b/x": "2"}),
        ([{"op": "replace", "path": "/none/x", "value": "1"}], 422, {"a": "1", "b/x": "2"}),
    ],
)  # fmt: skip
async def test_json_patches_are_done_whole_or_not_at_all(api: Api, operations: list, want_status: int, want_data: dict):
    body = a_config("one", {"a": "1"})
    await api.create("configmaps", body)
    # a key with a slash only exists through a label-like annotation; data keys may not have one
    await api.merge("configmaps", "one", {"metadata": {"annotations": {"a": "1", "b/x": "2"}}})
    moved = [
        {
            key: value.replace("/data/", "/metadata/annotations/") if key in ("path", "from") else value
            for key, value in each.items()
        }
        for each in operations
    ]
    kind = "application/json-patch+json"
    status, _ = await api.call("PATCH", api.path("configmaps", "one"), moved, content_type=kind)
    assert status == want_status
    assert (await api.get("configmaps", "one"))["metadata"]["annotations"] == want_data


async def test_a_strategic_patch_merges_containers_and_their_variables_by_name(api: Api):
    await api.create(DEPLOYMENTS, _deployment())
    container = {
        "name": "main",
        "image": "registry.example/app:2",
        "env": [{"name": "B", "value": "9"}, {"name": "C", "value": "3"}],
    }
    side = {"name": "side", "image": "registry.example/side:1"}
    status, new = await _strategic(api, {"spec": {"template": {"spec": {"containers": [container, side]}}}})
    assert status == 200
    containers = {each["name"]: each for each in new["spec"]["template"]["spec"]["containers"]}
    assert set(containers) == {"main", "side"}
    assert containers["main"]["image"] == "registry.example/app:2"
    variables = {each["name"]: each["value"] for each in containers["main"]["env"]}
    assert variables == {"A": "1", "B": "9", "C": "3"}
    assert containers["main"]["ports"][0]["containerPort"] == 80


async def test_a_strategic_patch_can_delete_an_element_and_replace_a_list(api: Api):
    await api.create(DEPLOYMENTS, _deployment())
    container = {"name": "main", "env": [{"name": "A", "$patch": "delete"}]}
    _, new = await _strategic(api, {"spec": {"template": {"spec": {"containers": [container]}}}})
    assert [each["name"] for each in new["spec"]["template"]["spec"]["containers"][0]["env"]] == ["B"]
    container = {"name": "main", "env": [{"$patch": "replace"}, {"name": "Z", "value": "0"}]}
    _, new = await _strategic(api, {"spec": {"template": {"spec": {"containers": [container]}}}})
    assert [each["name"] for each in new["spec"]["template"]["spec"]["containers"][0]["env"]] == ["Z"]


async def test_a_strategic_patch_of_finalizers_adds_and_takes_from_a_set(api: Api):
    await api.create("pods", a_pod("p", metadata={"finalizers": ["a.example.dev/x"]}))
    _, new = await _strategic(api, {"metadata": {"finalizers": ["b.example.dev/y"]}}, "p", "pods")
    assert sorted(new["metadata"]["finalizers"]) == ["a.example.dev/x", "b.example.dev/y"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a.example.dev/x"]}}
    _, new = await _strategic(api, patch, "p", "pods")
    assert new["metadata"]["finalizers"] == ["b.example.dev/y"]


async def test_a_strategic_patch_of_a_status_merges_conditions_by_type(api: Api):
    await api.create("pods", a_pod("p"))
    path, kind = api.path("pods", "p", "status"), "application/strategic-merge-patch+json"
    for condition in (
        {"type": "A", "status": "True"},
        {"type": "B", "status": "False"},
        {"type": "A", "status": "False"},
    ):
        await api.ok("PATCH", path, {"status": {"conditions": [condition]}}, content_type=kind)
    conditions = (await api.get("pods", "p"))["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions} == {"A": "False", "B": "False"}


async def test_custom_kinds_take_no_strategic_patch(widgets: Api):
    await widgets.create(WIDGETS, a_widget("one"))
    status, answer = await _strategic(widgets, {"spec": {"size": "large"}}, "one", WIDGETS)
    assert (status, answer["reason"]) == (415, "UnsupportedMediaType")


async def test_what_may_not_change_is_refused(api: Api):
    await api.create(DEPLOYMENTS, _deployment())
    status, answer = await api.merge(DEPLOYMENTS, "web", {"spec": {"selector": {"matchLabels": {"app": "db"}}}})
    assert (status, answer["reason"]) == (422, "Invalid")


async def test_generation_counts_changes_of_the_spec_only(api: Api):
    made = await api.create(DEPLOYMENTS, _deployment())
    assert made["metadata"]["generation"] == 1
    _, new = await api.merge(DEPLOYMENTS, "web", {"metadata": {"labels": {"a": "b"}}})
    assert new["metadata"]["generation"] == 1
    _, new = await api.merge(DEPLOYMENTS, "web", {"status": {"replicas": 2}}, "status")
    assert new["metadata"]["generation"] == 1
    _, new = await api.merge(DEPLOYMENTS, "web", {"spec": {"replicas": 3}})
    assert new["metadata"]["generation"] == 2


async def test_scale_is_read_and_written_by_itself(api: Api):
    await api.create(DEPLOYMENTS, _deployment())
    scale = await api.ok("GET", api.path(DEPLOYMENTS, "web", "scale"))
    assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == ("Scale", 2, "app=web")
    await api.ok("PUT", api.path(DEPLOYMENTS, "web", "scale"), {**scale, "spec": {"replicas": 5}})
    assert (await api.get(DEPLOYMENTS, "web"))["spec"]["replicas"] == 5
    status, scale = await api.merge(DEPLOYMENTS, "web", {"spec": {"replicas": 1}}, "scale")
    assert (status, scale["spec"]["replicas"]) == (200, 1)
    status, _ = await api.merge(DEPLOYMENTS, "web", {"spec": {"replicas": -1}}, "scale")
    assert status == 422
