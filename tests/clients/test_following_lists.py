"""`--watch` by records: a list is read once and kept by its watch, through ends, silences, lost histories and a server that is away."""

import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from burster.clients import kube_follow
from burster.clients.kube_follow import Followed, Follower, Mirror
from burster.model.errors import RemoteError


WHAT = Followed(path="/api/v1/pods", params=(("labelSelector", "a=b"),))


def pod(name: str, version: int, note: str = "") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "bank", "name": name, "resourceVersion": str(version), "annotations": {"n": note}}
    }


def event(kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": obj}


def bookmark(version: int) -> dict[str, Any]:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


GONE = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


class Script:
    """A server that tells what a test has written down, and then ends the following."""

    def __init__(self, lists: list[Any], watches: list[list[Any]]) -> None:
        self.lists, self.watches = lists, watches
        self.asked: list[str] = []  #: "list", or the resourceVersion of a watch
        self.follower: Follower | None = None
        self.seen: list[list[str]] = []

    def listing(self, path: str, params: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
        assert (path, params) == (WHAT.path, dict(WHAT.params))
        self.asked.append("list")
        told = self.lists.pop(0)
        if isinstance(told, RemoteError):
            raise told
        return told

    def watch(self, path: str, params: dict[str, Any], *, inactivity_ms: int) -> Generator[dict[str, Any]]:
        assert path == WHAT.path
        assert params["labelSelector"] == "a=b"
        assert params["allowWatchBookmarks"] == "true"
        # who says nothing for longer than bookmarks take is gone, and so is who takes longer than the server is told to take
        assert 60_000 < inactivity_ms < params["timeoutSeconds"] * 1000
        self.asked.append(params["resourceVersion"])
        assert self.follower is not None
        if not self.watches:
            self.follower.stop()
            return
        for told in self.watches.pop(0):
            if isinstance(told, RemoteError):
                raise told
            yield told
            self.seen.append(sorted(one["metadata"]["name"] for one in self.follower.objects()))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_follow, "_DELAYS_S", (0.0, 0.0, 0.0))
    monkeypatch.setattr(kube_follow, "_BREATH_S", 0.0)


def followed(lists: list[Any], watches: list[list[Any]]) -> tuple[Script, Follower, list[str]]:
    """Follow to the end of a script; the troubles that were shown on the way, in order."""
    script = Script(lists, watches)
    troubles: list[str] = []

    def changed() -> None:
        if not troubles or troubles[-1] != follower.trouble:
            troubles.append(follower.trouble)

    follower = script.follower = Follower(script, WHAT, changed)  # type: ignore[arg-type]
    thread = threading.Thread(target=follower.run)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    return script, follower, troubles


def test_what_comes_goes_and_changes_is_kept_by_name():
    first = [event("ADDED", pod("b", 11)), event("MODIFIED", pod("a", 12, "new")), event("DELETED", pod("b", 13))]
    script, follower, _ = followed([([pod("a", 5)], "10")], [first])
    assert script.seen == [["a", "b"], ["a", "b"], ["a"]]
    assert [one["metadata"]["annotations"]["n"] for one in follower.objects()] == ["new"]


def test_a_watch_that_ends_goes_on_where_it_was_and_nothing_is_read_again():
    script, follower, troubles = followed(
        [([], "10")], [[event("ADDED", pod("a", 11)), bookmark(40)], [], [event("ADDED", pod("b", 41))]]
    )
    assert script.asked == ["list", "10", "40", "40", "41"]
    assert (follower.lists, len(follower.objects())) == (1, 2)
    assert troubles == [""]


@pytest.mark.parametrize(
    "lost",
    [GONE, RemoteError("Expired", "WATCH: 410 Gone: too old resource version", status=410)],
    ids=["as an event", "as an answer"],
)
def test_a_history_that_is_lost_has_everything_read_anew_and_nobody_is_troubled(lost):
    script, follower, troubles = followed(
        [([pod("a", 5), pod("gone", 6)], "10"), ([pod("a", 5), pod("c", 70)], "80")],
        [[bookmark(20), lost], [event("ADDED", pod("d", 81))]],
    )
    assert script.asked == ["list", "10", "list", "80", "81"]
    assert sorted(one["metadata"]["name"] for one in follower.objects()) == ["a", "c", "d"]
    assert troubles == [""]


def test_a_server_that_always_says_410_is_a_trouble_and_not_asked_without_end():
    script, follower, troubles = followed([([], "10"), ([], "11"), ([], "12")], [[GONE], [GONE], [bookmark(13)]])
    assert script.asked == ["list", "10", "list", "11", "list", "12", "13"]
    assert follower.trouble == ""
    assert [bool(trouble) for trouble in troubles] == [False, True, False]


def test_silence_and_a_server_that_is_away_are_said_and_what_is_known_stays():
    silent = RemoteError("Timeout", "WATCH /api/v1/pods: nothing came in time")
    away = RemoteError("Unreachable", "WATCH /api/v1/pods: refused")
    script, follower, troubles = followed(
        [([pod("a", 5)], "10")], [[bookmark(20), silent], [away], [away], [bookmark(30)]]
    )
    assert script.asked == ["list", "10", "20", "20", "20", "30"]
    assert [one["metadata"]["name"] for one in follower.objects()] == ["a"]
    assert troubles == ["", str(silent), str(away), ""]


def test_a_list_that_can_not_be_read_anew_is_tried_again():
    away = RemoteError("Unavailable", "GET /api/v1/pods: 503", status=503)
    script, follower, _ = followed([([pod("a", 5)], "10"), away, ([pod("b", 90)], "91")], [[GONE], [bookmark(92)]])
    assert script.asked == ["list", "10", "list", "list", "91", "92"]
    assert [one["metadata"]["name"] for one in follower.objects()] == ["b"]


def test_what_is_wrong_with_the_question_ends_the_command_at_once():
    refused = RemoteError("Unauthorized", "GET /api/v1/pods: 403 Forbidden", status=403)
    script = Script([refused], [])
    mirror = Mirror(script, [WHAT])  # type: ignore[arg-type]
    before: Callable[[], int] = threading.active_count
    count = before()
    with pytest.raises(RemoteError) as told, mirror:
        pass
    assert told.value is refused
    assert before() == count
