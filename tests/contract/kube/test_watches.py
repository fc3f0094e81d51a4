import asyncio

from .conftest import Api, a_config, a_pod


def _binding(name: str, node: str) -> dict:
    target = {"kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}


async def _revision(api: Api, resource: str) -> str:
    found = await api.ok("GET", api.path(resource))
    return found["metadata"]["resourceVersion"]


async def test_a_watch_shows_what_happens_after_the_revision_it_starts_from(api: Api, watch):
    await api.create("secrets", {"metadata": {"name": "before"}})
    watching = await watch("secrets", resourceVersion=await _revision(api, "secrets"))
    await api.create("secrets", {"metadata": {"name": "a"}})
    await api.merge("secrets", "a", {"metadata": {"labels": {"x": "y"}}})
    await api.ok("DELETE", api.path("secrets", "a"))
    assert await watching.types(3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_resumes_where_another_stopped(api: Api, watch):
    start = await _revision(api, "secrets")
    for name in "abc":
        await api.create("secrets", {"metadata": {"name": name}})
    first = await watch("secrets", resourceVersion=start)
    seen = await first.next()
    resumed = await watch("secrets", resourceVersion=seen["object"]["metadata"]["resourceVersion"])
    assert await resumed.types(2) == [("ADDED", "b"), ("ADDED", "c")]


async def test_a_watch_without_a_revision_begins_with_what_is_there(api: Api, watch):
    for name in "ab":
        await api.create("secrets", {"metadata": {"name": name}})
    watching = await watch("secrets", labelSelector="!kubernetes.io/none", fieldSelector="type=Opaque")
    assert sorted(await watching.types(2)) == [("ADDED", "a"), ("ADDED", "b")]
    await api.create("secrets", {"metadata": {"name": "c"}})
    assert await watching.types(1) == [("ADDED", "c")]


async def test_a_deleted_event_carries_the_last_state_at_the_revision_of_the_deletion(api: Api, watch):
    made = await api.create("configmaps", a_config("one", {"a": "1"}))
    version = made["metadata"]["resourceVersion"]
    watching = await watch("configmaps", resourceVersion=version, fieldSelector="metadata.name=one")
    await api.ok("DELETE", api.path("configmaps", "one"))
    event = await watching.next()
    assert event["type"] == "DELETED"
    assert event["object"]["data"] == {"a": "1"}
    assert int(event["object"]["metadata"]["resourceVersion"]) > int(version)


async def test_what_stops_matching_is_deleted_carrying_the_old_object(api: Api, watch):
    made = await api.create("pods", a_pod("p"))
    selector = "status.phase=Pending,spec.nodeName="
    watching = await watch("pods", resourceVersion=made["metadata"]["resourceVersion"], fieldSelector=selector)
    await api.ok("POST", api.path("pods", "p", "binding"), _binding("p", "n1"))
    event = await watching.next()
    now = await api.get("pods", "p")
    assert event["type"] == "DELETED"
    assert not event["object"]["spec"].get("nodeName")
    assert "deletionTimestamp" not in event["object"]["metadata"]
    assert event["object"]["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"]


async def test_what_begins_to_match_is_added(api: Api, watch):
    made = await api.create("configmaps", a_config("one"))
    watching = await watch("configmaps", resourceVersion=made["metadata"]["resourceVersion"], labelSelector="app=web")
    await api.merge("configmaps", "one", {"metadata": {"labels": {"app": "web"}}})
    await api.merge("configmaps", "one", {"data": {"a": "2"}})
    await api.merge("configmaps", "one", {"metadata": {"labels": {"app": "db"}}})
    assert await watching.types(3) == [("ADDED", "one"), ("MODIFIED", "one"), ("DELETED", "one")]


async def test_the_deletion_of_a_pending_pod_first_shows_as_modified(api: Api, watch):
    made = await api.create("pods", a_pod("p"))
    watching = await watch("pods", resourceVersion=made["metadata"]["resourceVersion"])
    await api.ok("DELETE", api.path("pods", "p"))
    modified, deleted = await watching.next(), await watching.next()
    assert (modified["type"], deleted["type"]) == ("MODIFIED", "DELETED")
    assert modified["object"]["metadata"]["deletionTimestamp"]


async def test_a_watch_ends_by_itself_when_its_time_is_up(api: Api, watch):
    watching = await watch("secrets", resourceVersion=await _revision(api, "secrets"), timeoutSeconds="1")
    while (event := await watching.next()) is not None:
        assert event["type"] == "BOOKMARK"


async def test_a_watch_of_another_namespace_sees_nothing_of_ours(api: Api, watch):
    watching = await watch(
        "/configmaps", resourceVersion=await _revision(api, "configmaps"), fieldSelector="metadata.namespace=default"
    )
    await api.create("configmaps", a_config("ours"))
    other = await watch(
        "/configmaps", resourceVersion="0", fieldSelector=f"metadata.namespace={api.namespace},metadata.name=ours"
    )
    assert await other.types(1) == [("ADDED", "ours")]
    try:
        event = await watching.next(timeout_s=0.3)
    except TimeoutError:
        return
    assert event is None or event["object"]["metadata"].get("namespace") == "default"


async def test_several_watchers_see_the_same(api: Api, watch):
    start = await _revision(api, "secrets")
    watchers = [await watch("secrets", resourceVersion=start) for _ in range(5)]
    await asyncio.gather(*(api.create("secrets", {"metadata": {"name": name}}) for name in "abcdef"))
    seen = [await watcher.types(6) for watcher in watchers]
    assert all(each == seen[0] for each in seen)


async def test_a_watch_as_table_says_its_columns_once(api: Api):
    revision = await _revision(api, "pods")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    params = {"watch": "true", "resourceVersion": revision}
    async with api.session.get(api.path("pods"), params=params, headers=accept) as response:
        for name in "ab":
            await api.create("pods", a_pod(name))
        lines = [await response.content.readline() for _ in range(2)]
    assert b'"columnDefinitions":[' in lines[0].replace(b": [", b":[")
    assert b'"rows"' in lines[1]
