import pytest

from .conftest import Api, a_config, a_pod


async def _names(api: Api, resource: str, **params: str) -> list[str]:
    found = await api.ok("GET", api.path(resource), params=params)
    return [each["metadata"]["name"] for each in found["items"]]


async def test_a_list_says_its_kind_and_revision_and_its_items_do_not(api: Api):
    await api.create("configmaps", a_config("one"))
    found = await api.ok("GET", api.path("configmaps"))
    assert found["kind"] == "ConfigMapList"
    assert found["metadata"]["resourceVersion"].isdecimal()
    one = next(each for each in found["items"] if each["metadata"]["name"] == "one")
    assert "kind" not in one
    assert "apiVersion" not in one


async def test_a_list_in_pages_shows_one_revision_whatever_happens_meanwhile(api: Api):
    for number in range(5):
        await api.create("secrets", {"metadata": {"name": f"s{number}"}})
    first = await api.ok("GET", api.path("secrets"), params={"limit": "2"})
    assert [each["metadata"]["name"] for each in first["items"]] == ["s0", "s1"]
    assert first["metadata"]["remainingItemCount"] == 3
    await api.ok("DELETE", api.path("secrets", "s3"))
    await api.create("secrets", {"metadata": {"name": "s9"}})
    token = first["metadata"]["continue"]
    second = await api.ok("GET", api.path("secrets"), params={"limit": "2", "continue": token})
    assert [each["metadata"]["name"] for each in second["items"]] == ["s2", "s3"]
    token = second["metadata"]["continue"]
    last = await api.ok("GET", api.path("secrets"), params={"limit": "2", "continue": token})
    assert [each["metadata"]["name"] for each in last["items"]] == ["s4"]
    assert "continue" not in last["metadata"]
    assert last["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_a_continue_token_that_is_none_is_a_bad_request(api: Api):
    status, _ = await api.call("GET", api.path("secrets"), params={"limit": "1", "continue": "nonsense"})
    assert status == 400


@pytest.mark.parametrize(
    ("selector", "want_names"),
    [
        ("app=web", ["a", "b"]),
        ("app==web,tier=back", ["b"]),
        ("app!=web", ["c", "d"]),
        ("app in (web, db)", ["a", "b", "c"]),
        ("app notin (web)", ["c", "d"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c", "d"]),
        ("app,tier notin (front)", ["b", "c"]),
    ],
)
async def test_label_selectors(api: Api, selector: str, want_names: list[str]):
    for name, labels in {
        "a": {"app": "web", "tier": "front"},
        "b": {"app": "web", "tier": "back"},
        "c": {"app": "db"},
        "d": {},
    }.items():
        await api.create("secrets", {"metadata": {"name": name, "labels": labels}})
    assert await _names(api, "secrets", labelSelector=selector) == want_names


@pytest.mark.parametrize("selector", ["app in web", "=x", "a=b=c", "a b"])
async def test_a_label_selector_that_makes_no_sense_is_a_bad_request(api: Api, selector: str):
    status, _ = await api.call("GET", api.path("secrets"), params={"labelSelector": selector})
    assert status == 400


@pytest.mark.parametrize(
    ("selector", "want_names"),
    [
        ("metadata.name=free", ["free"]),
        ("spec.nodeName=n1", ["bound"]),
        ("spec.nodeName=", ["free"]),
        ("status.phase=Pending,spec.nodeName=", ["free"]),
        ("status.phase!=Pending", []),
        ("spec.nodeName!=n1,metadata.name!=free", []),
    ],
)
async def test_field_selectors_of_pods(api: Api, selector: str, want_names: list[str]):
    await api.create("pods", a_pod("free"))
    await api.create("pods", a_pod("bound"))
    target = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "bound"},
        "target": {"kind": "Node", "name": "n1"},
    }
    await api.ok("POST", api.path("pods", "bound", "binding"), target)
    assert await _names(api, "pods", fieldSelector=selector) == want_names


async def test_a_field_that_cannot_be_selected_is_a_bad_request(api: Api):
    status, answer = await api.call("GET", api.path("pods"), params={"fieldSelector": "spec.priority=1"})
    assert status == 400
    assert "field label not supported" in answer["message"]


async def test_a_list_of_all_namespaces_has_those_of_ours(api: Api):
    await api.create("configmaps", a_config("ours"))
    found = await api.ok("GET", "/api/v1/configmaps", params={"fieldSelector": "metadata.name=ours"})
    assert [each["metadata"]["namespace"] for each in found["items"]] == [api.namespace]


async def test_deleting_a_collection_takes_what_the_selector_selects(api: Api):
    for name, labels in {"a": {"app": "web"}, "b": {"app": "db"}}.items():
        await api.create("secrets", {"metadata": {"name": name, "labels": labels}})
    await api.ok("DELETE", api.path("secrets"), params={"labelSelector": "app=web"})
    assert await _names(api, "secrets", labelSelector="app") == ["b"]


async def test_a_table_has_columns_and_rows(api: Api):
    await api.create("pods", a_pod("p"))
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = await api.ok("GET", api.path("pods"), headers=accept)
    assert table["kind"] == "Table"
    columns = [column["name"] for column in table["columnDefinitions"]]
    assert columns[:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    cells = dict(zip(columns, table["rows"][0]["cells"], strict=True))
    assert (cells["Name"], cells["Ready"], cells["Status"]) == ("p", "0/1", "Pending")
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_metadata_alone_can_be_asked_for(api: Api):
    await api.create("pods", a_pod("p"))
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}
    found = await api.ok("GET", api.path("pods"), headers=accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert "spec" not in found["items"][0]
