"""Names at their lengths, with their dots, and colliding."""

import re

import pytest

from burster.engine.bursts.vms import stem_of, vm_stem
from burster.model import stimuli as s
from tests.support.builders import Engine, a_pod, a_service_pod


DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("a", id="one letter"),
        pytest.param("x" * 33, id="as long as is kept whole"),
        pytest.param("x" * 34, id="one more"),
        pytest.param("x" * 253, id="as long as Kubernetes allows"),
        pytest.param("web.v1.2-abc", id="dots"),
        pytest.param("x" * 31 + ".-" + "y" * 20, id="cut at a dot and a dash"),
        pytest.param("x" * 32 + "-" + "y" * 20, id="cut at a dash"),
        pytest.param("1-2.3", id="digits"),
    ],
)
def test_a_bursts_name_is_a_label_that_survives_the_vms_cut(ready: Engine, name: str) -> None:
    ready.send(s.PodSeen(pod=a_service_pod(name)))
    burst = ready.burst()
    assert DNS_LABEL.fullmatch(burst.name)
    assert len(burst.name) <= 48
    stem = vm_stem(burst.spec.pod_name)
    assert stem == f"podvm-{burst.name}", "the part that makes it unique is not cut off"
    assert stem_of(f"{stem}-0123abcd") == stem


def test_pods_that_differ_only_after_the_cut_get_bursts_of_different_names(ready: Engine) -> None:
    ready.send(*(s.PodSeen(pod=a_service_pod("x" * 60 + str(n))) for n in range(50)))
    assert len(ready.state.bursts) == 50
    assert len({vm_stem(entry.burst.spec.pod_name) for entry in ready.state.bursts.values()}) == 50


def test_the_same_pod_gets_another_name_while_its_former_burst_is_remembered(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("web-1")))
    first = ready.burst().key
    ready.to_serving(first)
    ready.send(
        s.CloudPodGone(burst_uid=ready.burst(first).uid, burst_key=first, pod_uid=ready.burst(first).status.pod_uid)
    )
    assert len(ready.state.bursts) == 2, "the pod still waits, and is answered anew"


def test_a_moved_pod_keeps_its_own_name_whatever_it_is(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod("y" * 100 + ".z")))
    assert ready.burst().spec.pod_name == "y" * 100 + ".z"


@pytest.mark.parametrize(
    ("vm", "want"),
    [
        ("podvm-task-1-0123abcd", "podvm-task-1"),
        ("podvm-task-1-0123abc", ""),
        ("podvm-0123abcd", "podvm"),
        ("podvm", ""),
        ("", ""),
        ("bastion-0123abcd", ""),
    ],
)
def test_whose_a_vm_is_by_its_name(vm: str, want: str) -> None:
    assert stem_of(vm) == want
