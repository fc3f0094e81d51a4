"""A copy of an API server kept by watches, and writes that go out in order; here the server is the lab's, so that time is virtual."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from burster.clients.kube import Kube, KubeSettings
from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.faults import Fault, RequestInfo, Rule, SeededFaults
from burster.lab.apiserver.kinds import Kinds
from burster.lab.apiserver.server import ApiServer
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.cluster.kubelet import KubeletConfig, Kubelets
from burster.lab.cluster.nodes import add_node, make_node
from burster.lab.cluster.work import Works
from burster.lab.hollow.mirror import Mirror
from burster.lab.lockstep import LabClock, run_lockstep


FOLLOWED = {"pods": "", "nodes": "", "leases.coordination.k8s.io": "kube-node-lease"}


class Place:
    """A server, its store, and a mirror of it."""

    def __init__(self, store: Store, server: ApiServer, mirror: Mirror, works: Works, clock: LabClock) -> None:
        self.store = store
        self.server = server
        self.mirror = mirror
        self.works = works
        self.clock = clock
        self.told: list[tuple[str, str]] = []
        mirror.subscribe("pods", self._on_pod)

    def _on_pod(self, event: StoreEvent) -> None:
        self.told.append((event.type, event.object["metadata"]["name"]))

    def pod(self, name: str, node: str = "", **annotations: str) -> dict:
        container = {"name": "main", "image": "i:1"}
        metadata = {
            "name": name,
            "annotations": {f"lab.burster.dev/{key}": value for key, value in annotations.items()},
        }
        spec = {"containers": [container], "restartPolicy": "Never"}
        made = self.store.create("pods", "default", {"metadata": metadata, "spec": spec})
        if node:
            self.store.bind("default", name, node)
        return made

    def status(self, name: str, **status: object) -> None:
        """Write a status through the mirror, as a kubelet does."""
        pod = self.mirror.get("pods", "default", name)
        self.mirror.update(
            "pods", "default", name, {**pod, "status": {**pod.get("status", {}), **status}}, subresource="status"
        )


def play(tmp_path: Path, story: Callable[[Place], Awaitable[None]], *, faults: SeededFaults | None = None) -> None:
    async def main(clock: LabClock) -> None:
        store = Store(clock.now_ms)
        works = Works()
        async with ApiServer(store) as server:
            path = tmp_path / "kubeconfig"
            path.write_text(server.kubeconfig())
            async with await Kube.connect(KubeSettings(kubeconfig=str(path))) as kube:
                mirror = Mirror(kube, works, clock, Kinds(), FOLLOWED)
                try:
                    store.create(
                        "pods",
                        "default",
                        {"metadata": {"name": "there"}, "spec": {"containers": [{"name": "main", "image": "i:1"}]}},
                    )
                    await mirror.start()
                    server.faults = faults
                    await story(Place(store, server, mirror, works, clock))
                finally:
                    server.faults = None
                    await works.close()

    run_lockstep(main)


def test_it_has_what_is_there_and_hears_of_what_comes(tmp_path: Path):
    async def story(place: Place) -> None:
        assert [pod["metadata"]["name"] for pod in place.mirror.list("pods")] == ["there"]
        place.pod("new")
        place.store.delete("pods", "default", "there")
        await place.clock.settled()
        assert [pod["metadata"]["name"] for pod in place.mirror.list("pods", "default")] == ["new"]
        assert ("ADDED", "new") in place.told
        assert place.told[-1] == ("DELETED", "there")
        with pytest.raises(ApiError) as caught:
            place.mirror.get("pods", "default", "there")
        assert caught.value.status == 404

    play(tmp_path, story)


def test_writes_are_seen_at_once_and_arrive_in_order(tmp_path: Path):
    async def story(place: Place) -> None:
        for number in range(5):
            place.status("there", message=str(number))
        assert place.mirror.get("pods", "default", "there")["status"]["message"] == "4"
        assert "message" not in place.store.get("pods", "default", "there")["status"]
        await place.mirror.sent()
        assert place.store.get("pods", "default", "there")["status"]["message"] == "4"

    play(tmp_path, story)


def test_what_others_write_meanwhile_stays(tmp_path: Path):
    async def story(place: Place) -> None:
        place.status("there", phase="Running", conditions=[{"type": "Ready", "status": "True"}])
        gate = {"conditions": [{"type": "burster.dev/verified", "status": "True"}]}
        place.store.patch("pods", "default", "there", {"status": gate}, kind="strategic", subresource="status")
        await place.mirror.sent()
        await place.clock.settled()
        for side in (place.store, place.mirror):
            status = side.get("pods", "default", "there")["status"]
            assert {each["type"] for each in status["conditions"]} >= {"Ready", "burster.dev/verified"}
            assert status["phase"] == "Running"

    play(tmp_path, story)


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=429, retry_after_s=3), Fault(reset=True)], ids=str)
def test_a_write_that_the_server_cannot_take_now_is_tried_again(tmp_path: Path, fault: Fault):
    async def story(place: Place) -> None:
        place.status("there", message="first")
        place.status("there", message="second", reason="later")
        await place.mirror.sent()
        status = place.store.get("pods", "default", "there")["status"]
        assert (status["message"], status["reason"]) == ("second", "later")

    play(tmp_path, story, faults=SeededFaults(1, (Rule(fault=fault, verbs=("patch",), at_most=3),)))


def test_a_write_to_what_is_gone_is_dropped_and_leaves_no_ghost(tmp_path: Path):
    async def story(place: Place) -> None:
        place.status("there", message="late")
        place.store.delete("pods", "default", "there")
        await place.mirror.sent()
        await place.clock.settled()
        assert place.mirror.list("pods") == []
        assert place.told[-1] == ("DELETED", "there")
        assert place.mirror.dropped == 1

    play(tmp_path, story)


def test_a_write_meant_for_a_pod_does_not_hit_its_successor(tmp_path: Path):
    async def story(place: Place) -> None:
        place.status("there", message="for the first")
        place.store.delete("pods", "default", "there")
        place.pod("there")
        await place.mirror.sent()
        await place.clock.settled()
        assert "message" not in place.store.get("pods", "default", "there")["status"]
        assert "message" not in place.mirror.get("pods", "default", "there")["status"]

    play(tmp_path, story)


def test_what_the_server_will_never_take_is_reported(tmp_path: Path):
    def refuses(info: RequestInfo) -> Fault | None:
        return Fault(status=422) if info.verb == "patch" else None

    async def story(place: Place) -> None:
        place.status("there", message="odd")
        await place.mirror.sent()
        assert "message" not in place.mirror.get("pods", "default", "there")["status"], "it says what the server says"
        assert [type(error).__name__ for error in place.works.errors] == ["RemoteError"]
        place.works.errors.clear()

    play(tmp_path, story, faults=refuses)


def test_a_kubelet_works_on_it_as_on_the_store(tmp_path: Path):
    async def story(place: Place) -> None:
        add_node(place.mirror, make_node("n1", "4", "8Gi"))
        await place.mirror.sent()
        kubelets = Kubelets(
            place.mirror, place.clock.now_ms, place.works, config=KubeletConfig(heartbeat_ms=10_000, start_ms=1_000)
        )
        kubelets.start()
        place.pod("task", node="n1", **{"run-seconds": "20"})
        place.pod("ended", node="n1", **{"run-seconds": "900"})
        await place.clock.sleep(5)
        assert place.store.get("pods", "default", "task")["status"]["phase"] == "Running"
        place.store.delete("pods", "default", "ended")
        await place.clock.sleep(30)
        assert place.store.get("pods", "default", "task")["status"]["phase"] == "Succeeded"
        assert [pod["metadata"]["name"] for pod in place.store.list("pods")] == ["task", "there"]
        assert {run.name: run.outcome for run in kubelets.runs} == {"task": "Succeeded", "ended": "Deleted"}
        ready = place.store.get("nodes", "", "n1")["status"]["conditions"][0]
        assert (ready["type"], ready["status"]) == ("Ready", "True")
        lease = place.store.get("leases.coordination.k8s.io", "kube-node-lease", "n1")
        assert lease["spec"]["holderIdentity"] == "n1"
        kubelets.stop()

    play(tmp_path, story)
