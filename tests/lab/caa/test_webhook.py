"""What CAA's webhook does to a pod, rule by rule."""

import pytest

from burster.lab.caa.webhook import PeerPodsWebhook


PREFIX = "io.katacontainers.config.hypervisor."
SLOT = {"requests": {"kata.peerpods.io/vm": "1"}, "limits": {"kata.peerpods.io/vm": "1"}}


def _container(requests=None, limits=None, name="c"):
    resources = {}
    if requests:
        resources["requests"] = requests
    if limits:
        resources["limits"] = limits
    return {"name": name, "image": "i", "resources": resources}


def _pod(*containers, init=(), annotations=None, namespace="default", runtime_class="kata-remote"):
    spec = {"containers": list(containers), "runtimeClassName": runtime_class}
    if init:
        spec["initContainers"] = list(init)
    return {"metadata": {"name": "p", "namespace": namespace, "annotations": annotations or {}}, "spec": spec}


def _mutated(pod, resource="pods", operation="CREATE"):
    return PeerPodsWebhook()(resource, operation, pod, "someone")


def _written(pod):
    annotations = _mutated(pod)["metadata"]["annotations"]
    return {key.removeprefix(PREFIX): value for key, value in annotations.items() if key.startswith(PREFIX)}


@pytest.mark.parametrize(
    ("pod", "want"),
    [
        pytest.param(
            _pod(_container({"cpu": "1500m", "memory": "1Gi"})),
            {"default_vcpus": "2", "default_memory": "1024"},
            id="whole vCPUs, rounded up",
        ),
        pytest.param(
            _pod(_container({"cpu": "1"}), _container({"cpu": "1", "memory": "1000001"})),
            {"default_vcpus": "2", "default_memory": "1"},
            id="containers are added, memory in MiB rounded up",
        ),
        pytest.param(
            _pod(_container({"cpu": "1"}), init=[_container({"cpu": "3"})]),
            {"default_vcpus": "4"},
            id="init containers are added, not the larger one taken",
        ),
        pytest.param(
            _pod(_container({"cpu": "1", "memory": "1Gi"}, {"cpu": "4", "memory": "1Gi"})),
            {"default_vcpus": "4", "default_memory": "1024"},
            id="a limit goes over the request",
        ),
        pytest.param(
            _pod(_container({"cpu": "3"}), _container({"cpu": "1"}, {"cpu": "2"})),
            {"default_vcpus": "4"},
            id="a sum of limits below the sum of requests does not",
        ),
        pytest.param(
            _pod(_container(None, {"cpu": "2"})),
            {"default_vcpus": "2"},
            id="a limit alone is a request too",
        ),
        pytest.param(_pod(_container({"nvidia.com/gpu": "2"})), {"default_gpus": "2"}, id="GPUs"),
        pytest.param(_pod(_container()), {}, id="nothing asked for, nothing written"),
        pytest.param(
            _pod(
                _container({"cpu": "1"}),
                annotations={
                    f"{PREFIX}default_vcpus": "64",
                    f"{PREFIX}default_memory": "9999",
                    f"{PREFIX}machine_type": "Standard_DC4es_v6",
                },
            ),
            {"default_vcpus": "1", "default_memory": "9999", "machine_type": "Standard_DC4es_v6"},
            id="what is computed overwrites the user's, the machine type stays",
        ),
    ],
)
def test_the_size_moves_into_annotations(pod, want):
    assert _written(pod) == want


def test_resources_are_wiped_and_the_first_container_asks_for_a_vm():
    pod = _pod(
        _container({"cpu": "1"}, name="a"),
        _container({"cpu": "1"}, {"cpu": "2"}, name="b"),
        init=[_container({"memory": "1Gi"}, name="init")],
    )
    spec = _mutated(pod)["spec"]
    assert [container["resources"] for container in spec["containers"]] == [SLOT, {}]
    assert spec["initContainers"][0]["resources"] == {}
    assert pod["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}, "the object sent in is left alone"


@pytest.mark.parametrize(
    ("pod", "resource", "operation"),
    [
        pytest.param(_pod(_container({"cpu": "1"}), runtime_class="kata"), "pods", "CREATE", id="another RuntimeClass"),
        pytest.param(_pod(_container({"cpu": "1"}), namespace="kube-system"), "pods", "CREATE", id="kube-system"),
        pytest.param(
            _pod(_container({"cpu": "1"}), namespace="confidential-containers-system"),
            "pods",
            "CREATE",
            id="its own namespace",
        ),
        pytest.param(_pod(_container({"cpu": "1"})), "pods", "UPDATE", id="updates"),
        pytest.param(_pod(_container({"cpu": "1"})), "replicasets.apps", "CREATE", id="other kinds"),
    ],
)
def test_nobody_elses_objects_are_touched(pod, resource, operation):
    assert _mutated(pod, resource, operation) is pod


def test_a_second_call_changes_nothing():
    once = _mutated(_pod(_container({"cpu": "2", "memory": "2Gi"})))
    assert _mutated(once) == once


def test_in_the_store_a_peer_pod_keeps_only_the_overhead_of_its_class(play):
    async def story(stage):
        pod = stage.pod("p", resources={"requests": {"cpu": "6", "memory": "20Gi"}})
        assert pod["spec"]["containers"][0]["resources"] == SLOT
        assert pod["spec"]["overhead"] == {"cpu": "250m", "memory": "120Mi"}
        assert pod["spec"]["nodeSelector"] == {"katacontainers.io/kata-runtime": "true"}
        assert pod["metadata"]["annotations"][f"{PREFIX}default_vcpus"] == "6"

    play(story)
