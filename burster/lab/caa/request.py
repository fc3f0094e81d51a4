"""What the kata shim reads from a pod's annotations for the hypervisor service, and what it refuses.

Called by ``adaptor`` for each sandbox. Pure.
"""

from typing import Final

from burster.lab.apiserver.objects import section
from burster.lab.caa.config import HYPERVISOR
from burster.lab.caa.sizes import Wanted
from burster.lab.cluster.objects import Json


#: What configuration-remote.toml lets a pod set, upstream; OpenShift's allows only the first three.
ENABLED: Final = (
    "default_vcpus",
    "default_memory",
    "machine_type",
    "image",
    "default_gpus",
    "default_gpu_model",
    "cc_init_data",
)


def _annotations(pod: Json) -> dict[str, str]:
    return section(pod["metadata"], "annotations")


def annotation_problem(pod: Json) -> str:
    """Return why the shim refuses the pod's hypervisor annotations, or nothing."""
    for name in sorted(_annotations(pod)):
        if name.startswith(HYPERVISOR) and name.removeprefix(HYPERVISOR) not in ENABLED:
            return f"annotation {name} is not enabled"
    return ""


def wanted_size(pod: Json) -> Wanted:
    """Return the size asked for; what isn't a number counts as unset."""

    def number(name: str) -> int:
        text = _annotations(pod).get(HYPERVISOR + name, "")
        return int(text) if text.isdigit() else 0

    return Wanted(
        machine_type=_annotations(pod).get(f"{HYPERVISOR}machine_type", ""),
        vcpus=number("default_vcpus"),
        memory_mib=number("default_memory"),
        gpus=number("default_gpus"),
    )


def image_of(pod: Json) -> str:
    """Return the pod's own image, empty for the configured one: any author of a pod can set it where the annotation is enabled."""
    return _annotations(pod).get(f"{HYPERVISOR}image", "")


def initdata_of(pod: Json) -> str:
    """Return the pod's own initdata, empty for none."""
    return _annotations(pod).get(f"{HYPERVISOR}cc_init_data", "")
