from typing import Any

import pytest

from burster.lab.apiserver.store import Store


Json = dict[str, Any]
START_MS = 1_800_000_000_000


class Time:
    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def store(clock: Time) -> Store:
    return Store(clock, seed=7)


def a_pod(name: str = "", *, owner: Json | None = None, **spec: Any) -> Json:
    metadata: Json = {"name": name} if name else {"generateName": "pod-"}
    if owner is not None:
        metadata["ownerReferences"] = [owned_by(owner)]
    container = {"name": "main", "image": "registry.example/app:1", "resources": {"requests": {"cpu": 1}}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


def owned_by(owner: Json, **changes: Any) -> Json:
    metadata = owner["metadata"]
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {**reference, **changes}


def a_config(name: str, **metadata: Any) -> Json:
    return {"metadata": {"name": name, **metadata}}


def a_definition(plural: str = "things", kind: str = "Thing", schema: Json | None = None) -> Json:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    spec = {
        "group": "example.dev",
        "scope": "Namespaced",
        "names": {"plural": plural, "kind": kind},
        "versions": [version],
    }
    return {"metadata": {"name": f"{plural}.example.dev"}, "spec": spec}


DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
