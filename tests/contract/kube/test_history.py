"""What a server says of the past: bookmarks that save a client from losing its place, and 410 where that is lost."""

import asyncio

import pytest

from .conftest import WIDGETS, Api, a_widget


#: ListFromCacheSnapshot is on by default
SNAPSHOTS_SINCE = (1, 34)


async def test_a_bookmark_says_how_far_a_watch_has_come_before_its_time_is_up(widgets: Api, watch):
    await widgets.create(WIDGETS, a_widget("one"))
    start = (await widgets.ok("GET", widgets.path(WIDGETS)))["metadata"]["resourceVersion"]
    watching = await watch(WIDGETS, resourceVersion=start, allowWatchBookmarks="true", timeoutSeconds="4")
    made = await widgets.create(WIDGETS, a_widget("two"))
    events = []
    while (event := await watching.next()) is not None:
        events.append(event)
    assert [event["type"] for event in events[:2]] == ["ADDED", "BOOKMARK"]
    mark = events[1]["object"]
    assert (mark["kind"], mark["apiVersion"]) == ("Widget", "contract.example.dev/v1")
    assert not mark["metadata"].get("name")
    assert int(mark["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    resumed = await watch(WIDGETS, resourceVersion=mark["metadata"]["resourceVersion"])
    await widgets.create(WIDGETS, a_widget("three"))
    assert await resumed.types(1) == [("ADDED", "three")]


async def test_who_does_not_ask_for_bookmarks_gets_none(widgets: Api, watch):
    start = (await widgets.ok("GET", widgets.path(WIDGETS)))["metadata"]["resourceVersion"]
    watching = await watch(WIDGETS, resourceVersion=start, timeoutSeconds="3")
    assert await watching.next() is None


async def test_a_watch_from_a_forgotten_revision_is_told_so_and_ends(widgets: Api, watch):
    await widgets.create(WIDGETS, a_widget("one"))
    widgets.endpoint.forget()
    watching = await watch(WIDGETS, resourceVersion="1")
    event = await watching.next()
    assert event is not None
    assert event["type"] == "ERROR"
    told = event["object"]
    assert (told["kind"], told["status"], told["code"], told["reason"]) == ("Status", "Failure", 410, "Expired")
    assert "too old resource version" in told["message"]
    assert await watching.next() is None


async def test_a_list_that_the_server_forgot_between_two_pages_is_expired(api: Api):
    for number in range(3):
        await api.create("secrets", {"metadata": {"name": f"s{number}"}})
    first = await api.ok("GET", api.path("secrets"), params={"limit": "1"})
    await api.create("secrets", {"metadata": {"name": "s9"}})
    await asyncio.to_thread(api.endpoint.forget)
    params = {"limit": "1", "continue": first["metadata"]["continue"]}
    status, told = await api.call("GET", api.path("secrets"), params=params)
    if _keeps_snapshots(api, status):
        assert [each["metadata"]["name"] for each in told["items"]] == ["s1"]
        return
    assert (status, told["reason"]) == (410, "Expired")
    # who can live with gaps goes on with the token that comes with the refusal
    params = {"limit": "5", "continue": told["metadata"]["continue"]}
    rest = await api.ok("GET", api.path("secrets"), params=params)
    assert [each["metadata"]["name"] for each in rest["items"]] == ["s1", "s2", "s9"]


async def test_a_list_of_a_forgotten_revision_is_expired(api: Api):
    old = await api.create("secrets", {"metadata": {"name": "a"}})
    await api.create("secrets", {"metadata": {"name": "b"}})
    await asyncio.to_thread(api.endpoint.forget)
    params = {"resourceVersion": old["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    status, told = await api.call("GET", api.path("secrets"), params=params)
    if _keeps_snapshots(api, status):
        assert [each["metadata"]["name"] for each in told["items"]] == ["a"]
        return
    assert (status, told["reason"]) == (410, "Expired")


def _keeps_snapshots(api: Api, status: int) -> bool:
    """Say whether a server answers from snapshots of its cache (ListFromCacheSnapshot), which etcd's forgetting does not reach at once."""
    return api.endpoint.certificate is not None and api.endpoint.version >= SNAPSHOTS_SINCE and status == 200


async def test_a_list_of_an_exact_revision_shows_what_was_there_then(api: Api):
    old = await api.create("secrets", {"metadata": {"name": "a"}})
    await api.create("secrets", {"metadata": {"name": "b"}})
    params = {"resourceVersion": old["metadata"]["resourceVersion"], "resourceVersionMatch": "Exact"}
    found = await api.ok("GET", api.path("secrets"), params=params)
    assert [each["metadata"]["name"] for each in found["items"]] == ["a"]


@pytest.mark.timeout(60)
async def test_a_list_of_a_revision_that_is_yet_to_come_is_no_list(api: Api):
    found = await api.ok("GET", api.path("secrets"))
    far = str(int(found["metadata"]["resourceVersion"]) + 1_000_000)
    status, told = await api.call("GET", api.path("secrets"), params={"resourceVersion": far})
    assert (status, told["reason"]) == (504, "Timeout")
    assert "Too large resource version" in told["message"]
