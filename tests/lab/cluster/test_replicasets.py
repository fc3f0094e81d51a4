"""ReplicaSets and Deployments: counting, adopting, letting go, replacing."""

import pytest

from burster.lab.apiserver.errors import ApiError


def _deployment(name="web", replicas=3, cpu="1", image="registry.local/web:1"):
    container = {"name": "web", "image": image, "resources": {"requests": {"cpu": cpu}}}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def _create(stage, **more):
    return stage.store.create("deployments.apps", "default", _deployment(**more))


def _scale(stage, replicas, name="web"):
    stage.store.patch("deployments.apps", "default", name, {"spec": {"replicas": replicas}})


def _live(stage):
    return [pod for pod in stage.pods() if not pod["metadata"].get("deletionTimestamp")]


def test_a_deployment_becomes_a_replica_set_becomes_pods(play):
    async def story(stage):
        stage.node("a")
        _create(stage)
        await stage.passes(10)
        (replica_set,) = stage.store.list("replicasets.apps", "default")
        digest = replica_set["metadata"]["labels"]["pod-template-hash"]
        assert replica_set["metadata"]["name"] == f"web-{digest}"
        assert len(digest) == 10
        for pod in stage.pods():
            assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": digest}
            assert pod["metadata"]["name"].startswith(f"web-{digest}-")
            (owner,) = pod["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["controller"]) == ("ReplicaSet", True)
        status = stage.get("web", "deployments.apps")["status"]
        assert (status["replicas"], status["readyReplicas"], status["availableReplicas"]) == (3, 3, 3)
        assert stage.condition("web", "Available", "deployments.apps")["status"] == "True"

    play(story)


def test_scaling_down_takes_waiting_pods_first(play):
    async def story(stage):
        stage.node("a", cpu="2")
        _create(stage, replicas=5)
        await stage.passes(10)
        running = {pod["metadata"]["name"] for pod in stage.pods() if pod["spec"].get("nodeName")}
        assert len(running) == 2
        _scale(stage, 2)
        await stage.passes(10)
        assert {pod["metadata"]["name"] for pod in stage.pods()} == running
        _scale(stage, 0)
        await stage.passes(60)
        assert stage.pods() == []

    play(story)


def test_a_deleted_pending_pod_is_replaced_at_once(play):
    async def story(stage):
        _create(stage, replicas=1)
        await stage.passes(1)
        (first,) = stage.pods()
        stage.store.delete("pods", "default", first["metadata"]["name"])
        await stage.passes(0.05)
        (second,) = stage.pods()
        assert second["metadata"]["name"] != first["metadata"]["name"]

    play(story)


def test_an_orphan_that_matches_is_adopted_and_the_surplus_goes(play):
    async def story(stage):
        stage.node("a", cpu="8")
        _create(stage, replicas=2)
        await stage.passes(10)
        labels = stage.pods()[0]["metadata"]["labels"]
        stage.pod("stray", labels=labels)
        await stage.passes(0.01)
        assert len(_live(stage)) == 2, "one too many: the youngest, not yet ready, goes"
        await stage.passes(30)
        assert len(stage.pods()) == 2

    play(story)


def test_a_pod_with_another_controller_is_neither_adopted_nor_counted(play):
    async def story(stage):
        stage.node("a", cpu="8")
        _create(stage, replicas=2)
        config = stage.store.create("configmaps", "default", {"metadata": {"name": "owner"}})
        await stage.passes(10)
        labels = stage.pods()[0]["metadata"]["labels"]
        owner = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "owner",
            "uid": config["metadata"]["uid"],
            "controller": True,
        }
        stage.pod("clone", labels=labels, ownerReferences=[owner])
        await stage.passes(30)
        assert stage.get("clone")["metadata"]["ownerReferences"] == [owner]
        assert len(stage.pods()) == 3
        assert stage.get("web", "deployments.apps")["status"]["replicas"] == 2

    play(story)


def test_an_owner_that_is_no_controller_protects_nothing(play):
    async def story(stage):
        stage.node("a", cpu="8")
        _create(stage, replicas=2)
        config = stage.store.create("configmaps", "default", {"metadata": {"name": "owner"}})
        await stage.passes(10)
        uid = config["metadata"]["uid"]
        stage.pod(
            "clone",
            labels=stage.pods()[0]["metadata"]["labels"],
            ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}],
        )
        await stage.passes(30)
        assert len(stage.pods()) == 2, "adopted, so one had to go"

    play(story)


def test_a_pod_whose_labels_change_is_let_go_and_replaced(play):
    async def story(stage):
        stage.node("a", cpu="8")
        _create(stage, replicas=1)
        await stage.passes(10)
        name = stage.pods()[0]["metadata"]["name"]
        stage.store.patch("pods", "default", name, {"metadata": {"labels": {"app": "debug"}}})
        await stage.passes(10)
        assert not stage.get(name)["metadata"].get("ownerReferences")
        assert len(stage.pods()) == 2

    play(story)


def test_a_new_template_gets_a_new_set_and_the_old_one_is_emptied(play):
    async def story(stage):
        stage.node("a", cpu="8")
        _create(stage, replicas=2)
        await stage.passes(10)
        template = _deployment(image="registry.local/web:2")["spec"]["template"]
        stage.store.patch("deployments.apps", "default", "web", {"spec": {"template": template}})
        await stage.passes(60)
        sets = stage.store.list("replicasets.apps", "default")
        assert sorted(each["spec"]["replicas"] for each in sets) == [0, 2]
        assert {pod["spec"]["containers"][0]["image"] for pod in stage.pods()} == {"registry.local/web:2"}

    play(story)


def test_deleting_a_deployment_takes_everything_with_it(play):
    async def story(stage):
        stage.node("a", cpu="8")
        _create(stage, replicas=2)
        await stage.passes(10)
        stage.store.delete("deployments.apps", "default", "web")
        await stage.passes(60)
        assert stage.pods() == []
        assert stage.store.list("replicasets.apps", "default") == []

    play(story)


@pytest.mark.parametrize("refusals", [pytest.param(2, id="twice")])
def test_a_refused_create_is_reported_and_tried_again_later(play, refusals):
    async def story(stage):
        def quota(resource, operation, obj, user):
            if resource == "pods" and operation == "CREATE":
                stage.log.append(stage.clock.now_ms())
                if len(stage.log) <= refusals:
                    raise ApiError(403, "Forbidden", "exceeded quota: compute")
            return obj

        stage.store.admission.append(quota)
        _create(stage, replicas=1)
        await stage.passes(0.5)
        name = stage.store.list("replicasets.apps", "default")[0]["metadata"]["name"]
        failure = stage.condition(name, "ReplicaFailure", "replicasets.apps")
        assert (failure["status"], failure["message"]) == ("True", "exceeded quota: compute")
        assert stage.events("FailedCreate")[0]["message"] == "Error creating: exceeded quota: compute"
        await stage.passes(10)
        assert len(stage.pods()) == 1
        assert stage.condition(name, "ReplicaFailure", "replicasets.apps") == {}
        assert [later - stage.log[0] for later in stage.log] == [0, 1_000, 3_000]

    play(story)
