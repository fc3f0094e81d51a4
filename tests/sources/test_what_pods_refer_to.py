"""Devices, images, Secrets and what CAA's webhook has wiped: from the bytes of the API server."""

from typing import Any

import orjson
import pytest

from burster.model.errors import InputError
from burster.model.pods import Pod, Resources
from burster.sources.pods import POD_CODEC, pod_from


HYPERVISOR = "io.katacontainers.config.hypervisor."


def decoded(spec: dict[str, Any], annotations: dict[str, str] | None = None, **meta: Any) -> Pod:
    metadata = {"name": "p", "namespace": "shop", "uid": "u", "annotations": annotations, **meta}
    return pod_from(POD_CODEC.item.decode(orjson.dumps({"metadata": metadata, "spec": spec, "status": {}})))


def asking(**requests: Any) -> dict[str, Any]:
    return {"resources": {"requests": {name.replace("__", "/").replace("_", "."): n for name, n in requests.items()}}}


@pytest.mark.parametrize(
    ("spec", "want_gpus", "want_devices"),
    [
        pytest.param({"containers": [asking(cpu=1, nvidia_com__gpu=2)]}, 2, (), id="NVIDIA's GPUs are no device"),
        pytest.param(
            {"containers": [asking(amd_com__gpu=1), asking(amd_com__gpu="2")]},
            0,
            (("amd.com/gpu", 3),),
            id="others by their own names, added up",
        ),
        pytest.param(
            {"containers": [asking(z_example__npu=1, a_example__fpga=1)]},
            0,
            (("a.example/fpga", 1), ("z.example/npu", 1)),
            id="in the order of names",
        ),
        pytest.param(
            {"containers": [asking(x_example__npu=1)], "initContainers": [asking(x_example__npu=4)]},
            0,
            (("x.example/npu", 4),),
            id="the largest moment",
        ),
        pytest.param(
            {
                "containers": [asking(x_example__npu=1)],
                "initContainers": [{"restartPolicy": "Always", **asking(x_example__npu=2)}, asking(x_example__npu=3)],
            },
            0,
            (("x.example/npu", 5),),
            id="an init container beside a sidecar",
        ),
        pytest.param(
            {
                "containers": [asking(x_example__npu=4)],
                "initContainers": [{"restartPolicy": "Always", **asking(x_example__npu=2)}],
            },
            0,
            (("x.example/npu", 6),),
            id="a sidecar stays beside the containers",
        ),
        pytest.param(
            {"containers": [asking(cpu=1)], "overhead": {"x.example/npu": 1}}, 0, (("x.example/npu", 1),), id="overhead"
        ),
        pytest.param({"containers": [asking(x_example__npu=0)]}, 0, (), id="none asked for"),
        pytest.param({"containers": [asking(kata_peerpods_io__vm=1)]}, 0, (), id="a worker's slot is in no VM"),
        pytest.param(
            {"containers": [{"resources": {"requests": {"ephemeral-storage": "1Gi", "hugepages-2Mi": "4Mi"}}}]},
            0,
            (),
            id="what has no vendor is no device",
        ),
    ],
)
def test_devices(spec: dict[str, Any], want_gpus: int, want_devices: tuple[tuple[str, int], ...]):
    asked = decoded(spec).requests
    assert (asked.gpus, asked.devices) == (want_gpus, want_devices)


def test_half_a_device_is_an_input_error():
    with pytest.raises(InputError, match="not a whole number"):
        decoded({"containers": [asking(x_example__npu="500m")]})


@pytest.mark.parametrize(
    ("annotations", "requests", "want"),
    [
        pytest.param(
            {HYPERVISOR + "default_vcpus": "4", HYPERVISOR + "default_memory": "1024"},
            {},
            Resources(cpu_millicores=4_000, memory_bytes=2**30),
            id="wiped",
        ),
        pytest.param(
            {HYPERVISOR + "default_vcpus": "1", HYPERVISOR + "default_gpus": "1"},
            {"cpu": "2", "memory": "1Mi"},
            Resources(cpu_millicores=2_000, memory_bytes=2**20, gpus=1),
            id="whichever is more",
        ),
        pytest.param(
            {HYPERVISOR + "default_vcpus": "lots"}, {"cpu": "2"}, Resources(cpu_millicores=2_000), id="no number"
        ),
        pytest.param({HYPERVISOR + "default_vcpus": "9" * 13}, {}, Resources(), id="more digits than anybody writes"),
        pytest.param({"else": "4"}, {"cpu": "2"}, Resources(cpu_millicores=2_000), id="other annotations"),
    ],
)
def test_what_the_webhook_wiped_is_read_from_its_annotations(
    annotations: dict[str, str], requests: dict[str, str], want: Resources
):
    assert decoded({"containers": [{"resources": {"requests": requests}}]}, annotations).requests == want


def test_images_are_of_every_container_once_init_containers_first():
    spec = {
        "initContainers": [{"image": "registry.example/init:1"}],
        "containers": [{"image": "registry.example/web:1"}, {"image": "registry.example/web:1"}, {}],
    }
    assert decoded(spec).images == ("registry.example/init:1", "registry.example/web:1")


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        pytest.param({"containers": [{"env": [{"name": "A", "value": "x"}]}]}, (), id="none"),
        pytest.param(
            {"containers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]}]},
            ("db",),
            id="a variable",
        ),
        pytest.param(
            {"containers": [{"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}]}, (), id="a field"
        ),
        pytest.param(
            {"initContainers": [{"envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "no"}}]}]},
            ("all",),
            id="all variables, in an init container",
        ),
        pytest.param({"volumes": [{"name": "v", "secret": {"secretName": "tls"}}]}, ("tls",), id="a volume"),
        pytest.param(
            {"volumes": [{"projected": {"sources": [{"secret": {"name": "p"}}, {"configMap": {"name": "no"}}]}}]},
            ("p",),
            id="a projected volume",
        ),
        pytest.param({"volumes": [{"csi": {"nodePublishSecretRef": {"name": "c"}}}]}, ("c",), id="a CSI volume"),
        pytest.param({"volumes": [{"azureFile": {"secretName": "f"}}]}, ("f",), id="an Azure file share"),
        *(
            pytest.param({"volumes": [{kind: {"secretRef": {"name": "s"}}}]}, ("s",), id=kind)
            for kind in ("cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos")
        ),
        pytest.param(
            {
                "containers": [
                    {"envFrom": [{"secretRef": {"name": "z"}}]},
                    {"envFrom": [{"secretRef": {"name": "a"}}]},
                ],
                "volumes": [{"secret": {"secretName": "z"}}, {"emptyDir": {}}, {"secret": {}}],
            },
            ("a", "z"),
            id="each once, in order of names",
        ),
        pytest.param({"imagePullSecrets": [{"name": "pull"}], "containers": []}, (), id="the kubelet's own"),
    ],
)
def test_secrets(spec: dict[str, Any], want: tuple[str, ...]):
    assert decoded(spec).secrets == want


def test_pods_that_are_alike_share_what_they_say():
    owner = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-h", "uid": "r", "controller": True}]
    spec = {"containers": [{"image": "i:1", **asking(cpu=1)}]}
    one, other = (
        decoded(spec, name=name, uid=name, ownerReferences=owner, labels={"pod-template-hash": "h"}) for name in "ab"
    )
    assert one.name != other.name
    assert one.requests is other.requests
    assert one.owner is other.owner
    assert one.workload is other.workload
    assert one.images is other.images
    assert one.namespace is other.namespace
