"""The stop of the whole cluster: what a ConfigMap says, what it must not say, and that nobody else's ConfigMap counts."""

import pytest

from burster.model.stimuli import ClusterStop
from burster.sources import cluster_stop
from burster.sources.cluster_stop import NAME, path_of, stop_of
from tests.sources.test_sources import Play, running


PATH = path_of("burster-system")


@pytest.mark.parametrize(
    ("data", "want"),
    [
        ({"stop": "true"}, ClusterStop(stopped=True)),
        ({"stop": " True ", "by": "kim"}, ClusterStop(stopped=True, by="kim")),
        ({"stop": "false", "by": "kim", "reason": "over"}, ClusterStop(stopped=False)),
        ({"stop": "0"}, ClusterStop(stopped=False)),
    ],
)
def test_what_it_says_plainly(data, want):
    assert stop_of({"data": data}) == want


@pytest.mark.parametrize(
    "obj",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": []},
        {"data": {"stop": ""}},
        {"data": {"stop": "off"}},
        {"data": {"stop": 0}},
        {"data": {"Stop": "false"}},
        {"binaryData": {"stop": "ZmFsc2U="}},
    ],
)
def test_what_can_not_be_understood_stops(obj):
    stop = stop_of(obj)
    assert stop.stopped
    assert stop.why == "its key stop says neither true nor false, which counts as true."


def test_a_reason_is_kept_beside_what_is_unclear():
    stop = stop_of({"data": {"stop": "maybe", "reason": "the invoice."}})
    assert stop.why == "the invoice; its key stop says neither true nor false, which counts as true."


def test_a_novel_in_it_is_one_short_line():
    stop = stop_of({"data": {"stop": "true", "by": "k\x1b[2J" * 200, "reason": "a\nb" * 5_000}})
    assert (len(stop.by), len(stop.why)) == (100, 300)
    assert "\x1b" not in stop.by
    assert "\n" not in stop.why


def test_nothing_is_stopped_where_there_is_none(play: Play):
    async def scene(api, kube, clock) -> None:
        async with running(cluster_stop, kube, clock, home="burster-system") as posted:
            assert posted == [ClusterStop(stopped=False)]
            assert api.requests[0][2]["fieldSelector"] == f"metadata.name={NAME}"

    play(scene)


def test_it_comes_changes_and_goes(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, NAME, {"data": {"stop": "true", "by": "kim"}})
        async with running(cluster_stop, kube, clock, home="burster-system") as posted:
            assert posted == [ClusterStop(stopped=True, by="kim")]
            api.put(PATH, NAME, {"data": {"stop": "false"}})
            await clock.settled()
            api.put(PATH, NAME, {"data": {}})
            await clock.settled()
            assert [one.stopped for one in posted] == [True, False, True]
            api.remove(PATH, NAME)
            await clock.settled()
            assert posted[-1] == ClusterStop(stopped=False)

    play(scene)


def test_another_config_map_stops_nothing(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "kube-root-ca.crt", {"data": {"ca.crt": "x"}})
        async with running(cluster_stop, kube, clock, home="burster-system") as posted:
            assert posted == [ClusterStop(stopped=False)]

    play(scene)
